"""The billing month: its days, what they add up to, where that leads.

Each line is summed over days. A day's total is what its interface counted or what is ours, whichever is more, so a month in which the
interface was named late is still whole.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from ocppress_gateway.core.ledger_day import DayAccount

__all__ = ["RESERVE", "BillingMonth", "MonthView", "view_month"]

RESERVE: Final = 0.2
"""Share of the month's budget that no plan counts on: for transactions, commands and reconnects that can't wait, and for errors of
estimation."""

RATE_DAYS: Final = 7
"""Days that a projection looks back over: stations have weekends."""

RATE_DAYS_MIN: Final = 0.25
"""A ledger younger than this has no rate yet: its first hour is mostly handshake."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """From `first`, at its local midnight, to before `end`."""

    first: date
    end: date

    @classmethod
    def of(cls, day: date, first_day: int) -> BillingMonth:
        """The month that has `day`. It begins on the `first_day` (1 to 31) of a calendar month, or on the last where there is none."""
        first = _begin(day.year, day.month, first_day)
        if day < first:
            return cls(_begin(*_neighbour(day, -1), first_day), first)
        return cls(first, _begin(*_neighbour(day, 1), first_day))


def _begin(year: int, month: int, first_day: int) -> date:
    return date(year, month, min(first_day, calendar.monthrange(year, month)[1]))


def _neighbour(day: date, step: int) -> tuple[int, int]:
    """Year and month of the calendar month before or after."""
    months = day.year * 12 + day.month - 1 + step
    return months // 12, months % 12 + 1


@dataclass(frozen=True, slots=True)
class MonthView:
    """A billing month so far, in bytes of both directions."""

    month: BillingMonth
    now: datetime
    """Local time, the likeliest one."""
    days: tuple[DayAccount, ...]
    """Those that have a date, in no order."""
    undated: DayAccount
    """What is held until the clock is believed; it is in the figures below, for where else should it be."""
    budget_bytes: int
    counted_bytes: int
    estimated_bytes: int
    others_bytes: int
    transfers_bytes: int
    """Of the others': what passed while stations transferred files around the gateway."""
    rounding_bytes: int
    total_bytes: int
    projection_bytes: int | None
    """`total_bytes` at the month's end, at the pace of the last days; None while there is no pace yet."""
    ours_projection_bytes: int | None
    others_projection_bytes: int | None
    interface_known: bool
    """Whether any of the month's days has a reading of the SIM's interface; without, *others* are unknown, not none."""

    @property
    def account(self) -> DayAccount:
        """All lines and layers of `days`."""
        return DayAccount.sum(self.days)

    @property
    def ours_bytes(self) -> int:
        """What the gateway caused."""
        return self.counted_bytes + self.estimated_bytes

    @property
    def percent(self) -> float:
        """Of the budget."""
        return 100 * self.total_bytes / self.budget_bytes

    @property
    def reserve_bytes(self) -> int:
        """What no plan counts on."""
        return int(RESERVE * self.budget_bytes)

    @property
    def reserve_left_bytes(self) -> int:
        """What is left of that."""
        return max(0, min(self.reserve_bytes, self.budget_bytes - self.total_bytes))

    @property
    def days_left(self) -> float:
        """Until the month's end, in days."""
        return max(0.0, (self.month.end - self.now.date()) / _DAY - _of_day(self.now))


def view_month(
    days: Mapping[date, DayAccount], undated: DayAccount, *, now: datetime, began: datetime | None, first_day: int, budget_bytes: int
) -> MonthView:
    """The billing month that has `now` (local). `began`: since when there are accounts; None while there is no clock to say it."""
    today = now.date()
    month = BillingMonth.of(today, first_day)
    dated = tuple(account for day, account in days.items() if month.first <= day < month.end)
    so_far = _Lines.of([*dated, undated])
    recent = _Lines.of([*(account for day, account in days.items() if today - RATE_DAYS * _DAY <= day <= today), undated])
    span = timedelta() if began is None else min(now - began, RATE_DAYS * _DAY + now - _midnight(now))
    days_left = max(0.0, (month.end - today) / _DAY - _of_day(now))

    def projected(so_far_bytes: int, recent_bytes: int) -> int | None:
        if span / _DAY < RATE_DAYS_MIN:
            return None
        return so_far_bytes + int(recent_bytes / (span / _DAY) * days_left)

    return MonthView(
        month=month,
        now=now,
        days=dated,
        undated=undated,
        budget_bytes=budget_bytes,
        counted_bytes=so_far.counted,
        estimated_bytes=so_far.estimated,
        others_bytes=so_far.others,
        transfers_bytes=so_far.transfers,
        rounding_bytes=so_far.rounding,
        total_bytes=so_far.total,
        projection_bytes=projected(so_far.total, recent.total),
        ours_projection_bytes=projected(so_far.counted + so_far.estimated, recent.counted + recent.estimated),
        others_projection_bytes=projected(so_far.others, recent.others),
        interface_known=so_far.has_sim,
    )


@dataclass(slots=True)
class _Lines:
    """Sums over days."""

    counted: int = 0
    estimated: int = 0
    others: int = 0
    transfers: int = 0
    rounding: int = 0
    total: int = 0
    has_sim: bool = False

    @classmethod
    def of(cls, accounts: Iterable[DayAccount]) -> _Lines:
        lines = cls()
        for account in accounts:
            lines.counted += account.counted_bytes
            lines.estimated += account.estimated_bytes
            lines.others += account.others_bytes
            lines.transfers += account.transfers_bytes
            lines.rounding += account.rounding
            lines.total += account.total_bytes
            lines.has_sim |= account.sim_bytes > 0
        return lines


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.date(), time(), now.tzinfo)


def _of_day(now: datetime) -> float:
    """How much of the day is over."""
    return (now - _midnight(now)) / _DAY
