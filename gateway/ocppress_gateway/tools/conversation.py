"""A trace as a conversation: message ids become CALL numbers, which tie answers to CALLs without being sent, and back.

OCPP's ids are unique only per sender, and in the field not even that. So an answer belongs to the latest CALL of the other direction that
has its id and no answer yet; an answer without such a CALL is an orphan, and is carried all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ocppress_codecs.calls import CallLog
from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse, render
from ocppress_gateway.core.policy import MessageClass, class_of
from ocppress_gateway.workloads.traces import Direction, TraceRecord

__all__ = ["Conversation", "Identities", "Said"]

_ANSWERS = frozenset({MessageType.CALLRESULT, MessageType.CALLERROR})


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a trace, `text` as recorded. `at_s` never decreases; `may_wait` marks what a delay applies to."""

    at_s: float
    direction: Direction
    text: str
    message: Message
    may_wait: bool


@dataclass(frozen=True, slots=True)
class _OpenCall:
    number: int
    may_wait: bool


class Conversation:
    """Reads the records of one trace in order. `skipped` counts texts that are not OCPP-J: nobody carries those."""

    def __init__(self, version: OcppVersion) -> None:
        self.skipped = 0
        self._version = version
        self._clock = _TraceClock()
        self._counts = dict.fromkeys(Direction, 0)
        self._open: dict[Direction, dict[str, list[_OpenCall]]] = {direction: {} for direction in Direction}
        self._answered: dict[Direction, dict[str, int]] = {direction: {} for direction in Direction}

    def follow(self, records: Iterable[TraceRecord]) -> Iterator[Said]:
        """The messages of `records`, with CALL numbers."""
        for record in records:
            at_s = self._clock.read(record.ts)
            try:
                message_id, message = parse(record.text)
            except NotOcppJ:
                self.skipped += 1
                continue
            call, may_wait = self._place(record.direction, message_id, message)
            yield Said(at_s, record.direction, record.text, message.with_call(call), may_wait)

    def _place(self, direction: Direction, message_id: str, message: Message) -> tuple[int | None, bool]:
        if message.type is MessageType.CALL:
            may_wait = direction is Direction.UP and class_of(self._version, message) is not MessageClass.RELAY
            number = self._counts[direction]
            self._counts[direction] += 1
            self._open[direction].setdefault(message_id, []).append(_OpenCall(number, may_wait))
            return number, may_wait
        if message.type in _ANSWERS:
            caller = direction.opposite
            waiting = self._open[caller].get(message_id)
            if not waiting:
                return None, False
            call = waiting.pop()
            if not waiting:
                del self._open[caller][message_id]
            self._remember(caller, message_id, call.number)
            return call.number, call.may_wait
        if message.type is MessageType.CALLRESULTERROR:
            return self._answered[direction].get(message_id), False
        return None, False

    def _remember(self, direction: Direction, message_id: str, number: int) -> None:
        """Keep the newest answered CALLs for a CALLRESULTERROR, as many as a codec can refer to."""
        answered = self._answered[direction]
        answered.pop(message_id, None)
        answered[message_id] = number
        if len(answered) > CallLog.REACH:
            del answered[next(iter(answered))]


class Identities:
    """Gives the messages of a decoded conversation fresh ids: unique per direction, an answer's that of its CALL."""

    def __init__(self) -> None:
        self._calls = dict.fromkeys(Direction, 0)
        self._others = 0

    def text(self, direction: Direction, message: Message) -> str:
        """The OCPP-J text of the next message of `direction`."""
        if message.type is MessageType.CALL:
            caller, number = direction, self._calls[direction]
            self._calls[direction] += 1
        elif message.call is None:
            # A SEND, or an answer without a CALL: an id that no CALL ever has.
            self._others += 1
            return render(f"x{self._others}", message)
        else:
            caller = direction if message.type is MessageType.CALLRESULTERROR else direction.opposite
            number = message.call
        return render(f"{caller[0]}{number}", message)


class _TraceClock:
    """The time that passed in the trace: a null is the time before, a clock set back is no time at all."""

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._last_ts = 0.0

    def read(self, ts: float | None) -> float:
        if ts is not None:
            self._at_s = ts if self._at_s is None else self._at_s + max(0.0, ts - self._last_ts)
            self._last_ts = ts
        return self._at_s or 0.0
