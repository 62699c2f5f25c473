"""What an operator asks of the two machines: dead letters again, all that is stored now, how things stand, and the report of a day."""

from __future__ import annotations

from datetime import date

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine, CloudSettings
from ocppress_gateway.core.delivery import Delivery
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.core.events import (
    CsmsClosed,
    CsmsOpened,
    CsmsText,
    Effect,
    Event,
    Flush,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkSent,
    Note,
    PlanWanted,
    Replay,
    ReplayEnded,
    SendCsms,
    SendLink,
    StationArrived,
    StationText,
    TellReport,
    Tick,
    WantFlush,
    WantPlan,
)
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Attach,
    ChoosePlan,
    DayReport,
    Detach,
    FlushStation,
    Hello,
    Part,
    TellDelivered,
    Verdict,
    Welcome,
    read_parts,
    write_parts,
)
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.report import DiskHealth, Report, write_report
from ocppress_gateway.core.stored import DeadLetter, Lane, OutboxOpened, StationRecord

LETTER = DeadLetter("CP001", "00ff00ff00ff00ffo7", "1.6", '"StopTransaction",{"transactionId":7}', "InternalError", "", 3, 0.0, 5)
TEXT = '[2,"00ff00ff00ff00ffo7","StopTransaction",{"transactionId":7}]'
CODECS = [("verbatim", fingerprint(CodecName.VERBATIM))]
CALL_TIMEOUT_S = 30.0
REPORT = Report(date(2026, 3, 1), 1, None, 2, 25_000, None, PlanName.AUTO, PlanName.LIVE, 3, None, DiskHealth.GOOD, "1.0")


class Cloud:
    """A cloud with an edge on link 1 and the station CP001, whose CSMS socket is 1."""

    def __init__(self) -> None:
        settings = CloudSettings(
            edges={"edge": frozenset({ANY_STATION}), "other": frozenset({"X"})},
            linger_s=0.0,
            command_timeout_s=30.0,
            call_timeout_s=CALL_TIMEOUT_S,
            link_grace_s=60.0,
            retry_wait_min_s=2.0,
            retry_random_s=0.0,
            retry_repeat_times=2,
        )
        self.machine = CloudMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes([1]) * count)
        self.now = 0.0
        self.step(LinkOpened(1))
        self.heard(Hello(PROTOCOL_VERSION, "edge", CODECS, []))
        self.heard(Attach(0, 1, "CP001", ["ocpp1.6"], None, 0))
        self.step(CsmsOpened(1, "ocpp1.6"))

    def step(self, event: Event) -> list[Effect]:
        return [effect for effect in self.machine.step(event, self.now) if not isinstance(effect, Note)]

    def heard(self, *parts: Part) -> list[Effect]:
        return self.step(LinkMessage(1, write_parts(list(parts))))

    def after(self, seconds: float) -> list[Effect]:
        self.now += seconds
        return self.step(Tick())


# --- dead letters


def test_a_dead_letter_goes_under_its_old_id_and_ends_with_the_answer() -> None:
    cloud = Cloud()
    assert cloud.step(Replay(LETTER)) == [SendCsms(1, TEXT)]
    assert cloud.machine.view(cloud.now).stations[0].waiting == 1
    assert cloud.step(CsmsText(1, '[3,"00ff00ff00ff00ffo7",{}]')) == [ReplayEnded(5, None)], "the answer goes nowhere else"
    assert cloud.machine.view(cloud.now).stations[0].waiting == 0


def test_a_dead_letter_that_is_refused_again_stays_one() -> None:
    cloud = Cloud()
    cloud.step(Replay(LETTER))
    assert cloud.step(CsmsText(1, '[4,"00ff00ff00ff00ffo7","InternalError","",{}]')) == [
        ReplayEnded(5, "the CSMS refused it again: InternalError")
    ]


def test_a_dead_letter_without_an_answer_stays_one_and_a_late_answer_counts() -> None:
    cloud = Cloud()
    cloud.step(Replay(LETTER))
    cloud.after(CALL_TIMEOUT_S / 2)
    cloud.step(CsmsText(1, '[2,"c","Reset",{}]'))  # not silent, only slow
    assert ReplayEnded(5, "the CSMS didn't answer it in time") in cloud.after(CALL_TIMEOUT_S / 2)
    assert ReplayEnded(5, None) in cloud.step(CsmsText(1, '[3,"00ff00ff00ff00ffo7",{}]'))


def test_a_dead_letter_whose_socket_is_lost_stays_one() -> None:
    cloud = Cloud()
    cloud.step(Replay(LETTER))
    assert ReplayEnded(5, "the CSMS didn't answer it in time") in cloud.step(CsmsClosed(1, "gone"))


def test_a_dead_letter_whose_station_goes_stays_one() -> None:
    cloud = Cloud()
    cloud.step(Replay(LETTER))
    assert ReplayEnded(5, "the CSMS didn't answer it in time") in cloud.heard(Detach(0, 1))


