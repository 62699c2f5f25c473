"""Plays of the edge's machine: stations on one side, a far end without a cloud on the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import offers
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.edge import GREETING_TIMEOUT_S, STOP_FLUSH_S, EdgeMachine, EdgeSettings
from ocppress_gateway.core.events import (
    AdmitStation,
    CloseLink,
    CloseStation,
    CsmsOpened,
    Level,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkSent,
    Note,
    OpenLink,
    PauseStation,
    RefuseStation,
    ResumeStation,
    SendLink,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
    Stop,
    Tick,
)
from ocppress_gateway.core.limits import CALLS_OPEN_MAX, STATIONS_PER_EDGE_MAX
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Ack,
    Attach,
    Detach,
    Eject,
    FramePart,
    Goodbye,
    Hello,
    KnownStation,
    RenewedClock,
    Spoken,
    StationWelcome,
    Verdict,
    Welcome,
    read_parts,
    write_parts,
)
from ocppress_gateway.core.refused_upgrades import REFILL_S
from ocppress_gateway.core.session import CONTROLS_WAITING_MAX
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
)
CODECS = sorted(((str(name), print_) for name, print_ in offers()), key=lambda offer: offer[0] != SETTINGS.codec)
EPOCH = 1000
V16 = OcppVersion.V16
Steps = list[tuple[str, Any]]


def hello(*stations: KnownStation) -> Hello:
    return Hello(PROTOCOL_VERSION, "edge", CODECS, list(stations))


def attach(attachment: int, slot: int = 0, identity: str = "CP001", epoch: int = 0, version: str = "ocpp1.6") -> Attach:
    return Attach(slot, attachment, identity, [version], None, epoch)


def edge() -> Play:
    """An edge whose first link has just been greeted."""
    play = Play(EdgeMachine(SETTINGS, random=lambda: 0.5, random_bytes=lambda count: bytes(count)), Side.EDGE)
    play.play([("tick", 0.0), ("out", [OpenLink(1)]), ("in", LinkOpened(1)), ("out", [Link(1, hello())])])
    play.greeted(1)
    play.play([("far", Welcome("verbatim", [])), ("out", [])])
    return play


def arrive(play: Play, socket: int, attachment: int, slot: int = 0, identity: str = "CP001", version: OcppVersion = V16) -> None:
    """A station is admitted in an epoch of its own."""
    play.play(
        [
            ("in", StationArrived(socket, identity, (version.subprotocol,))),
            ("out", [Link(play.link, attach(attachment, slot, identity, version=version.subprotocol))]),
        ]
    )
    play.channel(slot, version, EPOCH + attachment)
    play.play(
        [
            ("far", Verdict(slot, attachment, 101, version.value, EPOCH + attachment, "")),
            ("out", [AdmitStation(socket, version.subprotocol)]),
        ]
    )


def with_station(version: OcppVersion = V16) -> Play:
    play = edge()
    arrive(play, 7, 1, version=version)
    return play


def call(message_id: str, action: str = "Authorize", payload: str = "{}", socket: int = 7) -> StationText:
    return StationText(socket, f'[2,"{message_id}","{action}",{payload}]')


# --- admission


def test_a_station_is_admitted_and_its_call_answered() -> None:
    with_station().play(
        [
            ("in", StationText(7, '[2, "x", "Authorize", {"idTag": "A"}]')),
            ("out", [Link(1, Carried(0, '2:"Authorize",{"idTag":"A"}'))]),
            ("far", Carried(0, '3:{"idTagInfo":{}}', call=0)),
            ("out", [SendStation(7, '[3,"x",{"idTagInfo":{}}]')]),
        ]
    )


def test_a_cloud_that_speaks_of_an_outbox_that_is_not_there_is_not_heeded() -> None:
    play = edge()
    play.play([("in", StationArrived(7, "CP001", ("ocpp1.6",))), ("out", [Link(1, attach(1))])])
    play.channel(0, V16, EPOCH)
    play.play([("far", Verdict(0, 1, 101, "1.6", EPOCH, "", (3, 4))), ("out", [AdmitStation(7, "ocpp1.6")])])


@pytest.mark.parametrize(("told", "status"), [(401, 401), (404, 404), (503, 503), (200, 502), (302, 502)])
def test_the_csms_refuses(told: int, status: int) -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6",), "Basic eA==")),
            ("out", [Link(1, Attach(0, 1, "CP001", ["ocpp1.6"], "Basic eA==", 0))]),
            ("far", Verdict(0, 1, told, "", 0, "no")),
            ("out", [RefuseStation(7, status, "no")]),
            ("in", StationGone(7, "refused")),
            ("in", call("1")),
            ("out", []),
        ]
    )
    arrive(play, 8, 2)


def test_no_common_subprotocol_is_found_at_once() -> None:
    edge().play([("in", StationArrived(7, "CP001", ("ocpp1.5", "soap"))), ("out", [AdmitStation(7, "")])])
    edge().play([("in", StationArrived(7, "CP001", ())), ("out", [AdmitStation(7, "")])])


@pytest.mark.parametrize("version", ["", "2.1", "9"])
def test_the_csms_chose_no_offered_subprotocol(version: str) -> None:
    edge().play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6", "soap", "ocpp2.0.1", "ocpp1.6"))),
            ("out", [Link(1, Attach(0, 1, "CP001", ["ocpp1.6", "ocpp2.0.1"], None, 0))]),
            ("far", Verdict(0, 1, 101, version, 0, "")),
            ("out", [AdmitStation(7, "")]),
        ]
    )


def test_thousands_of_subprotocols_and_odd_credentials_never_reach_the_link() -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6",) * 30_000)),
            ("out", [Link(1, attach(1))]),
            ("in", StationArrived(8, "CP002", ("ocpp1.6",), "Basic \udcff")),
            ("out", [RefuseStation(8, 400, "an Authorization header that isn't printable ASCII")]),
            ("in", StationArrived(9, "CP002", ("ocpp1.6",), "Basic eA==\r\nX: y")),
            ("out", [RefuseStation(9, 400, "an Authorization header that isn't printable ASCII")]),
        ]
    )


def test_without_a_link_nobody_is_admitted() -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6",))),
            ("out", [Link(1, attach(1))]),
            ("in", LinkClosed(1, "lost")),
            ("out", [RefuseStation(7, 503, "the link is down")]),
            ("in", StationArrived(8, "CP001", ("ocpp1.6",))),
            ("out", [RefuseStation(8, 503, "the link is down")]),
        ]
    )


def test_an_undecided_upgrade_ends_in_time() -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6",))),
            ("out", [Link(1, attach(1))]),
            ("tick", 7.9),
            ("out", []),
            ("tick", 0.1),
            ("out", [RefuseStation(7, 503, "the CSMS did not decide in time"), Link(1, Detach(0, 1))]),
            ("far", Verdict(0, 1, 101, "1.6", EPOCH, "")),
            ("out", []),
        ]
    )


def test_a_station_that_leaves_before_its_verdict() -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6",))),
            ("in", StationGone(7, "impatient")),
            ("out", [Link(1, attach(1)), Link(1, Detach(0, 1))]),
            ("far", Verdict(0, 1, 101, "1.6", EPOCH, "")),
            ("out", []),
        ]
    )
    arrive(play, 8, 2)


def test_the_newest_socket_of_an_identity_wins() -> None:
    play = with_station()
    play.play(
        [
            ("in", call("1")),
            ("out", [Link(1, Carried(0, '2:"Authorize",{}'))]),
            ("in", StationArrived(8, "CP001", ("ocpp1.6",))),
            (
                "out",
                [
                    CloseStation(7, 1001, "replaced by a newer connection of the same identity"),
                    Link(1, Detach(0, 1), attach(2, epoch=EPOCH + 1)),
                ],
            ),
            ("in", StationGone(7, "closed")),
            ("in", call("2")),
            ("far", Verdict(0, 2, 101, "1.6", EPOCH + 1, "")),
            ("out", [AdmitStation(8, "ocpp1.6")]),
            # The answer to what the old socket asked reaches nobody.
            ("far", Carried(0, "3:{}", call=0)),
            ("out", []),
            ("in", call("1", socket=8)),
            ("out", [Link(1, Carried(0, '2:"Authorize",{}'))]),
            ("far", Carried(0, "3:{}", call=1)),
            ("out", [SendStation(8, '[3,"1",{}]')]),
        ]
    )


def test_a_newcomer_with_the_same_credentials_gets_the_verdict_that_is_under_way() -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6",))),
            ("tick", 7.9),
            ("in", StationArrived(8, "CP001", ("ocpp1.6",))),
            ("out", [Link(1, attach(1)), RefuseStation(7, 503, "replaced by a newer connection of the same identity")]),
            ("in", StationGone(7, "refused")),
            ("tick", 7.9),
            ("far", Verdict(0, 1, 404, "", 0, "no")),
            ("out", [RefuseStation(8, 404, "no")]),
        ]
    )


def test_one_newcomer_for_another_while_undecided() -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6",), "Basic eA==")),
            ("in", StationArrived(8, "CP001", ("ocpp1.6",))),
            (
                "out",
                [
                    Link(1, Attach(0, 1, "CP001", ["ocpp1.6"], "Basic eA==", 0)),
                    RefuseStation(7, 503, "replaced by a newer connection of the same identity"),
                    Link(1, Detach(0, 1), attach(2)),
                ],
            ),
            ("in", StationGone(7, "refused")),
            ("far", Verdict(0, 1, 404, "", 0, "stale")),
            ("out", []),
        ]
    )


def test_more_stations_than_slots() -> None:
    play = edge()
    for number in range(STATIONS_PER_EDGE_MAX):
        arrive(play, 100 + number, number + 1, number, f"CP{number}")
    play.play(
        [
            ("in", StationArrived(7, "LATE", ("ocpp1.6",))),
            ("out", [RefuseStation(7, 503, f"more than {STATIONS_PER_EDGE_MAX} stations")]),
            ("in", StationGone(103, "left")),
            ("out", [Link(1, Detach(3, 4))]),
            ("in", StationArrived(8, "LATE", ("ocpp1.6",))),
            ("out", [Link(1, attach(65, 3, "LATE"))]),
            # A frame for the slot's earlier station, sent before the cloud heard of it: nobody's, and no reason to end the link.
            ("far", Carried(3, '2:"Reset",{}')),
            ("far", Ack(3, 0)),
            ("out", []),
        ]
    )


def test_stations_that_come_and_go_faster_than_the_link_can_tell() -> None:
    play = edge()
    machine = play.machine
    machine.step(StationArrived(1, "CP0", ("ocpp1.6",)), 0.0)  # this link message stays with the kernel
    statuses = []
    for number in range(CONTROLS_WAITING_MAX):
        # So slowly that the ration of questions isn't used up.
        effects = machine.step(StationArrived(number + 2, "CP0", ("ocpp1.6",), f"Basic {number}"), number * REFILL_S)
        statuses += [effect.reason for effect in effects if isinstance(effect, RefuseStation) and effect.socket == number + 2]
    assert set(statuses) == {"stations come and go faster than the link can tell"}


def test_detach_tells_the_cloud_and_voids_what_waits() -> None:
    play = with_station()
    play.play(
        [
            ("in", StationGone(7, "left")),
            ("out", [Link(1, Detach(0, 1))]),
            ("in", StationGone(7, "again")),
            ("far", Carried(0, '2:"Reset",{}')),
            ("far", Eject(0, 1, 1008, "late")),
            ("out", []),
        ]
    )


def test_eject_closes_the_stations_socket() -> None:
    with_station().play(
        [
            ("far", Eject(0, 9, 1008, "another attachment")),
            ("out", []),
            ("far", Eject(0, 1, 1008, "the CSMS refused")),
            ("out", [CloseStation(7, 1008, "the CSMS refused"), Link(1, Detach(0, 1))]),
        ]
    )


# --- messages


def test_ids_of_both_directions_are_apart() -> None:
    with_station().play(
        [
            ("in", call("1")),
            ("far", Carried(0, '2:"Reset",{"type":"Soft"}')),
            ("out", [Link(1, Carried(0, '2:"Authorize",{}')), SendStation(7, '[2,"000000000000-1","Reset",{"type":"Soft"}]')]),
            ("in", StationText(7, '[3,"1",{"not":"asked"}]')),
            ("out", []),
            ("in", StationText(7, '[3,"000000000000-1",{"status":"Accepted"}]')),
            ("out", [Link(1, Carried(0, '3:{"status":"Accepted"}', call=0))]),
            ("in", StationText(7, '[3,"000000000000-1",{"status":"Accepted"}]')),
            ("out", []),
            ("far", Carried(0, '4:"GenericError","",{}', call=0)),
            ("out", [SendStation(7, '[4,"1","GenericError","",{}]')]),
            ("far", Carried(0, "3:{}", call=0)),
            ("out", []),
        ]
    )


def test_a_repeat_of_an_open_id_is_swallowed_and_pipelined_answers_may_cross() -> None:
    with_station().play(
        [
            ("in", call("1")),
            ("in", call("1")),
            ("in", call("2", "DataTransfer")),
            ("out", [Link(1, Carried(0, '2:"Authorize",{}')), Link(1, Carried(0, '2:"DataTransfer",{}'))]),
            ("far", Carried(0, '3:{"n":2}', call=1)),
            ("far", Carried(0, '3:{"n":1}', call=0)),
            ("out", [SendStation(7, '[3,"2",{"n":2}]'), SendStation(7, '[3,"1",{"n":1}]')]),
        ]
    )


def test_one_command_at_a_time_and_none_after_its_time() -> None:
    play = with_station()
    play.play(
        [
            ("far", Carried(0, '2:"Reset",{"n":1}')),
            ("far", Carried(0, '2:"Reset",{"n":2}')),
            ("out", [SendStation(7, '[2,"000000000000-1","Reset",{"n":1}]')]),
            ("tick", 25.0),
            ("far", Carried(0, '2:"Reset",{"n":3}')),
            ("tick", 4.9),
            ("out", []),
            # The second's time is over, and the first has been unanswered for as long as a station may take.
            ("tick", 0.2),
            ("out", [SendStation(7, '[2,"000000000000-2","Reset",{"n":3}]')]),
            # A late answer is still the CSMS's to judge.
            ("in", StationText(7, '[3,"000000000000-1",{}]')),
            ("out", [Link(1, Carried(0, "3:{}", call=0))]),
        ]
    )
    assert play.noted("CALL dropped, its time is over")


def test_a_command_that_the_link_held_back_too_long_never_runs() -> None:
    play = with_station()
    late = play.frame(Carried(0, '2:"RemoteStartTransaction",{}'), life_s=30.0)
    play.play([("tick", 30.0), ("in", LinkMessage(1, late)), ("out", [])])
    assert play.noted("CALL dropped, its time is over")
    play.play([("far", Carried(0, '2:"Reset",{}')), ("out", [SendStation(7, '[2,"000000000000-1","Reset",{}]')])])


def test_a_late_answer_is_passed_on_and_one_after_reuse_of_its_id_is_not() -> None:
    with_station().play(
        [
            ("in", call("1")),
            ("in", call("2")),
            ("tick", 60.0),
            ("in", call("2", "DataTransfer")),
            (
                "out",
                [
                    Link(1, Carried(0, '2:"Authorize",{}')),
                    Link(1, Carried(0, '2:"Authorize",{}')),
                    Link(1, Carried(0, '2:"DataTransfer",{}')),
                ],
            ),
            ("far", Carried(0, '3:{"late":1}', call=0)),
            ("far", Carried(0, '3:{"late":2}', call=1)),
            ("out", [SendStation(7, '[3,"1",{"late":1}]')]),
            ("far", Carried(0, '3:{"n":2}', call=2)),
            ("out", [SendStation(7, '[3,"2",{"n":2}]')]),
        ]
    )


def test_what_is_not_ocpp_is_answered_here_and_goes_no_further() -> None:
    play = with_station()
    play.play([("in", StationText(7, "garbage")), ("in", StationText(7, '[6,"1","NotifyX",{}]')), ("in", StationText(7, '[9,"1",{}]'))])
    play.play([("out", [SendStation(7, '[4,"-1","FormationViolation","not JSON at character 0",{}]')])])


def test_a_station_that_talks_nonsense_does_not_fill_the_log() -> None:
    play = with_station()
    for _ in range(30):
        play.play([("in", StationText(7, "garbage"))])
    levels = [note.level for note in play.notes if note.words == "text is not OCPP-J"]
    assert levels == [Level.WARNING] * 10 + [Level.DEBUG] * 20


def test_a_stopping_edge_sends_what_waits_before_it_closes() -> None:
    machine = with_station().machine
    machine.step(StationText(7, '[2,"1","Heartbeat",{}]'), 1.0)
    machine.step(StationText(7, '[2,"2","Heartbeat",{}]'), 1.0)  # waits: the kernel has not taken the first
    assert [effect for effect in machine.step(Stop(), 1.0) if not isinstance(effect, Note)] == []
    (sent,) = (effect for effect in machine.step(LinkSent(1), 1.1) if not isinstance(effect, Note))
    assert isinstance(sent, SendLink), "the second one goes out, and nobody is sent away yet"
    assert any(isinstance(part, FramePart) for part in read_parts(sent.data))
    assert CloseStation(7, 1001, "the edge is stopping") in machine.step(LinkSent(1), 1.2)


def test_a_stopping_edge_does_not_wait_for_a_link_that_takes_nothing() -> None:
    machine = with_station().machine
    machine.step(StationText(7, '[2,"1","Heartbeat",{}]'), 1.0)
    machine.step(Stop(), 1.0)
    deadline = machine.next_deadline()
    assert deadline is not None
    assert deadline <= 1.0 + STOP_FLUSH_S
    assert CloseStation(7, 1001, "the edge is stopping") in machine.step(Tick(), 1.0 + STOP_FLUSH_S)


def test_send_and_callresulterror_in_both_directions() -> None:
    with_station(OcppVersion.V21).play(
        [
            ("in", StationText(7, '[6,"s1","NotifyPeriodicEventStream",{"id":1}]')),
            ("out", [Link(1, Carried(0, '6:"NotifyPeriodicEventStream",{"id":1}'))]),
            ("far", Carried(0, '6:"Something",{}')),
            ("out", [SendStation(7, '[6,"000000000000-1","Something",{}]')]),
            # The station complains of an answer, once.
            ("in", call("1")),
            ("far", Carried(0, "3:{}", call=0)),
            ("in", StationText(7, '[5,"1","FormatViolation","",{}]')),
            ("in", StationText(7, '[5,"1","FormatViolation","",{}]')),
            ("in", StationText(7, '[5,"unknown","FormatViolation","",{}]')),
            (
                "out",
                [
                    Link(1, Carried(0, '2:"Authorize",{}')),
                    SendStation(7, '[3,"1",{}]'),
                    Link(1, Carried(0, '5:"FormatViolation","",{}', call=0)),
                ],
            ),
            # The CSMS complains of the station's answer, once.
            ("far", Carried(0, '2:"Reset",{}')),
            ("in", StationText(7, '[3,"000000000000-2",{}]')),
            ("far", Carried(0, '5:"FormatViolation","",{}', call=0)),
            ("far", Carried(0, '5:"FormatViolation","",{}', call=0)),
            ("far", Carried(0, '5:"FormatViolation","",{}', call=17)),
            (
                "out",
                [
                    SendStation(7, '[2,"000000000000-2","Reset",{}]'),
                    Link(1, Carried(0, "3:{}", call=0)),
                    SendStation(7, '[5,"000000000000-2","FormatViolation","",{}]'),
                ],
            ),
        ]
    )


def test_a_repeated_transaction_message_is_answered_from_memory() -> None:
    start = '{"connectorId":1,"meterStart":5}'
    play = with_station()
    play.play(
        [
            ("in", call("1", "StartTransaction", start)),
            ("out", [Link(1, Carried(0, f'2:"StartTransaction",{start}'))]),
            ("tick", 60.0),
            # The station has given it up; the answer is late for the first id, and there for the next.
            ("far", Carried(0, '3:{"transactionId":9}', call=0)),
            ("in", call("2", "StartTransaction", start)),
            ("out", [SendStation(7, '[3,"1",{"transactionId":9}]'), SendStation(7, '[3,"2",{"transactionId":9}]')]),
            ("in", call("3", "StartTransaction", '{"connectorId":1,"meterStart":6}')),
            ("out", [Link(1, Carried(0, '2:"StartTransaction",{"connectorId":1,"meterStart":6}'))]),
            # A CALLERROR is not remembered.
            ("far", Carried(0, '4:"InternalError","",{}', call=1)),
            ("in", call("4", "StartTransaction", '{"connectorId":1,"meterStart":6}')),
            (
                "out",
                [
                    SendStation(7, '[4,"3","InternalError","",{}]'),
                    Link(1, Carried(0, '2:"StartTransaction",{"connectorId":1,"meterStart":6}')),
                ],
            ),
        ]
    )
    # Also after the station has been away.
    play.play([("in", StationGone(7, "left")), ("out", [Link(1, Detach(0, 1))])])
    play.play(
        [
            ("in", StationArrived(8, "CP001", ("ocpp1.6",))),
            ("out", [Link(1, attach(2, epoch=EPOCH + 1))]),
            ("far", Verdict(0, 2, 101, "1.6", EPOCH + 1, "")),
            ("in", call("1", "StartTransaction", start, socket=8)),
            ("out", [AdmitStation(8, "ocpp1.6"), SendStation(8, '[3,"1",{"transactionId":9}]')]),
        ]
    )


def test_a_repeat_under_way_gets_the_answer_under_its_own_id_only() -> None:
    with_station().play(
        [
            ("in", call("1", "StartTransaction")),
            ("in", call("2", "StartTransaction")),
            ("out", [Link(1, Carried(0, '2:"StartTransaction",{}')), Link(1, Carried(0, '2:"StartTransaction",{}'))]),
            ("far", Carried(0, "3:{}", call=1)),
            ("out", [SendStation(7, '[3,"2",{}]')]),
            ("far", Carried(0, "3:{}", call=0)),
            ("out", []),
        ]
    )


def test_a_flooding_station_is_paused_and_resumed() -> None:
    play = with_station()
    for number in range(CALLS_OPEN_MAX):
        play.play([("in", call(str(number)))])
    sent = [Link(1, Carried(0, '2:"Authorize",{}'))] * CALLS_OPEN_MAX
    play.play([("out", [*sent[:-1], PauseStation(7), sent[-1]])])
    for number in range(CALLS_OPEN_MAX // 2 - 1):
        play.play([("far", Carried(0, "3:{}", call=number)), ("out", [SendStation(7, f'[3,"{number}",{{}}]')])])
    number = CALLS_OPEN_MAX // 2 - 1
    play.play([("far", Carried(0, "3:{}", call=number)), ("out", [SendStation(7, f'[3,"{number}",{{}}]'), ResumeStation(7)])])


def test_a_station_with_huge_messages_is_paused_for_their_text() -> None:
    play = with_station()
    play.play([("in", LinkClosed(1, "lost")), ("out", [])])
    payload = f'{{"fill":"{"x" * 1_000_000}"}}'
    for number in range(2):
        play.play([("in", call(str(number), "DataTransfer", payload)), ("out", [])])
    play.play([("in", call("2", "DataTransfer", payload)), ("out", [PauseStation(7)])])


# --- the link comes and goes


def reopen(play: Play, *stations: KnownStation) -> None:
    """The link is lost; the next one is opened after the back-off and says hello."""
    lost = play.link
    play.play([("in", LinkClosed(lost, "lost")), ("out", [])])
    play.play([("tick", 1.0), ("out", [OpenLink(lost + 1)]), ("in", LinkOpened(lost + 1)), ("out", [Link(lost + 1, hello(*stations))])])
    play.greeted(lost + 1)


def test_back_off_doubles_and_begins_again_after_a_welcome() -> None:
    play = edge()
    for attempt, wait_s in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]):
        play.play(
            [
                ("in", LinkClosed(attempt + 1, "refused")),
                ("tick", wait_s - 0.01),
                ("out", []),
                ("tick", 0.02),
                ("out", [OpenLink(attempt + 2)]),
            ]
        )
    play.play([("in", LinkOpened(8)), ("out", [Link(8, hello())])])
    play.greeted(8)
    play.play([("far", Welcome("verbatim", [])), ("in", LinkClosed(8, "lost")), ("tick", 1.01), ("out", [OpenLink(9)])])


def test_refused_connections_come_less_and_less_often() -> None:
    """In the first minutes as often as others, then up to an hour apart; one that is lost for another reason begins anew."""
    play = edge()
    waits_s = [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0, 20.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 3600.0, 3600.0]
    for attempt, wait_s in enumerate(waits_s):
        closed = LinkClosed(attempt + 1, "certificate not accepted", refused=True)
        play.play([("in", closed), ("tick", wait_s - 0.01), ("out", []), ("tick", 0.02), ("out", [OpenLink(attempt + 2)])])
    newest = len(waits_s) + 1
    play.play([("in", LinkClosed(newest, "no route")), ("tick", 19.99), ("out", []), ("tick", 0.02), ("out", [OpenLink(newest + 1)])])


def test_an_edge_that_the_cloud_turns_away_comes_less_and_less_often() -> None:
    """Each try is a handshake on the SIM, and the answer stays the same until somebody acts."""
    play = edge()
    waits_s = [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 40.0, 80.0]  # the first link was up
    for attempt, wait_s in enumerate(waits_s):
        if attempt:
            play.play([("in", LinkOpened(attempt + 1)), ("out", [Link(attempt + 1, hello())])])
            play.greeted(attempt + 1)
        play.play([("far", Goodbye("link protocol 1, this cloud speaks 2", 0)), ("in", LinkClosed(attempt + 1, "closed by the far end"))])
        play.play([("tick", wait_s - 0.01), ("out", []), ("tick", 0.02), ("out", [OpenLink(attempt + 2)])])


def test_goodbye_says_when_to_come_back() -> None:
    play = edge()
    play.play([("far", Goodbye("maintenance", 90)), ("in", LinkClosed(1, "closed")), ("tick", 89.0), ("out", [])])
    play.play([("tick", 1.0), ("out", [OpenLink(2)])])


def test_no_welcome_in_time() -> None:
    play = edge()
    reopen(play)
    play.play(
        [("tick", GREETING_TIMEOUT_S - 0.1), ("out", []), ("tick", 0.1), ("out", [CloseLink(2, "no welcome")]), ("tick", 60.0), ("out", [])]
    )


def test_resume_sends_again_what_was_lost() -> None:
    play = with_station()
    play.play([("in", call("1")), ("out", [Link(1, Carried(0, '2:"Authorize",{}'))])])
    far = play.channel(0, V16, EPOCH + 1)  # a cloud that never got the frame
    reopen(play, KnownStation(0, "CP001", 1, EPOCH + 1, True, 1, 0))
    play.play(
        [
            ("in", call("2", "DataTransfer")),
            ("far", Welcome("verbatim", [StationWelcome(EPOCH + 1, True, True, 0)])),
            ("out", [Link(2, Carried(0, '2:"Authorize",{}'), Carried(0, '2:"DataTransfer",{}'))]),
            ("far", Carried(0, "3:{}", call=0)),
            ("out", [SendStation(7, '[3,"1",{}]')]),
        ]
    )
    assert far.received == 2


def test_a_new_epoch_encodes_anew_and_keeps_numbers() -> None:
    play = with_station()
    play.play([("in", call("1")), ("out", [Link(1, Carried(0, '2:"Authorize",{}'))])])
    play.play([("in", call("2", "DataTransfer")), ("out", [Link(1, Carried(0, '2:"DataTransfer",{}'))])])
    reopen(play, KnownStation(0, "CP001", 1, EPOCH + 1, True, 2, 0))
    play.renewed(0, V16, 5, received=["Authorize"])
    play.play(
        [
            ("far", Welcome("verbatim", [StationWelcome(5, True, True, 1)])),
            ("out", [Link(2, Carried(0, '2:"DataTransfer",{}'))]),
            ("far", Carried(0, '3:{"n":2}', call=1)),
            ("far", Carried(0, '3:{"n":1}', call=0)),
            ("out", [SendStation(7, '[3,"2",{"n":2}]'), SendStation(7, '[3,"1",{"n":1}]')]),
        ]
    )


def test_a_cloud_that_knows_nothing_gets_stations_with_credentials_and_the_waiting_calls() -> None:
    play = edge()
    play.play(
        [
            ("in", StationArrived(7, "CP001", ("ocpp1.6", "ocpp2.0.1"), "Basic eA==")),
            ("out", [Link(1, Attach(0, 1, "CP001", ["ocpp1.6", "ocpp2.0.1"], "Basic eA==", 0))]),
        ]
    )
    play.channel(0, V16, EPOCH + 1)
    play.play([("far", Verdict(0, 1, 101, "1.6", EPOCH + 1, "")), ("out", [AdmitStation(7, "ocpp1.6")])])
    play.play([("far", Carried(0, '2:"Reset",{}')), ("out", [SendStation(7, '[2,"000000000000-1","Reset",{}]')])])
    play.play([("in", call("1")), ("out", [Link(1, Carried(0, '2:"Authorize",{}'))])])
    reopen(play, KnownStation(0, "CP001", 1, EPOCH + 1, True, 1, 1))
    play.play(
        [
            ("in", call("2", "DataTransfer")),
            ("far", Welcome("verbatim", [StationWelcome(0, False, False, 0)])),
            ("out", [Link(2, Attach(0, 1, "CP001", ["ocpp1.6"], "Basic eA==", 0))]),
            ("in", call("3", "Heartbeat")),
            ("out", []),
        ]
    )
    play.channel(0, V16, 5)
    play.play(
        [
            ("far", Verdict(0, 1, 101, "1.6", 5, "")),
            ("out", [Link(2, Carried(0, '2:"DataTransfer",{}', '2:"Heartbeat",{}'))]),
            # The numbers begin anew: what had left with the lost context gets nobody's answer.
            ("far", Carried(0, '3:{"n":2}', call=0)),
            ("out", [SendStation(7, '[3,"2",{"n":2}]')]),
            # The answer to the forgotten command goes nowhere; until it came, the station was busy.
            ("far", Carried(0, '2:"Reset",{"n":2}')),
            ("out", []),
            ("in", StationText(7, '[3,"000000000000-1",{}]')),
            ("out", [SendStation(7, '[2,"000000000000-2","Reset",{"n":2}]')]),
            # The station may repeat what was lost, under the same id.
            ("in", call("1")),
            ("out", [Link(2, Carried(0, '2:"Authorize",{}'))]),
        ]
    )


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict(0, 1, 401, "", 0, "x"), 1008),
        (Verdict(0, 1, 503, "", 0, "x"), 1001),
        (Verdict(0, 1, 101, "2.0.1", 5, ""), 1002),
        (Verdict(0, 1, 101, "", 0, ""), 1002),
    ],
)
def test_asked_again_and_refused(verdict: Verdict, code: int) -> None:
    play = with_station()
    reopen(play, KnownStation(0, "CP001", 1, EPOCH + 1, True, 0, 0))
    play.play([("far", Welcome("verbatim", [StationWelcome(0, False, False, 0)])), ("out", [Link(2, attach(1))])])
    reason = "the CSMS chose another sub-protocol" if code == 1002 else "the CSMS refused: x"
    play.play([("far", verdict), ("out", [CloseStation(7, code, reason), Link(2, Detach(0, 1))])])


def test_a_link_lost_while_asking_again_asks_once_more() -> None:
    play = with_station()
    reopen(play, KnownStation(0, "CP001", 1, EPOCH + 1, True, 0, 0))
    play.play([("far", Welcome("verbatim", [StationWelcome(0, False, False, 0)])), ("out", [Link(2, attach(1))])])
    reopen(play, KnownStation(0, "CP001", 1, 0, False, 0, 0))
    play.play([("far", Welcome("verbatim", [StationWelcome(0, False, False, 0)])), ("out", [Link(3, attach(1))])])


def test_contexts_that_differ_end_the_link_and_are_told_in_the_hello() -> None:
    play = with_station()
    good = play.frame(Carried(0, '2:"Reset",{}'))
    play.play([("in", LinkMessage(1, good[:-1] + bytes([good[-1] ^ 1]))), ("out", [CloseLink(1, "contexts differ")])])
    play.play([("in", LinkMessage(1, good)), ("out", [])])
    reopen(play, KnownStation(0, "CP001", 1, EPOCH + 1, False, 0, 0))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        write_parts([Attach(0, 1, "CP001", ["ocpp1.6"], None, 0)]),
        write_parts([RenewedClock()]),
        write_parts([Ack(0, 5)]),
        write_parts([FramePart(0, 9, b"x")]),
        write_parts([Welcome("verbatim", [])]),
        write_parts([Verdict(60, 1, 101, "1.6", 1, "")]),
    ],
)
def test_a_cloud_that_breaks_the_rules_loses_the_link(data: bytes) -> None:
    with_station().play([("in", LinkMessage(1, data)), ("out", [CloseLink(1, "protocol error")])])


@pytest.mark.parametrize(
    "data",
    [
        write_parts([Verdict(0, 1, 101, "1.6", 1, "")]),
        write_parts([Welcome("verbatim", [StationWelcome(1, True, True, 0)])]),
        write_parts([Welcome("unheard-of", [])]),
        write_parts([Welcome("verbatim", [], 2)]),
        b"\x00",
    ],
)
def test_a_greeting_that_is_none(data: bytes) -> None:
    play = edge()
    reopen(play)
    play.play([("in", LinkMessage(2, data)), ("out", [CloseLink(2, "protocol error")])])


@pytest.mark.parametrize(("chosen", "is_taken"), [(1, False), (2, True), (3, True), (4, False)])
def test_an_edge_says_what_it_speaks_and_takes_what_the_cloud_chooses_of_it(chosen: int, is_taken: bool) -> None:
    settings = replace(SETTINGS, protocols=Spoken(2, 3))
    play = Play(EdgeMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes(count)), Side.EDGE)
    play.play([("tick", 0.0), ("in", LinkOpened(1)), ("out", [OpenLink(1), Link(1, Hello(3, "edge", CODECS, [], oldest=2))])])
    play.greeted(1)
    play.play([("far", Welcome("verbatim", [], chosen)), ("out", [] if is_taken else [CloseLink(1, "protocol error")])])


def test_mirror_after_the_links_grace() -> None:
    play = with_station()
    play.play([("in", LinkClosed(1, "lost")), ("out", []), ("tick", 59.0)])
    assert all(isinstance(effect, OpenLink) for effect in play.effects())
    play.play([("tick", 1.0), ("out", [CloseStation(7, 1001, "the link is down")])])


def test_events_of_other_links_and_sockets_are_nobodys() -> None:
    with_station().play(
        [
            ("in", LinkMessage(9, b"\x00")),
            ("in", LinkClosed(9, "x")),
            ("in", LinkOpened(9)),
            ("in", StationGone(99, "x")),
            ("in", call("1", socket=99)),
            ("out", []),
        ]
    )
    with pytest.raises(TypeError):
        edge().machine.step(CsmsOpened(1, ""), 0.0)


# --- stop


def test_stop_tells_everybody() -> None:
    play = with_station()
    play.play([("in", StationArrived(8, "CP002", ("ocpp1.6",))), ("out", [Link(1, attach(2, 1, "CP002"))])])
    play.play(
        [
            ("in", Stop()),
            (
                "out",
                [
                    CloseStation(7, 1001, "the edge is stopping"),
                    RefuseStation(8, 503, "the edge is stopping"),
                    Link(1, Detach(0, 1), Detach(1, 2), Goodbye("the edge is stopping", 0)),
                    CloseLink(1, "the edge is stopping"),
                ],
            ),
            ("in", StationArrived(9, "CP003", ("ocpp1.6",))),
            ("out", [RefuseStation(9, 503, "the link is down")]),
            ("in", LinkClosed(1, "closed")),
            ("tick", 1000.0),
            ("out", []),
        ]
    )
    assert play.machine.next_deadline() is None


def test_stop_without_a_link_and_while_connecting() -> None:
    play = edge()
    play.play([("in", LinkClosed(1, "lost")), ("in", Stop()), ("tick", 100.0), ("out", [])])
    play = edge()
    play.play([("in", LinkClosed(1, "lost")), ("tick", 1.0), ("in", Stop()), ("out", [OpenLink(2), CloseLink(2, "the edge is stopping")])])
    play.play([("in", LinkOpened(2)), ("in", LinkClosed(2, "closed")), ("tick", 100.0), ("out", [])])
