"""What traces cost in each codec at each delay, next to their JSON text and permessage-deflate, and where the bytes go.

Every frame is decoded again, which gives the account of its bytes, and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ocppress_codecs.account import Part
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import Message, OcppVersion
from ocppress_gateway.cost.deflate import deflate_payload_bytes
from ocppress_gateway.tools.breakdown import Breakdown, Share, pooled_actions, pooled_parts
from ocppress_gateway.tools.coding import encoded, opened
from ocppress_gateway.tools.conversation import Conversation, Said
from ocppress_gateway.tools.dictionaries import LeftOut
from ocppress_gateway.tools.frames import AGREEMENT_BYTES, Agreement
from ocppress_gateway.tools.schedule import Batch, schedule
from ocppress_gateway.workloads.traces import Direction, TraceRecord

__all__ = ["Coded", "Measured", "measure_trace", "pooled"]


@dataclass(frozen=True, slots=True)
class Coded:
    """One codec at one delay. `frame_bytes` includes what opens each direction; `exact`: all came back equal and in order.

    `parts` and `actions` say where the bytes go; the sum of either is `frame_bytes`, if all frames could be decoded.
    """

    codec: CodecName
    max_delay_s: float
    frames: int
    frame_bytes: int
    exact: bool
    parts: dict[Part, float]
    actions: dict[str, Share]


@dataclass(frozen=True, slots=True)
class Measured:
    """One trace, or several pooled; `skipped` counts texts that are not OCPP-J."""

    name: str
    version: str
    messages: int
    skipped: int
    json_bytes: int
    deflate_bytes: int
    coded: list[Coded] = field(default_factory=list)


def measure_trace(
    name: str,
    records: Iterable[TraceRecord],
    version: OcppVersion,
    ways: Iterable[tuple[CodecName, float]],
    *,
    left_out: LeftOut,
    advance: Callable[[int], None],
) -> Measured:
    """Measure in each of `ways` (codec, longest delay in seconds), with what `left_out` has instead of the codec's own.

    Calls `advance` with a number of messages now and then; in the end each has been counted once for each way.
    """
    conversation = Conversation(version)
    said = list(conversation.follow(records))
    json_bytes = sum(len(one.text.encode()) for one in said)
    deflate_bytes = deflate_payload_bytes((one.direction, one.text) for one in said)
    measured = Measured(name, version, len(said), conversation.skipped, json_bytes, deflate_bytes)
    for codec, max_delay_s in ways:
        measured.coded.append(_coded(said, Agreement(codec, version), max_delay_s, left_out, advance))
    return measured


def _coded(said: Sequence[Said], agreement: Agreement, max_delay_s: float, left_out: LeftOut, advance: Callable[[int], None]) -> Coded:
    batches = _counted(schedule(said, max_delay_s), advance)
    frames = list(encoded(batches, agreement, left_out))
    heard: dict[Direction, list[Message]] = {direction: [] for direction in Direction}
    breakdown = Breakdown()
    # A frame that can't even be decoded ends it: what is missing then is not exact.
    with suppress(DecodeError):
        for one in opened(frames, agreement, left_out):
            heard[one.sent.direction].extend(one.messages)
            breakdown.add(one)
    exact = all(heard[direction] == [one.message for one in said if one.direction is direction] for direction in Direction)
    openings = len({sent.direction for sent in frames}) * AGREEMENT_BYTES
    frame_bytes = openings + sum(len(sent.frame) for sent in frames)
    return Coded(agreement.codec, max_delay_s, len(frames), frame_bytes, exact, breakdown.parts(), breakdown.actions())


def _counted(batches: Iterable[Batch], advance: Callable[[int], None]) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        advance(len(batch.messages))


def pooled(measured: Sequence[Measured]) -> Measured:
    """The sum of traces that were measured in the same ways."""
    total = Measured(
        "pooled",
        "",
        sum(one.messages for one in measured),
        sum(one.skipped for one in measured),
        sum(one.json_bytes for one in measured),
        sum(one.deflate_bytes for one in measured),
    )
    for same in zip(*(one.coded for one in measured), strict=True):
        total.coded.append(
            Coded(
                same[0].codec,
                same[0].max_delay_s,
                sum(one.frames for one in same),
                sum(one.frame_bytes for one in same),
                all(one.exact for one in same),
                pooled_parts(one.parts for one in same),
                pooled_actions(one.actions for one in same),
            )
        )
    return total
