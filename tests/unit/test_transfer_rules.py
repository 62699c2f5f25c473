"""Which transfers the operator's rules refuse, and that every refusal is an answer which its OCPP version allows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import jsonschema
import pytest

from ocppress_codecs.rpc import MessageType, OcppVersion
from ocppress_gateway.core.bypass import TRANSFERS, Transfer
from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.core.transfer_rules import (
    NO_RULES,
    UNIX_S_MAX,
    Refusal,
    TransferRules,
    Window,
    can_be_sized,
    refusal_answer,
)
from tests.support.schema_messages import Kind, schema_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Window(time(1), time(5), UTC)
V16 = OcppVersion.V16


def _unix_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


NOON = _unix_s("2026-03-01T12:00:00Z")


def _transfer(begins_at: str | None = None, way: Way = Way.DOWN, url: str = "https://h/f") -> Transfer:
    action = "UpdateFirmware" if way is Way.DOWN else "GetLog"
    return Transfer(action, way, url, None if begins_at is None else _unix_s(begins_at))


def _refused(
    rules: TransferRules, transfer: Transfer, *, now: float = NOON, percent: int | None = None, size_bytes: int | None = None
) -> Refusal | None:
    return rules.refusal(transfer, now_unix_s=now, month_percent=percent, size_bytes=size_bytes)


def test_without_rules_all_passes() -> None:
    for way in Way:
        assert _refused(NO_RULES, _transfer(way=way), percent=900, size_bytes=10**12) is None
    assert not NO_RULES.need_size(_transfer())


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-01T00:59:59+00:00", False),
        ("2026-03-01T01:00:00+00:00", True),
        ("2026-03-01T04:59:59+00:00", True),
        ("2026-03-01T05:00:00+00:00", False),
        ("2026-03-01T12:00:00+00:00", False),
    ],
)
def test_windows_by_day_and_over_midnight(moment: str, expected: bool) -> None:
    assert NIGHT.has(_unix_s(moment)) is expected
    assert Window(time(5), time(1), UTC).has(_unix_s(moment)) is not expected


def test_a_window_is_of_its_own_clock_on_both_sides_of_a_change() -> None:
    window = Window(time(1), time(5), BERLIN)
    assert window.has(_unix_s("2026-03-01T00:30:00Z"))
    assert not window.has(_unix_s("2026-03-01T04:30:00Z"))
    assert window.has(_unix_s("2026-07-01T23:30:00Z"))
    begin = window.next_begin(_unix_s("2026-03-28T12:00:00Z"))
    assert begin.isoformat() == "2026-03-29T01:00:00+01:00"
    assert window.next_begin(begin.timestamp()).isoformat() == "2026-03-30T01:00:00+02:00"
    assert str(window) == "01:00 to 05:00 (Europe/Berlin)"


@pytest.mark.parametrize("unix_s", [UNIX_S_MAX, 1e300, float("inf")])
def test_the_end_of_time_is_a_time(unix_s: float) -> None:
    for zone in (UTC, BERLIN, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Etc/GMT+12")):
        window = Window(time(1), time(5), zone)
        assert window.next_begin(unix_s).year == 9999
        window.has(unix_s)


@pytest.mark.parametrize(
    ("begins_at", "passes"),
    [
        (None, False),
        ("2026-02-01T02:00:00+00:00", False),  # past, and so now
        ("2026-03-02T02:00:00+00:00", True),
        ("2026-03-02T06:00:00+00:00", False),
    ],
)
def test_what_begins_outside_the_window_is_told_when_the_next_one_is(begins_at: str | None, passes: bool) -> None:
    refusal = _refused(TransferRules(window=NIGHT), _transfer(begins_at))
    if passes:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.code == "OutsideWindow"
    day = 3 if begins_at and begins_at > "2026-03-02" else 2
    assert refusal.text.endswith(f"from 01:00 to 05:00 (UTC), next at 2026-03-0{day}T01:00:00+00:00")


def test_now_in_the_window_passes() -> None:
    assert _refused(TransferRules(window=NIGHT), _transfer(), now=_unix_s("2026-03-01T02:00:00Z")) is None


@pytest.mark.parametrize(("percent", "refused"), [(None, False), (79, False), (80, True), (130, True)])
def test_a_budget_that_is_used(percent: int | None, refused: bool) -> None:
    for way in Way:
        refusal = _refused(TransferRules(percent_max=80), _transfer(way=way), percent=percent)
        assert (refusal is not None and refusal.code == "OverBudget") is refused


@pytest.mark.parametrize(("size_bytes", "refused"), [(None, False), (20_000_000, False), (20_000_001, True)])
def test_a_file_that_is_too_large(size_bytes: int | None, refused: bool) -> None:
    rules = TransferRules(bytes_max=20_000_000)
    refusal = _refused(rules, _transfer(), size_bytes=size_bytes)
    assert (refusal is not None and refusal.code == "TooLarge") is refused
    assert rules.need_size(_transfer())


def test_nothing_at_all() -> None:
    rules = TransferRules(bytes_max=0)
    for way in Way:
        assert _refused(rules, _transfer(way=way)) is not None
        assert not rules.need_size(_transfer(way=way)), "nobody need be asked"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/f", True),
        ("HTTPS://h/f", True),
        ("ftp://h/f", False),
        ("file:///etc/passwd", False),
        ("http:h", False),
        ("h/f", False),
        ("https://h/" + "f" * 2000, False),
    ],
)
def test_whose_size_can_be_found(url: str, expected: bool) -> None:
    assert can_be_sized(_transfer(url=url)) is expected
    assert not can_be_sized(_transfer(url=url, way=Way.UP))


LONGEST = Refusal(
    "OutsideWindow", str(_refused(TransferRules(window=Window(time(1), time(5), ZoneInfo("America/Argentina/Buenos_Aires"))), _transfer()))
)


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize("code", ["OutsideWindow", "OverBudget", "TooLarge"])
def test_refusals_are_answers_that_the_version_allows(version: OcppVersion, code: str) -> None:
    refusal = Refusal(code, LONGEST.text)
    assert len(code) <= 20
    assert len(refusal.text) <= 255
    known = 0
    for action in TRANSFERS:
        schema = schema_of(version, action, Kind.RESPONSE)
        if schema is None:
            continue
        known += 1
        answer = refusal_answer(version, action, refusal)
        if answer.type is MessageType.CALLERROR:
            assert version is V16
            assert "status" not in schema.get("properties", {}), "a status could have said it"
            assert json.loads(f"[{answer.body}]") == ["GenericError", refusal.text, {}]
            continue
        payload = json.loads(answer.body)
        assert payload["status"] == "Rejected"
        jsonschema.validators.validator_for(schema)(schema).validate(payload)
        if version is not V16:
            assert payload["statusInfo"] == {"reasonCode": code, "additionalInfo": refusal.text}
    assert known == (4 if version is V16 else 3)
