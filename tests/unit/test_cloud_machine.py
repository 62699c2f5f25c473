"""Plays of the cloud's machine: a far end without an edge on one side, CSMS sockets on the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.calls import WAITING_MAX
from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.cloud import CHECK_S_MAX, CHECKING_MAX, GREETING_TIMEOUT_S, RESTART_S, RIVAL_RETRY_S, CloudMachine, CloudSettings
from ocppress_gateway.core.events import (
    CloseCsms,
    CloseLink,
    CsmsClosed,
    CsmsOpened,
    CsmsRefused,
    CsmsText,
    Effect,
    Event,
    ExpectSigns,
    FindRenewal,
    Level,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkSent,
    Note,
    OpenCsms,
    OpenLink,
    RenewalFound,
    SendCsms,
    SendLink,
    StationGone,
    Stop,
    Tick,
)
from ocppress_gateway.core.limits import IDENTITIES_MAX, LANES_MESSAGES_MAX
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    SPOKEN,
    Ack,
    Attach,
    Check,
    Checked,
    Detach,
    Eject,
    FramePart,
    Goodbye,
    Hello,
    KnownStation,
    Part,
    Renewal,
    RenewedClock,
    Spoken,
    StationWelcome,
    TakeClock,
    Verdict,
    Welcome,
    read_parts,
    write_parts,
)
from ocppress_gateway.core.session import CONTROLS_WAITING_MAX
from tests.support.playbook import Carried, Link, Play

SETTINGS = CloudSettings(
    edges={"edge": frozenset({"*"}), "narrow": frozenset({"CP001"})},
    linger_s=0.0,
    command_timeout_s=30.0,
    call_timeout_s=30.0,
    link_grace_s=60.0,
    retry_wait_min_s=2.0,
    retry_random_s=0.0,
    retry_repeat_times=2,
)
CODECS = [("verbatim", fingerprint(CodecName.VERBATIM))]
V16 = OcppVersion.V16
EPOCH = 0x01010101
Steps = list[tuple[str, Any]]


def hello(*stations: KnownStation, edge: str = "edge", spoken: Spoken = SPOKEN) -> Hello:
    return Hello(spoken.newest, edge, CODECS, list(stations), oldest=spoken.oldest)


def attach(attachment: int, slot: int = 0, identity: str = "CP001", epoch: int = 0, version: str = "ocpp1.6") -> Attach:
    return Attach(slot, attachment, identity, [version], "Basic eA==", epoch)


def opening(socket: int, identity: str = "CP001", version: str = "ocpp1.6") -> OpenCsms:
    return OpenCsms(socket, identity, (version,), "Basic eA==")


def cloud(edge: str = "edge") -> Play:
    """A cloud that has just welcomed an edge. Its epochs are 0x01010101, 0x02020202, …"""
    epochs = iter(range(1, 100))
    play = Play(CloudMachine(SETTINGS, random=lambda: 0.5, random_bytes=lambda count: bytes([next(epochs)]) * count), Side.CLOUD)
    play.play([("in", LinkOpened(1)), ("out", [])])
    play.greeted(1)
    play.play([("far", hello(edge=edge)), ("out", [Link(1, Welcome("verbatim", []))])])
    return play


def test_silence_that_an_edge_does_not_allow_itself_ends_its_link() -> None:
    play = cloud()
    play.play([("in", LinkOpened(2)), ("out", [])])
    play.greeted(2)
    said = Hello(PROTOCOL_VERSION, "narrow", CODECS, [], b"", 2250)
    play.play([("far", said), ("out", [Link(2, Welcome("verbatim", [])), ExpectSigns(2, 2250)])])


def with_station(version: OcppVersion = V16) -> Play:
    play = cloud()
    name = version.subprotocol
    play.play([("far", attach(1, version=name)), ("out", [opening(1, version=name)])])
    play.channel(0, version, EPOCH)
    play.play([("in", CsmsOpened(1, name)), ("out", [Link(1, Verdict(0, 1, 101, version.value, EPOCH, ""))])])
    return play


def put(number: int, action: str = "Authorize", payload: str = "{}", socket: int = 1) -> SendCsms:
    """What the CSMS hears; the ids' prefix is the second random thing that the cloud asks for, after the epoch."""
    return SendCsms(socket, f'[2,"020202020202-{number}","{action}",{payload}]')


def answer(number: int, payload: str = "{}", socket: int = 1) -> CsmsText:
    return CsmsText(socket, f'[3,"020202020202-{number}",{payload}]')


# --- admission


def test_a_station_is_admitted_and_its_call_answered() -> None:
    with_station().play(
        [
            ("far", Carried(0, '2:"Authorize",{"idTag":"A"}')),
            ("out", [put(1, payload='{"idTag":"A"}')]),
            ("in", answer(1, '{"x": 1.0}')),
            ("out", [Link(1, Carried(0, '3:{"x":1.0}', call=0))]),
            ("in", CsmsText(1, '[2,"c","Reset",{"type":"Soft"}]')),
            ("out", [Link(1, Carried(0, '2:"Reset",{"type":"Soft"}'))]),
            ("far", Carried(0, '3:{"status":"Accepted"}', call=0)),
            ("out", [SendCsms(1, '[3,"c",{"status":"Accepted"}]')]),
        ]
    )


@pytest.mark.parametrize(("status", "told"), [(401, 401), (404, 404), (500, 500), (None, 503), (200, 502), (302, 502)])
def test_the_csms_refuses(status: int | None, told: int) -> None:
    play = cloud()
    play.play(
        [
            ("far", attach(1)),
            ("in", CsmsRefused(1, status, "No\r\nSuch\udcff")),
            ("out", [opening(1), Link(1, Verdict(0, 1, told, "", 0, "No??Such?"))]),
            ("far", attach(2)),
            ("out", [opening(2)]),
        ]
    )


@pytest.mark.parametrize("chosen", ["", "ocpp2.0.1", "soap"])
def test_the_csms_chose_no_offered_subprotocol(chosen: str) -> None:
    cloud().play(
        [
            ("far", attach(1)),
            ("in", CsmsOpened(1, chosen)),
            (
                "out",
                [opening(1), CloseCsms(1, 1002, "no common sub-protocol"), Link(1, Verdict(0, 1, 101, "", 0, "no common sub-protocol"))],
            ),
            ("in", CsmsClosed(1, "closed")),
            ("out", []),
        ]
    )


