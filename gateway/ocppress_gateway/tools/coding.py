"""A whole conversation through a codec, in both directions, as edge and cloud together would do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ocppress_codecs.account import Account
from ocppress_codecs.calls import CallLog
from ocppress_codecs.interface import Decoder, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message
from ocppress_gateway.tools.dictionaries import NOTHING, LeftOut
from ocppress_gateway.tools.frames import Agreement, SentFrame
from ocppress_gateway.tools.schedule import Batch
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Heard", "Opened", "decoded", "decoders", "encoded", "opened"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One message that came out of a frame, and when the frame was sent."""

    at_s: float
    direction: Direction
    message: Message


@dataclass(frozen=True, slots=True)
class Opened:
    """One frame with its messages, and what each part of it took."""

    sent: SentFrame
    messages: list[Message]
    account: Account


def encoded(batches: Iterable[Batch], agreement: Agreement, left_out: LeftOut = NOTHING) -> Iterator[SentFrame]:
    """The frames of `batches`, from fresh contexts. Raises `EncodeError` for a message that fits in no frame."""
    ends = _both_ends(agreement, left_out)
    for batch in batches:
        yield SentFrame(batch.at_s, batch.direction, ends[batch.direction.sender].encoder.encode(batch.messages))


def decoded(frames: Iterable[SentFrame], agreement: Agreement, left_out: LeftOut = NOTHING) -> Iterator[Heard]:
    """The messages in `frames`, from fresh contexts. Raises `DecodeError`."""
    ends = decoders(agreement, left_out)
    for sent in frames:
        for message in ends[sent.direction].decode(sent.frame):
            yield Heard(sent.at_s, sent.direction, message)


def opened(frames: Iterable[SentFrame], agreement: Agreement, left_out: LeftOut = NOTHING) -> Iterator[Opened]:
    """The frames decoded from fresh contexts and accounted for. Raises `DecodeError`."""
    ends = decoders(agreement, left_out)
    for sent in frames:
        account = Account()
        yield Opened(sent, ends[sent.direction].decode(sent.frame, account), account)


def decoders(agreement: Agreement, left_out: LeftOut = NOTHING) -> dict[Direction, Decoder]:
    """The decoders of both directions, fresh."""
    ends = _both_ends(agreement, left_out)
    return {direction: ends[direction.opposite.sender].decoder for direction in Direction}


def _both_ends(agreement: Agreement, left_out: LeftOut) -> dict[Side, Endpoint]:
    """Both ends write their CALLs into the same two logs: what one of them codes alone, the other learns as if it had coded it, too."""
    up, down = CallLog(), CallLog()
    logs = {Side.EDGE: (up, down), Side.CLOUD: (down, up)}
    return {
        side: open_endpoint(agreement.codec, agreement.version, side, *logs[side], dictionary=left_out.dictionary, prior=left_out.prior)
        for side in Side
    }
