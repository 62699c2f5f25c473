"""Plays of the edge's machine with an outbox: what it answers itself, when that leaves, and what is never overtaken (rules R1 to R9)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import offers
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.core.edge_station import STORE_PAUSE_S, TRIGGERED_S
from ocppress_gateway.core.events import (
    AdmitStation,
    CloseLink,
    CloseStation,
    DistrustOutbox,
    ForgetStored,
    Handling,
    LinkClosed,
    LinkOpened,
    LoadStored,
    Observe,
    OpenLink,
    RefuseStation,
    RememberStation,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
    StoreMessage,
    Watch,
)
from ocppress_gateway.core.limits import (
    CALLS_OPEN_MAX,
    LANES_MESSAGES_MAX,
    STATIONS_PER_EDGE_MAX,
    STORED_IN_FLIGHT_MAX,
    STORED_IN_MEMORY_TEXT_MAX,
)
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Ack,
    Attach,
    CsmsTime,
    Delivered,
    Detach,
    Hello,
    KnownStation,
    StationWelcome,
    Verdict,
    Welcome,
)
from ocppress_gateway.core.policy import NO_OVERRIDES, Overrides, is_transaction
from ocppress_gateway.core.repeats import fingerprint
from ocppress_gateway.core.stored import (
    Lane,
    Loaded,
    NotStored,
    OutboxOpened,
    OutboxTrouble,
    StationRecord,
    Stored,
    StoredMessage,
)
from ocppress_gateway.core.suppression import SuppressionSettings
from tests.support.playbook import Carried, Link, Play

SETTINGS = EdgeSettings(
    edge="edge",
    codec=CodecName.VERBATIM,
    linger_s=0.0,
    station_timeout_s=60.0,
    command_timeout_s=30.0,
    upgrade_wait_s=8.0,
    link_grace_s=60.0,
    reconnect_min_s=1.0,
    reconnect_max_s=20.0,
    outbox=True,
)
CODECS = sorted(((str(name), print_) for name, print_ in offers()), key=lambda offer: offer[0] != SETTINGS.codec)
INCARNATION = b"outbox-1"
DELAY_S = 300.0
V16, V201 = OcppVersion.V16, OcppVersion.V201
NOON = "2026-01-01T12:00:00Z"
EPOCH = 7


class Fixed:
    """A plan that a test sets."""

    def __init__(self) -> None:
        self.delay: float | None = DELAY_S
        self.steered: list[str] = []
        self.transactions: list[int] = []

    def delay_s(self, identity: str, now: float) -> float | None:
        return self.delay

    def smart_charging(self, identity: str, now: float) -> None:
        self.steered.append(identity)

    def charging(self, identity: str, transactions: int) -> None:
        self.transactions.append(transactions)


class Edge(Play):
    """An edge with an outbox, its link just greeted."""

    def __init__(
        self,
        *records: StationRecord,
        overrides: Overrides = NO_OVERRIDES,
        suppression: SuppressionSettings | None = None,
        station_grace_s: float = 0.0,
        drain_s: float = 0.0,
        serves: bool = False,
    ) -> None:
        settings = replace(
            SETTINGS,
            overrides=overrides,
            suppression=suppression,
            station_grace_s=station_grace_s,
            drain_s=drain_s,
            serves_offline=serves,
        )
        self.plan = Fixed()
        machine = EdgeMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes(count), freshness=self.plan)
        super().__init__(machine, Side.EDGE)
        self.edge = machine
        self.play([("tick", 100.0), ("out", []), ("in", OutboxOpened(INCARNATION, records)), ("out", [OpenLink(1)])])
        self.link_up(1)

    def link_up(self, link: int, known: Sequence[KnownStation] = (), welcomes: Sequence[StationWelcome] = ()) -> None:
        hello = Hello(PROTOCOL_VERSION, "edge", CODECS, list(known), INCARNATION)
        self.play([("in", LinkOpened(link)), ("out", [Link(link, hello)])])
        self.greeted(link)
        self.play([("far", Welcome("verbatim", list(welcomes)))])

    def arrive(
        self,
        socket: int = 7,
        attachment: int = 1,
        *,
        version: OcppVersion = V16,
        identity: str = "CP001",
        slot: int = 0,
        sent: tuple[int, int] = (0, 0),
        known: tuple[int, int] | None = None,
        delivered: tuple[int, int] = (0, 0),
        heartbeat_s: int = 0,
    ) -> None:
        """A station is admitted; the edge knows that `known` (by default what it has `sent`) was answered, the cloud that `delivered` was."""
        name = version.subprotocol
        asked = Attach(slot, attachment, identity, [name], None, 0, heartbeat_s, sent, sent if known is None else known)
        self.play([("in", StationArrived(socket, identity, (name,))), ("out", [Link(self.link, asked)])])
        self.channel(slot, version, EPOCH + attachment)
        self.play([("far", Verdict(slot, attachment, 101, version.value, EPOCH + attachment, "", delivered))])

    def boot(self, *, status: str = "Accepted", interval_s: int = 300, call: int = 0) -> None:
        """A BootNotification is answered; the CSMS's clock says it's noon."""
        answer = f'{{"status":"{status}","interval":{interval_s},"currentTime":"{NOON}"}}'
        accepted = status == "Accepted"
        self.play(
            [
                ("in", StationText(7, '[2,"boot","BootNotification",{}]')),
                ("out", [Link(self.link, Carried(0, '2:"BootNotification",{}'))]),
                ("far", Carried(0, f"3:{answer}", call=call)),
                ("out", [RememberStation("CP001", accepted, interval_s), SendStation(7, f'[3,"boot",{answer}]')]),
            ]
        )

    def keep(self, message_id: str, body: str, ticket: int, position: int, version: OcppVersion = V16, *, urgent: bool = False) -> None:
        """A CALL is stored at once, and answered."""
        self.play(
            [
                ("in", said(message_id, body)),
                ("out", [store(ticket, body, version, urgent=urgent)]),
                ("in", Stored(ticket, position)),
                ("out", [answered(message_id)]),
            ]
        )


def booted(version: OcppVersion = V16, **settings: object) -> Edge:
    """An edge with a station that the CSMS has accepted; its first CALL has been number 0."""
    play = Edge(**settings)  # type: ignore[arg-type]
    play.arrive(version=version)
    play.play([("out", [AdmitStation(7, version.subprotocol)])])
    play.boot()
    return play


def said(message_id: str, body: str, socket: int = 7) -> StationText:
    return StationText(socket, f'[2,"{message_id}",{body}]')


def answered(message_id: str, payload: str = "{}", socket: int = 7) -> SendStation:
    return SendStation(socket, f'[3,"{message_id}",{payload}]')


def in_outbox(body: str, version: OcppVersion = V16, position: int = 0, *, urgent: bool = False, identity: str = "CP001") -> StoredMessage:
    message = Message(MessageType.CALL, action_of(MessageType.CALL, body), body)
    lane, known = (Lane.ORDERED, fingerprint(message)) if is_transaction(message) else (Lane.EXPRESS, b"")
    return StoredMessage(identity, lane, position, version.value, body, urgent, known, 0.0)


def store(ticket: int, body: str, version: OcppVersion = V16, *, urgent: bool = False) -> StoreMessage:
    return StoreMessage(ticket, in_outbox(body, version, urgent=urgent))


def meter(number: int, fill: int = 0) -> str:
    return f'"MeterValues",{{"transactionId":7,"n":{number},"fill":"{"x" * fill}"}}'


def idle_meter(number: int) -> str:
    return f'"MeterValues",{{"connectorId":1,"n":{number}}}'


def updated(reason: str, more: str = "") -> str:
    return f'"TransactionEvent",{{"eventType":"Updated","triggerReason":"{reason}"{more}}}'


def up(*bodies: str, stored: bool = True) -> Carried:
    return Carried(0, *(f"2:{body}" for body in bodies), stored=stored)


STOP = '"StopTransaction",{"transactionId":7}'
STATUS = '"StatusNotification",{"connectorId":1,"status":"Charging"}'
RECORD = StationRecord("CP001", "1.6", (0, 0), (0, 0), True, 300, ())


# --- which messages (section 3's table, and the operator's overrides)


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (V16, meter(1)),
        (V16, idle_meter(1)),
        (V16, '"FirmwareStatusNotification",{"status":"Idle"}'),
        (V201, '"NotifyReport",{"seqNo":0}'),
        (V201, updated("MeterValuePeriodic")),
        (V201, updated("MeterValueClock")),
    ],
)
def test_what_the_csms_has_nothing_to_say_to_is_stored_answered_and_sent_when_it_is_due(version: OcppVersion, body: str) -> None:
    play = booted(version)
    play.keep("m", body, 1, 1, version)
    play.play([("tick", DELAY_S - 0.1), ("out", []), ("tick", 0.1), ("out", [Link(1, up(body))])])
    assert play.edge.counters.answered_early == 1


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (V16, '"Authorize",{"idTag":"A"}'),
        (V16, '"StartTransaction",{}'),
        (V16, STOP),
        (V16, '"DataTransfer",{"vendorId":"x"}'),
        (V16, '"UpdateFirmware",{}'),
        (V201, '"TransactionEvent",{"eventType":"Started","triggerReason":"CablePluggedIn"}'),
        (V201, '"TransactionEvent",{"eventType":"Ended","triggerReason":"MeterValuePeriodic"}'),
        (V201, updated("Trigger")),
        (V201, updated("MeterValuePeriodic", ',"idToken":{"idToken":"A","type":"Central"}')),
        (V201, '"SignCertificate",{}'),
        (V201, '"Get15118EVCertificate",{}'),
        (V201, '"CostUpdated",{}'),
    ],
)
def test_everything_else_waits_for_the_csms(version: OcppVersion, body: str) -> None:
    play = booted(version)
    play.play(
        [
            ("in", said("m", body)),
            ("out", [Link(1, up(body, stored=False))]),
            ("far", Carried(0, '3:{"a":1}', call=1)),
            ("out", [answered("m", '{"a":1}')]),
        ]
    )


def test_the_operators_overrides() -> None:
    play = booted(V201, overrides=Overrides(relay=frozenset({"NotifyReport", "Heartbeat"}), answer=frozenset({"TransactionEvent"})))
    play.play(
        [
            ("in", said("r", '"NotifyReport",{}')),
            ("in", said("h", '"Heartbeat",{}')),
            ("out", [Link(1, up('"NotifyReport",{}', stored=False)), Link(1, up('"Heartbeat",{}', stored=False))]),
        ]
    )
    play.keep("u", updated("Trigger"), 1, 1, V201)


def test_transparent_answers_nothing() -> None:
    play = booted()
    play.plan.delay = None
    play.play(
        [
            ("in", said("m", meter(1))),
            ("in", said("h", '"Heartbeat",{}')),
            ("out", [Link(1, up(meter(1), stored=False)), Link(1, up('"Heartbeat",{}', stored=False))]),
        ]
    )


# --- R2: only after the CSMS has accepted the station


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_no_early_answer_before_or_after_a_boot_that_was_not_accepted(status: str) -> None:
    play = Edge()
    play.arrive()
    play.play(
        [
            ("in", said("m", meter(1))),
            ("in", said("h", '"Heartbeat",{}')),
            ("out", [AdmitStation(7, "ocpp1.6"), Link(1, up(meter(1), stored=False)), Link(1, up('"Heartbeat",{}', stored=False))]),
        ]
    )
    play.boot(call=2)
    play.keep("n", meter(2), 1, 1)
    play.play([("in", said("i", '"Heartbeat",{}')), ("out", [answered("i", f'{{"currentTime":"{NOON}"}}')])])
    # It boots again, and what waited goes with that.
    play.play([("in", StationText(7, '[2,"boot","BootNotification",{}]'))])
    play.play([("out", [Link(1, Carried(0, '2:"BootNotification",{}'), up(meter(2)))])])
    answer = f'{{"status":"{status}","interval":10}}'
    play.play(
        [
            ("far", Carried(0, f"3:{answer}", call=3)),
            ("out", [RememberStation("CP001", False, 10), SendStation(7, f'[3,"boot",{answer}]')]),
            ("in", said("o", meter(3))),
            ("in", said("j", '"Heartbeat",{}')),
            ("out", [Link(1, up(meter(3), stored=False)), Link(1, up('"Heartbeat",{}', stored=False))]),
        ]
    )


@pytest.mark.parametrize("accepted", [True, False])
def test_after_a_restart_the_outbox_remembers_whether_the_csms_had_accepted(accepted: bool) -> None:
    play = Edge(replace(RECORD, accepted=accepted))
    play.arrive(heartbeat_s=300 if accepted else 0)
    play.play([("out", [AdmitStation(7, "ocpp1.6")]), ("in", said("m", meter(1)))])
    play.play([("out", [store(1, meter(1))] if accepted else [Link(1, up(meter(1), stored=False))])])


def test_a_station_that_the_csms_rejected_gets_no_heartbeats_made_for_it() -> None:
    play = Edge(replace(RECORD, accepted=False, heartbeat_interval_s=30))
    play.arrive(heartbeat_s=0)


def test_an_error_to_a_boot_is_no_acceptance() -> None:
    play = booted()
    play.play(
        [
            ("in", StationText(7, '[2,"b","BootNotification",{}]')),
            ("far", Carried(0, '4:"InternalError","",{}', call=1)),
            (
                "out",
                [
                    Link(1, Carried(0, '2:"BootNotification",{}')),
                    RememberStation("CP001", False, 300),
                    SendStation(7, '[4,"b","InternalError","",{}]'),
                ],
            ),
            ("in", said("m", meter(1))),
            ("out", [Link(1, up(meter(1), stored=False))]),
        ]
    )


# --- stored before it is answered; the disk's faults


def test_the_answer_waits_for_the_disk_and_so_does_the_link() -> None:
    booted().play(
        [
            ("in", said("m", meter(1))),
            ("out", [store(1, meter(1))]),
            ("tick", 59.0),
            ("out", []),
            ("in", Stored(1, 1)),
            ("out", [answered("m")]),
            # Given up by its station: answered all the same, for that it may ignore.
            ("in", said("n", meter(2))),
            ("tick", 61.0),
            ("in", Stored(2, 2)),
            ("out", [store(2, meter(2)), answered("n")]),
        ]
    )


def test_what_the_disk_does_not_take_is_relayed_within_its_time_and_the_next_messages_too() -> None:
    play = booted()
    play.play(
        [
            ("in", said("m", meter(1))),
            ("tick", 2.0),
            ("in", NotStored(1, "disk full")),
            ("out", [store(1, meter(1)), Link(1, up(meter(1), stored=False))]),
            ("in", said("n", meter(2))),
            ("out", [Link(1, up(meter(2), stored=False))]),
            ("far", Carried(0, "3:{}", call=1)),
            ("out", [answered("m")]),
            ("tick", STORE_PAUSE_S),
            ("in", said("o", meter(3))),
            ("out", [store(2, meter(3))]),
        ]
    )
    assert play.noted("the outbox takes nothing, stations keep what is new")


def test_what_was_not_stored_keeps_its_deadline() -> None:
    play = booted(serves=True)
    play.play([("in", LinkClosed(1, "lost")), ("in", said("m", meter(1))), ("tick", 59.0), ("in", NotStored(1, "x")), ("tick", 2.0)])
    assert play.edge.counters.calls_over_time == 1
    play = booted()
    play.play([("in", said("m", meter(1))), ("tick", 61.0), ("out", [store(1, meter(1))]), ("in", NotStored(1, "x")), ("out", [])])
    assert play.edge.counters.calls_over_time == 1


def test_what_was_not_stored_of_a_station_that_has_gone_is_the_stations_to_repeat() -> None:
    play = booted(station_grace_s=20.0, drain_s=20.0)
    play.play(
        [
            ("in", said("m", meter(1))),
            ("out", [store(1, meter(1))]),
            ("in", StationGone(7, "lost")),
            ("in", NotStored(1, "x")),
            ("tick", 19.9),
            ("out", []),
            ("tick", 0.1),
            ("out", [Link(1, Detach(0, 1))]),
        ]
    )


def test_while_the_outbox_is_in_trouble_everything_is_relayed() -> None:
    play = booted()
    play.play(
        [
            ("in", OutboxTrouble("slow")),
            ("in", said("m", meter(1))),
            ("out", [Link(1, up(meter(1), stored=False))]),
            ("in", OutboxTrouble(None)),
            ("in", said("n", meter(2))),
            ("out", [store(1, meter(2))]),
        ]
    )


# --- R5 and company


def test_urgent_messages_leave_within_two_seconds_and_take_the_others_along() -> None:
    play = booted()
    play.keep("m", meter(1), 1, 1)
    play.keep("s", STATUS, 2, 1, urgent=True)
    play.play([("tick", 1.9), ("out", []), ("tick", 0.1), ("out", [Link(1, up(STATUS, meter(1)))])])


def test_a_change_of_charging_state_is_urgent() -> None:
    play = booted(V201)
    body = updated("ChargingStateChanged")
    play.keep("c", body, 1, 1, V201, urgent=True)
    play.play([("tick", 2.0), ("out", [Link(1, up(body))])])


def test_whatever_leaves_takes_along_what_waits_and_each_has_its_own_time() -> None:
    play = booted()
    play.keep("m", meter(1), 1, 1)
    play.play([("tick", 100.0), ("out", [])])
    play.keep("n", meter(2), 2, 2)
    play.play([("tick", DELAY_S - 100.0), ("out", [Link(1, up(meter(1), meter(2)))])])
    play.keep("o", meter(3), 3, 3)
    play.plan.delay = 5.0
    play.keep("p", meter(4), 4, 4)
    play.play([("tick", 5.0), ("out", [Link(1, up(meter(3), meter(4)))])])
    play.keep("q", meter(5), 5, 5)
    play.play([("in", said("a", '"Authorize",{}')), ("out", [Link(1, up('"Authorize",{}', stored=False), up(meter(5)))])])


def test_a_plan_finer_than_two_seconds_is_finer_for_urgent_messages_too() -> None:
    play = booted()
    play.plan.delay = 1.0
    play.keep("s", STATUS, 1, 1, urgent=True)
    play.play([("tick", 1.0), ("out", [Link(1, up(STATUS))])])


# --- R4: order


def test_what_is_relayed_of_a_transaction_never_overtakes_what_is_stored_or_about_to_be() -> None:
    play = booted()
    play.keep("m", meter(1), 1, 1)
    play.play(
        [
            # A pipelining station: the second is not on disk yet when the third comes.
            ("in", said("n", meter(2))),
            ("in", said("s", STOP)),
            ("out", [store(2, meter(2)), Link(1, up(meter(1)))]),
            ("in", Stored(2, 2)),
            ("out", [answered("n"), Link(1, up(meter(2)), up(STOP, stored=False))]),
        ]
    )


def test_what_could_not_be_stored_keeps_its_place() -> None:
    play = booted()
    play.play(
        [
            ("in", said("m", meter(1))),
            ("in", said("n", meter(2))),
            ("in", said("o", meter(3))),
            ("out", [store(1, meter(1)), store(2, meter(2)), store(3, meter(3))]),
            ("in", NotStored(2, "full")),
            ("out", []),
            ("in", Stored(1, 1)),
            ("in", Stored(3, 2)),
            ("out", [answered("m"), Link(1, up(meter(1)), up(meter(2), stored=False)), answered("o")]),
            ("tick", DELAY_S),
            ("out", [Link(1, up(meter(3)))]),
        ]
    )


def test_who_is_waited_for_overtakes_even_what_the_disk_holds_up() -> None:
    booted().play(
        [
            ("in", said("s", STATUS)),
            ("in", said("m", meter(1))),
            ("in", said("a", '"Authorize",{}')),
            ("out", [store(1, STATUS, urgent=True), store(2, meter(1)), Link(1, up('"Authorize",{}', stored=False))]),
        ]
    )


def test_a_status_never_overtakes_an_older_one() -> None:
    later = STATUS.replace("Charging", "Available")
    play = booted()
    play.play(
        [
            ("in", said("s", STATUS)),
            ("in", OutboxTrouble("slow")),
            ("in", said("t", later)),
            ("out", [store(1, STATUS, urgent=True)]),
            ("in", Stored(1, 1)),
            ("out", [answered("s"), Link(1, up(STATUS), up(later, stored=False))]),
        ]
    )


# --- the window, and a backlog on disk


def test_no_more_than_the_window_is_unanswered_and_relays_go_on() -> None:
    play = booted()
    sent: list[str] = []
    for number in range(1, STORED_IN_FLIGHT_MAX + 11):
        play.play([("in", said(f"{number}", idle_meter(number))), ("in", Stored(number, number))])
    play.play([("tick", DELAY_S)])
    for effect in play.effects():
        if isinstance(effect, Link):
            sent += [text for part in effect.parts if isinstance(part, Carried) for text in part.texts]
    assert sent == [f"2:{idle_meter(number)}" for number in range(1, STORED_IN_FLIGHT_MAX + 1)]
    play.play(
        [
            ("tick", 1000.0),
            ("in", said("a", '"Authorize",{}')),
            ("out", [Link(1, up('"Authorize",{}', stored=False))]),
            ("far", Delivered(0, (4, 0))),
            (
                "out",
                [
                    ForgetStored("CP001", Lane.EXPRESS, 4),
                    Link(1, up(*map(idle_meter, range(STORED_IN_FLIGHT_MAX + 1, STORED_IN_FLIGHT_MAX + 5)))),
                ],
            ),
            ("far", Delivered(0, (3, 0))),
            ("out", []),
            ("far", Delivered(0, (STORED_IN_FLIGHT_MAX + 6, 0))),
            ("out", [CloseLink(1, "protocol error")]),
        ]
    )


def test_a_backlog_waits_on_disk_and_is_read_in_slices() -> None:
    play = booted()
    play.play([("in", LinkClosed(1, "lost")), ("out", [])])
    bodies = [meter(number, 18_000) for number in range(1, 21)]
    for number, body in enumerate(bodies, start=1):
        play.play([("in", said(f"{number}", body)), ("in", Stored(number, number))])
        play.effects()
    waiting = play.edge._stations["CP001"].lanes
    assert waiting._stored_text < 9 * 18_000
    assert waiting.undelivered == 20
    # The newest go in memory again only behind the range.
    play.play([("tick", 2.0), ("out", [OpenLink(2)])])
    known = KnownStation(0, "CP001", 1, EPOCH + 1, True, 1, 1)
    play.link_up(2, [known], [StationWelcome(EPOCH + 1, True, True, 1)])
    got: list[str] = []
    asked: list[LoadStored] = []

    def take() -> None:
        for effect in play.effects():
            if isinstance(effect, Link):
                got.extend(text[2:] for part in effect.parts if isinstance(part, Carried) for text in part.texts)
            elif isinstance(effect, LoadStored):
                asked.append(effect)

    play.play([("tick", DELAY_S)])
    take()
    play.play([("far", Ack(0, play._channels[0].received))])
    take()
    slices = 0
    while asked:
        wanted = asked.pop()
        slices += 1
        messages = tuple(in_outbox(bodies[at - 1], position=at) for at in range(wanted.after + 1, min(wanted.after + 4, 21)))
        play.play([("in", Loaded("CP001", Lane.ORDERED, messages))])
        take()
        for _ in range(30):  # the rest of the slice, a frame at a time
            play.play([("far", Ack(0, play._channels[0].received))])
            take()
    assert got == bodies
    assert slices >= 4


def test_slices_that_nobody_waits_for_any_more_change_nothing() -> None:
    record = replace(RECORD, newest=(0, 3))
    play = Edge(record)
    play.arrive(heartbeat_s=300)
    play.play(
        [
            ("out", [AdmitStation(7, "ocpp1.6"), LoadStored("CP001", Lane.ORDERED, 0, STORED_IN_MEMORY_TEXT_MAX // 2)]),
            ("in", Loaded("CP001", Lane.EXPRESS, (in_outbox(STATUS, position=1),))),
            ("in", Loaded("CP009", Lane.ORDERED, ())),
            ("out", []),
            ("in", Loaded("CP001", Lane.ORDERED, (in_outbox(meter(1), position=1), in_outbox(meter(2), position=2)))),
            ("out", [Link(1, up(meter(1), meter(2))), LoadStored("CP001", Lane.ORDERED, 2, STORED_IN_MEMORY_TEXT_MAX // 2)]),
            ("in", Loaded("CP001", Lane.ORDERED, (in_outbox(meter(2), position=2),))),
            ("out", [LoadStored("CP001", Lane.ORDERED, 2, STORED_IN_MEMORY_TEXT_MAX // 2)]),
            ("in", Loaded("CP001", Lane.ORDERED, (in_outbox(meter(3), position=3),))),
            ("in", Loaded("CP001", Lane.ORDERED, (in_outbox(meter(3), position=3),))),
            ("out", [Link(1, up(meter(3)))]),
        ]
    )


# --- positions: what a new epoch sends again


@pytest.mark.parametrize("answered", [2, 3, 5])
def test_after_a_restart_it_is_sent_from_where_the_csms_has_answered(answered: int) -> None:
    play = Edge(replace(RECORD, delivered=(0, 2), newest=(0, 5)))
    play.arrive(sent=(0, 2), delivered=(0, answered), heartbeat_s=300)
    wanted = [] if answered == 5 else [LoadStored("CP001", Lane.ORDERED, answered, STORED_IN_MEMORY_TEXT_MAX // 2)]
    news = [] if answered == 2 else [ForgetStored("CP001", Lane.ORDERED, answered)]
    play.play([("out", [*news, AdmitStation(7, "ocpp1.6"), *wanted])])
    rest = [in_outbox(meter(number), position=number) for number in range(answered + 1, 6)]
    if rest:
        play.play([("in", Loaded("CP001", Lane.ORDERED, tuple(rest))), ("out", [Link(1, up(*(one.body for one in rest)))])])
    play.keep("m", meter(6), 1, 6)
    play.play([("far", Delivered(0, (0, 5))), ("out", [] if answered == 5 else [ForgetStored("CP001", Lane.ORDERED, 5)])])
    play.play([("tick", DELAY_S), ("out", [Link(1, up(meter(6)))])])


def test_an_outbox_that_has_gone_back_in_time_is_not_used_any_more() -> None:
    """A backup that was put back, or a disk that lied: its next positions are the cloud's old ones."""
    play = Edge(replace(RECORD, delivered=(0, 2), newest=(0, 5)))
    play.arrive(sent=(0, 2), delivered=(0, 6), heartbeat_s=300)
    reason = "the cloud has had position 6 of CP001, and 5 is the newest here"
    play.play([("out", [DistrustOutbox(reason), AdmitStation(7, "ocpp1.6")])])


