"""A whole conversation through a codec, in both directions, as edge and cloud together would do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ocppress_codecs.dictionary import Dictionary
from ocppress_codecs.interface import CallLog, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.tools.frames import Agreement, SentFrame
from ocppress_gateway.tools.schedule import Batch
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Heard", "decoded", "encoded"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One message that came out of a frame, and when the frame was sent."""

    at_s: float
    direction: Direction
    message: Message


def encoded(batches: Iterable[Batch], agreement: Agreement, dictionary: Dictionary | None = None) -> Iterator[SentFrame]:
    """The frames of `batches`, from fresh contexts. Raises `EncodeError` for a message that fits in no frame."""
    ends = _both_ends(agreement, dictionary)
    for batch in batches:
        frame = ends[batch.direction.sender].encoder.encode(batch.messages)
        # The far end learns of the CALLs as if it had decoded them; its own decoder isn't needed for anything else.
        _note_calls(ends[batch.direction.opposite.sender].decoder.calls, batch.messages)
        yield SentFrame(batch.at_s, batch.direction, frame)


def decoded(frames: Iterable[SentFrame], agreement: Agreement, dictionary: Dictionary | None = None) -> Iterator[Heard]:
    """The messages in `frames`, from fresh contexts. Raises `DecodeError`."""
    ends = _both_ends(agreement, dictionary)
    for sent in frames:
        messages = ends[sent.direction.opposite.sender].decoder.decode(sent.frame)
        # Likewise the end that sent them.
        _note_calls(ends[sent.direction.sender].encoder.calls, messages)
        for message in messages:
            yield Heard(sent.at_s, sent.direction, message)


def _both_ends(agreement: Agreement, dictionary: Dictionary | None) -> dict[Side, Endpoint]:
    return {side: open_endpoint(agreement.codec, agreement.version, side, dictionary=dictionary) for side in Side}


def _note_calls(calls: CallLog, messages: Iterable[Message]) -> None:
    for message in messages:
        if message.type is MessageType.CALL:
            calls.add(message.action)
