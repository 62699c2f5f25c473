"""An outbox in memory, with the faults of `storage.memory`: for tests, the demo and simulation.

`MemoryOutboxStore` keeps messages on a `MemoryDisk`, behind a worker like any other store. `MemoryOutbox` needs no thread: whoever has the clock
runs it when it is due, as a driver does with a machine, and the same seed gives the same events.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from ocppress_gateway.core.stored import INCARNATION_BYTES, Lane
from ocppress_gateway.outbox.base import SLOW_COMMIT_S, OutboxLimits, Report
from ocppress_gateway.outbox.calls import OutboxCalls
from ocppress_gateway.outbox.contents import Contents, Row, Station
from ocppress_gateway.outbox.store import OutboxStore
from ocppress_gateway.storage.calls import Call
from ocppress_gateway.storage.memory import MemoryDisk
from ocppress_gateway.storage.virtual import DeskInVirtualTime

__all__ = ["MemoryOutbox", "MemoryOutboxStore"]


class MemoryOutboxStore(OutboxStore):
    """An outbox on a disk in memory."""

    def __init__(self, disk: MemoryDisk, clock: Callable[[], float], *, limits: OutboxLimits | None = None) -> None:
        super().__init__("memory", limits or OutboxLimits(), clock)
        self._disk = disk

    def close(self) -> None:
        self._disk.close()

    def set_aside(self) -> None:
        self._disk.close()
        self._disk.is_damaged = False
        self._disk.table("damaged")["set aside"] = True
        for name in ("outbox", "station", "message"):
            self._disk.table(f"damaged {name}").update(self._disk.table(name))
            self._disk.table(name).clear()

    def probe(self) -> None:
        """Each transaction writes, whatever is in it."""

    def _open(self) -> Contents:
        self._disk.open()
        try:
            return self._contents()
        except BaseException:
            self._disk.close()
            raise

    def _contents(self) -> Contents:
        fault = None
        outbox = self._disk.table("outbox")
        if "incarnation" not in outbox:
            with self._disk.transaction():
                self._disk.put("outbox", "incarnation", self._disk.random.randbytes(INCARNATION_BYTES))
        if self._disk.table("damaged"):
            old_stations, old_rows = self._disk.table("damaged station"), self._disk.table("damaged message")
            with self._disk.transaction():
                taken = self._take_over(old_stations.values(), (row for _, row in sorted(old_rows.items())))
                for name in ("damaged", "damaged outbox", "damaged station", "damaged message"):
                    for key in list(self._disk.table(name)):
                        self._disk.remove(name, key)
            fault = f"damaged ({self._damage}): {taken} messages were taken over into a new one"
        stations = [replace(station) for station in self._disk.table("station").values()]
        rows = (row for _, row in sorted(self._disk.table("message").items()))
        return Contents(outbox["incarnation"], stations, rows, fault)

    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        return self._disk.transaction()

    def _put_station(self, station: Station) -> None:
        self._disk.put("station", station.number, replace(station))

    def _put_row(self, number: int, row: Row) -> None:
        self._disk.put("message", (number, row.message.lane, row.message.position), row)

    def _rows(self, number: int, lane: Lane, after: int, up_to: int) -> Iterator[Row]:
        self._disk.read()
        table = self._disk.table("message")
        for position in range(after + 1, up_to + 1):
            if (number, lane, position) in table:
                yield table[number, lane, position]

    def _remove_rows(self, number: int, lane: Lane, up_to: int) -> None:
        position = up_to
        while (number, lane, position) in self._disk.table("message"):
            self._disk.remove("message", (number, lane, position))
            position -= 1

    def sizes(self) -> tuple[int, int | None]:
        return self._bytes, None


class MemoryOutbox(OutboxCalls):
    """One process's life with an outbox on `disk`; `clock` is whatever drives it, in seconds.

    Whoever has the clock calls `run` when `due_at` has come, and looks at `due_at` again after each call.
    """

    def __init__(self, disk: MemoryDisk, report: Report, clock: Callable[[], float], *, limits: OutboxLimits | None = None) -> None:
        def with_spent() -> float:
            return clock() + disk.spent_s

        super().__init__(MemoryOutboxStore(disk, with_spent, limits=limits), report, with_spent)
        self._virtual = DeskInVirtualTime(self._desk, disk, clock, slow_s=SLOW_COMMIT_S, report_late=self._say_trouble)

    def open(self) -> None:
        self._virtual.start()

    def due_at(self) -> float | None:
        """When `run` has something to do; None for not before the next call."""
        return self._virtual.due_at()

    def run(self) -> None:
        """Do what is due, and report what is done by now. Raises `StoreInUse`, `StoreDamaged`."""
        self._virtual.run()

    def close(self) -> None:
        """Write what waits, report it, and end."""
        self._virtual.close()

    def die(self) -> None:
        """The process is gone: nothing more is reported, and what was under way is on the disk or isn't."""
        self._virtual.die()

    def _submit(self, call: Call) -> None:
        self._desk.submit(call)
