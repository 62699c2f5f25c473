"""One station at the edge: its upgrade, its socket, and what it repeats.

    ABSENT ──arrived──► ASKING ──admitted──► ADMITTED ──asked again──► ASKING_AGAIN ──admitted──► ADMITTED
       ▲                  │                     │                         │   └──link lost──► ADMITTED
       └──────left────────┴─────────left────────┴───────────left──────────┘

ASKING: the CSMS decides. ASKING_AGAIN: the socket is open, but the cloud has lost the CSMS socket and opens another.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, render
from ocppress_gateway.core.calls import OutgoingCall
from ocppress_gateway.core.conversation import Conversation, Counters
from ocppress_gateway.core.events import Effect, Level, PauseStation, ResumeStation, SendStation
from ocppress_gateway.core.lanes import Relay
from ocppress_gateway.core.limits import CALLS_OPEN_MAX
from ocppress_gateway.core.policy import is_express, is_transaction
from ocppress_gateway.core.repeats import RepeatMemory, fingerprint

__all__ = ["TRANSITIONS", "EdgeStation", "StationEvent", "StationState"]


class StationState(enum.StrEnum):
    """Where a station stands at the edge."""

    ABSENT = "absent"
    ASKING = "asking"
    ADMITTED = "admitted"
    ASKING_AGAIN = "asking again"


class StationEvent(enum.StrEnum):
    """What moves a station on."""

    ARRIVED = "arrived"
    ADMITTED = "admitted"
    ASKED_AGAIN = "asked again"
    LINK_LOST = "link lost"
    LEFT = "left"


TRANSITIONS: Final[dict[StationState, dict[StationEvent, StationState]]] = {
    StationState.ABSENT: {StationEvent.ARRIVED: StationState.ASKING},
    StationState.ASKING: {StationEvent.ADMITTED: StationState.ADMITTED, StationEvent.LEFT: StationState.ABSENT},
    StationState.ADMITTED: {StationEvent.ASKED_AGAIN: StationState.ASKING_AGAIN, StationEvent.LEFT: StationState.ABSENT},
    StationState.ASKING_AGAIN: {
        StationEvent.ADMITTED: StationState.ADMITTED,
        StationEvent.LINK_LOST: StationState.ADMITTED,
        StationEvent.LEFT: StationState.ABSENT,
    },
}


class EdgeStation(Conversation):
    """A station identity at the edge, with or without a socket."""

    def __init__(
        self,
        identity: str,
        slot: int,
        *,
        make_id: Callable[[], str],
        answer_timeout_s: float,
        station_timeout_s: float,
        counters: Counters,
    ) -> None:
        super().__init__(
            identity, slot, make_id=make_id, answer_timeout_s=answer_timeout_s, call_life_s=station_timeout_s, counters=counters
        )
        self.state = StationState.ABSENT
        self.offered: tuple[str, ...] = ()
        self.authorization: str | None = None
        self.decide_by = 0.0
        self._repeats = RepeatMemory()
        self._paused = False

    def moved(self, event: StationEvent) -> None:
        """Take a transition; an illegal one is a mistake of the machine."""
        self.state = TRANSITIONS[self.state][event]

    def arrived(self, socket: int, attachment: int, offered: tuple[str, ...], authorization: str | None, decide_by: float) -> None:
        """A socket asks for its upgrade."""
        self.moved(StationEvent.ARRIVED)
        self.socket = socket
        self.attachment = attachment
        self.offered = offered
        self.authorization = authorization
        self.decide_by = decide_by

    def left(self) -> None:
        """The socket is gone, or will be; what it had under way is its own to repeat."""
        self.moved(StationEvent.LEFT)
        self.authorization = None
        self._paused = False
        if self.channel is not None:
            self.channel.void_calls()
        self.socket_gone()

    def context_lost(self) -> None:
        """The cloud no longer knows what was sent: CALLs that left won't be answered, CALLs that wait may still go."""
        self.channel = None
        self.incoming.context_lost()
        self.outgoing.context_lost()
        self.lanes.drop_answers()

    # --- hooks of Conversation

    @property
    def socket_open(self) -> bool:
        return self.state in (StationState.ADMITTED, StationState.ASKING_AGAIN)

    @property
    def may_send(self) -> bool:
        # A station that has left may still have frames that the cloud must decode for the context's sake.
        return self.state in (StationState.ADMITTED, StationState.ABSENT)

    def _send(self, text: str) -> Effect:
        return SendStation(self.socket, text)

    def _express(self, message: Message) -> bool:
        return is_express(self.version, message)

    def _take_call(self, relay: Relay, message: Message, now: float, out: list[Effect]) -> bool:
        if is_transaction(self.version, message):
            relay.fingerprint = fingerprint(message)
            answer = self._repeats.answer(relay.fingerprint, now)
            if answer is not None:
                self.counters.repeats += 1
                out.append(self._note(Level.INFO, "repeat answered from memory", action=message.action))
                self._answer(relay, answer, out)
                return False
            # Under way already: it goes again, the cloud ties it to the first, and the station waits for this id only.
            for earlier in self.incoming.with_fingerprint(relay.fingerprint):
                if earlier is not relay:
                    self.counters.repeats += 1
                    self.incoming.abandon(earlier)
        return True

    def _answer(self, relay: Relay, answer: Message, out: list[Effect]) -> None:
        self.incoming.finish(relay)
        out.append(self._send(render(relay.message_id, answer)))

    def _put_call(self, call: OutgoingCall, now: float, out: list[Effect]) -> bool:
        return self.socket_open

    def _answer_came(self, relay: Relay, answer: Message, now: float) -> None:
        if relay.fingerprint is not None and answer.type is MessageType.CALLRESULT:
            self._repeats.answered(relay.fingerprint, answer, now)

    def _answer_taken(self, call: OutgoingCall, answer: Message, now: float) -> None:
        """Nothing: a CSMS repeats no CALL."""

    def _call_dropped(self, call: OutgoingCall) -> None:
        """Nothing: the CSMS gives its CALLs up by itself."""

    # --- time

    def expire(self, now: float, out: list[Effect]) -> None:
        super().expire(now, out)
        self.outgoing.take_unanswered(now)
        self.put_calls(now, out)

    def regulate_reading(self, out: list[Effect]) -> None:
        """Read nothing more from a station that has too much under way, and read on once half of it is done or given up."""
        load = max(len(self.incoming) / CALLS_OPEN_MAX, self.lanes.load * 2)
        if not self._paused and load >= 1 and self.socket_open:
            self._paused = True
            out.append(PauseStation(self.socket))
        elif self._paused and load <= 0.5:
            self._paused = False
            out.append(ResumeStation(self.socket))
