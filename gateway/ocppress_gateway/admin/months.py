"""Which billing month an edge's reports speak of. They don't say when it began: an edge does that when its bytes begin anew.

   day     ours   month so far
29 April     11            312
30 April     12              1      told on 1 May, soon after midnight: less than the day itself had, so the month began after it
   1 May     13             14
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

from ocppress_gateway.core.ledger_month import BillingMonth
from ocppress_gateway.core.report import Report

__all__ = ["month_told"]

_DAY = timedelta(days=1)


def month_told(reports: Sequence[Report]) -> BillingMonth | None:
    """The month of the last of these `reports`, the oldest first; None if it isn't known when it began, as none of them is of a month before."""
    first: date | None = None
    for before, report in pairwise(reports):
        if report.month_bytes < before.month_bytes:
            first = _began(before, report, first)
    if first is None:
        return None
    end = BillingMonth.of(first, first.day).end
    return BillingMonth(first, max(end, reports[-1].day + _DAY))  # it ends later where this one began on the last day of a short month


def _began(before: Report, report: Report, earlier: date | None) -> date:
    """When the month began in which `report` was made, and `before` wasn't; `earlier` is when another did."""
    if report.month_bytes < report.ours_bytes + (report.others_bytes or 0):
        return report.day + _DAY
    if report.day - before.day > _DAY and earlier is not None:
        return max(BillingMonth.of(report.day, earlier.day).first, before.day)
    return report.day
