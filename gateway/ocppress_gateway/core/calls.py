"""Calls on one OCPP-J socket, both ways: ids in, ids out, and one outstanding at a time towards the peer.

A socket's two directions are apart: the same message id may be in use in both at once.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.alarms import earlier
from ocppress_gateway.core.lanes import Relay
from ocppress_gateway.core.limits import WAITING_TEXT_MAX
from ocppress_gateway.core.policy import Turn
from ocppress_gateway.core.stored import DeadLetter, Lane

__all__ = ["ANSWERED_KEPT", "IncomingCalls", "OutgoingCall", "OutgoingCalls", "StoredCall"]

ANSWERED_KEPT: Final = 16
"""Answered CALLs whose ids are still known, for a CALLRESULTERROR that complains of the answer."""

LATE_KEPT: Final = 32
"""CALLs given up whose answers are still passed on if they come: slow answers occur, and a number is all they cost."""

WAITING_MAX: Final = 256
"""CALLs waiting for their turn at one socket. A well-behaved far end keeps `CALLS_OPEN_MAX`; a flood is refused here."""

_LETTER_OF: Final = {Lane.EXPRESS: "e", Lane.ORDERED: "o"}
"""In a message id."""

INCOMING_OPEN_MAX: Final = 256
"""CALLs of one socket that wait for an answer; a station isn't read long before, a CSMS has one."""


Key = TypeVar("Key")
Value = TypeVar("Value")


class IncomingCalls:
    """CALLs that a peer sent on its socket and that wait for the far end's answer.

    A CALL is *open* until it is answered or its sender has given it up; a late answer is still passed on, for that is the sender's to
    ignore.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, Relay] = OrderedDict()
        self._late: OrderedDict[str, Relay] = OrderedDict()
        self._answered: OrderedDict[str, Relay] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether no more may begin."""
        return len(self._open) >= INCOMING_OPEN_MAX

    def is_open(self, message_id: str) -> bool:
        """Whether a CALL with this id waits: another one with it is a retransmission."""
        return message_id in self._open

    def begin(self, relay: Relay) -> None:
        """Note a CALL; its id must not be open."""
        assert relay.message_id not in self._open, "a CALL with this id is open already"
        self._open[relay.message_id] = relay
        self._late.pop(relay.message_id, None)
        self._answered.pop(relay.message_id, None)

    def finish(self, relay: Relay) -> bool:
        """The answer goes out now. False if nobody waits for it."""
        for waiting in (self._open, self._late):
            if waiting.get(relay.message_id) is relay:
                del waiting[relay.message_id]
                _put_bounded(self._answered, relay.message_id, relay, ANSWERED_KEPT)
                return True
        return False

    def abandon(self, relay: Relay) -> None:
        """No answer will come, or it is another CALL's: the sender repeats it by its own rules."""
        for waiting in (self._open, self._late):
            if waiting.get(relay.message_id) is relay:
                del waiting[relay.message_id]

    def context_lost(self) -> None:
        """The far end no longer knows the CALLs that have crossed the link, or were about to: no answer will come, and their numbers are
        used again."""
        for waiting in (self._open, self._late):
            for message_id in [message_id for message_id, relay in waiting.items() if relay.number is not None]:
                del waiting[message_id]
        self._answered.clear()

    def with_fingerprint(self, fingerprint: bytes) -> list[Relay]:
        """The CALLs with this content."""
        return [relay for relay in (*self._open.values(), *self._late.values()) if relay.fingerprint == fingerprint]

    def expire(self, now: float) -> None:
        """CALLs that their sender has given up are no longer open."""
        for message_id, relay in list(self._open.items()):
            if relay.expires_at <= now:
                del self._open[message_id]
                _put_bounded(self._late, message_id, relay, LATE_KEPT)

    def next_expiry(self) -> float | None:
        """When the next open CALL expires."""
        return min([relay.expires_at for relay in self._open.values()]) if self._open else None

    def take_answered_number(self, message_id: str) -> int | None:
        """The link's number of a CALL answered lately, for the one complaint that a peer may make of the answer."""
        relay = self._answered.pop(message_id, None)
        return None if relay is None else relay.number


