"""The machine that changes nothing."""

from __future__ import annotations

from ocppress_gateway.core.events import (
    AdmitStation,
    CloseCsms,
    CloseStation,
    CsmsClosed,
    CsmsOpened,
    CsmsRefused,
    CsmsText,
    Effect,
    Event,
    Note,
    Observe,
    OpenCsms,
    RefuseStation,
    SendCsms,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
    Stop,
)
from ocppress_gateway.core.limits import STATIONS_PER_EDGE_MAX
from ocppress_gateway.core.observing import ObservingMachine


def steps(machine: ObservingMachine, *events: Event) -> list[Effect]:
    """All that comes of them, but for notes."""
    return [effect for event in events for effect in machine.step(event, 0.0) if not isinstance(effect, Note)]


def test_what_one_says_the_other_hears() -> None:
    machine = ObservingMachine()
    assert steps(machine, StationArrived(1, "CP", ("ocpp2.0.1", "ocpp1.6"), "Basic eA==")) == [
        OpenCsms(1, "CP", ("ocpp2.0.1", "ocpp1.6"), "Basic eA==")
    ]
    assert steps(machine, StationText(1, "early")) == [], "nothing comes before the upgrade"
    assert steps(machine, CsmsOpened(1, "ocpp1.6")) == [AdmitStation(1, "ocpp1.6")]
    assert steps(machine, StationText(1, "a")) == [SendCsms(1, "a"), Observe("CP", True, "a")]
    assert steps(machine, CsmsText(1, "b")) == [SendStation(1, "b"), Observe("CP", False, "b")]


def test_either_end_takes_the_other_with_it() -> None:
    machine = ObservingMachine()
    steps(machine, StationArrived(1, "CP", ()), CsmsOpened(1, ""), StationArrived(2, "CQ", ()), CsmsOpened(2, ""))
    assert steps(machine, StationGone(1, "")) == [CloseCsms(1, 1000, "the station has gone")]
    assert steps(machine, CsmsClosed(1, ""), CsmsText(1, "late")) == []
    assert steps(machine, CsmsClosed(2, "")) == [CloseStation(2, 1001, "the CSMS has closed")]
    assert steps(machine, StationText(2, "late"), StationGone(2, "")) == []


def test_a_refusal_is_the_csms_s() -> None:
    machine = ObservingMachine()
    for socket, status, given in ((1, 404, 404), (2, None, 502), (3, 302, 502)):
        steps(machine, StationArrived(socket, f"CP{socket}", ()))
        assert steps(machine, CsmsRefused(socket, status, "why"), StationGone(socket, "")) == [RefuseStation(socket, given, "why")]


def test_a_station_that_comes_again_takes_the_place_of_its_old_socket() -> None:
    machine = ObservingMachine()
    steps(machine, StationArrived(1, "CP", ()), CsmsOpened(1, ""))
    assert steps(machine, StationArrived(2, "CP", ())) == [
        CloseStation(1, 1000, "the station has connected again"),
        OpenCsms(2, "CP", (), None),
    ]


def test_there_is_a_limit_and_an_end() -> None:
    machine = ObservingMachine()
    steps(machine, *(StationArrived(socket, f"CP{socket}", ()) for socket in range(1, STATIONS_PER_EDGE_MAX + 1)))
    assert steps(machine, StationArrived(100, "CQ", ())) == [RefuseStation(100, 503, "too many stations")]
    assert len(steps(machine, Stop())) == STATIONS_PER_EDGE_MAX
    assert steps(machine, StationArrived(101, "CR", ())) == [RefuseStation(101, 503, "the gateway is stopping")]
