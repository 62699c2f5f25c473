"""Deadlines that cross the link, without synchronised clocks and without ever living too long.

Each end counts seconds from a zero of its own, and stamps deadlines in that count. The other end knows a moment on its own clock that is
*not later* than that zero, so whatever it computes for the sender's present is too late rather than too early: a command may be dropped
a little
early, and never runs late, however long TCP kept it in its buffers.

        edge                                       cloud
          │ hello, sent at h                         │
          ├────────────────────────────────────────► │ zero of the cloud        h is not later
          │                      welcome, sent at w  │
          │ ◄────────────────────────────────────────┤
          │ zero of the edge     w is not later      │

Crystals differ by some 50 ppm at the worst, so the estimate leans further to the safe side with age; after `CLOCK_AGE_MAX_S` the edge
has the
zeros taken anew with three two-byte parts that ride on what is sent anyway: TakeClock up, RenewedClock down, RenewedClock up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CLOCK_AGE_MAX_S", "CLOCK_DRIFT", "LinkClock"]

CLOCK_DRIFT: Final = 1e-4
"""Relative rate by which two clocks may differ: two crystals of 50 ppm."""

CLOCK_AGE_MAX_S: Final = 6 * 3600.0
"""Age at which the zeros are taken anew; by then the estimate leans 2.2 s to the safe side."""

STAMP_LIFE_MAX_S: Final = 8 * 3600.0
"""A deadline further away is stamped as if it were this far: half the modulus is 9.1 hours, and what is beyond it would look past."""

_MODULUS: Final = 1 << 16
_HALF: Final = _MODULUS // 2


@dataclass(slots=True)
class LinkClock:
    """Turns deadlines of this end into stamps and stamps of the peer into deadlines; all times in seconds of this end's monotonic clock."""

    zero: float
    """This end's zero, from which its stamps count."""

    peer_floor: float
    """A moment not later than the peer's zero."""

    def stamp(self, expires_at: float, now: float) -> int:
        """The 16 bits for a deadline; one that has passed is stamped as just passed, for the modulus would make it future again."""
        expires_at = min(expires_at, now + STAMP_LIFE_MAX_S)
        seconds = int(expires_at - self.zero) if expires_at > now else int(now - self.zero) - 1
        return seconds % _MODULUS

    def deadline(self, stamp: int, now: float) -> float:
        """The latest moment for what the peer stamped; not later than the peer meant it."""
        age = now - self.peer_floor
        peer_now = age + age * CLOCK_DRIFT
        left = (stamp - peer_now + _HALF) % _MODULUS - _HALF
        return now + left - abs(left) * CLOCK_DRIFT
