"""Runs a desk over a disk in memory by a clock that somebody else moves: no thread, no waiting, the same events for the same seed."""

from __future__ import annotations

from collections.abc import Callable

from ocppress_gateway.storage.calls import Result
from ocppress_gateway.storage.desk import Desk
from ocppress_gateway.storage.memory import MemoryDisk

__all__ = ["DeskInVirtualTime"]


class DeskInVirtualTime:
    """What a step of the desk takes is known when it begins, and its results come when that time has passed."""

    def __init__(
        self, desk: Desk, disk: MemoryDisk, clock: Callable[[], float], *, slow_s: float, report_late: Callable[[str], None]
    ) -> None:
        self._desk = desk
        self._disk = disk
        self._clock = clock
        self._slow_s = slow_s
        self._report_late = report_late
        self._is_running = False
        self._under_way: list[Result] = []
        self._begun_at = 0.0
        self._done_at: float | None = None
        self._late_said = False

    def start(self) -> None:
        """Begin."""
        self._is_running = True

    def due_at(self) -> float | None:
        """When `run` has something to do; None for not before the next call."""
        if not self._is_running:
            return None
        if self._done_at is None:
            return self._desk.due_at()
        return self._done_at if self._late_said else min(self._done_at, self._begun_at + self._slow_s)

    def run(self) -> None:
        """Go on with what is due; at any other time nothing happens."""
        now = self._clock()
        due_at = self.due_at()
        if due_at is None or due_at > now:
            return
        if self._done_at is None:
            self._begun_at = now
            self._late_said = False
            self._under_way = self._desk.step()
            self._done_at = now + self._disk.spent_s
            self._disk.spent_s = 0.0
        if now >= self._done_at:
            self._finish()
        elif now >= self._begun_at + self._slow_s:
            self._late_said = True
            self._report_late(self._desk.slow_words)

    def close(self) -> None:
        """Write what waits, report it, and end."""
        if self._is_running:
            self._finish()
            self._under_way = self._desk.close()
            self._disk.spent_s = 0.0
            self._finish()
        self._is_running = False

    def die(self) -> None:
        """End with nothing reported any more."""
        if self._is_running:
            self._disk.die()
        self._is_running = False

    def _finish(self) -> None:
        results, self._under_way = self._under_way, []
        self._done_at = None
        self._disk.reported()
        for result in results:
            result()
