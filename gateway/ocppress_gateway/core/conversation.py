"""One station's conversation at one end: an OCPP-J socket on one side, the link's channel on the other.

    socket ──text──► parse ──► lanes ──► channel ──► link          what the peer says
    socket ◄─text─── render ◄─ OutgoingCalls ◄─ channel ◄─ link    what the far end says

Edge and cloud differ in what they remember and how long they wait; `EdgeStation` and `CloudStation` fill in those hooks. Everything
else, ids above
all, is the same at both ends: a CALL from the socket becomes a `Relay` until its answer comes, a CALL from the link gets a new id and
its turn.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse, render
from ocppress_gateway.core.alarms import earlier
from ocppress_gateway.core.calls import IncomingCalls, OutgoingCall, OutgoingCalls
from ocppress_gateway.core.channel import Channel, ReceivedBatch
from ocppress_gateway.core.events import Effect, Handling, Level, Note, Observe
from ocppress_gateway.core.lanes import Lanes, Outgoing, Relay
from ocppress_gateway.core.parts import Ack, Part
from ocppress_gateway.core.policy import Turn, turn_of
from ocppress_gateway.core.refusals import refusal
from ocppress_gateway.core.views import CountersView

__all__ = ["Conversation", "Counters"]

COMPLAINTS_LOGGED_MAX: Final = 10
"""Texts of one socket that are reported as no OCPP-J; further ones only at debug level, for they may come by the thousand."""

_SINCE_21 = frozenset({MessageType.CALLRESULTERROR, MessageType.SEND})


@dataclass(slots=True)
class Counters:
    """What became of messages at one end, since its start."""

    calls_taken: int = 0
    answers_given: int = 0
    calls_put: int = 0
    calls_over_time: int = 0
    answers_without_call: int = 0
    repeats: int = 0
    answered_early: int = 0
    suppressed: int = 0
    delivered: int = 0
    dead_letters: int = 0
    stops_asked: int = 0
    stops_accepted: int = 0
    transfers: int = 0
    transfers_refused: int = 0
    routes_taken: int = 0
    not_ocppj: int = 0
    sends: int = 0

    def view(self) -> CountersView:
        """For status."""
        return CountersView(**asdict(self))


class Conversation(abc.ABC):
    """The state of one station at one end of the link."""

    def __init__(
        self, identity: str, slot: int, *, make_id: Callable[[], str], answer_timeout_s: float, call_life_s: float, counters: Counters
    ) -> None:
        self.identity = identity
        self.slot = slot
        self.attachment = 0
        self.socket = 0
        self._complaints = 0
        self.version = OcppVersion.V16
        self.channel: Channel | None = None
        self.lanes = Lanes()
        self.incoming = IncomingCalls()
        self.outgoing = OutgoingCalls(make_id, answer_timeout_s)
        self.counters = counters
        self.repeats = 0
        """Those of this station among `counters.repeats`."""
        self.watched = False
        """Whether somebody looks at what passes."""
        self.heard_at: float | None = None
        """When something of the station's came last."""
        self._make_id = make_id
        self._call_life_s = call_life_s

    # --- what differs between the ends

    @property
    @abc.abstractmethod
    def socket_open(self) -> bool:
        """Whether texts can be sent to the socket."""

    @property
    @abc.abstractmethod
    def may_send(self) -> bool:
        """Whether frames may go out: the two ends agree that the station is here."""

    @abc.abstractmethod
    def _send(self, text: str) -> Effect:
        """The effect that sends a text to this end's socket."""

    @property
    @abc.abstractmethod
    def _is_at_station(self) -> bool:
        """Whether this end's socket is the station's, and not the CSMS's."""

    def _take_send(self, message: Message, now: float) -> bool:
        """A SEND has come from the socket, which nobody answers; False if it isn't to cross the link."""
        return True

    @abc.abstractmethod
    def _take_call(self, relay: Relay, message: Message, now: float, out: list[Effect]) -> bool:
        """A CALL has come from the socket and is noted; False if it needs not cross the link."""

    @abc.abstractmethod
    def _put_call(self, call: OutgoingCall, now: float, out: list[Effect]) -> bool:
        """A CALL has come from the link; False if it needs not be put to the socket."""

    @abc.abstractmethod
    def _answer_came(self, relay: Relay, answer: Message, now: float, out: list[Effect]) -> Message:
        """The far end's answer to a CALL from this socket, whether or not the socket still waits for it; returns what the socket is given."""

    def _handling(self, call: OutgoingCall) -> Handling:
        """Whose a CALL is that is put to the socket."""
        return Handling.RELAYED

    @abc.abstractmethod
    def _answer_taken(self, call: OutgoingCall, answer: Message, now: float, out: list[Effect]) -> None:
        """The peer's answer to a CALL from the link."""

    @abc.abstractmethod
    def _answer_to_carry(self, call: OutgoingCall, answer: Message) -> Message | None:
        """What crosses the link of the peer's answer to a CALL from the link; None if nothing does."""

    @abc.abstractmethod
    def _call_dropped(self, call: OutgoingCall) -> None:
        """A CALL from the link was not put to the socket, or its answer can't come any more."""

    @abc.abstractmethod
    def _stored_call_from_link(self, message: Message, now: float, out: list[Effect]) -> None:
        """A CALL without a deadline has come from the link: one of the edge's outbox."""

    # --- on the link

    @property
    def owes_news(self) -> bool:
        """Whether the far end should be told now what has been received."""
        return self.channel is not None and self.channel.owes_acknowledgement

    def riding(self, riding: bool, now: float) -> list[Part]:
        """What to tell the far end of this station in the link message that leaves now; `riding` if it leaves anyway. Counts as told."""
        if self.channel is None or not self.may_send:
            return []
        ack = self.channel.acknowledgement(riding=riding)
        return [] if ack is None else [Ack(self.slot, ack.number)]

    # --- the socket

    def _say(self, text: str, handling: Handling, out: list[Effect]) -> None:
        """Send a text to this end's socket."""
        out.append(self._send(text))
        if self.watched:
            out.append(Observe(self.identity, not self._is_at_station, text, handling))

    def take_text(self, text: str, now: float, out: list[Effect]) -> None:
        """A text from this end's socket."""
        if self.watched:
            out.append(Observe(self.identity, self._is_at_station, text))
        try:
            message_id, message = parse(text)
            if message.type in _SINCE_21 and self.version is not OcppVersion.V21:
                raise NotOcppJ(f"message type {message.type.value}", message_id=message_id, well_formed_unknown=True)
        except NotOcppJ as error:
            answer = refusal(self.version, error)
            self.counters.not_ocppj += 1
            self._complaints += 1
            level = Level.WARNING if self._complaints <= COMPLAINTS_LOGGED_MAX else Level.DEBUG
            out.append(self._note(level, "text is not OCPP-J", reason=error.reason, answered=answer is not None, so_far=self._complaints))
            if answer is not None:
                self._say(answer, Handling.HERE, out)
            return
        if message.type in (MessageType.CALL, MessageType.SEND) and (self.lanes.load >= 1 or self.incoming.full):
            out.append(self._note(Level.WARNING, "too many messages wait, dropped", action=message.action))
        elif message.type is MessageType.CALL:
            self._call_from_socket(message_id, message, now, out)
        elif message.type is MessageType.SEND:
            if not self._take_send(message, now):
                return
            self.counters.sends += 1
            self.lanes.add(Outgoing(message, now + self._call_life_s), turn_of(self.version, message))
        elif message.type is MessageType.CALLRESULTERROR:
            self._to_far_end(self.incoming.take_answered_number(message_id), message, out)
        else:
            self._answer_from_socket(message_id, message, now, out)
            self.put_calls(now, out)

    def _call_from_socket(self, message_id: str, message: Message, now: float, out: list[Effect]) -> None:
        if self.incoming.is_open(message_id):
            self._count_repeat()
            out.append(self._note(Level.INFO, "repeated while unanswered", action=message.action))
            return
        self.counters.calls_taken += 1
        relay = Relay(self.socket, message_id, now + self._call_life_s, action=message.action)
        self.incoming.begin(relay)
        if self._take_call(relay, message, now, out):
            self.lanes.add(Outgoing(message, relay.expires_at, relay), turn_of(self.version, message))

    def _answer_from_socket(self, message_id: str, message: Message, now: float, out: list[Effect]) -> None:
        call = self.outgoing.answer(message_id)
        answer: Message | None = message
        if call is not None:
            self._answer_taken(call, message, now, out)
            answer = self._answer_to_carry(call, message)
        if answer is not None:
            self._to_far_end(None if call is None else call.number, answer, out)

    def _to_far_end(self, number: int | None, message: Message, out: list[Effect]) -> None:
        """An answer goes to the far end if it belongs to a CALL of this socket; one that belongs to none never does."""
        if number is None:
            self.counters.answers_without_call += 1
            out.append(self._note(Level.INFO, "answer without an open CALL dropped", type=message.type.value))
            return
        self.lanes.add(Outgoing(message.with_call(number)), Turn.PROMPT)

    # --- from the link

    def take_batch(self, batch: ReceivedBatch, now: float, out: list[Effect]) -> None:
        """The messages of one frame; without an open socket they are dropped, their owner has gone."""
        for message in batch.messages:
            if message.type is MessageType.CALL and batch.deadline is None:
                self._stored_call_from_link(message, now, out)
            elif message.type in (MessageType.CALL, MessageType.SEND):
                self._call_from_link(message, batch.deadline, now, out)
            elif message.type is MessageType.CALLRESULTERROR:
                complaint_id = self.outgoing.take_answered_id(message.call)
                if complaint_id is not None and self.socket_open:
                    self._say(render(complaint_id, message), Handling.RELAYED, out)
            else:
                self._answer_from_link(message, now, out)
        self.put_calls(now, out)

    def _call_from_link(self, message: Message, deadline: float | None, now: float, out: list[Effect]) -> None:
        if deadline is None or deadline <= now:
            self._over_time(message, out)
            return
        if self.lanes.load >= 1:
            out.append(self._note(Level.WARNING, "the far end takes no answers, CALL dropped", action=message.action))
            return
        call = OutgoingCall(message.call, message, deadline, turn_of(self.version, message))
        if self.attachment and self._put_call(call, now, out) and not self.outgoing.add(call):
            self._call_dropped(call)
            out.append(self._note(Level.WARNING, "too many CALLs wait, dropped", action=message.action))

    def _answer_from_link(self, message: Message, now: float, out: list[Effect]) -> None:
        relay = self.channel.take_relay(message.call) if self.channel is not None else None
        if relay is None:
            self.counters.answers_without_call += 1
            out.append(self._note(Level.DEBUG, "answer to a CALL that nobody waits for"))
            return
        message = self._answer_came(relay, message, now, out)
        if relay.socket == self.socket and self.socket_open and self.incoming.finish(relay):
            self.counters.answers_given += 1
            self._say(render(relay.message_id, message), Handling.RELAYED, out)

    def put_calls(self, now: float, out: list[Effect]) -> None:
        """Put to the socket what may be put now."""
        if not self.socket_open:
            return
        for call in self.outgoing.take_expired(now):
            self._over_time(call.message, out)
            self._call_dropped(call)
        while (turn := self.outgoing.next(now)) is not None:
            self._put(*turn, now, out)

    def _put(self, message_id: str, call: OutgoingCall, now: float, out: list[Effect]) -> None:
        """It is this CALL's turn."""
        self.counters.calls_put += 1
        self._say(render(message_id, call.message), self._handling(call), out)

    # --- time and loss

    def expire(self, now: float, out: list[Effect]) -> None:
        """Drop what is over time."""
        self.incoming.expire(now)
        for outgoing in self.lanes.take_over_time(now):
            self._over_time(outgoing.message, out)
        for call in self.outgoing.take_expired(now):
            self._over_time(call.message, out)
            self._call_dropped(call)

    def next_deadline(self) -> float | None:
        """When `expire` or the subclass has something to do."""
        at = earlier(self.incoming.next_expiry(), self.outgoing.next_deadline())
        if self.lanes.expires_at < math.inf:
            at = earlier(at, self.lanes.expires_at)
        return earlier(at, self.outgoing.next_turn()) if self.socket_open else at

    def socket_gone(self) -> None:
        """This end's socket is gone for good: nothing that came from it, or was for it, lives on."""
        self.socket = 0
        self._complaints = 0
        self.attachment = 0
        self.lanes.keep_stored()
        self.incoming = IncomingCalls()
        self.outgoing.clear()

    def _count_repeat(self) -> None:
        self.repeats += 1
        self.counters.repeats += 1

    def _over_time(self, message: Message, out: list[Effect]) -> None:
        self.counters.calls_over_time += 1
        out.append(self._note(Level.INFO, "CALL dropped, its time is over", action=message.action))

    def _note(self, level: Level, words: str, **fields: Any) -> Note:
        return Note(level, words, {"station": self.identity, **fields})