def test_a_dead_letter_waits_for_its_turn_but_not_for_ever() -> None:
    cloud = Cloud()
    cloud.step(Replay(LETTER))
    second = DeadLetter("CP001", "00ff00ff00ff00ffo8", "1.6", LETTER.body, "", "", 3, 0.0, 6)
    assert cloud.step(Replay(second)) == [], "one CALL is outstanding"
    assert cloud.step(CsmsText(1, '[3,"00ff00ff00ff00ffo7",{}]')) == [
        ReplayEnded(5, None),
        SendCsms(1, TEXT.replace("ffo7", "ffo8")),
    ]


@pytest.mark.parametrize(
    ("letter", "reason"),
    [
        (DeadLetter("CP002", "x", "1.6", LETTER.body, "", "", 1, 0.0, 5), "the station's CSMS socket isn't open"),
        (
            DeadLetter("CP001", "x", "2.0.1", LETTER.body, "", "", 1, 0.0, 5),
            "the station now speaks OCPP 1.6, the letter 2.0.1",
        ),
    ],
)
def test_a_dead_letter_that_cannot_go_is_refused_with_why(letter: DeadLetter, reason: str) -> None:
    assert Cloud().step(Replay(letter)) == [ReplayEnded(5, reason)]


def test_a_dead_letter_that_is_under_way_does_not_go_twice() -> None:
    cloud = Cloud()
    cloud.step(Replay(LETTER))
    assert cloud.step(Replay(LETTER)) == [ReplayEnded(5, "it is being put to the CSMS already")]
    cloud.step(CsmsClosed(1, "gone"))
    assert cloud.step(Replay(LETTER)) == [ReplayEnded(5, "the station's CSMS socket isn't open")]


# --- views and reports at the cloud


def test_a_clouds_view_follows_links_and_sockets() -> None:
    cloud = Cloud()
    cloud.now = 5.0
    view = cloud.machine.view(cloud.now)
    (edge,) = view.edges
    assert (edge.name, edge.up_s, edge.down_s, edge.stations, edge.report) == ("edge", 5.0, None, 1, None)
    assert view.never_seen == ("other",)
    cloud.step(CsmsClosed(1, "gone"))
    assert (cloud.machine.view(5.5).stations[0].state, cloud.machine.view(5.5).stations[0].retry_in_s) == ("waiting", 1.5)
    cloud.step(LinkClosed(1, "gone"))
    assert (cloud.machine.view(7.0).edges[0].up_s, cloud.machine.view(7.0).edges[0].down_s) == (None, 2.0)


def test_a_report_is_kept_and_said_once_a_day() -> None:
    cloud = Cloud()
    parts = write_parts([DayReport(write_report(REPORT))])
    said = [cloud.machine.step(LinkMessage(1, parts), 1.0) for _ in range(2)]
    assert [[note.words for note in effects if isinstance(note, Note)] for effects in said] == [["an edge reports"], []]
    assert cloud.machine.view(1.0).edges[0].report == REPORT


def test_a_report_that_makes_no_sense_harms_nothing() -> None:
    cloud = Cloud()
    effects = cloud.machine.step(LinkMessage(1, write_parts([DayReport(b"\x80")])), 1.0)
    assert [note.words for note in effects if isinstance(note, Note)] == ["an edge's report makes no sense"]
    assert cloud.machine.view(1.0).edges[0].up_s is not None


def test_an_operators_wishes_go_to_the_edge_that_is_linked() -> None:
    cloud = Cloud()
    for _ in ("the welcome", "the verdict"):
        cloud.machine.step(LinkSent(1), 1.0)
    assert sent(cloud.machine.step(WantPlan("edge", "saver", "ann: too\ndear"), 1.0)) == [ChoosePlan("saver", "ann: too?dear")]
    cloud.machine.step(LinkSent(1), 1.0)
    assert sent(cloud.machine.step(WantFlush("CP001"), 1.0)) == [FlushStation("CP001")]
    cloud.machine.step(LinkSent(1), 1.0)
    for wish in (WantPlan("other", "saver", "why"), WantPlan("nobody", "saver", "why"), WantFlush("CP002")):
        assert sent(cloud.machine.step(wish, 2.0)) == []
    cloud.machine.step(LinkClosed(1, "gone"), 3.0)
    for wish in (WantPlan("edge", "saver", "why"), WantFlush("CP001")):
        assert sent(cloud.machine.step(wish, 3.0)) == []


# --- the edge

RECORD = StationRecord("CP001", "1.6", (0, 0), (0, 3), accepted=True, heartbeat_interval_s=300, fingerprints=())


