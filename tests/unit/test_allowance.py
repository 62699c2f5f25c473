"""What one station may cost the link in a day: the bucket, the allowance, and an edge whose station has used it up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ocppress_codecs.interface import Side
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.allowance import ASK_BYTES, DAY_S, Allowance, goes_on
from ocppress_gateway.core.bucket import Bucket
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.events import (
    AdmitStation,
    CloseStation,
    Level,
    LinkOpened,
    OpenLink,
    RefuseStation,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
)
from ocppress_gateway.core.parts import Detach, Verdict, Welcome
from tests.support.playbook import Carried, Link, Play
from tests.unit.test_edge_machine import EPOCH, SETTINGS, attach, call, hello

DAILY = 10_000
HOUR_S = 3600.0
USED_UP = "the station has used up its bytes on the cellular link"


def test_a_bucket_fills_evenly_up_to_its_capacity_and_may_owe() -> None:
    bucket = Bucket(10, 2)
    assert bucket.spend(14, 100.0) == -4
    assert bucket.wait_s(100.0) == 2.0
    assert bucket.level(101.0) == -2
    assert bucket.level(100.5) == -2, "a clock that goes back fills nothing"
    assert bucket.level(1000.0) == 10


def test_an_allowance_is_used_up_then_shut_and_comes_back_with_time() -> None:
    allowance = Allowance(DAILY)
    assert not allowance.is_used_up(0.0)
    allowance.spend(DAILY, 0.0)
    assert allowance.is_used_up(0.0)
    assert not allowance.is_shut(0.0)
    allowance.spend(DAILY, 0.0)
    assert allowance.is_shut(0.0)
    assert allowance.is_shut(HOUR_S - 1), "an hour's part of it has to be there"
    assert not allowance.is_shut(HOUR_S + 1)
    assert allowance.is_used_up(DAY_S - 1)
    assert not allowance.is_used_up(DAY_S + 1)


def test_an_alarm_is_raised_once_until_there_is_some_again() -> None:
    allowance = Allowance(DAILY)
    assert not allowance.takes_alarm(0.0)
    allowance.spend(DAILY, 0.0)
    assert [allowance.takes_alarm(0.0), allowance.takes_alarm(1.0)] == [True, False]
    allowance.spend(1, 10.0)
    assert not allowance.takes_alarm(10.0), "it goes up and down around nothing"
    assert not allowance.takes_alarm(2 * HOUR_S)
    allowance.spend(DAILY, 2 * HOUR_S)
    assert allowance.takes_alarm(2 * HOUR_S)


@pytest.mark.parametrize(
    ("body", "goes"),
    [
        ('"BootNotification",{}', True),
        ('"Authorize",{"idTag":"a"}', True),
        ('"StartTransaction",{}', True),
        ('"TransactionEvent",{"eventType":"Updated"}', True),
        ('"MeterValues",{"transactionId":7}', True),
        ('"MeterValues",{}', False),
        ('"StatusNotification",{}', False),
        ('"DataTransfer",{}', False),
        ('"Invented",{}', False),
    ],
)
def test_what_goes_on(body: str, goes: bool) -> None:
    assert goes_on(Message(MessageType.CALL, json.loads(body.partition(",")[0]), body)) is goes


def limited(daily_bytes: int, version: OcppVersion = OcppVersion.V16) -> Play:
    """An edge with a station that may cost so much in a day, and that has just been admitted."""
    settings = replace(SETTINGS, daily_bytes=daily_bytes)
    play = Play(EdgeMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes(count)), Side.EDGE)
    play.play([("tick", 0.0), ("out", [OpenLink(1)]), ("in", LinkOpened(1)), ("out", [Link(1, hello())])])
    play.greeted(1)
    play.play([("far", Welcome("verbatim", [])), ("in", StationArrived(7, "CP001", (version.subprotocol,)))])
    play.channel(0, version, EPOCH)
    play.play([("far", Verdict(0, 1, 101, version.value, EPOCH, ""))])
    assert play.effects()[-1] == AdmitStation(7, version.subprotocol)
    return play


def spend(play: Play, byte_count: int) -> None:
    machine = play.machine
    assert isinstance(machine, EdgeMachine)
    allowance = machine._stations["CP001"].allowance
    assert allowance is not None
    allowance.spend(byte_count, play.now)


def refusal(message_id: str) -> SendStation:
    description = "The station has used up its bytes on the cellular link (daily_mb of the ocppress edge)"
    return SendStation(7, f'[4,"{message_id}","GenericError","{description}",{{}}]')


def test_a_station_that_has_used_it_up_is_refused_all_but_what_matters() -> None:
    play = limited(3000)
    spend(play, 3000 - ASK_BYTES - 10)
    play.play([("in", call("1", "DataTransfer")), ("out", [Link(1, Carried(0, '2:"DataTransfer",{}'))])])
    assert [note.level for note in play.notes if note.fields.get("daily_mb") == 0.003] == [Level.ERROR]
    play.play(
        [
            ("in", call("2", "DataTransfer")),
            ("in", call("3", "Heartbeat")),
            ("out", [refusal("2"), refusal("3")]),
            ("in", call("4", "StartTransaction")),
            ("out", [Link(1, Carried(0, '2:"StartTransaction",{}'))]),
            ("far", Carried(0, '2:"Reset",{}')),
        ]
    )
    (reset,) = play.effects()
    assert isinstance(reset, SendStation), "the CSMS still has its say"
    play.play([("in", StationText(7, f'[3,"{json.loads(reset.text)[1]}",{{}}]')), ("out", [Link(1, Carried(0, "3:{}", call=0))])])
    play.play([("tick", DAY_S), ("in", call("5", "DataTransfer"))])
    (sent,) = play.effects()
    assert isinstance(sent, Link)
    assert sent.parts[0] == Carried(0, '2:"DataTransfer",{}')


def test_a_send_of_such_a_station_goes_nowhere() -> None:
    play = limited(3000, OcppVersion.V21)
    stream = StationText(7, '[6,"1","NotifyPeriodicEventStream",{"id":1}]')
    play.play([("in", stream), ("out", [Link(1, Carried(0, '6:"NotifyPeriodicEventStream",{"id":1}'))])])
    spend(play, 3000)
    play.play([("in", stream), ("out", [])])


def test_a_station_that_goes_on_all_the_same_is_sent_away_and_kept_out_for_an_hour() -> None:
    play = limited(1000)
    for number in range(100):
        play.play([("in", call(str(number), "StartTransaction", f'{{"n":{number}}}'))])
        first, *others = play.effects()
        assert first == Link(1, Carried(0, f'2:"StartTransaction",{{"n":{number}}}')), "nothing of a transaction is dropped"
        if others:
            break
    assert others == [CloseStation(7, 1008, USED_UP), Link(1, Detach(0, 1))]
    assert 5 < number < 20
    play.play([("in", StationGone(7, "closed")), ("in", StationArrived(8, "CP001", ("ocpp1.6",)))])
    play.play([("out", [RefuseStation(8, 503, USED_UP)])])
    play.play([("in", StationArrived(9, "CP002", ("ocpp1.6",))), ("out", [Link(1, attach(2, 1, "CP002"))])])
    play.play([("tick", 2 * HOUR_S), ("in", StationArrived(10, "CP001", ("ocpp1.6",)))])
    assert not any(isinstance(effect, RefuseStation) and effect.socket == 10 for effect in play.effects())


def test_a_station_that_flaps_without_an_end_is_kept_out_as_well() -> None:
    play = limited(5 * ASK_BYTES)
    asked = 0
    for socket in range(100, 150):
        play.play([("in", StationGone(7, "left")), ("in", StationArrived(socket, "CP001", ("ocpp1.6",)))])
        effects = play.effects()
        asked += any(isinstance(effect, Link) for effect in effects) and RefuseStation(socket, 503, USED_UP) not in effects
        play.play([("in", StationGone(socket, "left"))])
    assert asked == 9


def test_what_is_used_of_a_day_is_said_in_per_cent() -> None:
    allowance = Allowance(1000)
    assert allowance.used_percent(0.0) == 0
    allowance.spend(1500, 0.0)
    assert allowance.used_percent(0.0) == 150
    assert allowance.used_percent(43_200.0) == 100, "half a day later half of it is there again"