def test_an_edge_may_not_speak_for_a_station() -> None:
    play = cloud("narrow")
    play.play(
        [
            ("far", attach(1, identity="CP002")),
            ("out", [Link(1, Verdict(0, 1, 404, "", 0, "this edge may not speak for the station"))]),
            ("far", attach(2)),
            ("out", [opening(1)]),
        ]
    )
    # Neither by a slot in the hello.
    play = cloud("narrow")
    play.play([("in", LinkClosed(1, "lost")), ("in", LinkOpened(2))])
    play.greeted(2)
    play.play(
        [
            ("far", hello(KnownStation(0, "CP002", 1, 1, True, 0, 0), edge="narrow")),
            ("out", [Link(2, Welcome("verbatim", [StationWelcome(0, False, False, 0)]))]),
            ("far", Ack(0, 0)),
            ("out", [CloseLink(2, "protocol error: slot 0 has no channel")]),
        ]
    )


def test_detach_closes_the_csms_socket() -> None:
    play = with_station()
    play.play(
        [
            ("far", Detach(0, 2)),
            ("far", Detach(9, 1)),
            ("out", []),
            ("far", Carried(0, '2:"Authorize",{}')),
            ("far", Detach(0, 1)),
            ("out", [put(1), CloseCsms(1, 1000, "the station has gone")]),
            ("in", answer(1)),
            ("in", CsmsClosed(1, "closed")),
            ("far", Detach(0, 1)),
            # What the station sent before it left is decoded for the context's sake, and goes nowhere.
            ("far", Carried(0, '2:"DataTransfer",{}')),
            ("out", []),
            # It comes back in the same epoch.
            ("far", attach(2, epoch=EPOCH)),
            ("out", [opening(2)]),
            ("in", CsmsOpened(2, "ocpp1.6")),
            ("out", [Link(1, Verdict(0, 2, 101, "1.6", EPOCH, ""))]),
            ("far", Carried(0, '2:"Authorize",{}')),
            ("out", [put(2, socket=2)]),
            ("in", answer(2, socket=2)),
            ("out", [Link(1, Carried(0, "3:{}", call=2))]),
        ]
    )


def test_another_version_or_epoch_begins_a_new_context() -> None:
    play = with_station()
    play.play([("far", Detach(0, 1)), ("far", attach(2, epoch=EPOCH, version="ocpp2.0.1"))])
    play.play([("out", [CloseCsms(1, 1000, "the station has gone"), opening(2, version="ocpp2.0.1")])])
    play.play([("in", CsmsOpened(2, "ocpp2.0.1")), ("out", [Link(1, Verdict(0, 2, 101, "2.0.1", 0x02020202, ""))])])
    play.play([("far", attach(3, epoch=99, version="ocpp2.0.1"))])
    play.play([("out", [CloseCsms(2, 1000, "the station has gone"), opening(3, version="ocpp2.0.1")])])
    play.play([("in", CsmsOpened(3, "ocpp2.0.1")), ("out", [Link(1, Verdict(0, 3, 101, "2.0.1", 0x03030303, ""))])])


def test_a_slot_taken_by_another_station() -> None:
    with_station().play(
        [
            ("far", attach(2, identity="CP002")),
            ("out", [CloseCsms(1, 1000, "the station has gone"), opening(2, "CP002")]),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            ("out", []),
        ]
    )


def test_inventing_identities_costs_only_the_oldest() -> None:
    play = cloud()
    machine = play.machine
    assert isinstance(machine, CloudMachine)
    for number in range(IDENTITIES_MAX + 10):
        play.play([("far", attach(number + 1, number % 64, f"CP{number}")), ("in", CsmsRefused(number + 1, 404, ""))])
        play.play([("out", [opening(number + 1, f"CP{number}"), Link(1, Verdict(number % 64, number + 1, 404, "", 0, ""))])])
    assert len(machine._edges["edge"].stations) == IDENTITIES_MAX


def test_attaches_whose_verdicts_nobody_reads() -> None:
    play = cloud("narrow")
    machine = play.machine
    out = []
    for number in range(CONTROLS_WAITING_MAX + 2):
        out = machine.step(LinkMessage(1, write_parts([attach(number + 1, identity="CP002")])), 0.0)
    assert CloseLink(1, "protocol error: attaches faster than they can be answered") in out


# --- messages


def test_one_call_outstanding_express_first() -> None:
    with_station().play(
        [
            ("far", Carried(0, '2:"StartTransaction",{"n":1}', '2:"StartTransaction",{"n":2}', '2:"Authorize",{}')),
            ("out", [put(1, "Authorize")]),
            ("in", CsmsText(1, '[3,"nobody",{}]')),
            ("in", CsmsText(1, '[3,"",{}]')),
            ("out", []),
            ("in", answer(1)),
            ("out", [put(2, "StartTransaction", '{"n":1}'), Link(1, Carried(0, "3:{}", call=2))]),
            ("in", CsmsText(1, '[4,"020202020202-2","InternalError",""]')),
            ("out", [put(3, "StartTransaction", '{"n":2}'), Link(1, Carried(0, '4:"InternalError",""', call=0))]),
        ]
    )


def test_an_earlier_answer_goes_before_a_call() -> None:
    with_station().play(
        [
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            ("out", [Link(1, Carried(0, '2:"Reset",{}'))]),
            ("far", Carried(0, '2:"Authorize",{}', "3:{}", call=0)),
            ("out", [SendCsms(1, '[3,"c",{}]'), put(1)]),
        ]
    )


def test_a_call_over_time_is_not_put() -> None:
    play = with_station()
    late = play.frame(Carried(0, '2:"Authorize",{}'), life_s=60.0)
    play.play([("tick", 60.0), ("in", LinkMessage(1, late)), ("out", [])])
    assert play.noted("CALL dropped, its time is over")
    # Nor one that waited too long for its turn.
    play.play([("far", Carried(0, '2:"Authorize",{"n":1}')), ("out", [put(1, payload='{"n":1}')])])
    short = play.frame(Carried(0, '2:"Authorize",{"n":2}'), life_s=10.0)
    play.play([("in", LinkMessage(1, short)), ("tick", 10.0), ("in", answer(1)), ("out", [Link(1, Carried(0, "3:{}", call=1))])])


