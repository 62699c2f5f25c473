"""One station at the cloud: its CSMS socket, its one outstanding CALL, and what it repeats.

    CLOSED ──open──► OPENING ──opened──► OPEN ──lost──► WAITING ──open──► REOPENING ──opened──► OPEN
      ▲                 │                  │               ▲  │               │  │
      └──────shut───────┴───────shut───────┴──────────────lost└─────shut──────┘  └─shut─► CLOSED

OPENING: the station's upgrade waits for what the CSMS says. REOPENING: the station is here and the CSMS socket was lost.

A stored CALL, whose sender has its answer already, is put to the CSMS until it is answered (rule R6):

    put ──► CALLRESULT ──► SavePosition ──► PositionSaved ──► the next
       └──► CALLERROR, no answer ──► again, a transaction message that is refused for good: Bury ──► Buried ──► the next
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of, render
from ocppress_gateway.core.alarms import earlier
from ocppress_gateway.core.answers import FINAL_ERRORS, boot_answer, content_of, csms_time_s, error_of, is_accepted, with_messages_in_queue
from ocppress_gateway.core.calls import IncomingCalls, OutgoingCall, StoredCall
from ocppress_gateway.core.channel import ReceivedBatch
from ocppress_gateway.core.contents import CONTENT_ACTION, Contents
from ocppress_gateway.core.conversation import Conversation, Counters
from ocppress_gateway.core.credentials import Authorization, Credentials, password_accepted, password_headers
from ocppress_gateway.core.delivery import Delivery
from ocppress_gateway.core.events import Bury, Effect, Handling, Level, ReplayEnded, SavePosition, SendCsms, TransferSized
from ocppress_gateway.core.heartbeats import HEARTBEAT, Heartbeats
from ocppress_gateway.core.lanes import TURN_OF, Outgoing, Relay
from ocppress_gateway.core.late_rejections import LateRejections
from ocppress_gateway.core.parts import Attach, CsmsTime, Delivered, Part
from ocppress_gateway.core.policy import Turn, is_transaction, turn_of
from ocppress_gateway.core.repeats import RepeatMemory, fingerprint
from ocppress_gateway.core.stored import Claim, DeadLetter, Lane, PositionSaved
from ocppress_gateway.core.transfer_guard import TransferGuard, TransferGuards
from ocppress_gateway.core.views import CloudStationView

__all__ = ["TRANSITIONS", "CloudStation", "CsmsState", "CsmsStep"]


PASSWORD_CHANGES_MAX: Final = 2
"""Changes of a station's password whose answers are waited for; a CSMS has one under way."""


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
        attempts_max: int,
        attempt_interval_s: float,
        stops_late_rejected: bool,
        relayed_bytes: int,
        counters: Counters,
        guards: TransferGuards,
        month_percent: Callable[[], int | None],
    ) -> None:
        super().__init__(identity, slot, make_id=make_id, answer_timeout_s=call_timeout_s, call_life_s=command_timeout_s, counters=counters)
        self._call_timeout_s = call_timeout_s
        self._attempts_max = attempts_max
        self._attempt_interval_s = attempt_interval_s
        self.state = CsmsState.CLOSED
        self.offered: tuple[str, ...] = ()
        self.credentials = Credentials(None)
        self.opened_with: Authorization = None
        """What the newest CSMS socket was asked for with."""
        self._new_passwords: deque[tuple[Relay, tuple[str, ...]]] = deque(maxlen=PASSWORD_CHANGES_MAX)
        self.edge_epoch = 0
        self.retries = 0
        self.retry_at = 0.0
        self.lost_at: float | None = None
        self._csms_heard_at = 0.0
        self._repeats = RepeatMemory()
        self._under_way: dict[bytes, OutgoingCall] = {}
        self.sent: tuple[int, int] = (0, 0)
        """What the edge says it has sent of its outbox, by lane, and what it knows to be answered."""
        self.delivered_to_edge: tuple[int, int] = (0, 0)
        self.delivery: Delivery | None = None
        """None where the edge has no outbox, and until the store has said how far the CSMS has come."""
        self.claim: Claim | None = None
        """Its edge's."""
        self._saving: SavePosition | None = None
        self.heartbeats = Heartbeats()
        self._burying: dict[str, OutgoingCall] = {}
        self._contents = Contents(relayed_bytes)
        self._late_rejections = LateRejections() if stops_late_rejected else None
        self._guard = TransferGuard(identity, guards, month_percent=month_percent, let_through=self._let_through, answer=self._answer_csms)
        self._replays: dict[int, OutgoingCall] = {}
        """Dead letters that wait for their turn or their answer, by key."""

    def moved(self, step: CsmsStep) -> None:
        """Take a transition; an illegal one is a mistake of the machine."""
        self.state = TRANSITIONS[self.state][step]

    def attached(self, attach: Attach, offered: tuple[str, ...]) -> None:
        """A station at the edge asks for its upgrade, with these of the sub-protocols that it offered."""
        self.moved(CsmsStep.OPEN)
        self.slot = attach.slot
        self.attachment = attach.attachment
        self.offered = offered
        self.credentials = Credentials(attach.authorization)
        self.edge_epoch = attach.epoch
        self.sent = attach.sent
        self.delivered_to_edge = attach.delivered
        self.heartbeats.interval_s = attach.heartbeat_s
        self.retries = 0
        self.lost_at = None

    def csms_opened(self, version: OcppVersion, now: float) -> None:
        """The CSMS socket is open."""
        self.moved(CsmsStep.OPENED)
        self.credentials.opened(self.opened_with)
        self.version = version
        self.retries = 0
        self.lost_at = None
        self._csms_heard_at = now

    def csms_lost(self, now: float, retry_at: float) -> None:
        """The CSMS socket is gone; what waits for it waits on, what was outstanding is the station's to repeat."""
        self.moved(CsmsStep.LOST)
        self.socket = 0
        self.retry_at = retry_at
        self.lost_at = now if self.lost_at is None else self.lost_at
        outstanding = self.outgoing.socket_lost()
        if outstanding is not None and outstanding.stored is not None:
            self._again(outstanding, now)
        elif outstanding is not None:
            self._call_dropped(outstanding)
        # The CSMS has given its CALLs up with its socket.
        self.incoming = IncomingCalls()
        self._guard.forget()
        self.lanes.drop_calls()
        if self.channel is not None:
            self.channel.void_calls()

    def shut(self) -> None:
        """The station has gone, or is sent away: nothing of it lives on but contexts and what it may repeat."""
        self.moved(CsmsStep.SHUT)
        self.credentials = Credentials(None)
        self.opened_with = None
        self._new_passwords.clear()
        self.lost_at = None
        self._under_way.clear()
        self._burying.clear()
        self._guard.forget()
        if self.delivery is not None:
            self.delivery.begin_again()
        if self.channel is not None:
            self.channel.void_calls()
        self.socket_gone()

    def context_lost(self) -> None:
        """The edge no longer knows what was sent."""
        self.channel = None
        self.lanes.drop_answers()
        self.lanes.drop_calls()
        if self.delivery is not None:
            self.delivery.begin_again()

    @property
    def continues(self) -> bool:
        """Whether the edge and this end mean the same by the context that both have."""
        received = (0, 0) if self.delivery is None else self.delivery.positions
        return self.channel is not None and self.channel.epoch == self.edge_epoch and self.sent == received

    # --- hooks of Conversation

    @property
    def socket_open(self) -> bool:
        return self.state is CsmsState.OPEN

    @property
    def may_send(self) -> bool:
        return self.state is not CsmsState.OPENING

    def _send(self, text: str) -> Effect:
        return SendCsms(self.socket, text)

    @property
    def _is_at_station(self) -> bool:
        return False

    def take_text(self, text: str, now: float, out: list[Effect]) -> None:
        self._csms_heard_at = now
        super().take_text(text, now, out)

    def take_batch(self, batch: ReceivedBatch, now: float, out: list[Effect]) -> None:
        self.heard_at = now
        super().take_batch(batch, now, out)

    def _handling(self, call: OutgoingCall) -> Handling:
        own = call.letter is not None or call.message is HEARTBEAT
        return Handling.HERE if own else Handling.RELAYED if call.stored is None else Handling.EARLY

    def _take_call(self, relay: Relay, message: Message, now: float, out: list[Effect]) -> bool:
        if new := password_headers(self.version, message, self.identity, self.credentials.first):
            self.credentials.asked(new)
            self._new_passwords.append((relay, new))
        return self._guard.take(self.version, relay, message, now, out)

    def _let_through(self, relay: Relay, message: Message) -> None:
        """A CALL of the CSMS that had to wait goes to the station."""
        self.lanes.add(Outgoing(message, relay.expires_at, relay), turn_of(self.version, message))

    def _answer_csms(self, relay: Relay, answer: Message, out: list[Effect]) -> None:
        """Answer a CALL of the CSMS instead of the station, if it still waits."""
        if self.incoming.finish(relay):
            self._say(render(relay.message_id, answer), Handling.HERE, out)

    def sized(self, event: TransferSized, now: float, out: list[Effect]) -> None:
        """It is known how large a file is that the station is to fetch, or that it can't be known."""
        self._guard.sized(event, now, out)

    def _put_call(self, call: OutgoingCall, now: float, out: list[Effect]) -> bool:
        if not is_transaction(call.message):
            return True
        key = call.fingerprint = fingerprint(call.message)
        answer = self._repeats.answer(key, now)
        under_way = self._under_way.get(key)
        if answer is None and under_way is None:
            self._under_way[key] = call
            return True
        self._count_repeat()
        out.append(self._note(Level.INFO, "repeat not sent twice", action=call.message.action, answered=answer is not None))
        if answer is not None:
            self.lanes.add(Outgoing(answer.with_call(call.number)), Turn.PROMPT)
        elif under_way is not None:
            under_way.number = call.number
            under_way.expires_at = call.expires_at
        return False

    def _answer_came(self, relay: Relay, answer: Message, now: float, out: list[Effect]) -> Message:
        for asking, new in self._new_passwords:
            if asking is relay and password_accepted(self.version, answer):
                self.credentials.accepted(new)
            elif asking is relay:
                self.credentials.rejected(new)
        self._guard.answered(relay, answer, out)
        if self._late_rejections is not None:
            self._stop_answered(self._late_rejections, relay, answer, out)
        if relay.action == "GetTransactionStatus" and self.outgoing.has_stored_transactions:
            return with_messages_in_queue(answer)
        return answer

    def _answer_taken(self, call: OutgoingCall, answer: Message, now: float, out: list[Effect]) -> None:
        if call.letter is not None:
            self._replays.pop(call.letter.key, None)
            code = "" if answer.type is MessageType.CALLRESULT else error_of(answer)[0] or "an error without a code"
            out.append(self._note(Level.INFO, "a dead letter was answered", action=call.message.action, key=call.letter.key, error=code))
            out.append(ReplayEnded(call.letter.key, f"the CSMS refused it again: {code}" if code else None))
            return
        if call.stored is not None:
            self.outgoing.settle(call)
            self._burying.pop(call.stored.message_id, None)
            self._stored_answered(call, call.stored, answer, now, out)
            return
        if call.message.action == "BootNotification":
            accepted, interval_s = boot_answer(answer)
            self.heartbeats.interval_s = interval_s if accepted else 0
        if call.message.action in ("BootNotification", "Heartbeat"):
            unix_s = csms_time_s(answer)
            if unix_s is not None:
                self.heartbeats.answered(unix_s, now)
        if call.fingerprint is None:
            return
        self._call_dropped(call)
        if answer.type is MessageType.CALLRESULT:
            self._repeats.answered(call.fingerprint, answer, now)

    def _answer_to_carry(self, call: OutgoingCall, answer: Message) -> Message | None:
        ours = call.stored is not None or call.letter is not None or call.message is HEARTBEAT
        return None if ours else answer

    def _call_dropped(self, call: OutgoingCall) -> None:
        if call.fingerprint is not None and self._under_way.get(call.fingerprint) is call:
            del self._under_way[call.fingerprint]

    # --- the edge's outbox

    def _stored_call_from_link(self, message: Message, now: float, out: list[Effect]) -> None:
        if self.delivery is None or not self.attachment or self.state is CsmsState.OPENING:
            return
        lane, known = (Lane.ORDERED, fingerprint(message)) if is_transaction(message) else (Lane.EXPRESS, None)
        stored = StoredCall(self.delivery.incarnation, lane, self.delivery.receive(lane, len(message.body)))
        self.outgoing.add(OutgoingCall(message.call, message, math.inf, TURN_OF[lane], known, stored))

    def _put(self, message_id: str, call: OutgoingCall, now: float, out: list[Effect]) -> None:
        if call.stored is not None and call.fingerprint is not None and call.stored.attempts == 1:
            answer = self._repeats.answer(call.fingerprint, now)
            if answer is not None:
                # The station sent it a second time, since an edge that died couldn't answer.
                self._count_repeat()
                self.outgoing.answer(message_id)
                self._done(call, call.stored, out)
                return
        self.heartbeats.put(now)
        super()._put(message_id, call, now, out)

    def _stored_answered(self, call: OutgoingCall, stored: StoredCall, answer: Message, now: float, out: list[Effect]) -> None:
        if answer.type is MessageType.CALLRESULT:
            if call.message.action == CONTENT_ACTION:
                self._tell_content(answer, now, out)
                if self._late_rejections is not None and self.version is not OcppVersion.V16:
                    self._stop_rejected(self._late_rejections, call, answer, now, out)
            if call.fingerprint is not None:
                self._repeats.answered(call.fingerprint, answer, now)
            self._done(call, stored, out)
            return
        code, description = error_of(answer)
        self._failed(call, stored, code, description, now, out)

    def _failed(self, call: OutgoingCall, stored: StoredCall, code: str, description: str, now: float, out: list[Effect]) -> None:
        """The CSMS has refused a stored CALL, or not answered it."""
        final = code in FINAL_ERRORS or stored.attempts >= self._attempts_max
        fields = {"action": call.message.action, "error": code or "no answer", "attempts": stored.attempts}
        if call.fingerprint is None and (code or final):
            out.append(self._note(Level.WARNING, "the CSMS refused a message that the station thinks delivered", **fields))
            self._done(call, stored, out)
        elif final:
            out.append(self._note(Level.ERROR, "the CSMS takes a transaction message not at all, kept as a dead letter", **fields))
            stored.wait_until = math.inf
            self.outgoing.put_back(call)
            self._burying[stored.message_id] = call
            self._bury(call, stored, code, description, out)
        else:
            out.append(self._note(Level.WARNING, "the CSMS refused a message, it will get it again", **fields))
            # E13.FR.02: the interval, times how often it was sent before.
            stored.wait_until = now + self._attempt_interval_s * stored.attempts
            self.outgoing.put_back(call)

    def _bury(self, call: OutgoingCall, stored: StoredCall, code: str, description: str, out: list[Effect]) -> None:
        letter = DeadLetter(
            self.identity, stored.message_id, self.version.value, call.message.body, code, description, stored.attempts, at_s=0.0
        )
        out.append(Bury(letter))

    def buried(self, message_id: str, now: float, out: list[Effect]) -> None:
        """A dead letter is safe: its lane goes on."""
        call = self._burying.pop(message_id, None)
        if call is not None and call.stored is not None:
            self.counters.dead_letters += 1
            self._done(call, call.stored, out)
            self.put_calls(now, out)

    def not_buried(self, message_id: str, reason: str, now: float, out: list[Effect]) -> None:
        """There is no room for a dead letter: the CSMS is asked again, and its lane waits."""
        call = self._burying.pop(message_id, None)
        if call is not None and call.stored is not None:
            out.append(self._note(Level.ERROR, "a dead letter cannot be kept, its lane waits", reason=reason))
            call.stored.wait_until = now + self._attempt_interval_s * self._attempts_max

    def _done(self, call: OutgoingCall, stored: StoredCall, out: list[Effect]) -> None:
        """The CSMS will not get this one again: make that durable before the next goes."""
        assert self.delivery is not None, "stored messages come after the positions"
        self.outgoing.settle(call)
        self.counters.delivered += 1
        self.delivery.answered(stored.lane, stored.position, len(call.message.body))
        self.outgoing.held = True
        self._saving = SavePosition(self.identity, stored.incarnation, stored.lane, stored.position, self.claim)
        out.append(self._saving)

    def saved(self, event: PositionSaved, now: float, out: list[Effect]) -> None:
        """A position is durable; of several that were asked for, sockets having come and gone meanwhile, the last counts."""
        saving = self._saving
        if saving is not None and (event.incarnation, event.lane, event.position) == (saving.incarnation, saving.lane, saving.position):
            self._saving = None
            self.outgoing.held = False
            self.put_calls(now, out)

    def _again(self, call: OutgoingCall, now: float) -> None:
        """A stored CALL whose answer can't come any more is put again, as if it hadn't been."""
        assert call.stored is not None, "only stored ones outlive a socket"
        call.stored.attempts -= 1
        call.stored.wait_until = 0.0
        self.outgoing.put_back(call)

    # --- rule R7: what the CSMS answers to a message that was answered early reaches nobody

    def _tell_content(self, answer: Message, now: float, out: list[Effect]) -> None:
        """Say so, once for each kind of content, and again when it is known what the operator's remedy would cost."""
        for told in self._contents.answered(content_of(answer), now):
            words = "the CSMS's answer has content that no longer reaches the station; relay its action if that matters"
            fields: dict[str, str | float] = {"action": told.action, "member": told.member, "answers": told.count}
            if told.relayed_month_bytes is not None:
                fields["relaying_mb_a_month"] = round(told.relayed_month_bytes / 1e6, 3)
            out.append(self._note(Level.WARNING, words, **fields))

    def _stop_rejected(self, late: LateRejections, call: OutgoingCall, answer: Message, now: float, out: list[Effect]) -> None:
        """By the operator's option, stop the transaction that the CSMS rejects; the CALL is the gateway's own, and so is its answer."""
        rejected = late.heard(call.message, answer, now)
        if rejected is None or self.lanes.load >= 1:
            return
        self.counters.stops_asked += 1
        self.lanes.add(late.ask(rejected, now + self._call_life_s), Turn.PROMPT)
        words = "the CSMS has rejected a transaction late, the station is asked to stop it"
        out.append(self._note(Level.WARNING, words, transaction=rejected.transaction_id, status=rejected.status, attempt=rejected.attempts))

    def _stop_answered(self, late: LateRejections, relay: Relay, answer: Message, out: list[Effect]) -> None:
        accepted = is_accepted(answer)
        rejected = late.answered(relay, accepted)
        if rejected is None:
            return
        if accepted:
            self.counters.stops_accepted += 1
            out.append(self._note(Level.INFO, "the station stops the transaction", transaction=rejected.transaction_id))
        else:
            level = Level.ERROR if rejected.gives_up else Level.WARNING
            fields = {"transaction": rejected.transaction_id, "attempts": rejected.attempts, "gives_up": rejected.gives_up}
            out.append(self._note(level, "the station doesn't stop a transaction that the CSMS has rejected", **fields))

    # --- dead letters that the operator wants to try again

    def replay(self, letter: DeadLetter, now: float, out: list[Effect]) -> None:
        """Put a dead letter to the CSMS as an ordinary CALL of the ordered lane; `ReplayEnded` follows."""
        reason = None
        if not self.socket_open:
            reason = "the station's CSMS socket isn't open"
        elif letter.version != self.version.value:
            reason = f"the station now speaks OCPP {self.version.value}, the letter {letter.version}"
        elif letter.key in self._replays:
            reason = "it is being put to the CSMS already"
        message = Message(MessageType.CALL, action_of(MessageType.CALL, letter.body), letter.body)
        call = OutgoingCall(None, message, now + self._call_timeout_s, Turn.ORDERED, letter=letter)
        if reason is None and not self.outgoing.add(call):
            reason = "too many CALLs wait for this CSMS socket"
        if reason is not None:
            out.append(ReplayEnded(letter.key, reason))
            return
        self._replays[letter.key] = call
        out.append(self._note(Level.INFO, "a dead letter is put to the CSMS again", action=message.action, key=letter.key))
        self.put_calls(now, out)

    def end_replays(self, out: list[Effect]) -> bool:
        """Say which dead letters got no answer (one that comes late still counts); whether others are under way."""
        for key, call in list(self._replays.items()):
            if not self.outgoing.holds(call):
                del self._replays[key]
                out.append(ReplayEnded(key, "the CSMS didn't answer it in time"))
        return bool(self._replays)

    @property
    def is_settled(self) -> bool:
        """Whether there is no answer to a stored message that may come in a moment: a stopping cloud that waits for it needn't ask again."""
        return not (self.socket_open and (self.outgoing.stored_undelivered or self.outgoing.held))

    def view(self, edge: str, now: float) -> CloudStationView:
        """For status."""
        channel = self.channel
        return CloudStationView(
            identity=self.identity,
            edge=edge,
            state=self.state.value,
            ocpp=self.version.value,
            heard_s=None if self.heard_at is None else now - self.heard_at,
            retry_in_s=max(0.0, self.retry_at - now) if self.state is CsmsState.WAITING else None,
            waiting=len(self.outgoing) + self.outgoing.is_busy,
            undelivered=self.outgoing.stored_undelivered,
            repeats=self.repeats,
            contents=self._contents.view(now),
            epoch=0 if channel is None else channel.epoch,
            frames_sent=0 if channel is None else channel.sent,
            frames_received=0 if channel is None else channel.received,
        )

    # --- news for the edge

    @property
    def owes_news(self) -> bool:
        return super().owes_news or (self.delivery is not None and self.delivery.owes_news)

    def riding(self, riding: bool, now: float) -> list[Part]:
        parts = super().riding(riding, now)
        if self.channel is None or self.delivery is None or not self.may_send:
            return parts
        positions = self.delivery.news(riding or bool(parts))
        if positions is not None:
            parts.append(Delivered(self.slot, positions))
        unix_ms = self.heartbeats.news(now) if riding or parts else None
        if unix_ms is not None:
            parts.append(CsmsTime(self.slot, unix_ms))
        return parts

    # --- time

    def beat(self, now: float, out: list[Effect]) -> None:
        """Send a Heartbeat if one is due; the station must be known to be alive."""
        due_at = self.heartbeats.due_at
        if self.delivery is not None and self.socket_open and due_at is not None and now >= due_at:
            self.heartbeats.put(now)
            self.outgoing.add(OutgoingCall(None, HEARTBEAT, now + self._call_timeout_s, Turn.PROMPT))
            self.put_calls(now, out)

    def expire(self, now: float, out: list[Effect]) -> None:
        super().expire(now, out)
        self._guard.expire(now, out)
        self.put_calls(now, out)

    def next_deadline(self) -> float | None:
        return earlier(super().next_deadline(), self._guard.deadline)

    def silent_csms(self, now: float, timeout_s: float, out: list[Effect]) -> bool:
        """Give up the outstanding CALL if it is unanswered; true if nothing else came either, and the socket should go."""
        call = self.outgoing.take_unanswered(now)
        if call is None:
            return False
        self._call_dropped(call)
        out.append(self._note(Level.WARNING, "the CSMS did not answer", action=call.message.action))
        silent = now - self._csms_heard_at >= timeout_s
        if call.stored is not None and silent:
            self._again(call, now)
        elif call.stored is not None:
            self._failed(call, call.stored, "", "", now, out)
        if silent:
            return True
        self.put_calls(now, out)
        return False
