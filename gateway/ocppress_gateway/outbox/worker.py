"""The outbox in a thread beside the event loop."""

from __future__ import annotations

import time
from typing import Final

from ocppress_gateway.outbox.base import SLOW_COMMIT_S, Report
from ocppress_gateway.outbox.calls import OutboxCalls
from ocppress_gateway.outbox.store import OutboxStore
from ocppress_gateway.storage.calls import Call
from ocppress_gateway.storage.thread import DeskThread

__all__ = ["OutboxWorker"]

_NAME: Final = "outbox"


class OutboxWorker(OutboxCalls):
    """Owns the thread of a store. All methods belong to the event loop, and `report` is called in it."""

    def __init__(self, store: OutboxStore, report: Report) -> None:
        """`store` counts by the monotonic clock; nobody else touches it."""
        super().__init__(store, report, time.monotonic)
        self._thread = DeskThread(self._desk, name=_NAME, slow_s=SLOW_COMMIT_S, report_late=self._say_trouble)

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