def test_a_repeated_transaction_message_is_answered_from_memory() -> None:
    with_station().play(
        [
            ("far", Carried(0, '2:"StartTransaction",{"m":1}')),
            ("in", answer(1, '{"transactionId":9}')),
            ("out", [put(1, "StartTransaction", '{"m":1}'), Link(1, Carried(0, '3:{"transactionId":9}', call=0))]),
            ("far", Carried(0, '2:"StartTransaction",{"m":1}')),
            ("out", [Link(1, Carried(0, '3:{"transactionId":9}', call=1))]),
            # Also on the next CSMS socket, after the station was away.
            ("far", Detach(0, 1)),
            ("far", attach(2, epoch=EPOCH)),
            ("in", CsmsOpened(2, "ocpp1.6")),
            ("out", [CloseCsms(1, 1000, "the station has gone"), opening(2), Link(1, Verdict(0, 2, 101, "1.6", EPOCH, ""))]),
            ("far", Carried(0, '2:"StartTransaction",{"m":1}')),
            ("out", [Link(1, Carried(0, '3:{"transactionId":9}', call=2))]),
            # A message that is no transaction's goes again each time.
            ("far", Carried(0, '2:"Authorize",{}')),
            ("in", answer(2, socket=2)),
            ("far", Carried(0, '2:"Authorize",{}')),
            ("out", [put(2, socket=2), Link(1, Carried(0, "3:{}", call=3)), put(3, socket=2)]),
        ]
    )


def test_a_repeat_while_the_first_is_under_way_gets_its_answer() -> None:
    play = with_station(OcppVersion.V201)
    event = '"TransactionEvent",{"seqNo":1%s}'
    play.play(
        [
            ("far", Carried(0, "2:" + event % "")),
            ("out", [SendCsms(1, f'[2,"020202020202-1",{event % ""}]')]),
            ("tick", 20.0),
            ("far", Carried(0, "2:" + event % ',"offline":true')),
            ("out", []),
            ("in", answer(1)),
            ("out", [Link(1, Carried(0, "3:{}", call=1))]),
        ]
    )
    # One that still waits for its turn lives as long as its repeat.
    play.play(
        [
            ("far", Carried(0, '2:"Authorize",{}')),
            ("far", Carried(0, '2:"TransactionEvent",{"seqNo":2}')),
            ("tick", 20.0),
            ("far", Carried(0, '2:"TransactionEvent",{"seqNo":2}')),
            ("tick", 9.9),
            ("in", answer(2)),
            ("out", [put(2), put(3, "TransactionEvent", '{"seqNo":2}'), Link(1, Carried(0, "3:{}", call=2))]),
            ("in", answer(3)),
            ("out", [Link(1, Carried(0, "3:{}", call=4))]),
        ]
    )


def test_a_transaction_message_answered_with_an_error_is_put_again() -> None:
    with_station().play(
        [
            ("far", Carried(0, '2:"StartTransaction",{}')),
            ("in", CsmsText(1, '[4,"020202020202-1","InternalError","",{}]')),
            ("far", Carried(0, '2:"StartTransaction",{}')),
            ("out", [put(1, "StartTransaction"), Link(1, Carried(0, '4:"InternalError","",{}', call=0)), put(2, "StartTransaction")]),
        ]
    )


def test_send_and_callresulterror_in_both_directions() -> None:
    with_station(OcppVersion.V21).play(
        [
            ("far", Carried(0, '2:"Authorize",{}')),
            ("far", Carried(0, '6:"NotifyPeriodicEventStream",{"id":1}')),
            ("out", [put(1), SendCsms(1, '[6,"020202020202-2","NotifyPeriodicEventStream",{"id":1}]')]),
            ("in", answer(1)),
            ("far", Carried(0, '5:"FormatViolation","",{}', call=0)),
            ("far", Carried(0, '5:"FormatViolation","",{}', call=0)),
            ("out", [Link(1, Carried(0, "3:{}", call=0)), SendCsms(1, '[5,"020202020202-1","FormatViolation","",{}]')]),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            ("far", Carried(0, "3:{}", call=0)),
            ("in", CsmsText(1, '[5,"c","FormatViolation","",{}]')),
            ("in", CsmsText(1, '[5,"c","FormatViolation","",{}]')),
            ("in", CsmsText(1, '[6,"s","Something",{}]')),
            (
                "out",
                [
                    Link(1, Carried(0, '2:"Reset",{}')),
                    SendCsms(1, '[3,"c",{}]'),
                    Link(1, Carried(0, '5:"FormatViolation","",{}', call=0)),
                    Link(1, Carried(0, '6:"Something",{}')),
                ],
            ),
        ]
    )


def test_a_csms_that_does_not_speak_ocpp() -> None:
    with_station().play(
        [
            ("in", CsmsText(1, "{")),
            ("out", [SendCsms(1, '[4,"-1","FormationViolation","the text ends too early at character 1",{}]')]),
            ("in", CsmsText(1, '[5,"c","FormatViolation","",{}]')),
            ("out", []),
        ]
    )


# --- the CSMS comes and goes


def test_a_lost_csms_socket_is_reopened_with_back_off() -> None:
    play = with_station()
    play.play(
        [
            ("far", Carried(0, '2:"Authorize",{"n":1}')),
            ("far", Carried(0, '2:"Authorize",{"n":2}')),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            ("out", [put(1, payload='{"n":1}'), Link(1, Carried(0, '2:"Reset",{}'))]),
            ("in", CsmsClosed(1, "lost")),
            ("far", Carried(0, "3:{}", call=0)),
            ("tick", 1.9),
            ("out", []),
            ("tick", 0.1),
            ("out", [opening(2)]),
            ("in", CsmsRefused(2, None, "down")),
            ("tick", 3.9),
            ("out", []),
            ("tick", 0.1),
            ("out", [opening(3)]),
            ("in", CsmsRefused(3, 502, "down")),
            ("tick", 8.0),
            ("in", CsmsRefused(4, 503, "down")),
            ("tick", 8.0),
            ("out", [opening(4), opening(5)]),
            # What waited is put; what was outstanding is the station's to repeat.
            ("in", CsmsOpened(5, "ocpp1.6")),
            ("out", [put(2, payload='{"n":2}', socket=5)]),
            ("in", answer(1, socket=5)),
            ("in", answer(2, socket=5)),
            ("out", [Link(1, Carried(0, "3:{}", call=1))]),
            # A success begins anew.
            ("in", CsmsClosed(5, "lost")),
            ("tick", 2.0),
            ("out", [opening(6)]),
        ]
    )


