"""One station at the cloud: its CSMS socket, its one outstanding CALL, and what it repeats.

    CLOSED ──open──► OPENING ──opened──► OPEN ──lost──► WAITING ──open──► REOPENING ──opened──► OPEN
      ▲                 │                  │               ▲  │               │  │
      └──────shut───────┴───────shut───────┴──────────────lost└─────shut──────┘  └─shut─► CLOSED

OPENING: the station's upgrade waits for what the CSMS says. REOPENING: the station is here and the CSMS socket was lost.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.calls import IncomingCalls, OutgoingCall
from ocppress_gateway.core.conversation import Conversation, Counters
from ocppress_gateway.core.events import Effect, Level, SendCsms
from ocppress_gateway.core.lanes import Outgoing, Relay
from ocppress_gateway.core.policy import is_express, is_transaction
from ocppress_gateway.core.repeats import RepeatMemory, fingerprint

__all__ = ["TRANSITIONS", "CloudStation", "CsmsState", "CsmsStep"]


class CsmsState(enum.StrEnum):
    """Where a station's CSMS socket stands."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    WAITING = "waiting"
    REOPENING = "reopening"


class CsmsStep(enum.StrEnum):
    """What moves a CSMS socket on."""

    OPEN = "open"
    OPENED = "opened"
    LOST = "lost"
    SHUT = "shut"


TRANSITIONS: Final[dict[CsmsState, dict[CsmsStep, CsmsState]]] = {
    CsmsState.CLOSED: {CsmsStep.OPEN: CsmsState.OPENING},
    CsmsState.OPENING: {CsmsStep.OPENED: CsmsState.OPEN, CsmsStep.SHUT: CsmsState.CLOSED},
    CsmsState.OPEN: {CsmsStep.LOST: CsmsState.WAITING, CsmsStep.SHUT: CsmsState.CLOSED},
    CsmsState.WAITING: {CsmsStep.OPEN: CsmsState.REOPENING, CsmsStep.SHUT: CsmsState.CLOSED},
    CsmsState.REOPENING: {CsmsStep.OPENED: CsmsState.OPEN, CsmsStep.LOST: CsmsState.WAITING, CsmsStep.SHUT: CsmsState.CLOSED},
}


class CloudStation(Conversation):
    """A station identity at the cloud, with or without a CSMS socket."""

    def __init__(
        self,
        identity: str,
        slot: int,
        *,
        make_id: Callable[[], str],
        call_timeout_s: float,
        command_timeout_s: float,
        counters: Counters,
    ) -> None:
        super().__init__(identity, slot, make_id=make_id, answer_timeout_s=call_timeout_s, call_life_s=command_timeout_s, counters=counters)
        self.state = CsmsState.CLOSED
        self.offered: tuple[str, ...] = ()
        self.authorization: str | None = None
        self.edge_epoch = 0
        self.retries = 0
        self.retry_at = 0.0
        self.lost_at: float | None = None
        self._heard_at = 0.0
        self._repeats = RepeatMemory()
        self._under_way: dict[bytes, OutgoingCall] = {}

    def moved(self, step: CsmsStep) -> None:
        """Take a transition; an illegal one is a mistake of the machine."""
        self.state = TRANSITIONS[self.state][step]

    def attached(
        self, slot: int, attachment: int, offered: tuple[str, ...], authorization: str | None, edge_epoch: int, socket: int
    ) -> None:
        """A station at the edge asks for its upgrade, and `socket` is being opened for it."""
        self.moved(CsmsStep.OPEN)
        self.slot = slot
        self.attachment = attachment
        self.offered = offered
        self.authorization = authorization
        self.edge_epoch = edge_epoch
        self.socket = socket
        self.retries = 0
        self.lost_at = None

    def csms_opened(self, version: OcppVersion, now: float) -> None:
        """The CSMS socket is open."""
        self.moved(CsmsStep.OPENED)
        self.version = version
        self.retries = 0
        self.lost_at = None
        self._heard_at = now

    def csms_lost(self, now: float, retry_at: float) -> None:
        """The CSMS socket is gone; what waits for it waits on, what was outstanding is the station's to repeat."""
        self.moved(CsmsStep.LOST)
        self.socket = 0
        self.retry_at = retry_at
        self.lost_at = now if self.lost_at is None else self.lost_at
        outstanding = self.outgoing.socket_lost()
        if outstanding is not None:
            self._call_dropped(outstanding)
        # The CSMS has given its CALLs up with its socket.
        self.incoming = IncomingCalls()
        self.lanes.drop_calls()
        if self.channel is not None:
            self.channel.void_calls()

    def shut(self) -> None:
        """The station has gone, or is sent away: nothing of it lives on but contexts and what it may repeat."""
        self.moved(CsmsStep.SHUT)
        self.authorization = None
        self.lost_at = None
        self._under_way.clear()
        if self.channel is not None:
            self.channel.void_calls()
        self.socket_gone()

    def context_lost(self) -> None:
        """The edge no longer knows what was sent."""
        self.channel = None
        self.lanes.clear()

    # --- hooks of Conversation

    @property
    def socket_open(self) -> bool:
        return self.state is CsmsState.OPEN

    @property
    def may_send(self) -> bool:
        return self.state is not CsmsState.OPENING

    def _send(self, text: str) -> Effect:
        return SendCsms(self.socket, text)

    def _express(self, message: Message) -> bool:
        return is_express(self.version, message)

    def take_text(self, text: str, now: float, out: list[Effect]) -> None:
        self._heard_at = now
        super().take_text(text, now, out)

    def _take_call(self, relay: Relay, message: Message, now: float, out: list[Effect]) -> bool:
        return True

    def _put_call(self, call: OutgoingCall, now: float, out: list[Effect]) -> bool:
        if not is_transaction(self.version, call.message):
            return True
        key = call.fingerprint = fingerprint(call.message)
        answer = self._repeats.answer(key, now)
        under_way = self._under_way.get(key)
        if answer is None and under_way is None:
            self._under_way[key] = call
            return True
        self.counters.repeats += 1
        out.append(self._note(Level.INFO, "repeat not sent twice", action=call.message.action, answered=answer is not None))
        if answer is not None:
            self.lanes.add(Outgoing(replace(answer, call=call.number)), express=True)
        elif under_way is not None:
            under_way.number = call.number
            under_way.expires_at = call.expires_at
        return False

    def _answer_came(self, relay: Relay, answer: Message, now: float) -> None:
        """Nothing: a CSMS repeats no CALL."""

    def _answer_taken(self, call: OutgoingCall, answer: Message, now: float) -> None:
        if call.fingerprint is None:
            return
        self._call_dropped(call)
        if answer.type is MessageType.CALLRESULT:
            self._repeats.answered(call.fingerprint, answer, now)

    def _call_dropped(self, call: OutgoingCall) -> None:
        if call.fingerprint is not None and self._under_way.get(call.fingerprint) is call:
            del self._under_way[call.fingerprint]

    # --- time

    def silent_csms(self, now: float, timeout_s: float, out: list[Effect]) -> bool:
        """Give up the outstanding CALL if it is unanswered; true if nothing else came either, and the socket should go."""
        call = self.outgoing.take_unanswered(now)
        if call is None:
            return False
        self._call_dropped(call)
        out.append(self._note(Level.WARNING, "the CSMS did not answer", action=call.message.action))
        if now - self._heard_at >= timeout_s:
            return True
        self.put_calls(now, out)
        return False
