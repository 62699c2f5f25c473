"""Calls on one OCPP-J socket, both ways: ids in, ids out, and one outstanding at a time towards the peer.

A socket's two directions are apart: the same message id may be in use in both at once.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.lanes import Relay
from ocppress_gateway.core.limits import WAITING_TEXT_MAX
from ocppress_gateway.core.stored import DeadLetter, Lane

__all__ = ["ANSWERED_KEPT", "IncomingCalls", "OutgoingCall", "OutgoingCalls", "StoredCall"]

ANSWERED_KEPT: Final = 16
"""Answered CALLs whose ids are still known, for a CALLRESULTERROR that complains of the answer."""

LATE_KEPT: Final = 32
"""CALLs given up whose answers are still passed on if they come: slow answers occur, and a number is all they cost."""

WAITING_MAX: Final = 256
"""CALLs waiting for their turn at one socket. A well-behaved far end keeps `CALLS_OPEN_MAX`; a flood is refused here."""

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
        return min((relay.expires_at for relay in self._open.values()), default=None)

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
    express: bool
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

    @property
    def message_id(self) -> str:
        """The same whoever sends it and whenever: 16 hexadecimal digits, a letter and a number, unique for the station's identity."""
        return f"{self.incarnation.hex()}{self.lane.name[0].lower()}{self.position}"


class OutgoingCalls:
    """What is to be put to a peer: at most one CALL outstanding (OCPP 2.x Part 4 4.1.1), express before ordered."""

    def __init__(self, make_id: Callable[[], str], answer_timeout_s: float) -> None:
        self._make_id = make_id
        self._answer_timeout_s = answer_timeout_s
        self._express: deque[OutgoingCall] = deque()
        self._ordered: deque[OutgoingCall] = deque()
        self._current: tuple[str, OutgoingCall, float] | None = None
        self._late: OrderedDict[str, OutgoingCall] = OrderedDict()
        self._answered: OrderedDict[int, str] = OrderedDict()
        self.held = False
        """No stored CALL may be put now: that the last one was answered is being made durable."""

    def add(self, call: OutgoingCall) -> bool:
        """Put a CALL at the end of its lane; False if too many wait."""
        waiting = [other for other in (*self._express, *self._ordered) if other.stored is None]
        full = len(waiting) >= WAITING_MAX or sum(len(other.message.body) for other in waiting) >= WAITING_TEXT_MAX
        if full and call.stored is None:
            return False
        (self._express if call.express else self._ordered).append(call)
        return True

    def next(self, now: float) -> tuple[str, OutgoingCall] | None:
        """What may be sent now, with its new id; None while a CALL is outstanding or nothing waits. Expired ones must have been taken
        out."""
        lane = next((lane for lane in (self._express, self._ordered) if lane and not self._waits(lane[0], now)), None)
        if lane is None or (self._current is not None and lane[0].message.type is MessageType.CALL):
            return None
        call = lane.popleft()
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
        """A stored CALL that has to be put again is the first of its lane."""
        (self._express if call.express else self._ordered).appendleft(call)

    def take_back(self, call: OutgoingCall) -> None:
        """A stored CALL that waits to be put again was answered after all."""
        for lane in (self._express, self._ordered):
            if call in lane:
                lane.remove(call)

    def holds(self, call: OutgoingCall) -> bool:
        """Whether a CALL waits for its turn or for its answer."""
        return call in self._express or call in self._ordered or (self._current is not None and self._current[1] is call)

    def __len__(self) -> int:
        """What waits for its turn, and what is outstanding."""
        return len(self._express) + len(self._ordered) + (self._current is not None)

    @property
    def stored_undelivered(self) -> int:
        """Stored CALLs that wait here, the outstanding one included."""
        current = self._current is not None and self._current[1].stored is not None
        return sum(call.stored is not None for call in (*self._express, *self._ordered)) + current

    def take_expired(self, now: float) -> list[OutgoingCall]:
        """Take out what waits and is over time."""
        expired: list[OutgoingCall] = []
        for lane in (self._express, self._ordered):
            if any(call.expires_at <= now for call in lane):
                expired += [call for call in lane if call.expires_at <= now]
                kept = [call for call in lane if call.expires_at > now]
                lane.clear()
                lane.extend(kept)
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
        times = [call.expires_at for lane in (self._express, self._ordered) for call in lane if call.stored is None]
        if self._current is not None:
            times.append(self._current[2])
        return min(times, default=None)

    def next_turn(self) -> float | None:
        """When a stored CALL that waits to be put again may go."""
        if self.held or self._current is not None:
            return None
        heads = [lane[0].stored for lane in (self._express, self._ordered) if lane]
        return min((stored.wait_until for stored in heads if stored is not None), default=None)

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
        self.held = False
        self._express.clear()
        self._ordered.clear()
        self._late.clear()
        self._answered.clear()
        if self._current is not None:
            self._current[1].number = None

    def clear(self) -> None:
        """Forget everything."""
        self.socket_lost()
        self.held = False
        self._express.clear()
        self._ordered.clear()


def _put_bounded(entries: OrderedDict[Key, Value], key: Key, value: Value, maximum: int) -> None:
    entries[key] = value
    while len(entries) > maximum:
        entries.popitem(last=False)