@dataclass(slots=True, eq=False)
class OutgoingCall:
    """A CALL (or SEND) from the far end that is to be put to this peer."""

    number: int | None
    message: Message
    expires_at: float
    turn: Turn
    fingerprint: bytes | None = None
    stored: StoredCall | None = None
    letter: DeadLetter | None = None
    """Where it was given up before, and the operator tries again: it keeps its id."""


@dataclass(slots=True, eq=False)
class StoredCall:
    """What a CALL from the edge's outbox is known by, and how often it was put to the CSMS. `wait_until`: not before then again."""

    incarnation: bytes
    lane: Lane
    position: int
    attempts: int = 0
    wait_until: float = 0.0
    message_id: str = field(init=False)
    """The same whoever sends it and whenever: 16 hexadecimal digits, a letter and a number, unique for the station's identity."""

    def __post_init__(self) -> None:
        self.message_id = f"{self.incarnation.hex()}{_LETTER_OF[self.lane]}{self.position}"


class OutgoingCalls:
    """What is to be put to a peer: at most one CALL outstanding (OCPP 2.x Part 4 4.1.1), in the order of `Turn`."""

    def __init__(self, make_id: Callable[[], str], answer_timeout_s: float) -> None:
        self._make_id = make_id
        self._answer_timeout_s = answer_timeout_s
        self._queues: dict[Turn, deque[OutgoingCall]] = {turn: deque() for turn in Turn}
        self._passing: dict[OutgoingCall, None] = {}
        """Those that wait and aren't stored, the oldest first. They alone expire, and are few where hundreds of stored ones wait, so that
        what is asked after each event looks at them and not at the queues."""
        self._current: tuple[str, OutgoingCall, float] | None = None
        self._late: OrderedDict[str, OutgoingCall] = OrderedDict()
        self._answered: OrderedDict[int, str] = OrderedDict()
        self.held = False
        """No stored CALL may be put now: that the last one was answered is being made durable."""

    def __len__(self) -> int:
        """What waits for its turn."""
        return sum(map(len, self._queues.values()))

    def add(self, call: OutgoingCall) -> bool:
        """Put a CALL at the end of its queue; False if too many wait. Stored ones aren't counted, they have a window of their own."""
        if call.stored is None:
            if len(self._passing) >= WAITING_MAX or sum(len(other.message.body) for other in self._passing) >= WAITING_TEXT_MAX:
                return False
            self._passing[call] = None
        self._queues[call.turn].append(call)
        return True

    def next(self, now: float) -> tuple[str, OutgoingCall] | None:
        """What may be sent now, with its new id; None while a CALL is outstanding or nothing waits. Expired ones must have been taken
        out."""
        call = self._first(now)
        if call is None or (self._current is not None and call.message.type is MessageType.CALL):
            return None
        self._queues[call.turn].popleft()
        self._passing.pop(call, None)
        if call.letter is not None:
            message_id = call.letter.message_id
            self._late.pop(message_id, None)
        elif call.stored is None:
            message_id = self._make_id()
        else:
            call.stored.attempts += 1
            message_id = call.stored.message_id
            self._late.pop(message_id, None)
        if call.message.type is MessageType.CALL:
            self._current = (message_id, call, now + self._answer_timeout_s)
        return message_id, call

    def _first(self, now: float) -> OutgoingCall | None:
        """The first that needn't wait, but for the one that is outstanding."""
        for queue in self._queues.values():
            if queue and not self._waits(queue[0], now):
                return queue[0]
        return None

    def _waits(self, call: OutgoingCall, now: float) -> bool:
        return call.stored is not None and (self.held or call.stored.wait_until > now)

    def answer(self, message_id: str) -> OutgoingCall | None:
        """The CALL that the peer's answer belongs to, late ones included; None if no such CALL is open on this socket."""
        if self._current is not None and self._current[0] == message_id:
            call = self._current[1]
            self._current = None
        else:
            late = self._late.pop(message_id, None)
            if late is None:
                return None
            call = late
        if call.number is not None:
            _put_bounded(self._answered, call.number, message_id, ANSWERED_KEPT)
        return call

    def take_answered_id(self, number: int | None) -> str | None:
        """The id under which a CALL answered lately was put, for the one complaint of its answer."""
        return None if number is None else self._answered.pop(number, None)

    def put_back(self, call: OutgoingCall) -> None:
        """A stored CALL that has to be put again is the first of its queue."""
        self._queues[call.turn].appendleft(call)

    def settle(self, call: OutgoingCall) -> None:
        """A stored CALL needs no answer any more: it may have waited to be put again, or for a late answer."""
        if call in self._queues[call.turn]:
            self._queues[call.turn].remove(call)
        if call.stored is not None:
            self._late.pop(call.stored.message_id, None)

    def holds(self, call: OutgoingCall) -> bool:
        """Whether a CALL waits for its turn or for its answer."""
        return call in self._queues[call.turn] or (self._current is not None and self._current[1] is call)

    @property
    def is_busy(self) -> bool:
        """Whether a CALL is outstanding."""
        return self._current is not None

    @property
    def stored_undelivered(self) -> int:
        """Stored CALLs that wait here or are outstanding."""
        current = [] if self._current is None else [self._current[1]]
        return sum(call.stored is not None for queue in (current, *self._queues.values()) for call in queue)

    @property
    def has_stored_transactions(self) -> bool:
        """Whether a stored transaction message waits here or is outstanding."""
        current = [] if self._current is None else [self._current[1]]
        return any(call.stored is not None and call.turn is Turn.ORDERED for call in (*current, *self._queues[Turn.ORDERED]))

    def take_expired(self, now: float) -> list[OutgoingCall]:
        """Take out what waits and is over time."""
        expired = [call for call in self._passing if call.expires_at <= now]
        for call in expired:
            self._queues[call.turn].remove(call)
            del self._passing[call]
        return expired

    def take_unanswered(self, now: float) -> OutgoingCall | None:
        """The outstanding CALL, if it has been unanswered for too long; the next may go, and a late answer is still known."""
        if self._current is None or now < self._current[2]:
            return None
        message_id, call, _ = self._current
        self._current = None
        _put_bounded(self._late, message_id, call, LATE_KEPT)
        return call

    def next_deadline(self) -> float | None:
        """When something here expires."""
        at = None if self._current is None else self._current[2]
        return earlier(at, min([call.expires_at for call in self._passing])) if self._passing else at

    def next_turn(self) -> float | None:
        """When a stored CALL that waits to be put again may go."""
        if self.held or self._current is not None:
            return None
        at: float | None = None
        for queue in self._queues.values():
            stored = queue[0].stored if queue else None
            if stored is not None and stored.wait_until < math.inf:
                at = earlier(at, stored.wait_until)
        return at

    def socket_lost(self) -> OutgoingCall | None:
        """The socket is gone: the outstanding CALL, whose answer can't come any more. What waits, waits on."""
        call = self._current[1] if self._current is not None else None
        self._current = None
        self._late.clear()
        self._answered.clear()
        return call

    def context_lost(self) -> None:
        """The far end no longer knows its CALLs: what waits is dropped, and nobody hears the answer to the outstanding one, which the peer
        is still busy with."""
        self._drop_waiting()
        self._late.clear()
        self._answered.clear()
        if self._current is not None:
            self._current[1].number = None

    def clear(self) -> None:
        """Forget everything."""
        self.socket_lost()
        self._drop_waiting()

    def _drop_waiting(self) -> None:
        for queue in self._queues.values():
            queue.clear()
        self._passing.clear()


def _put_bounded(entries: OrderedDict[Key, Value], key: Key, value: Value, maximum: int) -> None:
    entries[key] = value
    while len(entries) > maximum:
        entries.popitem(last=False)
