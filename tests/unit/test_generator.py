"""Generated workloads: the same for the same seed, valid by the schemas, and as a station with these sessions would behave."""

from __future__ import annotations

import functools
import importlib.resources
import itertools
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from ocppress_gateway.workloads.generator import DAY_MS, START_MS, WORKLOADS, generate
from ocppress_gateway.workloads.meter import spelled
from ocppress_gateway.workloads.traces import Direction, TraceRecord

NAMES = sorted(WORKLOADS)
DAYS = 2


@functools.cache
def records_of(name: str) -> tuple[TraceRecord, ...]:
    return tuple(generate(WORKLOADS[name], days=DAYS, seed=7))


@functools.cache
def calls_of(name: str) -> tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]:
    """Action, payload, and the payload of the answer."""
    found = []
    records = records_of(name)
    for up, down in zip(records[::2], records[1::2], strict=True):
        call = json.loads(up.text, parse_float=Decimal)
        result = json.loads(down.text)
        assert (call[0], result[0], call[1]) == (2, 3, result[1])
        found.append((call[2], call[3], result[2]))
    return tuple(found)


def events_of(name: str) -> dict[str, list[dict[str, Any]]]:
    """The TransactionEvents by transactionId, complete transactions only."""
    found: dict[str, list[dict[str, Any]]] = {}
    for action, payload, _ in calls_of(name):
        if action == "TransactionEvent":
            found.setdefault(payload["transactionInfo"]["transactionId"], []).append(payload)
    return {transaction: events for transaction, events in found.items() if events[-1]["eventType"] == "Ended"}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_records(name: str) -> None:
    assert tuple(generate(WORKLOADS[name], days=DAYS, seed=7)) == records_of(name)
    assert tuple(generate(WORKLOADS[name], days=DAYS, seed=8)) != records_of(name)


def test_records_come_lazily() -> None:
    assert len(list(itertools.islice(generate(WORKLOADS["dc10"], days=10**9, seed=1), 10))) == 10


@pytest.mark.parametrize("name", NAMES)
def test_every_payload_is_valid(name: str) -> None:
    validators: dict[str, Any] = {}
    for action, payload, answer in calls_of(name)[:1500]:
        for schema_name, document in ((f"{action}Request", payload), (f"{action}Response", answer)):
            if schema_name not in validators:
                file = importlib.resources.files("ocpp.v201") / "schemas" / f"{schema_name}.json"
                schema = json.loads(file.read_text(encoding="utf-8-sig"))
                validators[schema_name] = jsonschema.validators.validator_for(schema)(schema)
            validators[schema_name].validate(json.loads(json.dumps(document, default=float)))


@pytest.mark.parametrize("name", NAMES)
def test_times_never_decrease_and_one_call_is_open_at_a_time(name: str) -> None:
    records = records_of(name)
    assert all(earlier.ts is not None and later.ts is not None and earlier.ts <= later.ts for earlier, later in itertools.pairwise(records))
    assert [record.direction for record in records] == [Direction.UP, Direction.DOWN] * (len(records) // 2)
    assert records[-1].ts is not None
    assert START_MS / 1000 <= records[-1].ts <= (START_MS + DAYS * DAY_MS) / 1000 + 1
    assert len({json.loads(record.text)[1] for record in records if record.direction is Direction.UP}) == len(records) // 2


@pytest.mark.parametrize("name", NAMES)
def test_a_day_has_its_sessions_and_heartbeats(name: str) -> None:
    workload = WORKLOADS[name]
    actions = Counter(action for action, _, _ in calls_of(name))
    sessions = DAYS * workload.sessions_a_day * workload.connectors
    assert actions["Heartbeat"] == pytest.approx(DAYS * 288, abs=1)
    assert actions["Authorize"] == sessions
    assert actions["StatusNotification"] == pytest.approx(2 * sessions + workload.connectors, abs=1)
    assert len(events_of(name)) == pytest.approx(sessions, abs=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_session_runs_from_started_to_ended(name: str) -> None:
    workload = WORKLOADS[name]
    lengths = []
    for events in events_of(name).values():
        assert [event["seqNo"] for event in events] == list(range(len(events)))
        assert [event["eventType"] for event in events] == ["Started", *["Updated"] * (len(events) - 2), "Ended"]
        assert [index for index, event in enumerate(events) if "idToken" in event] == [0]
        changes = [index for index, event in enumerate(events) if event["triggerReason"] == "ChargingStateChanged"]
        assert changes == [1, len(events) - 2]
        periodic = events[2:-2]
        assert {event["triggerReason"] for event in periodic} == {"MeterValuePeriodic"}
        lengths.append(len(periodic) * workload.interval_s)
    mean_s = sum(lengths) / len(lengths)
    assert mean_s == pytest.approx(workload.session_s, rel=0.1)


def test_some_ac22_connector_charges_half_of_the_day() -> None:
    charging = set()
    for action, payload, _ in calls_of("ac22"):
        if action == "TransactionEvent" and payload["triggerReason"] == "MeterValuePeriodic":
            day, time = payload["timestamp"].split("T")
            charging.add((day, time[:5]))
    assert len(charging) / 60 / DAYS == pytest.approx(12, rel=0.1)


@pytest.mark.parametrize(("name", "measurands"), [("home", 4), ("lev", 4), ("ac22", 8), ("dc10", 5)])
def test_values_move_as_a_meter_does(name: str, measurands: int) -> None:
    registers: dict[int, Decimal] = {}
    for events in events_of(name).values():
        currents = []
        for event in events:
            for reading in event.get("meterValue", []):
                values: dict[str, list[Decimal]] = {}
                for sample in reading["sampledValue"]:
                    values.setdefault(sample["measurand"], []).append(Decimal(sample["value"]))
                register = values["Energy.Active.Import.Register"][0]
                assert register >= registers.get(event["evse"]["id"], Decimal(0))
                registers[event["evse"]["id"]] = register
                if event["triggerReason"] == "MeterValuePeriodic":
                    assert len(reading["sampledValue"]) == measurands
                    voltages, phases = values["Voltage"], values["Current.Import"]
                    power = sum((volt * ampere for volt, ampere in zip(voltages, phases, strict=True)), Decimal(0))
                    assert values["Power.Active.Import"][0] == pytest.approx(power, rel=Decimal("0.01"))
                    currents.append(phases[0])
        assert currents[-1] < currents[0] * Decimal("0.9"), "the current tapers"
        assert len(set(currents)) > len(currents) / 20, "the last digits are noisy"


@pytest.mark.parametrize(
    ("milli", "decimals", "text"),
    [(230_040, 1, "230.0"), (230_050, 1, "230.1"), (9_999, 2, "10.00"), (0, 1, "0.0"), (1_005, 3, "1.005"), (16_004, 2, "16.00")],
)
def test_numbers_are_spelled_with_all_their_decimals(milli: int, decimals: int, text: str) -> None:
    assert spelled(milli, decimals) == text