def test_the_csms_cannot_be_reached_for_long() -> None:
    play = with_station()
    play.play([("in", CsmsClosed(1, "lost"))])
    socket = 2
    while play.now < 60.0:
        play.play([("tick", 1.0)])
        opened = [effect for effect in play.effects() if isinstance(effect, OpenCsms)]
        if opened:
            assert [effect.socket for effect in opened] == [socket]
            play.play([("in", CsmsRefused(socket, None, "down"))])
            socket += 1
        if play.now == 59.0:
            assert not play.noted("station sent away")
    assert play.noted("station sent away")
    play.play([("tick", 1000.0)])
    assert not [effect for effect in play.effects() if isinstance(effect, OpenCsms)]


def test_after_the_csms_could_not_be_reached_the_station_is_sent_away() -> None:
    with_station().play(
        [
            ("in", CsmsClosed(1, "lost")),
            ("tick", 2.0),
            ("out", [opening(2)]),
            ("tick", 58.0),  # still opening
            ("out", [CloseCsms(2, 1001, "the CSMS cannot be reached"), Link(1, Eject(0, 1, 1001, "the CSMS cannot be reached"))]),
            ("in", CsmsRefused(2, None, "late")),
            ("out", []),
        ]
    )


@pytest.mark.parametrize("status", [401, 404])
def test_refused_for_good_on_reopening(status: int) -> None:
    with_station().play(
        [
            ("in", CsmsClosed(1, "lost")),
            ("tick", 2.0),
            ("in", CsmsRefused(2, status, "x" * 300)),
            ("out", [opening(2), Link(1, Eject(0, 1, 1008, ("the CSMS refused: " + "x" * 300)[:120]))]),
        ]
    )


@pytest.mark.parametrize("chosen", ["", "ocpp2.0.1"])
def test_another_subprotocol_on_reopening(chosen: str) -> None:
    play = with_station()
    play.play([("in", CsmsClosed(1, "lost")), ("tick", 2.0), ("in", CsmsOpened(2, chosen))])
    play.play([("out", [opening(2), CloseCsms(2, 1001, "no common sub-protocol"), Link(1, Eject(0, 1, 1002, "no common sub-protocol"))])])


def test_a_silent_csms_is_a_lost_csms() -> None:
    with_station().play(
        [
            ("far", Carried(0, '2:"StartTransaction",{}')),
            ("tick", 15.0),
            ("far", Carried(0, '2:"Authorize",{}')),
            ("out", [put(1, "StartTransaction")]),
            ("tick", 15.0),
            # The next CALL isn't wasted on a socket that is about to close.
            ("out", [CloseCsms(1, 1001, "no answer")]),
            ("in", CsmsClosed(1, "closed")),
            ("tick", 2.0),
            ("in", CsmsOpened(2, "ocpp1.6")),
            ("out", [opening(2), put(2, socket=2)]),
        ]
    )


def test_a_slow_csms_that_says_something_else_keeps_its_socket() -> None:
    with_station().play(
        [
            ("far", Carried(0, '2:"StartTransaction",{}')),
            ("tick", 15.0),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
            ("far", Carried(0, '2:"Authorize",{}')),
            ("tick", 14.0),
            ("out", [put(1, "StartTransaction"), Link(1, Carried(0, '2:"Reset",{}'))]),
            ("tick", 1.0),
            ("out", [put(2)]),
            # The late answer is passed on.
            ("in", answer(1)),
            ("out", [Link(1, Carried(0, "3:{}", call=0))]),
        ]
    )


# --- the link comes and goes


def relink(play: Play, *stations: KnownStation) -> None:
    lost = play.link
    play.play([("in", LinkClosed(lost, "lost")), ("out", []), ("in", LinkOpened(lost + 1))])
    play.greeted(lost + 1)
    play.play([("far", hello(*stations))])


def test_resume_sends_again_what_was_lost() -> None:
    play = with_station()
    play.play([("in", CsmsText(1, '[2,"c","Reset",{}]')), ("out", [Link(1, Carried(0, '2:"Reset",{}'))])])
    far = play.channel(0, V16, EPOCH)  # an edge that never got the frame
    relink(play, KnownStation(0, "CP001", 1, EPOCH, True, 0, 0))
    play.play(
        [
            ("out", [Link(2, Welcome("verbatim", [StationWelcome(EPOCH, True, True, 0)])), Link(2, Carried(0, '2:"Reset",{}'))]),
            ("far", Carried(0, "3:{}", call=0)),
            ("out", [SendCsms(1, '[3,"c",{}]')]),
        ]
    )
    assert far.received == 1


def test_a_station_moves_to_another_slot() -> None:
    play = with_station()
    far = play.channel(5, V16, EPOCH)
    relink(play, KnownStation(5, "CP001", 1, EPOCH, True, 0, 0))
    play.play([("out", [Link(2, Welcome("verbatim", [StationWelcome(EPOCH, True, True, 0)]))])])
    play.play([("far", Carried(5, '2:"Authorize",{}')), ("in", answer(1)), ("out", [put(1), Link(2, Carried(5, "3:{}", call=0))])])
    assert far.received == 1


def test_an_edge_whose_context_is_broken_gets_a_new_epoch() -> None:
    play = with_station()
    play.play([("far", Carried(0, '2:"Authorize",{}')), ("out", [put(1)])])
    play.play([("in", CsmsText(1, '[2,"c","Reset",{}]')), ("out", [Link(1, Carried(0, '2:"Reset",{}'))])])
    play.renewed(0, V16, 0x03030303, sent=["Authorize"])
    relink(play, KnownStation(0, "CP001", 1, EPOCH, False, 1, 0))
    play.play(
        [
            ("out", [Link(2, Welcome("verbatim", [StationWelcome(0x03030303, True, True, 1)])), Link(2, Carried(0, '2:"Reset",{}'))]),
            ("in", answer(1)),
            ("out", [Link(2, Carried(0, "3:{}", call=0))]),
            ("far", Carried(0, "3:{}", call=0)),
            ("out", [SendCsms(1, '[3,"c",{}]')]),
            ("far", Carried(0, '2:"Authorize",{}')),
            ("in", answer(2)),
            ("out", [put(2), Link(2, Carried(0, "3:{}", call=1))]),
        ]
    )


