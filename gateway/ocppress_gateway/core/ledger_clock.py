"""On which day bytes fall, although the clock may be wrong: 1970 after power-up, ten hours off for a while, set right by a step.

    wall clock    ────────────┐ step             ┌──────── the right time again, for SETTLE_S
    days          booked      │ held (undated) … │ held … │ placed by the clock that has settled
    monotonic     ────────────┴──────────────────┴────────┴──────────────────────────────────────►

Bytes of a time when the clock can't be believed are held by the monotonic clock, which no step touches, and placed when the wall clock
has stood still against it for an hour. What lasts longer than that is believed; even then nothing is lost or counted twice, for what is
on a day stays there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from ocppress_gateway.core.ledger_day import DayAccount

__all__ = ["RESTART_S", "SETTLE_S", "DayClock"]

STEP_S: Final = 30.0
"""By how much wall and monotonic clock may move against each other between two looks: time daemons slew below, and step above."""

SETTLE_S: Final = 3600.0
"""How long a clock stands without a step before it is believed: time daemons that step do so within minutes of reaching a server."""

RESTART_S: Final = 3600.0
"""After a restart a clock is believed at once if it goes on from where it last was believed, this much later at most."""

EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Before there was this program; clocks without a battery begin in 1970 or 2000, and GPS receivers fall back by 1,024 weeks."""

LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)

HELD_S: Final = 900.0
"""Held bytes are kept in spans of this length, so that few of them fall on the wrong side of midnight."""

HELD_SPANS_MAX: Final = 200
"""Two days of them; where the clock stays wrong for longer the oldest are thrown together."""

_EPOCH: Final = datetime(1970, 1, 2, tzinfo=UTC)
"""A day late, so that it exists in all time zones."""

_OLDER: Final = -1
"""The span of what a former process held; this one's begin with 0."""


class DayClock:
    """Knows the day, or holds. `now` is monotonic seconds, not below 0; `wall` is an aware datetime."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._now = 0.0
        self._offset: timedelta | None = None
        """Wall clock less monotonic clock at the last look."""
        self._steady_since = 0.0
        self._settled = False
        self._settled_offset: timedelta | None = None
        """What the offset was when the clock was last believed."""
        self._former: datetime | None = None
        """When a former process last believed the clock; this one can only be later."""
        self._held: dict[int, DayAccount] = {}

    def look(self, now: float, wall: datetime) -> list[tuple[date, DayAccount]]:
        """Look at both clocks. After this you must book what is returned on its days: it has been held and is no longer."""
        first = self._offset is None
        wall = min(max(wall, _EPOCH), LATEST)
        offset = wall - _EPOCH - timedelta(seconds=now)
        if self._offset is None or not _near(offset, self._offset):
            self._settled = False
            self._steady_since = now
        self._now, self._offset = now, offset
        if not EARLIEST <= wall < LATEST:
            self._settled = False
        elif not self._settled:
            goes_on = first and self._former is not None and timedelta() <= wall - self._former <= timedelta(seconds=RESTART_S)
            is_back = self._settled_offset is not None and _near(offset, self._settled_offset)
            self._settled = goes_on or is_back or now - self._steady_since >= SETTLE_S
        if not self._settled:
            return []
        self._settled_offset = offset
        placed = [(self._day_of(span), account) for span, account in self._held.items()]
        self._held.clear()
        return placed

    # --- after a look

    @property
    def day(self) -> date | None:
        """Today in the SIM's zone; None while the clock isn't believed."""
        return self.local.date() if self._settled else None

    @property
    def local(self) -> datetime:
        """The likeliest time in the SIM's zone: what is believed, else what the clock says if that can be."""
        assert self._offset is not None, "nobody has looked at the clock"
        since_epoch = timedelta(seconds=self._now)
        time = _EPOCH + since_epoch + self._offset
        if self._settled_offset is not None:
            time = _EPOCH + since_epoch + self._settled_offset
        elif self._former is not None and not self._former <= time < LATEST:
            time = self._former
        return time.astimezone(self._zone)

    @property
    def believed(self) -> datetime | None:
        """When the clock was last believed, for a later process; None if never."""
        return self._former if self._settled_offset is None else self.local

    def span(self) -> DayAccount:
        """Where to book while there is no day."""
        span = int(self._now // HELD_S)
        if span not in self._held:
            self._held[span] = DayAccount()
            if len(self._held) > HELD_SPANS_MAX:
                oldest, second, *_ = sorted(self._held)
                self._held[second].add(self._held.pop(oldest))
        return self._held[span]

    def held(self) -> DayAccount:
        """All that waits for a day."""
        return DayAccount.sum(self._held.values())

    def restore(self, former: datetime | None, held: DayAccount) -> None:
        """Begin where a former process left off, before the first look."""
        self._former = former
        if held.total_bytes:
            self._held[_OLDER] = held

    def _day_of(self, span: int) -> date:
        assert self._settled_offset is not None, "called when settled"
        at_s = self._now if span == _OLDER else min(self._now, (span + 0.5) * HELD_S)
        return (_EPOCH + self._settled_offset + timedelta(seconds=at_s)).astimezone(self._zone).date()


def _near(one: timedelta, other: timedelta) -> bool:
    return abs((one - other).total_seconds()) <= STEP_S