def edge(*, admitted: bool = True) -> EdgeMachine:
    """An edge with a link, and three messages of CP001 on disk."""
    settings = EdgeSettings(
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
    machine = EdgeMachine(settings, random=lambda: 0.5, random_bytes=lambda count: bytes([1]) * count, wall_s=lambda: 1000.0)
    machine.step(OutboxOpened(bytes(8), (RECORD,)), 0.0)
    machine.step(LinkOpened(1), 0.0)
    machine.step(LinkSent(1), 0.0)
    machine.step(LinkMessage(1, write_parts([Welcome("verbatim", [])])), 0.0)
    if admitted:
        machine.step(StationArrived(1, "CP001", ("ocpp1.6",)), 0.0)
        machine.step(LinkSent(1), 0.0)
        machine.step(LinkMessage(1, write_parts([Verdict(0, 1, 101, "1.6", 77, "")])), 0.0)
    return machine


def sent(effects: list[Effect]) -> list[Part]:
    return [part for effect in effects if isinstance(effect, SendLink) for part in read_parts(effect.data)]


def test_a_flush_asks_the_cloud_what_the_csms_has_answered() -> None:
    machine = edge()
    assert sent(machine.step(Flush("CP002"), 1.0)) == []
    assert TellDelivered(0) in sent(machine.step(Flush("CP001"), 1.0))


def test_a_flush_without_a_link_is_none() -> None:
    machine = edge()
    machine.step(LinkClosed(1, "gone"), 1.0)
    assert sent(machine.step(Flush("CP001"), 1.0)) == []


def test_an_edges_view_has_stations_that_are_not_here_but_left_something() -> None:
    (one,) = edge(admitted=False).view(1.0).stations
    assert (one.identity, one.state, one.undelivered, one.waiting) == ("CP001", "absent", 3, 3)
    (one,) = edge().view(1.0).stations
    assert (one.identity, one.state, one.undelivered, one.epoch) == ("CP001", "admitted", 3, 77)


def test_an_edges_view_follows_its_link() -> None:
    machine = edge()
    link = machine.view(9.0).link
    assert (link.state, link.up_s, link.down_s, link.codec, link.connections) == ("open", 9.0, None, "verbatim", 1)
    machine.step(LinkClosed(1, "gone"), 10.0)
    link = machine.view(10.5).link
    assert (link.state, link.up_s, link.down_s, link.retry_in_s) == ("down", None, 0.5, 0.5)


def test_a_report_waits_for_company_and_outlives_a_lost_link() -> None:
    machine = edge(admitted=False)
    report = DayReport(write_report(REPORT))
    assert sent(machine.step(TellReport(report.report), 1.0)) == [], "it isn't worth a packet"
    machine.step(LinkClosed(1, "gone"), 2.0)
    machine.step(Tick(), 4.0)
    machine.step(LinkOpened(2), 4.0)
    machine.step(LinkSent(2), 4.0)
    machine.step(LinkMessage(2, write_parts([Welcome("verbatim", [])])), 4.0)
    arrived = machine.step(StationArrived(1, "CP001", ("ocpp1.6",)), 5.0)
    assert report not in sent(arrived), "an attachment has no frame"
    machine.step(LinkSent(2), 5.0)
    machine.step(LinkMessage(2, write_parts([Verdict(0, 1, 101, "1.6", 77, "")])), 5.0)
    assert report in sent(machine.step(StationText(1, '[2,"1","Authorize",{}]'), 6.0))
    machine.step(LinkSent(2), 6.0)
    assert report not in sent(machine.step(StationText(1, '[2,"2","Authorize",{}]'), 7.0)), "once"


def test_a_report_that_somebody_waits_for_goes_at_once() -> None:
    machine = edge(admitted=False)
    report = DayReport(write_report(REPORT))
    assert sent(machine.step(TellReport(report.report, now=True), 1.0)) == [report]
    machine.step(LinkClosed(1, "gone"), 2.0)
    assert sent(machine.step(TellReport(report.report, now=True), 2.0)) == [], "it waits for the next link"


def test_what_the_cloud_wants_is_done() -> None:
    machine = edge()
    assert PlanWanted("saver", "ann: why") in machine.step(LinkMessage(1, write_parts([ChoosePlan("saver", "ann: why")])), 1.0)
    assert TellDelivered(0) in sent(machine.step(LinkMessage(1, write_parts([FlushStation("CP001")])), 1.0))
    machine.step(LinkSent(1), 1.0)
    assert machine.step(LinkMessage(1, write_parts([FlushStation("CP002")])), 2.0)[1:] == [], "a station that isn't here"


def test_delivery_tells_by_itself_when_all_that_was_received_is_answered() -> None:
    delivery = Delivery(bytes(8), (0, 0), (0, 0))
    for _ in range(2):
        delivery.receive(Lane.ORDERED, 10)
    delivery.answered(Lane.ORDERED, 1, 10)
    assert not delivery.owes_news
    delivery.await_all()
    assert not delivery.owes_news, "one is still to come"
    delivery.answered(Lane.ORDERED, 2, 10)
    assert delivery.owes_news
    assert delivery.news(riding=False) == (0, 2)
    delivery.receive(Lane.ORDERED, 10)
    delivery.answered(Lane.ORDERED, 3, 10)
    assert not delivery.owes_news, "that was asked for once"