@pytest.mark.parametrize(
    "known",
    [
        KnownStation(0, "CP001", 1, EPOCH + 1, True, 0, 0),  # another epoch
        KnownStation(0, "CP001", 1, EPOCH, True, 0, 9),  # received what was never sent
        KnownStation(0, "CP001", 1, 0, False, 0, 0),  # an edge that knows nothing
    ],
)
def test_numbers_that_cannot_be_true_begin_anew(known: KnownStation) -> None:
    play = with_station()
    relink(play, known)
    play.play(
        [
            (
                "out",
                [
                    CloseCsms(1, 1001, "what the station sent is not known any more"),
                    Link(2, Welcome("verbatim", [StationWelcome(0, False, False, 0)])),
                ],
            ),
            ("far", attach(1)),
            ("out", [opening(2)]),
        ]
    )


def test_a_station_that_left_while_the_link_was_down() -> None:
    play = with_station()
    relink(play, KnownStation(0, "CP001", 0, EPOCH, True, 0, 0))
    play.play(
        [("out", [CloseCsms(1, 1000, "the station has gone"), Link(2, Welcome("verbatim", [StationWelcome(EPOCH, True, False, 0)]))])]
    )
    play = with_station()
    relink(play)
    play.play([("out", [CloseCsms(1, 1000, "the station has gone"), Link(2, Welcome("verbatim", []))])])


def test_an_undecided_upgrade_ends_with_the_link() -> None:
    cloud().play(
        [
            ("far", attach(1)),
            ("in", LinkClosed(1, "lost")),
            ("out", [opening(1), CloseCsms(1, 1001, "the link is down")]),
            ("in", CsmsOpened(1, "ocpp1.6")),
            ("out", []),
        ]
    )


def test_a_lost_link_closes_the_csms_sockets_after_its_grace() -> None:
    play = with_station()
    play.play(
        [
            ("in", LinkClosed(1, "lost")),
            ("tick", 59.9),
            ("out", []),
            ("tick", 0.1),
            ("out", [CloseCsms(1, 1001, "the link to the station is down")]),
            ("in", LinkOpened(2)),
        ]
    )
    play.greeted(2)
    play.play([("far", hello(KnownStation(0, "CP001", 1, EPOCH, True, 0, 0)))])
    play.play([("out", [Link(2, Welcome("verbatim", [StationWelcome(EPOCH, True, False, 0)]))])])
    play.play([("far", attach(1, epoch=EPOCH)), ("in", CsmsOpened(2, "ocpp1.6"))])
    play.play([("out", [opening(2), Link(2, Verdict(0, 1, 101, "1.6", EPOCH, ""))])])


def test_the_same_edge_connects_twice() -> None:
    play = with_station()
    play.play([("in", LinkOpened(2))])
    play.greeted(2)
    play.play(
        [
            ("far", hello(KnownStation(0, "CP001", 1, EPOCH, True, 0, 0))),
            (
                "out",
                [
                    CloseLink(1, "the same edge has connected again"),
                    Link(2, Welcome("verbatim", [StationWelcome(EPOCH, True, True, 0)])),
                ],
            ),
            ("in", LinkMessage(1, write_parts([Detach(0, 1)]))),
            ("in", LinkClosed(1, "closed")),
            ("tick", 100.0),
            ("out", []),
            ("far", Carried(0, '2:"Authorize",{}')),
            ("out", [put(1)]),
        ]
    )


def test_contexts_that_differ_end_the_link_and_the_next_hello_renews() -> None:
    play = with_station()
    good = play.frame(Carried(0, '2:"Authorize",{}'))
    play.play([("in", LinkMessage(1, good[:-1] + bytes([good[-1] ^ 1]))), ("out", [CloseLink(1, "contexts differ")])])
    play.play([("in", LinkMessage(1, good)), ("out", [])])
    relink(play, KnownStation(0, "CP001", 1, EPOCH, True, 1, 0))
    play.play([("out", [Link(2, Welcome("verbatim", [StationWelcome(0x02020202, True, True, 0)]))])])


# --- greetings that are none


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (hello(spoken=Spoken(2, 2)), "link protocol 2, this cloud speaks 1"),
        (hello(spoken=Spoken(2, 4)), "link protocol 2 to 4, this cloud speaks 1"),
        (hello(edge="other"), "no such edge: 'other'"),
        (Hello(PROTOCOL_VERSION, "edge", [("verbatim", b"xxxx")], []), "no common codec"),
        (Detach(0, 1), "protocol error: Detach before the hello"),
        (Ack(0, 1), "protocol error: Ack before the hello"),
        (
            hello(KnownStation(0, "A", 0, 1, True, 0, 0), KnownStation(0, "B", 0, 1, True, 0, 0)),
            "protocol error: slots or identities in the hello repeat",
        ),
        (
            hello(KnownStation(0, "A", 0, 1, True, 0, 0), KnownStation(1, "A", 0, 1, True, 0, 0)),
            "protocol error: slots or identities in the hello repeat",
        ),
    ],
)
def test_refused_greetings(part: Part, reason: str) -> None:
    play = Play(CloudMachine(SETTINGS, random=lambda: 0.5, random_bytes=lambda count: bytes(count)), Side.CLOUD)
    play.play([("in", LinkOpened(1))])
    play.greeted(1)
    play.play([("far", part), ("out", [Link(1, Goodbye(reason, 0)), CloseLink(1, reason)]), ("far", hello()), ("out", [])])


@pytest.mark.parametrize(
    ("of_the_edge", "of_the_cloud", "chosen"),
    [
        (Spoken(1, 2), Spoken(1, 1), 1),
        (Spoken(1, 1), Spoken(1, 2), 1),
        (Spoken(1, 2), Spoken(1, 2), 2),
        (Spoken(2, 4), Spoken(1, 3), 3),
        (Spoken(2, 3), Spoken(1, 1), None),
        (Spoken(1, 1), Spoken(2, 3), None),
    ],
)
def test_the_newest_protocol_that_both_speak_is_chosen(of_the_edge: Spoken, of_the_cloud: Spoken, chosen: int | None) -> None:
    play = Play(
        CloudMachine(replace(SETTINGS, protocols=of_the_cloud), random=lambda: 0.5, random_bytes=lambda count: bytes(count)), Side.CLOUD
    )
    play.play([("in", LinkOpened(1))])
    play.greeted(1)
    play.play([("far", hello(spoken=of_the_edge))])
    if chosen is not None:
        play.play(
            [
                ("out", [Link(1, Welcome("verbatim", [], chosen))]),
                ("in", LinkOpened(2)),
                ("in", LinkMessage(2, write_parts([_check(spoken=of_the_edge)]))),
            ]
        )
        play.play([("out", [Link(2, Checked("edge", "verbatim", 0, True, chosen))])])
    else:
        reason = f"link protocol {of_the_edge}, this cloud speaks {of_the_cloud}"
        play.play([("out", [Link(1, Goodbye(reason, 0)), CloseLink(1, reason)])])


