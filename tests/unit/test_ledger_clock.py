"""Clocks that are wrong, and which day it is all the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from ocppress_gateway.core.ledger_clock import EARLIEST, HELD_SPANS_MAX, LATEST, RESTART_S, SETTLE_S, STEP_S, DayClock
from ocppress_gateway.core.ledger_day import DayAccount

NOON: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE: Final = 60.0


class _Site:
    """A clock that is looked at every minute, with 1 byte each time."""

    def __init__(self, clock: DayClock, *, wall: datetime, now: float = 0.0) -> None:
        self.clock = clock
        self.now = now
        self.wall = wall
        self.days: dict[date, int] = {}
        self.looks = 0

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds // MINUTE)):
            for day, account in self.clock.look(self.now, self.wall):
                self.days[day] = self.days.get(day, 0) + account.rounding
            self.looks += 1
            if self.clock.day is None:
                self.clock.span().rounding += 1
            else:
                self.days[self.clock.day] = self.days.get(self.clock.day, 0) + 1
            self.now += MINUTE
            self.wall += timedelta(seconds=MINUTE)

    @property
    def booked(self) -> int:
        return sum(self.days.values())


def test_a_new_clock_is_believed_after_an_hour() -> None:
    site = _Site(DayClock(UTC), wall=NOON)
    site.run(SETTLE_S)
    assert site.clock.day is None
    assert site.clock.held().rounding == 60
    site.run(MINUTE)
    assert site.clock.day == NOON.date()
    assert site.days == {NOON.date(): 61}


def test_1970_at_power_up_is_held_until_the_clock_is_right() -> None:
    site = _Site(DayClock(UTC), wall=datetime(1970, 1, 1, tzinfo=UTC))
    site.run(5 * 3600)
    assert site.clock.day is None
    site.wall = NOON
    site.run(2 * 3600)
    assert site.days == {NOON.date(): 7 * 60}


def test_held_bytes_go_to_the_days_they_passed_on() -> None:
    site = _Site(DayClock(UTC), wall=datetime(1970, 1, 1, tzinfo=UTC))
    site.run(24 * 3600)
    site.wall = datetime(2026, 3, 10, 2, tzinfo=UTC)
    site.run(2 * 3600)
    assert site.days == {date(2026, 3, 9): 22 * 60, date(2026, 3, 10): 4 * 60}


@pytest.mark.parametrize("hours", [10, -10])
def test_an_hour_of_a_wrong_clock_moves_nothing(hours: int) -> None:
    site = _Site(DayClock(UTC), wall=NOON.replace(hour=18))
    site.run(2 * 3600)
    site.wall += timedelta(hours=hours)
    site.run(0.9 * SETTLE_S)
    assert site.clock.day is None
    assert site.clock.local.date() == NOON.date(), "the old time goes on"
    site.wall -= timedelta(hours=hours)
    site.run(MINUTE)
    assert site.clock.day == NOON.date(), "back where it was, it is believed at once"
    assert site.days == {NOON.date(): site.looks}


def test_a_clock_that_stays_wrong_is_believed_in_the_end_and_loses_nothing() -> None:
    site = _Site(DayClock(UTC), wall=NOON)
    for hours in (0, 10, -20, 10, 300, -300):
        site.wall += timedelta(hours=hours)
        site.run(3 * 3600)
    assert site.booked + site.clock.held().rounding == site.looks
    assert site.clock.held().rounding == 0


def test_slewing_is_no_step() -> None:
    site = _Site(DayClock(UTC), wall=NOON)
    site.run(2 * SETTLE_S)
    for _ in range(100):
        site.wall += timedelta(seconds=0.9 * STEP_S)
        site.run(MINUTE)
        assert site.clock.day is not None


@pytest.mark.parametrize(
    "wall", [EARLIEST - timedelta(seconds=1), LATEST, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
def test_times_that_cannot_be_are_never_believed(wall: datetime) -> None:
    clock = DayClock(ZoneInfo("Pacific/Kiritimati"))
    for now in (0.0, 3 * SETTLE_S):
        clock.look(now, wall)
        assert clock.day is None
        assert clock.local is not None


def test_days_are_those_of_the_zone() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    site = _Site(DayClock(zone), wall=datetime(2026, 3, 10, 17, 30, tzinfo=UTC))
    site.run(2 * SETTLE_S)
    assert site.days == {date(2026, 3, 10): 60, date(2026, 3, 11): 60}, "midnight is at half past six in UTC"


def test_daylight_saving_changes_no_clock() -> None:
    site = _Site(DayClock(ZoneInfo("Europe/Berlin")), wall=datetime(2026, 3, 28, 12, tzinfo=UTC))
    site.run(36 * 3600)
    assert site.days == {date(2026, 3, 28): 11 * 60, date(2026, 3, 29): 23 * 60, date(2026, 3, 30): 2 * 60}


def _restored(site: _Site, *, wall: datetime) -> _Site:
    clock = DayClock(UTC)
    clock.restore(site.clock.believed, site.clock.held())
    later = _Site(clock, wall=wall, now=7.0)
    later.days = site.days
    later.looks = site.looks
    return later


def test_after_a_restart_a_clock_that_goes_on_is_believed_at_once() -> None:
    site = _Site(DayClock(UTC), wall=NOON)
    site.run(2 * SETTLE_S)
    later = _restored(site, wall=site.wall + timedelta(seconds=RESTART_S / 2))
    later.run(MINUTE)
    assert later.clock.day == NOON.date()


@pytest.mark.parametrize("off_s", [-120.0, RESTART_S + 120])
def test_after_a_restart_any_other_clock_is_not(off_s: float) -> None:
    site = _Site(DayClock(UTC), wall=NOON)
    site.run(2 * SETTLE_S)
    later = _restored(site, wall=site.wall + timedelta(seconds=off_s))
    later.run(MINUTE)
    assert later.clock.day is None
    assert later.clock.local >= NOON + timedelta(seconds=2 * SETTLE_S - MINUTE)


def test_a_restart_keeps_what_is_held() -> None:
    site = _Site(DayClock(UTC), wall=datetime(1970, 1, 1, tzinfo=UTC))
    site.run(3600)
    later = _restored(site, wall=NOON)
    later.run(2 * SETTLE_S)
    assert later.days == {NOON.date(): 180}


def test_what_is_held_is_bounded() -> None:
    site = _Site(DayClock(UTC), wall=datetime(1970, 1, 1, tzinfo=UTC))
    site.run(5 * 86_400)
    assert len(site.clock._held) == HELD_SPANS_MAX
    assert site.clock.held().rounding == site.looks


def test_nothing_held_is_nothing_restored() -> None:
    clock = DayClock(UTC)
    clock.restore(None, DayAccount())
    assert clock.look(0.0, NOON) == []
    assert clock.believed is None
