"""The positions' store in a thread beside the event loop."""

from __future__ import annotations

import time

from ocppress_gateway.positions.base import SLOW_COMMIT_S, Report
from ocppress_gateway.positions.calls import PositionsCalls
from ocppress_gateway.positions.store import PositionsStore
from ocppress_gateway.storage.calls import Call
from ocppress_gateway.storage.thread import DeskThread

__all__ = ["PositionsWorker"]


class PositionsWorker(PositionsCalls):
    """Owns the thread of a store. All methods belong to the event loop, and `report` is called in it."""

    def __init__(self, store: PositionsStore, report: Report) -> None:
        """Nobody else touches `store`."""
        super().__init__(store, report, time.monotonic)
        self._thread = DeskThread(self._desk, name="positions", slow_s=SLOW_COMMIT_S, report_late=self._say_trouble)

    def open(self) -> None:
        self._thread.start()

    async def ended(self) -> None:
        """Wait until the thread has ended. Raises what has ended it: `StoreInUse`, `StoreNewer`, `StoreDamaged`; await it in a task."""
        await self._thread.ended()

    async def close(self) -> None:
        """Write what waits, report it, and end. Safe to call twice, and before `open`."""
        await self._thread.close()

    def _submit(self, call: Call) -> None:
        self._thread.submit(call)