def test_no_greeting_in_time() -> None:
    play = Play(CloudMachine(SETTINGS, random=lambda: 0.5, random_bytes=lambda count: bytes(count)), Side.CLOUD)
    play.play([("in", LinkOpened(1)), ("tick", GREETING_TIMEOUT_S - 0.1), ("out", []), ("tick", 0.1)])
    play.play([("out", [Link(1, Goodbye("no hello", 0)), CloseLink(1, "no hello")]), ("tick", 100.0), ("out", [])])


def test_the_certificate_names_the_edge() -> None:
    machine = CloudMachine(SETTINGS, random=lambda: 0.5, random_bytes=lambda count: bytes(count))
    play = Play(machine, Side.CLOUD)
    play.play([("in", LinkOpened(1, "narrow"))])
    play.greeted(1)
    reason = "no such edge: 'narrow'"
    play.play([("far", hello(edge="edge")), ("out", [Link(1, Goodbye(reason, 0)), CloseLink(1, reason)])])
    play.play([("in", LinkOpened(2, "narrow"))])
    play.greeted(2)
    play.play([("far", hello(edge="")), ("out", [Link(2, Welcome("verbatim", []))]), ("far", attach(1, identity="CP002"))])
    play.play([("out", [Link(2, Verdict(0, 1, 404, "", 0, "this edge may not speak for the station"))])])


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        write_parts([hello()]),
        write_parts([Welcome("verbatim", [])]),
        write_parts([RenewedClock()]),
        write_parts([Ack(0, 5)]),
        write_parts([Ack(9, 0)]),
        write_parts([FramePart(0, 9, b"x")]),
        write_parts([Attach(0, 2, "CP001", [], None, 0)]),
        write_parts([Attach(0, 2, "CP001", ["soap"], None, 0)]),
    ],
)
def test_an_edge_that_breaks_the_rules_loses_the_link(data: bytes) -> None:
    play = with_station()
    play.play([("in", LinkMessage(1, data))])
    (closed,) = play.effects()
    assert isinstance(closed, CloseLink)
    assert closed.reason.startswith("protocol error")


def test_the_clocks_zero_is_taken_anew() -> None:
    play = with_station()
    play.play(
        [
            ("tick", 3600.0),
            ("far", TakeClock()),
            ("out", []),
            ("in", CsmsText(1, '[2,"c","Reset",{}]')),
        ]
    )
    (sent,) = play.effects()
    assert isinstance(sent, Link)
    assert sent.parts == (Carried(0, '2:"Reset",{}'), RenewedClock())


# --- bounds


def test_an_edge_that_takes_no_answers_cannot_make_them_pile_up() -> None:
    """It never acknowledges, and the window closes; then its CALLs are no longer put."""
    play = with_station()
    machine = play.machine
    assert isinstance(machine, CloudMachine)
    fill = "x" * 3000
    for number in range(LANES_MESSAGES_MAX * 2):
        out = machine.step(LinkMessage(1, play.frame(Carried(0, f'2:"Authorize",{{"n":{number}}}'))), 0.0)
        for effect in out:
            if isinstance(effect, SendCsms):
                machine.step(CsmsText(1, f'[3,{effect.text.split(",")[1]},{{"fill":"{fill}"}}]'), 0.0)
    station = machine._edges["edge"].stations["CP001"]
    assert len(station.lanes) <= LANES_MESSAGES_MAX
    assert play.now == 0.0


def test_a_csms_that_floods_is_dropped_from() -> None:
    play = with_station()
    machine = play.machine
    assert isinstance(machine, CloudMachine)
    for number in range(2000):
        machine.step(CsmsText(1, f'[2,"{number}","Reset",{{}}]'), 0.0)
    station = machine._edges["edge"].stations["CP001"]
    assert len(station.lanes) <= LANES_MESSAGES_MAX
    assert len(station.incoming) <= LANES_MESSAGES_MAX


def test_an_edge_that_floods_is_dropped_from() -> None:
    play = with_station()
    machine = play.machine
    assert isinstance(machine, CloudMachine)
    for number in range(WAITING_MAX * 2):
        machine.step(LinkMessage(1, play.frame(Carried(0, f'2:"StartTransaction",{{"n":{number}}}'))), 0.0)
    station = machine._edges["edge"].stations["CP001"]
    assert len(station._under_way) <= WAITING_MAX + 1


# --- stop


def test_stop_tells_everybody() -> None:
    play = with_station()
    play.play(
        [
            ("in", LinkOpened(2)),
            ("in", Stop()),
            (
                "out",
                [
                    CloseCsms(1, 1001, "the gateway is stopping"),
                    Link(2, Goodbye("the cloud is stopping", RESTART_S)),
                    CloseLink(2, "the cloud is stopping"),
                    Link(1, Goodbye("the cloud is stopping", RESTART_S)),
                    CloseLink(1, "the cloud is stopping"),
                ],
            ),
            ("in", LinkOpened(3)),
            ("out", [Link(3, Goodbye("the cloud is stopping", RESTART_S)), CloseLink(3, "the cloud is stopping")]),
            ("in", LinkClosed(1, "closed")),
            ("in", LinkClosed(2, "closed")),
            ("in", LinkClosed(3, "closed")),
            ("tick", 1000.0),
            ("out", []),
        ]
    )
    assert play.machine.next_deadline() is None


def test_a_stopping_cloud_sends_what_waits_before_it_closes() -> None:
    machine = with_station().machine
    assert [effect for effect in machine.step(CsmsText(1, '[2,"9","Reset",{}]'), 1.0) if isinstance(effect, SendLink)]
    machine.step(CsmsText(1, '[2,"10","Reset",{}]'), 1.0)  # waits: the kernel has not taken the first
    assert CloseCsms(1, 1001, "the gateway is stopping") not in machine.step(Stop(), 1.0)
    assert [effect for effect in machine.step(LinkSent(1), 1.1) if isinstance(effect, SendLink)], "the second one goes out"
    assert CloseCsms(1, 1001, "the gateway is stopping") in machine.step(LinkSent(1), 1.2)


