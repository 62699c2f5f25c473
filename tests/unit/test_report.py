"""The daily report, both ways, and what it costs at most."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_gateway import __version__
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.report import REPORT_BYTES_MAX, DiskHealth, Report, read_report, write_report

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
)
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
)


def test_bytes_of_the_usual_report() -> None:
    assert write_report(USUAL).hex() == "8d02190922" + "1a0001c138" + "f61a002625a01961a81917ce0502002201" + "65302e332e31"


def test_the_largest_report_fits() -> None:
    data = write_report(LARGEST)
    assert len(data) == REPORT_BYTES_MAX <= 60
    told = read_report(data)
    assert (told.ours_bytes, told.others_bytes, told.outbox_messages) == (2**32 - 1,) * 3
    assert (told.month_bytes, told.budget_kb, told.projection_kb) == (2**32 - 1,) * 3
    assert (told.clock_offset_s, told.version) == (-(2**32), "9" * 16)


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
    assert write_report(report) == data


def _fields(**changed: object) -> bytes:
    names = ["format", "day", "ours", "others", "month", "budget", "projection", "plan", "step", "outbox", "offset", "disk", "version"]
    values: dict[str, object] = dict(zip(names, cbor2.loads(write_report(USUAL)), strict=True))
    return cbor2.dumps(list({**values, **changed}.values()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _fields(format=1),
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