def test_an_epoch_that_was_lost_is_sent_again_and_nothing_twice_at_once() -> None:
    play = booted()
    for number in (1, 2, 3):
        play.keep(f"{number}", meter(number), number, number)
    play.play([("tick", DELAY_S), ("out", [Link(1, up(meter(1), meter(2), meter(3)))])])
    play.keep("4", meter(4), 4, 4)
    play.play([("far", Delivered(0, (0, 1))), ("out", [ForgetStored("CP001", Lane.ORDERED, 1)])])
    # The cloud dies; the next one knows from its store that the CSMS has had two.
    play.play([("in", LinkClosed(1, "lost")), ("tick", 2.0), ("out", [OpenLink(2)])])
    play.link_up(2, [KnownStation(0, "CP001", 1, EPOCH + 1, True, 2, 1)], [StationWelcome(0, False, False, 0)])
    play.play([("out", [Link(2, Attach(0, 1, "CP001", ["ocpp1.6"], None, 0, 300, (0, 3), (0, 1)))])])
    play.channel(0, V16, 99)
    play.play(
        [
            ("far", Verdict(0, 1, 101, "1.6", 99, "", (0, 2))),
            ("out", [ForgetStored("CP001", Lane.ORDERED, 2), LoadStored("CP001", Lane.ORDERED, 2, STORED_IN_MEMORY_TEXT_MAX // 2)]),
            # It comes before the rest of its lane, whatever happens meanwhile.
            ("in", said("s", STOP)),
            ("out", []),
            ("in", Loaded("CP001", Lane.ORDERED, (in_outbox(meter(3), position=3),))),
            ("out", [Link(2, up(meter(3), meter(4)), up(STOP, stored=False))]),
            ("far", Delivered(0, (0, 4))),
            ("out", [ForgetStored("CP001", Lane.ORDERED, 4)]),
        ]
    )


def test_a_cloud_that_has_more_than_was_known_to_have_arrived() -> None:
    play = booted()
    for number in (1, 2):
        play.keep(f"{number}", meter(number), number, number)
    play.play([("tick", DELAY_S), ("out", [Link(1, up(meter(1), meter(2)))]), ("in", LinkClosed(1, "lost")), ("tick", 2.0)])
    play.play([("out", [OpenLink(2)])])
    play.link_up(2, [KnownStation(0, "CP001", 1, EPOCH + 1, True, 2, 1)], [StationWelcome(0, False, False, 0)])
    play.play([("out", [Link(2, Attach(0, 1, "CP001", ["ocpp1.6"], None, 0, 300, (0, 2), (0, 0)))])])
    play.channel(0, V16, 99)
    play.play([("far", Verdict(0, 1, 101, "1.6", 99, "", (0, 2))), ("out", [ForgetStored("CP001", Lane.ORDERED, 2)])])
    play.keep("3", meter(3), 3, 3)
    play.play([("tick", DELAY_S), ("out", [Link(2, up(meter(3)))])])


def test_messages_of_a_version_that_the_station_spoke_before_go_in_the_lane_where_they_were_counted() -> None:
    play = Edge(replace(RECORD, newest=(0, 1)))
    play.arrive(version=V201, heartbeat_s=300)
    play.play(
        [
            ("out", [AdmitStation(7, "ocpp2.0.1"), LoadStored("CP001", Lane.ORDERED, 0, STORED_IN_MEMORY_TEXT_MAX // 2)]),
            ("in", Loaded("CP001", Lane.ORDERED, (in_outbox(meter(1), position=1),))),
            ("out", [Link(1, up(meter(1)))]),
            ("far", Delivered(0, (0, 1))),
            ("out", [ForgetStored("CP001", Lane.ORDERED, 1)]),
        ]
    )


# --- R9, R1: repeats


def test_a_repeat_while_it_is_being_stored_is_one_delivery_and_the_newest_is_answered() -> None:
    play = booted()
    play.play(
        [
            ("in", said("m", meter(1))),
            ("in", said("m", meter(1))),
            ("tick", 20.0),
            ("in", said("n", meter(1))),
            ("out", [store(1, meter(1))]),
            ("in", Stored(1, 1)),
            ("out", [answered("n")]),
            ("in", said("o", meter(1))),
            ("out", [answered("o")]),
            ("tick", DELAY_S),
            ("out", [Link(1, up(meter(1)))]),
        ]
    )
    assert play.edge.counters.repeats == 3


def test_a_repeat_while_it_is_being_stored_that_fails_is_relayed_once() -> None:
    booted().play(
        [
            ("in", said("m", meter(1))),
            ("in", said("n", meter(1))),
            ("in", NotStored(1, "x")),
            ("out", [store(1, meter(1)), Link(1, up(meter(1), stored=False))]),
            ("far", Carried(0, "3:{}", call=1)),
            ("out", [answered("n")]),
        ]
    )


def test_a_repeat_from_the_next_socket_is_the_same_message() -> None:
    play = booted(station_grace_s=20.0)
    play.play(
        [
            ("in", said("m", meter(1))),
            ("out", [store(1, meter(1))]),
            ("in", StationGone(7, "lost")),
            ("in", StationArrived(8, "CP001", ("ocpp1.6",))),
            ("out", [AdmitStation(8, "ocpp1.6")]),
            ("in", said("1", meter(1), socket=8)),
            ("out", []),
            ("in", Stored(1, 1)),
            ("out", [answered("1", socket=8)]),
        ]
    )


def test_after_a_restart_repeats_are_known_by_their_fingerprints() -> None:
    known = in_outbox(meter(1)).fingerprint
    play = Edge(replace(RECORD, delivered=(0, 1), newest=(0, 1), fingerprints=(known,)))
    play.arrive(sent=(0, 1), delivered=(0, 1), heartbeat_s=300)
    play.play([("in", said("m", meter(1))), ("out", [AdmitStation(7, "ocpp1.6"), answered("m")])])


def test_a_station_put_aside_for_others_keeps_what_it_was_answered_and_no_more() -> None:
    play = booted()
    play.keep("m", meter(1), 1, 1)
    answer = '{"transactionId":7}'
    play.play([("in", said("s", '"StartTransaction",{}'))])
    play.play([("far", Carried(0, f"3:{answer}", call=2)), ("in", StationGone(7, "left"))])
    play.effects()
    play.play([("tick", 0.0)])
    play.effects()
    for number in range(STATIONS_PER_EDGE_MAX):
        play.play([("in", StationArrived(100 + number, f"X{number}", ("ocpp1.6",)))])
        play.play([("far", Verdict(play.edge._stations[f"X{number}"].slot, 2 + number, 404, "", 0, "no"))])
        play.effects()
    assert "CP001" not in play.edge._stations
    attachment = 2 + STATIONS_PER_EDGE_MAX
    play.play([("in", StationArrived(7, "CP001", ("ocpp1.6",)))])
    slot = play.edge._stations["CP001"].slot
    play.effects()
    play.channel(slot, V16, 99)
    play.play(
        [
            ("far", Verdict(slot, attachment, 101, "1.6", 99, "", (0, 1))),
            ("in", said("m", meter(1))),
            ("in", said("s", '"StartTransaction",{}')),
            (
                "out",
                [
                    ForgetStored("CP001", Lane.ORDERED, 1),
                    AdmitStation(7, "ocpp1.6"),
                    answered("m"),
                    Link(1, Carried(slot, '2:"StartTransaction",{}')),
                ],
            ),
        ]
    )


def test_news_for_a_slot_that_has_another_station_now_is_nobodys() -> None:
    play = Edge()
    play.play([("in", StationArrived(7, "CP001", ("ocpp1.6",)))])
    play.effects()
    play.play([("far", Delivered(0, (9, 9))), ("far", CsmsTime(0, 1000)), ("out", [])])


def test_a_message_refused_for_good_is_answered_from_memory_most_of_the_time() -> None:
    play = booted()
    refusal = '"FormationViolation","no","x"'
    play.play([("in", said("0", STOP)), ("far", Carried(0, f"4:{refusal}", call=1))])
    play.play([("out", [Link(1, up(STOP, stored=False)), SendStation(7, f'[4,"0",{refusal}]')])])
    for number in range(1, 10):
        play.play([("in", said(f"{number}", STOP)), ("out", [SendStation(7, f'[4,"{number}",{refusal}]')])])
    assert play.noted("repeat answered from memory")
    play.play([("in", said("10", STOP)), ("out", [Link(1, up(STOP, stored=False))])])


# --- Heartbeat


def test_a_heartbeat_is_answered_here_once_the_csmss_clock_is_known() -> None:
    play = Edge(RECORD)
    play.arrive(heartbeat_s=300)
    play.play(
        [
            ("in", said("h", '"Heartbeat",{}')),
            ("out", [AdmitStation(7, "ocpp1.6"), Link(1, up('"Heartbeat",{}', stored=False))]),
            ("far", Carried(0, f'3:{{"currentTime":"{NOON}"}}', call=0)),
            ("out", [answered("h", f'{{"currentTime":"{NOON}"}}')]),
            ("tick", 3661.9),
            ("in", said("i", '"Heartbeat",{}')),
            ("out", [answered("i", '{"currentTime":"2026-01-01T13:01:01Z"}')]),
            ("far", CsmsTime(0, 1_000)),
            ("tick", 1.0),
            ("in", said("j", '"Heartbeat",{}')),
            ("out", [answered("j", '{"currentTime":"1970-01-01T00:00:02Z"}')]),
        ]
    )


def test_without_an_interval_the_csms_has_its_heartbeats_from_the_station() -> None:
    play = Edge()
    play.arrive()
    play.effects()
    play.boot(interval_s=0)
    play.play([("in", said("h", '"Heartbeat",{}')), ("out", [Link(1, up('"Heartbeat",{}', stored=False))])])


# --- R8


@pytest.mark.parametrize("action", ["TriggerMessage", "ExtendedTriggerMessage"])
def test_triggered_messages_go_at_once_behind_the_answer(action: str) -> None:
    play = booted()
    play.play(
        [
            ("far", Carried(0, f'2:"{action}",{{}}')),
            ("out", [SendStation(7, f'[2,"000000000000-1","{action}",{{}}]')]),
            ("in", StationText(7, '[3,"000000000000-1",{"status":"Accepted"}]')),
            ("out", [Link(1, Carried(0, '3:{"status":"Accepted"}', call=0))]),
        ]
    )
    play.play(
        [
            ("in", said("m", idle_meter(1))),
            ("in", Stored(1, 1)),
            ("out", [store(1, idle_meter(1)), answered("m"), Link(1, up(idle_meter(1)))]),
            # The CSMS wants to see the Heartbeat that it asked for.
            ("in", said("h", '"Heartbeat",{}')),
            ("out", [Link(1, up('"Heartbeat",{}', stored=False))]),
            ("tick", TRIGGERED_S),
        ]
    )
    play.effects()
    play.keep("n", idle_meter(2), 2, 2)
    play.play([("tick", 10.0), ("out", [])])


def test_a_trigger_that_the_station_refuses_changes_nothing() -> None:
    play = booted()
    play.play(
        [
            ("far", Carried(0, '2:"TriggerMessage",{}')),
            ("in", StationText(7, '[3,"000000000000-1",{"status":"Rejected"}]')),
        ]
    )
    play.effects()
    play.keep("m", meter(1), 1, 1)
    play.play([("tick", 10.0), ("out", [])])


@pytest.mark.parametrize(("status", "steered"), [("Accepted", ["CP001"]), ("Rejected", [])])
def test_a_profile_counts_only_if_the_station_takes_it(status: str, steered: list[str]) -> None:
    play = booted()
    profile = '{"connectorId":1,"csChargingProfiles":{"chargingProfilePurpose":"TxProfile"}}'
    play.play(
        [("far", Carried(0, f'2:"SetChargingProfile",{profile}')), ("in", StationText(7, f'[3,"000000000000-1",{{"status":"{status}"}}]'))]
    )
    assert play.plan.steered == steered


@pytest.mark.parametrize("waits", [True, False])
def test_the_transactions_status_tells_of_what_waits_here_and_flushes_it(waits: bool) -> None:
    play = booted(V201)
    if waits:
        play.keep("m", updated("MeterValuePeriodic"), 1, 1, V201)
    play.keep("s", '"NotifyReport",{}', 2 if waits else 1, 1, V201)
    play.play(
        [
            ("far", Carried(0, '2:"GetTransactionStatus",{}')),
            ("in", StationText(7, '[3,"000000000000-1",{"ongoingIndicator":true,"messagesInQueue":false}]')),
        ]
    )
    said_then = str(waits).lower()
    rest = ['"NotifyReport",{}', *([updated("MeterValuePeriodic")] if waits else [])]
    first = Carried(0, f'3:{{"ongoingIndicator":true,"messagesInQueue":{said_then}}}', *(f"2:{body}" for body in rest), stored=True)
    effects = play.effects()
    assert effects[0] == SendStation(7, '[2,"000000000000-1","GetTransactionStatus",{}]')
    assert isinstance(effects[1], Link)
    (carried,) = effects[1].parts
    assert isinstance(carried, Carried)
    assert carried.texts == first.texts


# --- a station that is away for a moment, and a link that is


def test_a_station_that_comes_back_in_time_costs_the_link_nothing() -> None:
    play = booted(station_grace_s=20.0)
    play.play(
        [
            ("in", StationGone(7, "lost")),
            ("tick", 19.0),
            ("in", StationArrived(8, "CP001", ("ocpp1.6",))),
            ("out", [AdmitStation(8, "ocpp1.6")]),
            ("tick", 100.0),
            ("in", said("1", '"Authorize",{}', socket=8)),
            ("out", [Link(1, up('"Authorize",{}', stored=False))]),
            ("in", StationGone(8, "lost")),
            ("tick", 20.0),
            ("out", [Link(1, Detach(0, 1))]),
        ]
    )


def test_somebody_else_with_its_name_has_to_ask() -> None:
    play = booted(station_grace_s=20.0)
    play.play(
        [
            ("in", StationGone(7, "lost")),
            ("in", StationArrived(8, "CP001", ("ocpp1.6",), "Basic eA==")),
            ("out", [Link(1, Detach(0, 1), Attach(0, 2, "CP001", ["ocpp1.6"], "Basic eA==", EPOCH + 1, 300))]),
        ]
    )


def test_before_the_cloud_is_told_that_a_station_has_gone_its_outbox_is_sent() -> None:
    play = booted(station_grace_s=20.0, drain_s=60.0)
    play.keep("m", meter(1), 1, 1)
    play.play([("in", StationGone(7, "lost")), ("tick", 19.9), ("out", []), ("tick", 0.1)])
    play.play([("out", [Link(1, up(meter(1))), Link(1, Detach(0, 1))])])
    # Also what is on its way to the disk still.
    play = booted(station_grace_s=20.0, drain_s=60.0)
    play.play([("in", said("m", meter(1))), ("in", StationGone(7, "lost")), ("tick", 30.0), ("out", [store(1, meter(1))])])
    play.play([("in", Stored(1, 1)), ("out", [Link(1, up(meter(1))), Link(1, Detach(0, 1))])])


def test_an_outbox_that_cannot_be_sent_does_not_keep_the_station_for_ever() -> None:
    play = booted(station_grace_s=20.0, drain_s=60.0)
    play.play([("in", said("m", meter(1))), ("in", StationGone(7, "lost")), ("tick", 59.9), ("out", [store(1, meter(1))])])
    play.play([("tick", 0.1), ("out", [Link(1, Detach(0, 1))])])


def test_without_a_grace_what_waits_is_sent_at_once() -> None:
    play = booted(drain_s=60.0)
    play.keep("m", meter(1), 1, 1)
    play.play([("in", StationGone(7, "lost")), ("out", [Link(1, up(meter(1))), Link(1, Detach(0, 1))])])


def test_a_mirror_closes_its_stations_and_turns_those_away_that_were_about_to_return() -> None:
    play = booted(station_grace_s=20.0, drain_s=1000.0)
    play.keep("m", meter(1), 1, 1)
    play.play([("in", LinkClosed(1, "lost")), ("tick", 50.0), ("in", StationGone(7, "lost"))])
    play.effects()
    play.play([("tick", 15.0), ("in", StationArrived(8, "CP001", ("ocpp1.6",)))])
    effects = play.effects()
    assert RefuseStation(8, 503, "the link is down") in effects
    assert AdmitStation(8, "ocpp1.6") not in effects


def test_a_station_that_is_served_offline_keeps_its_socket_and_its_early_answers() -> None:
    play = booted(serves=True)
    play.play([("in", LinkClosed(1, "lost")), ("tick", 8 * 3600.0)])
    assert not any(isinstance(effect, CloseStation) for effect in play.effects())
    play.keep("m", meter(1), 1, 1)
    play.play([("in", said("h", '"Heartbeat",{}')), ("out", [answered("h", '{"currentTime":"2026-01-01T20:00:00Z"}')])])


def test_what_is_over_time_while_the_link_is_down_does_not_fill_the_lanes() -> None:
    play = booted(serves=True)
    play.play([("in", LinkClosed(1, "lost"))])
    for number in range(LANES_MESSAGES_MAX):
        play.play([("in", said(f"{number}", '"Authorize",{}')), ("tick", 60.0)])
    assert len(play.edge._stations["CP001"].lanes) <= 1
    play.effects()
    play.keep("m", meter(1), 1, 1)


def test_a_flood_of_what_is_to_be_stored_stops_the_reading() -> None:
    play = booted()
    for number in range(CALLS_OPEN_MAX):
        play.play([("in", said(f"{number}", meter(number)))])
    assert len(play.edge._stations["CP001"].lanes) == CALLS_OPEN_MAX
    assert play.effects()[-1].__class__.__name__ == "PauseStation"
    for number in range(CALLS_OPEN_MAX):
        play.play([("in", Stored(number + 1, number + 1))])
    assert [type(effect).__name__ for effect in play.effects()].count("ResumeStation") == 1


# --- R9: what may be dropped


def voltage(value: str, more: str = "") -> str:
    sample = f'{{"value":"{value}","measurand":"Voltage"}}'
    return f'"MeterValues",{{"connectorId":1{more},"meterValue":[{{"timestamp":"{NOON}","sampledValue":[{sample}]}}]}}'


def test_unchanged_values_outside_a_transaction_are_answered_and_dropped_if_the_operator_wants_it() -> None:
    settings = SuppressionSettings(silence_s=900.0, bands={"Voltage": 2.0})
    play = booted(suppression=settings)
    play.keep("1", voltage("230"), 1, 1)
    play.play([("in", said("2", voltage("231"))), ("out", [answered("2")])])
    assert play.edge._stations["CP001"].suppressed == 1
    # What the CSMS asks for it gets.
    play.play([("far", Carried(0, '2:"TriggerMessage",{}')), ("in", StationText(7, '[3,"000000000000-1",{"status":"Accepted"}]'))])
    play.effects()
    play.play([("in", said("3", voltage("230"))), ("out", [store(2, voltage("230"))])])


@pytest.mark.parametrize(
    ("version", "steps"),
    [
        (V16, [('"StartTransaction",{}', '{"transactionId":7}'), (voltage("230", ',"transactionId":7'), None), (STOP, "{}")]),
        (V16, [('"StartTransaction",{}', '{"transactionId":7}'), (STOP, "{}")]),
        (V16, [(voltage("230", ',"transactionId":7'), None), (STOP, "{}")]),
        (
            V201,
            [
                (
                    f'"TransactionEvent",{{"eventType":"{kind}","triggerReason":"{reason}","transactionInfo":{{"transactionId":"T1"}}}}',
                    answer,
                )
                for kind, reason, answer in (
                    ("Started", "CablePluggedIn", "{}"),
                    ("Updated", "MeterValuePeriodic", None),
                    ("Ended", "EVDeparted", "{}"),
                )
            ],
        ),
    ],
)
def test_nothing_is_dropped_while_a_transaction_runs(version: OcppVersion, steps: list[tuple[str, str | None]]) -> None:
    """Its meter values needn't say that they are of one. `steps`: what the station says, and what the CSMS answers if that is relayed."""
    play = booted(version, suppression=SuppressionSettings(silence_s=90_000.0))
    station = play.edge._stations["CP001"]
    ids = itertools.count(1)
    calls = itertools.count(1)

    def idles() -> int:
        """How many of three equal messages are dropped."""
        before = station.suppressed
        for _ in range(3):
            say(voltage("230"))
        return station.suppressed - before

    def say(body: str, answer: str | None = None) -> None:
        call = next(calls) if answer is not None else 0
        play.play([("in", said(f"{next(ids)}", body))])
        for effect in play.effects():
            if isinstance(effect, StoreMessage):
                play.play([("in", Stored(effect.ticket, station.newest[effect.message.lane] + 1))])
                next(calls)
        if answer is not None:
            play.play([("far", Carried(0, f"3:{answer}", call=call))])
        play.effects()

    assert idles() == 2
    for body, answer in steps[:-1]:
        say(body, answer)
        assert idles() == 0
    assert play.plan.transactions[-1] == 1, "the plan knows of it"
    say(*steps[-1])
    assert idles() == 2, "it has ended"
    assert play.plan.transactions[-1] == 0


def test_what_could_not_be_stored_is_not_what_the_csms_knows() -> None:
    play = booted(suppression=SuppressionSettings(silence_s=900.0))
    play.play([("in", said("1", voltage("230"))), ("out", [store(1, voltage("230"))]), ("in", NotStored(1, "disk full"))])
    play.play([("out", [Link(1, up(voltage("230"), stored=False))]), ("tick", STORE_PAUSE_S)])
    play.play([("in", said("2", voltage("230"))), ("out", [store(2, voltage("230"))])])


def test_nothing_is_dropped_that_is_not_answered_here() -> None:
    settings = SuppressionSettings(silence_s=900.0)
    play = booted(suppression=settings, overrides=Overrides(relay=frozenset({"MeterValues"})))
    for number in range(2):
        play.play([("in", said(f"{number}", voltage("230"))), ("out", [Link(1, up(voltage("230"), stored=False))])])
    play = booted(suppression=settings)
    play.keep("kept", voltage("230"), 1, 1)
    play.play([("in", OutboxTrouble("slow"))])
    for number in range(2):
        play.effects()
        play.play([("in", said(f"{number}", voltage("230")))])
        (link,) = play.effects()
        assert isinstance(link, Link)
        assert link.parts[-1] == up(voltage("230"), stored=False)
    play = booted(suppression=settings)
    play.plan.delay = None
    for number in range(2):
        play.play([("in", said(f"{number}", voltage("230"))), ("out", [Link(1, up(voltage("230"), stored=False))])])


# --- somebody looks at what passes


def seen(up: bool, text: str, handling: Handling | None = None) -> Observe:
    return Observe("CP001", up, text, handling)


def test_who_watches_a_station_sees_both_sides_and_who_has_answered() -> None:
    play = booted()
    auth, reset = '"Authorize",{"idTag":"A"}', '"Reset",{}'
    play.play([("in", Watch("CP001", on=True)), ("out", [])])
    play.play(
        [
            ("in", said("m", meter(1))),
            ("out", [seen(True, said("m", meter(1)).text), store(1, meter(1))]),
            ("in", Stored(1, 1)),
            ("out", [answered("m"), seen(False, '[3,"m",{}]', Handling.EARLY)]),
            ("in", said("m2", meter(1))),
            (
                "out",
                [seen(True, said("m2", meter(1)).text), answered("m2"), seen(False, '[3,"m2",{}]', Handling.HERE)],
            ),
            ("in", said("a", auth)),
            ("out", [seen(True, said("a", auth).text), Link(1, up(auth, stored=False), up(meter(1)))]),
            ("far", Carried(0, '3:{"x":1}', call=1)),
            ("out", [answered("a", '{"x":1}'), seen(False, '[3,"a",{"x":1}]', Handling.RELAYED)]),
            ("far", Carried(0, f"2:{reset}")),
        ]
    )
    sent, shown = play.effects()
    assert isinstance(sent, SendStation)
    assert shown == seen(False, sent.text, Handling.RELAYED)
    play.play([("in", StationText(7, "{}"))])
    assert seen(True, "{}") in play.effects(), "what isn't OCPP-J, too"
    play.play([("in", Watch("CP001", on=False)), ("out", []), ("in", said("m3", meter(1))), ("out", [answered("m3")])])


def test_a_station_may_be_watched_before_it_comes() -> None:
    play = Edge()
    play.play([("in", Watch("CP001", on=True)), ("in", Watch("CP002", on=True)), ("in", Watch("CP002", on=False)), ("out", [])])
    play.arrive()
    play.play([("out", [AdmitStation(7, "ocpp1.6")])])
    play.play(
        [("in", said("a", '"Authorize",{}')), ("out", [seen(True, '[2,"a","Authorize",{}]'), Link(1, up('"Authorize",{}', stored=False))])]
    )
    play.arrive(8, 2, identity="CP002", slot=1)
    play.play([("out", [AdmitStation(8, "ocpp1.6")])])
    play.play([("in", said("a", '"Authorize",{}', 8)), ("out", [Link(1, Carried(1, '2:"Authorize",{}'))])])


def test_when_a_station_was_heard_last() -> None:
    play = Edge()
    play.arrive()
    play.effects()
    assert [one.heard_s for one in play.edge.view(play.now).stations] == [None], "its socket says nothing yet"
    play.boot()
    play.play([("tick", 100.0)])
    assert [one.heard_s for one in play.edge.view(play.now).stations] == [100.0]
    play.play([("in", said("h", '"Heartbeat",{}'))])
    assert [one.heard_s for one in play.edge.view(play.now).stations] == [0.0], "what is answered here counts, too"