def test_nobody_is_taken_on_while_stopping() -> None:
    play = cloud()
    machine = play.machine
    machine.step(LinkMessage(1, write_parts([attach(1)])), 0.0)
    machine.step(CsmsRefused(1, 404, ""), 0.0)  # its verdict stays with the kernel
    machine.step(Stop(), 0.0)
    out = machine.step(LinkMessage(1, write_parts([attach(2)])), 0.0)
    assert not [effect for effect in out if isinstance(effect, OpenCsms)]


def test_events_of_other_links_and_sockets_are_nobodys() -> None:
    with_station().play(
        [
            ("in", LinkMessage(9, b"\x00")),
            ("in", LinkClosed(9, "x")),
            ("in", CsmsText(9, "x")),
            ("in", CsmsClosed(9, "x")),
            ("in", CsmsOpened(9, "x")),
            ("in", CsmsRefused(9, 404, "x")),
            ("out", []),
        ]
    )
    for event in (OpenLink(1), StationGone(1, "x")):
        with pytest.raises(TypeError):
            cloud().machine.step(event, 0.0)  # type: ignore[arg-type]


def test_goodbye_of_an_edge_is_noted() -> None:
    play = with_station()
    play.play([("far", Goodbye("the edge is stopping", 0)), ("out", [])])
    assert play.noted("the edge says goodbye")
    assert read_parts(b"") == []


# --- certificates

DAY_S = 86_400.0
LIFE_S = 90 * DAY_S


def certificate(serial: int, key: bytes = b"key") -> Certificate:
    """Of the edge, from 0 to `LIFE_S`."""
    return Certificate("edge", serial, key, 0.0, LIFE_S)


class Certified:
    """A cloud at a time of the calendar, and what it has said."""

    def __init__(self, unix_s: float) -> None:
        self.unix_s = unix_s
        self.machine = CloudMachine(SETTINGS, random=lambda: 0.5, random_bytes=lambda count: bytes([7]) * count, wall_s=lambda: self.unix_s)

    def step(self, event: Event, now: float) -> list[Effect]:
        return self.machine.step(event, now)

    def connect(self, link: int, shown: Certificate | None, now: float = 0.0) -> list[Effect]:
        self.step(LinkOpened(link, "edge", shown), now)
        return self.step(LinkMessage(link, write_parts([hello(edge="")])), now)


def warnings(effects: list[Effect]) -> list[str]:
    return [effect.words for effect in effects if isinstance(effect, Note) and effect.level >= Level.WARNING]


def test_a_certificate_of_another_key_does_not_end_the_connection_of_the_first() -> None:
    cloud = Certified(0.0)
    assert CloseLink(1, "the same edge has connected again") not in cloud.connect(1, certificate(1))
    said = []
    for link in (2, 3):
        effects = cloud.connect(link, certificate(2, b"other"))
        goodbye = Goodbye("this edge is connected with another key", RIVAL_RETRY_S)
        assert [read_parts(effect.data) for effect in effects if isinstance(effect, SendLink)] == [[goodbye]]
        assert [effect.link for effect in effects if isinstance(effect, CloseLink)] == [link]
        said += warnings(effects)
        said += warnings(cloud.step(LinkClosed(link, "closed"), 0.0))
    assert said == ["link refused"], "once"
    # The same key under a renewed certificate is the same edge; and once that has gone, the other may come.
    assert CloseLink(1, "the same edge has connected again") in cloud.connect(4, certificate(3))
    cloud.step(LinkClosed(4, "lost"), 0.0)
    assert not [effect for effect in cloud.connect(5, certificate(2, b"other")) if isinstance(effect, CloseLink)]


def test_without_a_certificate_the_newest_connection_wins() -> None:
    cloud = Certified(0.0)
    for link, shown in enumerate((None, certificate(1), None), 1):
        closed = [effect.link for effect in cloud.connect(link, shown) if isinstance(effect, CloseLink)]
        assert closed == ([link - 1] if link > 1 else [])


def test_a_certificate_is_renewed_after_two_thirds_of_its_life_and_rides_on_a_frame() -> None:
    cloud = Certified(LIFE_S * 2 / 3 - DAY_S / 2)
    shown = certificate(1)
    assert not [effect for effect in cloud.connect(1, shown) if isinstance(effect, FindRenewal)]
    assert cloud.machine.next_deadline() == DAY_S, "a connection can last for months"
    cloud.unix_s += DAY_S
    assert FindRenewal(1, shown) in cloud.step(Tick(), DAY_S)
    assert not [effect for effect in cloud.step(RenewalFound(1, b"DER"), DAY_S) if isinstance(effect, SendLink)], "no packet of its own"
    assert cloud.machine._links[1].session.rider == Renewal(b"DER")
    # Sent, and not used by the edge yet: not again before a day is over; not sent at all: at the next connection.
    cloud.machine._links[1].session.rider = None
    cloud.step(LinkClosed(1, "lost"), DAY_S + 1)
    assert FindRenewal(2, shown) not in cloud.connect(2, shown, DAY_S + 2)
    assert FindRenewal(2, shown) in cloud.step(Tick(), 2 * DAY_S + 2)
    cloud.step(RenewalFound(2, b"DER"), 2 * DAY_S + 2)
    cloud.step(LinkClosed(2, "lost"), 2 * DAY_S + 3)
    assert FindRenewal(3, shown) in cloud.connect(3, shown, 2 * DAY_S + 4)


def test_an_end_without_a_renewal_is_said_once_a_week() -> None:
    cloud = Certified(LIFE_S * 2 / 3)
    shown = certificate(1)
    cloud.connect(1, shown)
    said = []
    for day in range(31):
        said += warnings(cloud.step(RenewalFound(1, None, "none there"), day * DAY_S))
        cloud.unix_s += DAY_S
    assert said == ["an edge's certificate ends and there is none to follow it"] * 5
    assert warnings(cloud.step(RenewalFound(9, None, "whose connection has gone"), 0.0)) == []


def test_a_station_that_is_not_the_edges_is_told_of_once() -> None:
    cloud = Certified(0.0)
    cloud.step(LinkOpened(1, "narrow", Certificate("narrow", 1, b"key", 0.0, LIFE_S)), 0.0)
    cloud.step(LinkMessage(1, write_parts([hello(edge="")])), 0.0)
    said = []
    for number in range(1, 5):
        effects = cloud.step(LinkMessage(1, write_parts([attach(number, identity="CP002")])), 0.0)
        cloud.step(LinkSent(1), 0.0)
        assert not [effect for effect in effects if isinstance(effect, OpenCsms)]
        said += warnings(effects)
    assert said == ["edge may not speak for station"]


