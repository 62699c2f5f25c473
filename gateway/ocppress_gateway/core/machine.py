"""The shape that both machines share, so that one driver loop and one simulation can run either."""

from __future__ import annotations

from typing import Protocol

from ocppress_gateway.core.events import Effect, Event

__all__ = ["Machine"]


class Machine(Protocol):
    """Decides what happens next. No I/O, no clock: `now` is monotonic seconds."""

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take one event; after this you must run the effects in order, then arm a timer for `next_deadline()`."""

    def next_deadline(self) -> float | None:
        """When to deliver the next `Tick`, on the clock of `now`; None if nothing is due ever."""
