"""Meter values that say nothing new: dropped only within bands, outside transactions, and never for longer than the longest silence."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.measurands import MEASURANDS
from ocppress_gateway.core.suppression import CONNECTORS_REMEMBERED_MAX, Suppression, SuppressionSettings
from scripts.empty_answers import SCHEMA_PACKAGES

SETTINGS = SuppressionSettings(silence_s=900.0, bands={"Voltage": 2.0, "Current.Import": 0.1})


def suppression() -> Suppression:
    return Suppression(SETTINGS)


def raw(payload: str) -> Message:
    return Message(MessageType.CALL, "MeterValues", f'"MeterValues",{payload}')


def message(*rows: list[dict[str, Any]], connector: int = 1, **more: Any) -> Message:
    """1.6, whose values are text."""
    values = [{"timestamp": f"2026-01-01T00:00:{second:02}Z", "sampledValue": row} for second, row in enumerate(rows)]
    return raw(json.dumps({"connectorId": connector, "meterValue": values, **more}))


def volts(value: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "measurand": "Voltage", **more}


def test_the_first_goes_and_what_lies_within_the_band_of_what_was_sent_does_not() -> None:
    memory = suppression()
    assert not memory.is_unchanged(message([volts("230.0")]), 0.0)
    assert memory.is_unchanged(message([volts("231.5")]), 60.0)
    assert memory.is_unchanged(message([volts("228.0")]), 120.0), "the band's edge is within"
    # From what was sent, not from what was dropped: slow drift is seen.
    assert not memory.is_unchanged(message([volts("232.1")]), 180.0)
    assert memory.is_unchanged(message([volts("230.5")]), 240.0)


def test_without_a_band_only_the_same_number_is_unchanged() -> None:
    memory = suppression()
    assert not memory.is_unchanged(message([{"value": "1000.0"}]), 0.0)
    assert memory.is_unchanged(message([{"value": "1000.00"}]), 1.0)
    assert not memory.is_unchanged(message([{"value": "1000.01"}]), 2.0)
    for close in ("123456789012345678.1", "123456789012345678.2"):
        assert not memory.is_unchanged(message([{"value": close}]), 3.0)


def test_the_measurands_are_those_of_the_schemas() -> None:
    found: set[str] = set()
    for package in SCHEMA_PACKAGES.values():
        for file in (importlib.resources.files(package) / "schemas").iterdir():
            if file.name.endswith(".json"):
                found |= set(_measurands(json.loads(file.read_text(encoding="utf-8-sig"))))
    assert found == MEASURANDS


def _measurands(schema: Any) -> Iterator[str]:
    """In 1.6 an enumeration stands where it is used, in 2.x it has a name."""
    inner = list(schema.items()) if isinstance(schema, dict) else [("", one) for one in schema] if isinstance(schema, list) else []
    for name, value in inner:
        if name in ("measurand", "MeasurandEnumType") and isinstance(value, dict):
            yield from value.get("enum", ())
        yield from _measurands(value)


def test_the_longest_silence() -> None:
    memory = suppression()
    memory.is_unchanged(message([volts("230")]), 100.0)
    assert memory.is_unchanged(message([volts("230")]), 999.9)
    assert not memory.is_unchanged(message([volts("230")]), 1000.0)
    assert memory.is_unchanged(message([volts("230")]), 1000.1)


def test_all_values_count_and_the_set_must_be_the_same() -> None:
    memory = suppression()
    both = [volts("230", phase="L1"), volts("231", phase="L2")]
    memory.is_unchanged(message(both), 0.0)
    assert memory.is_unchanged(message(both[::-1]), 1.0)
    assert not memory.is_unchanged(message([both[0], volts("240", phase="L2")]), 2.0)
    assert not memory.is_unchanged(message(both[:1]), 3.0)
    assert not memory.is_unchanged(message(both), 4.0)
    assert not memory.is_unchanged(message([*both, volts("1", location="Cable")]), 5.0)
    assert not memory.is_unchanged(message([*both, volts("1", location="Cable", unit="kV")]), 6.0)


def test_each_row_of_a_message_counts_and_the_last_is_what_was_sent() -> None:
    memory = suppression()
    memory.is_unchanged(message([volts("230")], [volts("220")]), 0.0)
    assert memory.is_unchanged(message([volts("221")], [volts("219")]), 1.0)
    assert not memory.is_unchanged(message([volts("230")], [volts("220")]), 2.0)


def test_connectors_are_apart_and_their_number_is_bounded() -> None:
    memory = suppression()
    for connector in range(CONNECTORS_REMEMBERED_MAX + 1):
        assert not memory.is_unchanged(message([volts("230")], connector=connector), 0.0)
    assert memory.is_unchanged(message([volts("230")], connector=1), 1.0)
    assert not memory.is_unchanged(message([volts("230")], connector=0), 1.0)


def test_a_message_of_2x() -> None:
    memory = suppression()
    unit = {"unit": "V", "multiplier": 0}

    def sampled(value: float, **more: Any) -> Message:
        row = [{"value": value, "measurand": "Voltage", "unitOfMeasure": unit, **more}]
        return raw(json.dumps({"evseId": 1, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": row}]}))

    assert not memory.is_unchanged(sampled(230.1), 0.0)
    assert memory.is_unchanged(sampled(231), 1.0)
    assert not memory.is_unchanged(sampled(231, signedMeterValue={"signedMeterData": "x"}), 2.0)


@pytest.mark.parametrize(
    "odd",
    [
        message([volts("230", context="Trigger")]),
        message([volts("230", context="Interruption.Begin")]),
        message([volts("230", format="SignedData")]),
        message([volts("230", vendor=1)]),
        message([volts("230")], transactionId=7),
        message([volts("230")], customData={"vendorId": "x"}),
        message([volts("NaN")]),
        message([volts("-Infinity")]),
        message([volts("two")]),
        message([volts("230"), volts("230")]),
        message([]),
        message(),
        raw("{}"),
        raw('{"connectorId":"1","meterValue":[]}'),
        raw('{"connectorId":1,"meterValue":' + "[" * 60 + "]" * 60 + "}"),
    ],
)
def test_what_is_not_understood_goes_and_so_does_what_comes_next(odd: Message) -> None:
    memory = suppression()
    memory.is_unchanged(message([volts("230")]), 0.0)
    assert not memory.is_unchanged(odd, 1.0)
    assert not memory.is_unchanged(message([volts("230")]), 2.0)


def test_numbers_too_large_for_arithmetic() -> None:
    memory = suppression()
    for value in ("9e999999", "-9e999999", "9e999998", "1e400"):
        assert not memory.is_unchanged(message([volts(value)]), 0.0)


def test_after_something_else_was_heard_of_the_meters_the_next_values_go() -> None:
    memory = suppression()
    memory.is_unchanged(message([volts("230")]), 0.0)
    memory.forget()
    assert not memory.is_unchanged(message([volts("230")]), 1.0)


def test_clock_aligned_values_may_be_dropped_too_and_are_apart() -> None:
    memory = suppression()
    aligned = message([volts("230", context="Sample.Clock")])
    assert not memory.is_unchanged(aligned, 0.0)
    assert memory.is_unchanged(aligned, 1.0)
    assert not memory.is_unchanged(message([volts("230")]), 2.0)


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(2200, 2400), st.floats(1.0, 400.0)), max_size=60))
def test_what_the_csms_knows_is_never_further_off_or_older_than_promised(walk: list[tuple[int, int, float]]) -> None:
    memory = suppression()
    known: dict[int, tuple[float, float]] = {}
    now = 0.0
    for connector, decivolts, step_s in walk:
        now += step_s
        value = decivolts / 10
        if not memory.is_unchanged(message([volts(str(value))], connector=connector), now):
            known[connector] = value, now
        sent, at = known[connector]
        assert abs(sent - value) <= 2.0
        assert now - at < SETTINGS.silence_s