# --- a password that changes


def _changes_password(play: Play, socket: int, answer: str) -> None:
    """The CSMS changes the password to "new"; the station answers."""
    play.play([("in", CsmsText(socket, '[2,"9","ChangeConfiguration",{"key":"AuthorizationKey","value":"new"}]'))])
    play.play([("out", [Link(1, Carried(0, '2:"ChangeConfiguration",{"key":"AuthorizationKey","value":"new"}'))])])
    play.play([("far", Carried(0, f'3:{{"status":"{answer}"}}', call=0)), ("out", [SendCsms(socket, f'[3,"9",{{"status":"{answer}"}}]')])])


OLD, NEW = "Basic eDp5", "Basic eDpuZXc="
"""x:y and x:new"""


def _guarded() -> Play:
    play = cloud()
    play.play([("far", Attach(0, 1, "CP001", ["ocpp1.6"], OLD, 0)), ("out", [OpenCsms(1, "CP001", ("ocpp1.6",), OLD)])])
    play.channel(0, V16, EPOCH)
    play.play([("in", CsmsOpened(1, "ocpp1.6")), ("out", [Link(1, Verdict(0, 1, 101, "1.6", EPOCH, ""))])])
    return play


@pytest.mark.parametrize(("answer", "order"), [("Accepted", [NEW, OLD]), ("Rejected", [OLD])])
def test_a_lost_csms_socket_comes_back_with_whichever_password_works(answer: str, order: list[str]) -> None:
    play = _guarded()
    _changes_password(play, 1, answer)
    play.play([("in", CsmsClosed(1, "lost")), ("tick", 2.0)])
    for number, authorization in enumerate(order):
        play.play([("out", [OpenCsms(2 + number, "CP001", ("ocpp1.6",), authorization)]), ("in", CsmsRefused(2 + number, 401, "no"))])
    play.play([("out", [Link(1, Eject(0, 1, 1008, "the CSMS refused: no"))])])


def test_the_password_that_has_opened_a_socket_is_the_only_one() -> None:
    play = _guarded()
    _changes_password(play, 1, "Accepted")
    play.play(
        [("in", CsmsClosed(1, "lost")), ("tick", 2.0), ("in", CsmsOpened(2, "ocpp1.6")), ("in", CsmsClosed(2, "lost")), ("tick", 2.0)]
    )
    play.play([("out", [OpenCsms(socket, "CP001", ("ocpp1.6",), NEW) for socket in (2, 3)])])
    play.play([("in", CsmsRefused(3, 401, "no")), ("out", [Link(1, Eject(0, 1, 1008, "the CSMS refused: no"))])])


def test_a_change_that_nobody_answered_is_tried_after_the_password_that_was() -> None:
    play = _guarded()
    play.play([("in", CsmsText(1, '[2,"9","ChangeConfiguration",{"key":"AuthorizationKey","value":"new"}]'))])
    play.effects()
    play.play([("in", CsmsClosed(1, "lost")), ("tick", 2.0), ("out", [OpenCsms(2, "CP001", ("ocpp1.6",), OLD)])])
    play.play([("in", CsmsRefused(2, 403, "no")), ("out", [OpenCsms(3, "CP001", ("ocpp1.6",), NEW)])])


# --- an edge that only looks


def _check(edge: str = "edge", spoken: Spoken = SPOKEN) -> Check:
    return Check(spoken.newest, edge, CODECS, spoken.oldest)


def test_an_edge_that_only_looks_displaces_nobody_and_may_take_its_time() -> None:
    play = with_station()
    play.machine.wall_s = lambda: 1_700_000_000.5  # type: ignore[attr-defined]
    play.play([("in", LinkOpened(2)), ("in", LinkMessage(2, write_parts([_check()])))])
    play.play([("out", [Link(2, Checked("edge", "verbatim", 1_700_000_000_500, True))])])
    play.play([("tick", 3600.0), ("in", LinkMessage(2, write_parts([_check()])))])
    effects = play.effects()
    assert effects[-1] == Link(2, Checked("edge", "verbatim", 1_700_000_000_500, True))
    assert not any(isinstance(effect, CloseLink) for effect in effects)
    play.play([("in", LinkOpened(3)), ("in", LinkMessage(3, write_parts([_check("narrow")])))])
    play.play([("out", [Link(3, Checked("narrow", "verbatim", 1_700_000_000_500, False))])])


def test_an_edge_that_only_looks_is_refused_as_its_hello_would_be() -> None:
    play = cloud()
    for link, part, reason in (
        (2, _check("nobody"), "no such edge: 'nobody'"),
        (3, _check(spoken=Spoken(99, 99)), f"link protocol 99, this cloud speaks {PROTOCOL_VERSION}"),
        (4, Check(PROTOCOL_VERSION, "edge", []), "no common codec"),
    ):
        play.play([("in", LinkOpened(link)), ("in", LinkMessage(link, write_parts([part])))])
        play.play([("out", [Link(link, Goodbye(reason, 0)), CloseLink(link, reason)])])


def test_looking_comes_to_an_end() -> None:
    play = cloud()
    play.play([("in", LinkOpened(2)), ("in", LinkMessage(2, write_parts([_check()]))), ("tick", CHECK_S_MAX - 1)])
    assert CloseLink(2, "no hello") not in play.effects()
    play.play([("tick", 2.0)])
    assert CloseLink(2, "no hello") in play.effects()
    play.play([("in", LinkClosed(2, "no hello"))])
    for link in range(10, 10 + CHECKING_MAX + 1):
        play.play([("in", LinkOpened(link)), ("in", LinkMessage(link, write_parts([_check()])))])
    closed = [effect for effect in play.effects() if isinstance(effect, CloseLink)]
    assert closed == [CloseLink(10, "too many connections that only look")]


def test_an_edge_that_has_looked_may_say_its_hello() -> None:
    play = cloud("narrow")
    play.play([("in", LinkOpened(2)), ("in", LinkMessage(2, write_parts([_check()])))])
    play.effects()
    play.greeted(2)
    play.play([("far", hello()), ("out", [Link(2, Welcome("verbatim", []))])])
