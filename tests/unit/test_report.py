"""The daily report, both ways, and what it costs at most."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.names import names
from ocppress_gateway import __version__
from ocppress_gateway.core.ledger_day import Layer
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.report import ACTIONS_TOLD_MAX, REPORT_BYTES_MAX, DiskHealth, Report, read_report, write_report

USUAL = Report(
    day=date(2026, 5, 27),
    ours_bytes=115_000,
    others_bytes=None,
    month_bytes=2_500_000,
    budget_kb=25_000,
    projection_kb=6_094,
    plan=PlanName.AUTO,
    step=PlanName.TWO_MINUTES,
    outbox_messages=0,
    clock_offset_s=-3,
    disk=DiskHealth.GOOD,
    version="0.3.1",
    layers=dict(zip(Layer, [61_000, 9_000, 14_000, 20_000, 2_000, 9_000, 0], strict=True)),
    actions={"TransactionEvent": 52_000, "StatusNotification": 6_100, "": 900},
    plain_kb=1260,
    deflate_kb=224,
)
FORMER = bytes.fromhex("8d02190922" + "1a0001c138" + "f61a002625a01961a81917ce0502002201" + "65302e332e31")
"""The usual report as version 2 has it."""
LARGEST = Report(
    day=date.max,
    ours_bytes=2**60,
    others_bytes=2**60,
    month_bytes=2**60,
    budget_kb=2**60,
    projection_kb=2**60,
    plan=PlanName.AUTO,
    step=PlanName.SAVER,
    outbox_messages=2**60,
    clock_offset_s=-(2**60),
    disk=DiskHealth.FAILING,
    version="9" * 40,
    layers=dict.fromkeys(Layer, 2**60),
    actions={names().words[-number]: 2**60 for number in range(1, ACTIONS_TOLD_MAX + 3)},
    plain_kb=2**60,
    deflate_kb=2**60,
)


def test_bytes_of_the_usual_report() -> None:
    layers = "87" + "190262" + "185a" + "188c" + "18c8" + "14" + "185a" + "00"
    event, status = (cbor2.dumps(names().word_numbers[name]).hex() for name in ("TransactionEvent", "StatusNotification"))
    actions = "86" + event + "190208" + status + "183d" + "f6" + "09"
    assert write_report(USUAL).hex() == "9103" + FORMER.hex()[4:] + layers + actions + "1904ec" + "18e0"


def test_a_report_of_the_former_version_is_read() -> None:
    assert read_report(FORMER) == replace(USUAL, layers={}, actions={}, plain_kb=None, deflate_kb=None)


def test_the_largest_report_fits() -> None:
    data = write_report(LARGEST)
    assert len(data) == REPORT_BYTES_MAX
    told = read_report(data)
    assert (told.ours_bytes, told.others_bytes, told.outbox_messages) == (2**32 - 1,) * 3
    assert (told.month_bytes, told.budget_kb, told.projection_kb) == (2**32 - 1,) * 3
    assert (told.clock_offset_s, told.version) == (-(2**32), "9" * 16)
    assert set(told.layers.values()) == set(told.actions.values()) == {100 * (2**32 - 1)}
    assert (len(told.layers), len(told.actions), told.plain_kb, told.deflate_kb) == (len(Layer), ACTIONS_TOLD_MAX, *(2**32 - 1,) * 2)


def test_the_largest_actions_are_told_and_those_without_a_number_together() -> None:
    actions = {
        "Heartbeat": 300,
        "Invented": 4_000,
        "MeterValues": 5_049,
        "": 200,
        "Authorize": 49,
        "StatusNotification": 250,
        "DataTransfer": 260,
    }
    told = read_report(write_report(replace(USUAL, actions=actions)))
    assert list(told.actions.items()) == [("MeterValues", 5_000), ("", 4_200), ("Heartbeat", 300), ("DataTransfer", 300)]
    assert read_report(write_report(replace(USUAL, actions={"Authorize": 49}))).actions == {}


def test_a_day_before_the_first_is_the_first() -> None:
    assert read_report(write_report(replace(USUAL, day=date(1970, 1, 1)))).day == date(2020, 1, 1)


def test_percent_of_the_budget() -> None:
    assert USUAL.month_percent == 10
    assert replace(USUAL, month_bytes=30_000_000).month_percent == 120
    assert replace(USUAL, budget_kb=0).month_percent > 100


def test_this_version_fits() -> None:
    assert read_report(write_report(replace(USUAL, version=__version__))).version == __version__


@given(
    st.builds(
        Report,
        day=st.dates(date(2020, 1, 1), date(2199, 1, 1)),
        ours_bytes=st.integers(0, 2**32 - 1),
        others_bytes=st.none() | st.integers(0, 2**32 - 1),
        month_bytes=st.integers(0, 2**32 - 1),
        budget_kb=st.integers(0, 2**32 - 1),
        projection_kb=st.none() | st.integers(0, 2**32 - 1),
        plan=st.sampled_from(PlanName),
        step=st.sampled_from(PlanName),
        outbox_messages=st.integers(0, 2**32 - 1),
        clock_offset_s=st.none() | st.integers(-(2**32), 2**32 - 1),
        disk=st.sampled_from(DiskHealth),
        version=st.text("0123456789.devabc+", min_size=1, max_size=16),
        layers=st.fixed_dictionaries({layer: st.integers(0, 10**6).map(lambda units: 100 * units) for layer in Layer}),
        actions=st.dictionaries(
            st.sampled_from(["", "Heartbeat", "MeterValues", "StartTransaction", "Authorize", "Reset"]),
            st.integers(1, 10**6).map(lambda units: 100 * units),
            max_size=ACTIONS_TOLD_MAX,
        ),
        plain_kb=st.none() | st.integers(0, 2**32 - 1),
        deflate_kb=st.none() | st.integers(0, 2**32 - 1),
    )
)
def test_comes_back(report: Report) -> None:
    assert read_report(write_report(report)) == report


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    try:
        report = read_report(data)
    except ValueError:
        return
    assert data in (write_report(report), b"\x8d\x02" + write_report(report)[2 : len(data)])


def _fields(**changed: object) -> bytes:
    fields = ["format", "day", "ours", "others", "month", "budget", "projection", "plan", "step", "outbox", "offset", "disk", "version"]
    fields += ["layers", "actions", "plain", "deflate"]
    values: dict[str, object] = dict(zip(fields, cbor2.loads(write_report(USUAL)), strict=True))
    return cbor2.dumps(list({**values, **changed}.values()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _fields(format=1),
        _fields(format=4),
        b"\x91\x02" + write_report(USUAL)[2:],
        b"\x8d\x03" + FORMER[2:],
        _fields(layers=[1] * 6),
        _fields(layers=[1] * 6 + [-1]),
        _fields(actions=[1]),
        _fields(actions=[1, 2, 1, 3]),
        _fields(actions=[None, 2, None, 3]),
        _fields(actions=[1, None]),
        _fields(actions=[10**6, 1]),
        _fields(actions=[1, 1, 2, 1, 3, 1, 4, 1, 5, 1]),
        _fields(plain=-1),
        _fields(day=-1),
        _fields(day=2**16),
        _fields(ours=2**32),
        _fields(plan=6),
        _fields(disk=4),
        _fields(version=""),
        _fields(version="a\nb"),
        _fields(version="\u00e9"),
        _fields(more=1),
        write_report(USUAL) + b"\x00",
        b"\x8d\x18\x02" + write_report(USUAL)[2:],
        b"\x81" * 40,
    ],
)
def test_refuses_what_it_has_not_written(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_report(data)
