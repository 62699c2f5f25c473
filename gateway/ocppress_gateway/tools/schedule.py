"""Which messages share a frame when some may wait: pure.

    up     Heartbeat ─────┐                StatusNotification ─┐    Authorize
           (may wait)     └───────────────────────────────────┴──► one frame at Authorize's time
    down         {} ──────────────────── its frame leaves when its own delay ends, after the frame with its CALL

A message that may wait leaves after `max_delay_s` of the trace's time, and no later than the next message of its direction that can't wait, in the same frame.
A direction keeps its order. An answer never leaves before its CALL: where it would, the CALL's direction is flushed first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX
from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.limits import MESSAGE_TEXT_BYTES_MAX
from ocppress_gateway.tools.conversation import Said
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Batch", "schedule"]

WAITING_TEXT_BYTES_MAX: Final = FRAME_TEXT_BYTES_MAX // 4
"""Text after which a direction is flushed before its time, so that the frame can hold what waits and the largest message besides."""

BESIDES_BODY_BYTES: Final = 32
"""What a message adds to the text of its frame besides its body: brackets, type, number, line feed."""

assert WAITING_TEXT_BYTES_MAX + MESSAGE_TEXT_BYTES_MAX + BESIDES_BODY_BYTES <= FRAME_TEXT_BYTES_MAX, "a flush could not be encoded"


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of one frame, and when it leaves."""

    at_s: float
    direction: Direction
    messages: tuple[Message, ...]


@dataclass(slots=True)
class _Waiting:
    messages: list[Message] = field(default_factory=list)
    text_bytes: int = 0
    deadline_s: float = 0.0
    calls: set[int] = field(default_factory=set)
    """The numbers of the CALLs among `messages`."""


def schedule(conversation: Iterable[Said], max_delay_s: float) -> Iterator[Batch]:
    """The frames of a conversation, in the order in which they leave. With no delay every message has a frame of its own."""
    waiting = {direction: _Waiting() for direction in Direction}
    for said in conversation:
        yield from _overdue(waiting, said.at_s)
        queue = waiting[said.direction]
        if not queue.messages:
            queue.deadline_s = said.at_s + max_delay_s
        queue.messages.append(said.message)
        queue.text_bytes += len(said.message.body.encode()) + BESIDES_BODY_BYTES
        if said.message.type is MessageType.CALL and said.message.call is not None:
            queue.calls.add(said.message.call)
        if not said.may_wait or max_delay_s == 0 or queue.text_bytes > WAITING_TEXT_BYTES_MAX:
            yield from _flush(waiting, said.direction, said.at_s)
    yield from _overdue(waiting, float("inf"))


def _overdue(waiting: dict[Direction, _Waiting], now_s: float) -> Iterator[Batch]:
    while True:
        due = [direction for direction in Direction if waiting[direction].messages and waiting[direction].deadline_s < now_s]
        if not due:
            return
        first = min(due, key=lambda direction: waiting[direction].deadline_s)
        yield from _flush(waiting, first, waiting[first].deadline_s)


def _flush(waiting: dict[Direction, _Waiting], direction: Direction, now_s: float) -> Iterator[Batch]:
    queue, other = waiting[direction], waiting[direction.opposite]
    answered = {message.call for message in queue.messages if message.type in (MessageType.CALLRESULT, MessageType.CALLERROR)}
    waiting[direction] = _Waiting()
    if not answered.isdisjoint(other.calls):
        yield from _flush(waiting, direction.opposite, now_s)
    yield Batch(now_s, direction, tuple(queue.messages))
