"""One station at the edge: its upgrade, its socket, what it repeats, and what is answered here.

    ABSENT ──arrived──► ASKING ──admitted──► ADMITTED ──asked again──► ASKING_AGAIN ──admitted──► ADMITTED
       ▲                  │                   │    ▲                     │   └──link lost──► ADMITTED
       ├──────left────────┴────────left───────┤    │                     │
       │                                   gone    came back             │
       │                                      ▼    │                     │
       ├────────────left──────────────────── LEAVING                     │
       └────────────left─────────────────────────────────────────────────┘

ASKING: the CSMS decides. ASKING_AGAIN: the socket is open, but the cloud has lost the CSMS socket and opens another. LEAVING: the socket is gone and the
cloud isn't told yet, for the station may be back in a moment, or its outbox is still being sent.

A CALL that may be answered here goes to the outbox first:

    text ──► StoreMessage ──► Stored: answered, waits in its lane until it is due ──► Delivered: forgotten
                         └──► NotStored: relayed like any other
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion, render
from ocppress_gateway.core.allowance import REFUSED, Allowance, goes_on
from ocppress_gateway.core.answers import (
    EMPTY_ANSWER,
    FINAL_ERRORS,
    boot_answer,
    csms_time_s,
    error_of,
    heartbeat_answer,
    is_accepted,
    with_messages_in_queue,
)
from ocppress_gateway.core.bypass import STATUSES, TRANSFERS, Phase, phase_of, transfer_accepted, transfer_of
from ocppress_gateway.core.calls import OutgoingCall
from ocppress_gateway.core.conversation import Conversation, Counters
from ocppress_gateway.core.credentials import Authorization, Credentials, password_accepted, password_headers
from ocppress_gateway.core.events import (
    DistrustOutbox,
    Effect,
    ForgetStored,
    Handling,
    KeepCredentials,
    Level,
    LoadStored,
    PauseStation,
    RememberStation,
    ResumeStation,
    SendStation,
    StoreMessage,
)
from ocppress_gateway.core.lanes import TURN_OF, Outgoing, Relay, Storing
from ocppress_gateway.core.ledger_events import TransferBegan, TransferEnded, Way
from ocppress_gateway.core.limits import CALLS_OPEN_MAX, STORED_IN_MEMORY_TEXT_MAX
from ocppress_gateway.core.policy import MessageClass, Overrides, class_of, is_transaction, is_urgent
from ocppress_gateway.core.repeats import RefusedMemory, RepeatMemory, fingerprint
from ocppress_gateway.core.smart_charging import steers
from ocppress_gateway.core.stored import Lane, Loaded, NotStored, StationRecord, Stored, StoredMessage, as_pair
from ocppress_gateway.core.suppression import Suppression, SuppressionSettings
from ocppress_gateway.core.transactions import Transactions
from ocppress_gateway.core.views import EdgeStationView

__all__ = ["TRANSITIONS", "URGENT_DELAY_S", "EarlyAnswers", "EdgeStation", "StationEvent", "StationState", "absent_view"]

URGENT_DELAY_S: Final = 2.0
"""Rule R5: how long a status change or an alarm waits for company."""

TRIGGERS: Final = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})

TRIGGERED_S: Final = 30.0
"""How long after an accepted TriggerMessage the messages that it asked for go at once (F06.FR.06)."""

STORE_PAUSE_S: Final = 10.0
"""How long nothing is answered early after the outbox has failed; then the next message tries."""


class StationState(enum.StrEnum):
    """Where a station stands at the edge."""

    ABSENT = "absent"
    ASKING = "asking"
    ADMITTED = "admitted"
    ASKING_AGAIN = "asking again"
    LEAVING = "leaving"


class StationEvent(enum.StrEnum):
    """What moves a station on."""

    ARRIVED = "arrived"
    ADMITTED = "admitted"
    ASKED_AGAIN = "asked again"
    LINK_LOST = "link lost"
    GONE = "gone"
    CAME_BACK = "came back"
    LEFT = "left"


TRANSITIONS: Final[dict[StationState, dict[StationEvent, StationState]]] = {
    StationState.ABSENT: {StationEvent.ARRIVED: StationState.ASKING},
    StationState.ASKING: {StationEvent.ADMITTED: StationState.ADMITTED, StationEvent.LEFT: StationState.ABSENT},
    StationState.ADMITTED: {
        StationEvent.ASKED_AGAIN: StationState.ASKING_AGAIN,
        StationEvent.GONE: StationState.LEAVING,
        StationEvent.LEFT: StationState.ABSENT,
    },
    StationState.ASKING_AGAIN: {
        StationEvent.ADMITTED: StationState.ADMITTED,
        StationEvent.LINK_LOST: StationState.ADMITTED,
        StationEvent.LEFT: StationState.ABSENT,
    },
    StationState.LEAVING: {StationEvent.CAME_BACK: StationState.ADMITTED, StationEvent.LEFT: StationState.ABSENT},
}


@dataclass(slots=True)
class EarlyAnswers:
    """What the edge's stations share when they answer by themselves."""

    overrides: Overrides
    delay_s: Callable[[str, float], float | None]
    """How long a batched message of this station may wait from now on, None where nothing is answered early."""
    wall_s: Callable[[], float]
    """Unix seconds, for people."""
    smart_charging: Callable[[str, float], None]
    """Is told when a station accepts a charging profile that steers it."""
    charging: Callable[[str, int], None]
    """Is told how many transactions of a station run."""
    urgent_s: float
    """How long what is urgent waits at most."""
    suppression: SuppressionSettings | None = None
    """What may be dropped; None for nothing."""
    keeps_credentials: bool = False
    """Whether hashes of stations' credentials are kept."""
    ready: bool = False
    """Whether there is an outbox."""
    troubled: bool = False
    """The outbox has said that it is slow, full or failing."""
    failed_until: float = 0.0
    tickets: int = 0

    def new_ticket(self) -> int:
        self.tickets += 1
        return self.tickets


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
        early: EarlyAnswers,
    ) -> None:
        super().__init__(
            identity, slot, make_id=make_id, answer_timeout_s=answer_timeout_s, call_life_s=station_timeout_s, counters=counters
        )
        self.state = StationState.ABSENT
        self.offered: tuple[str, ...] = ()
        self.authorization: Authorization = None
        """What its socket was opened with."""
        self.credentials = Credentials(None)
        """What its CSMS socket may be opened with."""
        self.asked_on = 0
        """The link on which the CSMS was asked for this socket; 0 if it wasn't."""
        self.asked_with: Authorization = None
        self.allowance: Allowance | None = None
        """What it may cost the link; None for anything."""
        self.decide_by = 0.0
        self._leave_after = 0.0
        self._leave_by = 0.0
        self._drains = False
        self.accepted = False
        """Rule R2: the last BootNotification was accepted."""
        self.heartbeat_s = 0
        self.newest: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self.answered_early = 0
        """Those of this station among `counters.answered_early`."""
        self._early = early
        self._transfers: dict[Way, float] = {}
        """When its transfers around the gateway begin, those that the ledger watches."""
        self._transactions = Transactions()
        self._suppression = None if early.suppression is None else Suppression(early.suppression)
        self.suppressed = 0
        """Messages that were dropped because they said nothing new."""
        self._storing: dict[int, Outgoing] = {}
        self._csms_time: tuple[float, float] | None = None
        """What the CSMS's clock said, in Unix seconds, and when that was on ours."""
        self._triggered_until = 0.0
        self._repeats = RepeatMemory()
        self._refused = RefusedMemory()
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
        self.credentials = Credentials(authorization)
        self.asked_on = 0
        self.decide_by = decide_by

    def gone(self, leave_after: float, leave_by: float) -> None:
        """The socket is gone; the cloud is told after `leave_after`, once what is stored has been sent, no later than `leave_by`."""
        self.moved(StationEvent.GONE)
        self._leave_after = leave_after
        self._leave_by = leave_by
        self._drains = False
        attachment = self.attachment
        self._socket_lost()
        self.attachment = attachment

    @property
    def leave_at(self) -> float:
        """When there is something to do about a station that is LEAVING."""
        return self._leave_by if self._drains and self.lanes.waits_stored else self._leave_after

    def begins_to_drain(self) -> bool:
        """It won't be back in a moment: what is stored is sent now, before the cloud is told. False if that is done, or takes too long."""
        if self._drains or not self.lanes.waits_stored:
            return False
        self._drains = True
        self.lanes.hurry()
        return True

    def came_back(self, socket: int) -> None:
        """A station that hadn't been missed yet has a socket again."""
        self.moved(StationEvent.CAME_BACK)
        self.socket = socket

    def left(self) -> None:
        """The socket is gone, or will be; what it had under way is its own to repeat."""
        self.moved(StationEvent.LEFT)
        self.authorization = self.asked_with = None
        self.credentials = Credentials(None)
        self._socket_lost()

    def _socket_lost(self) -> None:
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

    # --- its password

    def _put(self, message_id: str, call: OutgoingCall, now: float, out: list[Effect]) -> None:
        if new := self._new_headers(call):
            self.credentials.asked(new)
            self._keep_credentials(out)
        super()._put(message_id, call, now, out)

    def _password_answered(self, call: OutgoingCall, answer: Message, out: list[Effect]) -> None:
        if not (new := self._new_headers(call)):
            return
        if password_accepted(self.version, answer):
            self.credentials.accepted(new)
            out.append(self._note(Level.INFO, "the station has taken a new password"))
        else:
            self.credentials.rejected(new)
        self._keep_credentials(out)

    def _new_headers(self, call: OutgoingCall) -> tuple[str, ...]:
        return password_headers(self.version, call.message, self.identity, self.authorization)

    def _keep_credentials(self, out: list[Effect]) -> None:
        if self._early.keeps_credentials:
            out.append(KeepCredentials(self.identity, self.version.value, self.credentials.all))

    # --- the outbox

    def remembered(self, record: StationRecord, now: float) -> None:
        """What the outbox knows from before this program began."""
        if record.version:
            self.version = OcppVersion(record.version)
        self.accepted = record.accepted
        self.heartbeat_s = record.heartbeat_interval_s
        for lane in Lane:
            self.newest[lane] = record.newest[lane]
            self.lanes.delivered[lane] = record.delivered[lane]
            self.lanes.begin_at(lane, record.delivered[lane], record.newest[lane])
        for known in record.fingerprints:
            self._repeats.answered(known, EMPTY_ANSWER, now)

    def record(self) -> StationRecord:
        """What `remembered` needs; the outbox has the rest."""
        return StationRecord(
            self.identity,
            self.version.value,
            as_pair(self.lanes.delivered),
            as_pair(self.newest),
            self.accepted,
            self.heartbeat_s,
            self._repeats.answered_empty,
        )

    @property
    def is_storing(self) -> bool:
        """Whether the outbox has yet to report."""
        return bool(self._storing)

    def begin_at(self, delivered: tuple[int, int], out: list[Effect]) -> None:
        """In a new epoch all is to be sent that the CSMS hasn't answered."""
        if not self._early.ready:
            return  # Whatever a cloud says of an outbox that isn't there.
        for lane in Lane:
            position, newest = delivered[lane], self.newest[lane]
            if position > newest:
                out.append(self._note(Level.ERROR, "the cloud knows messages that this outbox never had", position=position))
                out.append(DistrustOutbox(f"the cloud has had position {position} of {self.identity}, and {newest} is the newest here"))
                self.lanes.begin_at(lane, newest, newest)
                continue
            self.lanes.begin_at(lane, max(position, self.lanes.delivered[lane]), newest)
            self._answered(lane, position, out)

    @property
    def sent_on_link(self) -> tuple[int, int]:
        """The newest position of each lane that the cloud has, if nothing on this connection was lost: not what waits to be sent (again)."""
        unsent = (0, 0) if self.channel is None else self.channel.unsent_stored
        return self.lanes.sent[Lane.EXPRESS] - unsent[Lane.EXPRESS], self.lanes.sent[Lane.ORDERED] - unsent[Lane.ORDERED]

    def stored(self, event: Stored, now: float, out: list[Effect]) -> None:
        """A message of this station is on disk: its sender may go on."""
        outgoing = self._storing.pop(event.ticket)
        assert outgoing.stored is not None, "it was being stored"
        self.newest[outgoing.stored.lane] = event.position
        relay = outgoing.relay
        self.lanes.is_stored(outgoing, event.position)
        if relay is None:
            return
        if relay.fingerprint is not None:
            self._repeats.answered(relay.fingerprint, EMPTY_ANSWER, now)
        if relay.socket == self.socket and self.socket_open and self.incoming.finish(relay):
            self._count_early()
            self._say(render(relay.message_id, EMPTY_ANSWER), Handling.EARLY, out)

    def not_stored(self, event: NotStored) -> None:
        """A message could not be stored: it is relayed, if its sender still waits."""
        outgoing = self._storing.pop(event.ticket)
        if self._suppression is not None:
            self._suppression.forget()
        self.lanes.not_stored(outgoing)
        if outgoing.relay is None or outgoing.relay.socket != self.socket:
            self.lanes.drop(outgoing)

    def loaded(self, event: Loaded) -> None:
        """Part of a backlog is in memory now."""
        self.lanes.loaded(event.lane, event.messages)

    def delivered(self, positions: tuple[int, int], out: list[Effect]) -> None:
        """The CSMS has answered up to these positions. Raises `ValueError` for what was never sent."""
        for lane in Lane:
            self._answered(lane, positions[lane], out)

    def _answered(self, lane: Lane, position: int, out: list[Effect]) -> None:
        if self.lanes.answered(lane, position):
            out.append(ForgetStored(self.identity, lane, position))

    # --- the CSMS's clock

    def clock_told(self, unix_s: float, now: float) -> None:
        """What the CSMS's clock says."""
        self._csms_time = unix_s, now

    def _unix_s(self, now: float) -> float:
        """By the CSMS's clock, or by ours until it has told its time."""
        return self._early.wall_s() if self._csms_time is None else self._csms_time[0] + now - self._csms_time[1]

    # --- files that go around the gateway, for the ledger

    def _transfer_answered(self, asked: Message, answer: Message, now: float, out: list[Effect]) -> None:
        transfer = transfer_of(asked)
        if transfer is None or not transfer_accepted(asked.action, answer):
            return
        in_s = 0.0 if transfer.begins_at_s is None else max(0.0, transfer.begins_at_s - self._unix_s(now))
        self._transfers[transfer.way] = now + in_s
        out.append(TransferBegan(self.identity, transfer.way, transfer.action, in_s))

    def _transfer_told(self, message: Message, now: float, out: list[Effect]) -> None:
        phase, way = phase_of(message), STATUSES[message.action]
        under_way = self._transfers.get(way, math.inf) <= now
        if phase is Phase.UNDER_WAY and not under_way:
            self._transfers[way] = now
            out.append(TransferBegan(self.identity, way, message.action))
        elif phase is Phase.OVER and under_way:
            del self._transfers[way]
            out.append(TransferEnded(self.identity, way))

    def view(self, now: float) -> EdgeStationView:
        """For status."""
        channel, told = self.channel, self._csms_time
        return EdgeStationView(
            identity=self.identity,
            state=self.state.value,
            ocpp=self.version.value,
            accepted=self.accepted,
            clock_offset_s=None if told is None else round(self._early.wall_s() - (told[0] + now - told[1]), 1),
            heard_s=None if self.heard_at is None else now - self.heard_at,
            waiting=self.lanes.waiting,
            undelivered=self.lanes.undelivered,
            answered_early=self.answered_early,
            suppressed=self.suppressed,
            repeats=self.repeats,
            allowance_percent=None if self.allowance is None else self.allowance.used_percent(now),
            epoch=0 if channel is None else channel.epoch,
            frames_sent=0 if channel is None else channel.sent,
            frames_received=0 if channel is None else channel.received,
        )

    # --- hooks of Conversation

    @property
    def socket_open(self) -> bool:
        return self.state in (StationState.ADMITTED, StationState.ASKING_AGAIN)

    @property
    def may_send(self) -> bool:
        # A station that has left may still have frames that the cloud must decode for the context's sake.
        return self.state in (StationState.ADMITTED, StationState.LEAVING) or (
            self.state is StationState.ABSENT and self.channel is not None and self.channel.has_unsent
        )

    def _send(self, text: str) -> Effect:
        return SendStation(self.socket, text)

    @property
    def _is_at_station(self) -> bool:
        return True

    def take_text(self, text: str, now: float, out: list[Effect]) -> None:
        self.heard_at = now
        super().take_text(text, now, out)

    def _take_call(self, relay: Relay, message: Message, now: float, out: list[Effect]) -> bool:
        if message.action in STATUSES:
            self._transfer_told(message, now, out)
        if is_transaction(message):
            self._transactions.take(message, now)
            self._transactions_changed(now)
            relay.fingerprint = fingerprint(message)
            answer = self._repeats.answer(relay.fingerprint, now)
            if answer is None and self._early.delay_s(self.identity, now) is not None:
                answer = self._refused.answer(relay.fingerprint, now)
            if answer is not None:
                self._count_repeat()
                level = Level.INFO if answer.type is MessageType.CALLRESULT else Level.WARNING
                out.append(self._note(level, "repeat answered from memory", action=message.action, answer=answer.type.name))
                self._answer(relay, answer, out)
                return False
            # Under way already: it goes again, the cloud ties it to the first, and the station waits for this id only.
            for earlier in self.incoming.with_fingerprint(relay.fingerprint):
                if earlier is not relay:
                    self._count_repeat()
                    self.incoming.abandon(earlier)
        used_up = self.allowance is not None and self.allowance.is_used_up(now) and not goes_on(message)
        # A Heartbeat that is answered here costs nothing.
        if (not used_up or message.action == "Heartbeat") and self._answers_early(relay, message, now, out):
            return False
        if used_up:
            out.append(self._note(Level.INFO, "refused, the station has used up its bytes", action=message.action))
            self._answer(relay, REFUSED, out)
            return False
        if self._suppression is not None and message.action == "MeterValues":
            # Relayed: whether the CSMS gets it isn't known.
            self._suppression.forget()
        return True

    def _take_send(self, message: Message, now: float) -> bool:
        return self.allowance is None or not self.allowance.is_used_up(now)

    def _answers_early(self, relay: Relay, message: Message, now: float, out: list[Effect]) -> bool:
        """Answer a CALL here, now or once it is stored; false if it is the CSMS's to answer."""
        early = self._early
        delay_s = early.delay_s(self.identity, now)
        if delay_s is None or not self.accepted:
            return False
        kind = class_of(self.version, message, early.overrides)
        if kind is MessageClass.RELAY:
            return False
        if kind is MessageClass.HEARTBEAT:
            # Without an interval the cloud sends none of its own, and one that the CSMS has asked for it wants to see.
            if self._csms_time is None or not self.heartbeat_s or self._is_triggered(now):
                return False
            unix_s, at = self._csms_time
            self._count_early()
            self._answer(relay, heartbeat_answer(unix_s + now - at), out)
            return True
        if relay.fingerprint is not None and self._waits_for_the_disk(relay, relay.fingerprint):
            return True
        if not early.ready or early.troubled or now < early.failed_until:
            return False
        if self._is_unchanged(message, now):
            self.suppressed += 1
            self.counters.suppressed += 1
            self._answer(relay, EMPTY_ANSWER, out)
            return True
        urgent = is_urgent(message)
        lane = Lane.ORDERED if is_transaction(message) else Lane.EXPRESS
        due_at = now if self._is_triggered(now) else now + (min(early.urgent_s, delay_s) if urgent else delay_s)
        outgoing = Outgoing(message, relay=relay, stored=Storing(lane, due_at))
        ticket = early.new_ticket()
        self._storing[ticket] = outgoing
        self.lanes.add(outgoing, TURN_OF[lane])
        version, known = self.version.value, relay.fingerprint or b""
        out.append(StoreMessage(ticket, StoredMessage(self.identity, lane, 0, version, message.body, urgent, known, early.wall_s())))
        return True

    def _count_early(self) -> None:
        self.answered_early += 1
        self.counters.answered_early += 1

    def _waits_for_the_disk(self, relay: Relay, known: bytes) -> bool:
        """A repeat of what is being stored: the answer is for the newest."""
        for outgoing in self._storing.values():
            if outgoing.relay is not None and outgoing.relay.fingerprint == known:
                outgoing.relay = relay
                return True
        return False

    def _is_unchanged(self, message: Message, now: float) -> bool:
        """Whether this end may drop a message by the operator's leave (rule R9)."""
        if self._suppression is None or message.action != "MeterValues" or is_transaction(message):
            return False
        if self._is_triggered(now) or self._transactions.count(now):
            self._suppression.forget()
            return False
        return self._suppression.is_unchanged(message, now)

    def _transactions_changed(self, now: float) -> None:
        self._early.charging(self.identity, self._transactions.count(now))
        if self._suppression is not None:
            self._suppression.forget()

    def _is_triggered(self, now: float) -> bool:
        return now < self._triggered_until

    def _answer(self, relay: Relay, answer: Message, out: list[Effect]) -> None:
        self.incoming.finish(relay)
        self._say(render(relay.message_id, answer), Handling.HERE, out)

    def _put_call(self, call: OutgoingCall, now: float, out: list[Effect]) -> bool:
        return self.socket_open

    def _stored_call_from_link(self, message: Message, now: float, out: list[Effect]) -> None:
        self._over_time(message, out)

    def _answer_came(self, relay: Relay, answer: Message, now: float, out: list[Effect]) -> Message:
        if relay.fingerprint is not None:
            if answer.type is MessageType.CALLRESULT:
                self._repeats.answered(relay.fingerprint, answer, now)
            elif error_of(answer)[0] in FINAL_ERRORS:
                self._refused.refused(relay.fingerprint, answer, now)
        if relay.action == "StartTransaction" and answer.type is MessageType.CALLRESULT:
            self._transactions.started(answer, now)
            self._transactions_changed(now)
        if relay.action == "BootNotification":
            self.accepted, interval_s = boot_answer(answer)
            self.heartbeat_s = interval_s or self.heartbeat_s
            out.append(RememberStation(self.identity, self.accepted, self.heartbeat_s))
        if relay.action in ("BootNotification", "Heartbeat"):
            unix_s = csms_time_s(answer)
            if unix_s is not None:
                self.clock_told(unix_s, now)
        return answer

    def _answer_taken(self, call: OutgoingCall, answer: Message, now: float, out: list[Effect]) -> None:
        self._password_answered(call, answer, out)
        if call.message.action in TRANSFERS:
            self._transfer_answered(call.message, answer, now, out)
        if not is_accepted(answer):
            return
        if steers(call.message):
            self._early.smart_charging(self.identity, now)
        if call.message.action in TRIGGERS:
            self._triggered_until = now + TRIGGERED_S

    def _answer_to_carry(self, call: OutgoingCall, answer: Message) -> Message | None:
        if call.message.action == "GetTransactionStatus":
            self.lanes.hurry()
            if self.lanes.stored_waiting(Lane.ORDERED):
                return with_messages_in_queue(answer)
        return answer

    def _call_dropped(self, call: OutgoingCall) -> None:
        """Nothing: the CSMS gives its CALLs up by itself."""

    # --- time

    def expire(self, now: float, out: list[Effect]) -> None:
        super().expire(now, out)
        self.outgoing.take_unanswered(now)
        self.put_calls(now, out)
        if self.channel is not None and self.may_send:
            for lane, after in self.lanes.wanted():
                out.append(LoadStored(self.identity, lane, after, STORED_IN_MEMORY_TEXT_MAX // 2))

    def regulate_reading(self, out: list[Effect]) -> None:
        """Read nothing more from a station that has too much under way, and read on once half of it is done or given up."""
        load = max(len(self.incoming) / CALLS_OPEN_MAX, self.lanes.load * 2)
        if not self._paused and load >= 1 and self.socket_open:
            self._paused = True
            out.append(PauseStation(self.socket))
        elif self._paused and load <= 0.5:
            self._paused = False
            out.append(ResumeStation(self.socket))


def absent_view(record: StationRecord) -> EdgeStationView:
    """For status: a station that hasn't been here since the program began, and of which the outbox has something."""
    undelivered = sum(record.newest) - sum(record.delivered)
    return EdgeStationView(
        identity=record.identity,
        state=StationState.ABSENT.value,
        ocpp=record.version,
        accepted=record.accepted,
        clock_offset_s=None,
        heard_s=None,
        waiting=undelivered,
        undelivered=undelivered,
        answered_early=0,
        suppressed=0,
        repeats=0,
        allowance_percent=None,
        epoch=0,
        frames_sent=0,
        frames_received=0,
    )
