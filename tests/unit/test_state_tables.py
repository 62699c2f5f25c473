"""The three state tables: every pair of state and event, the illegal ones too."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest

from ocppress_gateway.core.cloud_station import TRANSITIONS as CSMS_TRANSITIONS
from ocppress_gateway.core.cloud_station import CloudStation, CsmsState, CsmsStep
from ocppress_gateway.core.conversation import Counters
from ocppress_gateway.core.edge_station import TRANSITIONS as STATION_TRANSITIONS
from ocppress_gateway.core.edge_station import EarlyAnswers, EdgeStation, StationEvent, StationState
from ocppress_gateway.core.policy import NO_OVERRIDES
from ocppress_gateway.core.session import TRANSITIONS as SESSION_TRANSITIONS
from ocppress_gateway.core.session import LinkSession, SessionEvent, SessionState
from ocppress_gateway.core.transfer_guard import TransferGuards
from ocppress_gateway.core.transfer_rules import NO_RULES


def session() -> LinkSession:
    return LinkSession(1, 0.02, takes_clock=True)


def edge_station() -> EdgeStation:
    early = EarlyAnswers(
        NO_OVERRIDES, lambda identity, now: None, lambda: 0.0, lambda identity, now: None, lambda identity, count: None, 2.0
    )
    return EdgeStation("CP001", 0, make_id=str, answer_timeout_s=30.0, station_timeout_s=60.0, counters=Counters(), early=early)


def cloud_station() -> CloudStation:
    counters = Counters()
    return CloudStation(
        "CP001",
        0,
        make_id=str,
        call_timeout_s=30.0,
        command_timeout_s=30.0,
        attempts_max=3,
        attempt_interval_s=60.0,
        stops_late_rejected=False,
        relayed_bytes=0,
        counters=counters,
        guards=TransferGuards(NO_RULES, lambda: 0.0, counters),
        month_percent=lambda: None,
    )


# Written from the drawings in the modules, not from the tables.
LEGAL = {
    "session": {
        ("connecting", "opened"): "greeting",
        ("greeting", "greeted"): "open",
        ("connecting", "lost"): "lost",
        ("greeting", "lost"): "lost",
        ("open", "lost"): "lost",
    },
    "station": {
        ("absent", "arrived"): "asking",
        ("asking", "admitted"): "admitted",
        ("admitted", "asked again"): "asking again",
        ("asking again", "admitted"): "admitted",
        ("asking again", "link lost"): "admitted",
        ("asking", "left"): "absent",
        ("admitted", "left"): "absent",
        ("asking again", "left"): "absent",
        ("admitted", "gone"): "leaving",
        ("leaving", "came back"): "admitted",
        ("leaving", "left"): "absent",
    },
    "csms": {
        ("closed", "open"): "opening",
        ("opening", "opened"): "open",
        ("open", "lost"): "waiting",
        ("waiting", "open"): "reopening",
        ("reopening", "opened"): "open",
        ("reopening", "lost"): "waiting",
        ("opening", "shut"): "closed",
        ("open", "shut"): "closed",
        ("waiting", "shut"): "closed",
        ("reopening", "shut"): "closed",
    },
}
MAKERS: dict[str, tuple[Callable[[], Any], type[enum.StrEnum], type[enum.StrEnum]]] = {
    "session": (session, SessionState, SessionEvent),
    "station": (edge_station, StationState, StationEvent),
    "csms": (cloud_station, CsmsState, CsmsStep),
}
PAIRS = [(name, state, event) for name, (_, states, events) in MAKERS.items() for state in states for event in events]


@pytest.mark.parametrize(("name", "state", "event"), PAIRS)
def test_every_pair(name: str, state: enum.StrEnum, event: enum.StrEnum) -> None:
    machine = MAKERS[name][0]()
    machine.state = state
    to = LEGAL[name].get((str(state), str(event)))
    if to is None:
        with pytest.raises(KeyError):
            machine.moved(event)
        assert machine.state is state
    else:
        machine.moved(event)
        assert machine.state == to


def test_every_state_can_be_reached_and_has_a_row() -> None:
    tables: list[tuple[dict[Any, dict[Any, Any]], type[enum.StrEnum]]] = [
        (SESSION_TRANSITIONS, SessionState),
        (STATION_TRANSITIONS, StationState),
        (CSMS_TRANSITIONS, CsmsState),
    ]
    for table, states in tables:
        assert set(table) == set(states)
        first = next(iter(states))
        assert {to for row in table.values() for to in row.values()} | {first} == set(states)
