"""A ledger with its two clocks in one hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from ocppress_gateway.core.events import Note
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.ledger_clock import SETTLE_S
from ocppress_gateway.core.ledger_events import InterfaceCounted, LedgerEvent
from ocppress_gateway.core.ledger_month import MonthView

__all__ = ["MARCH", "Books", "settings"]

MARCH: Final = datetime(2026, 3, 1, tzinfo=UTC)


def settings(*, budget_bytes: int = 1_000_000, first_day: int = 1, rounding_bytes: int = 0) -> LedgerSettings:
    """A SIM in UTC."""
    return LedgerSettings(budget_bytes, UTC, first_day, rounding_bytes)


class Books:
    """A ledger that is told the time: `now` only goes on, `wall` goes with it, or is set."""

    def __init__(self, ledger: Ledger, *, now: float = 0.0, wall: datetime = MARCH) -> None:
        self.ledger = ledger
        self.now = now
        self.wall = wall
        self.saved: dict[str, bytes] = {}
        self.interface_bytes = 0

    @classmethod
    def settled(cls, ledger: Ledger, *, wall: datetime = MARCH) -> Books:
        """With a clock that is believed at `wall`."""
        books = cls(ledger, wall=wall - timedelta(seconds=SETTLE_S))
        books.tick()
        books.pass_time(SETTLE_S)
        books.tick()
        return books

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on; nobody looks."""
        self.now += seconds
        self.wall += timedelta(seconds=seconds)

    def step_clock(self, seconds: float) -> None:
        """The wall clock is set."""
        self.wall += timedelta(seconds=seconds)

    def tell(self, *events: LedgerEvent) -> None:
        for event in events:
            self.ledger.step(event, self.now, self.wall)

    def tick(self) -> list[Note]:
        return self.ledger.tick(self.now, self.wall)

    def others(self, count: int, *, life: str = "boot 2") -> None:
        """So many bytes pass the interface downwards; the first reading is none but a beginning."""
        self.interface_bytes += count
        self.tell(InterfaceCounted(life, self.interface_bytes, 0))

    def month(self) -> MonthView:
        return self.ledger.month()

    def save(self) -> None:
        for key, value in self.ledger.changes().items():
            if value is None:
                self.saved.pop(key, None)
            else:
                self.saved[key] = value

    def restart(self, settings: LedgerSettings, *, now: float = 0.0) -> Books:
        """Another process with what was saved; its monotonic clock begins elsewhere."""
        ledger = Ledger(settings)
        ledger.restore(self.saved)
        later = Books(ledger, now=now, wall=self.wall)
        later.saved = dict(self.saved)
        later.interface_bytes = self.interface_bytes
        return later
