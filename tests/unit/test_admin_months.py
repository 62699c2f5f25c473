"""The billing month as a cloud finds it out from what edges have told, checked against edges that know it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_gateway.admin.months import month_told
from ocppress_gateway.core.ledger_month import BillingMonth
from ocppress_gateway.core.report import Report
from tests.support.statuses import REPORT

DAY = timedelta(days=1)
BEGAN = date(2026, 1, 5)


def _reports(days: int, first_day: int, bytes_a_day: Sequence[int] = (14_000,), *, at_night: bool = True) -> Iterator[Report]:
    """What an edge tells each day: soon after midnight, when the next day has had a few bytes, or soon before."""
    total = 0
    for number in range(days):
        day = BEGAN + number * DAY
        ours = bytes_a_day[number % len(bytes_a_day)]
        if day == BillingMonth.of(day, first_day).first:
            total = 0
        total += ours
        is_last = day + DAY == BillingMonth.of(day, first_day).end
        told = 60 if at_night and is_last else total + 60 * at_night
        yield replace(REPORT, day=day, ours_bytes=ours, month_bytes=told)


@given(
    days=st.integers(35, 62),
    first_day=st.integers(1, 28),
    bytes_a_day=st.lists(st.integers(1000, 50_000), min_size=1, max_size=9),
    at_night=st.booleans(),
)
def test_it_is_the_edges_own(days: int, first_day: int, bytes_a_day: list[int], at_night: bool) -> None:
    reports = list(_reports(days, first_day, bytes_a_day, at_night=at_night))
    now = reports[-1].day + DAY * at_night
    assert month_told(reports) == BillingMonth.of(now, first_day)


def test_without_a_month_before_it_is_not_known() -> None:
    assert month_told(list(_reports(20, 1))) is None
    assert month_told([]) is None


@pytest.mark.parametrize("days", [55, 60])
def test_a_month_that_began_on_the_last_day_of_a_short_one_may_be_longer(days: int) -> None:
    """From 28 February to before 31 March, of which the cloud knows no more than the beginning."""
    reports = list(_reports(days, 31))
    month = month_told(reports)
    assert month is not None
    assert month.first == date(2026, 2, 28)
    assert month.end == max(date(2026, 3, 28), reports[-1].day + DAY)


def test_an_edge_that_was_away_when_its_month_began() -> None:
    reports = [report for report in _reports(60, 1) if not date(2026, 2, 27) <= report.day <= date(2026, 3, 2)]
    assert month_told(reports) == BillingMonth(date(2026, 3, 1), date(2026, 4, 1)), "the month before began on the first"
    assert month_told(reports[30:]) == BillingMonth(date(2026, 3, 3), date(2026, 4, 3)), "what is known of it begins here"


def test_the_others_on_the_sim_count() -> None:
    reports = [replace(report, others_bytes=90_000, month_bytes=report.month_bytes + 50_000) for report in _reports(40, 1)]
    month = month_told(reports)
    assert month is not None
    assert month.first == date(2026, 2, 1)
