"""Positions in memory, with the faults of `storage.memory`: for tests, the demo and simulation.

`MemoryPositionsStore` keeps them on a `MemoryDisk`, behind a worker like any other store. `MemoryPositions` needs no thread: whoever has the clock
runs it when it is due, as a driver does with a machine, and the same seed gives the same events.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from ocppress_gateway.core.stored import DeadLetter
from ocppress_gateway.positions.base import SLOW_COMMIT_S, PositionsLimits, Report
from ocppress_gateway.positions.calls import PositionsCalls
from ocppress_gateway.positions.store import LocalPositionsStore, Pair, size_of_letter
from ocppress_gateway.storage.calls import Call
from ocppress_gateway.storage.memory import MemoryDisk
from ocppress_gateway.storage.virtual import DeskInVirtualTime

__all__ = ["MemoryPositions", "MemoryPositionsStore"]


class MemoryPositionsStore(LocalPositionsStore):
    """Positions on a disk in memory."""

    def __init__(self, disk: MemoryDisk, *, limits: PositionsLimits | None = None) -> None:
        super().__init__("memory", limits or PositionsLimits())
        self._disk = disk

    def close(self) -> None:
        self._disk.close()

    def set_aside(self) -> None:
        self._disk.close()
        self._disk.is_damaged = False
        for name in ("pair", "letter"):
            self._disk.table(name).clear()
        self._disk.table("damaged")["set aside"] = True

    def probe(self) -> None:
        """Each transaction writes, whatever is in it."""

    def dead_letter(self, key: int) -> DeadLetter | None:
        self._disk.read()
        return self._disk.table("letter").get(key)

    # --- what `PositionsStore` leaves open

    def _open(self) -> tuple[int, int, int]:
        self._disk.open()
        letters = self._disk.table("letter").values()
        return sum(map(len, self._disk.table("pair").values())), len(letters), sum(map(size_of_letter, letters))

    def _put_damaged_away(self) -> str | None:
        return "gone" if self._disk.table("damaged").pop("set aside", None) else None

    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        return self._disk.transaction()

    def _pairs_of(self, identity: str) -> list[Pair]:
        self._disk.read()
        return list(self._disk.table("pair").get(identity, {}).values())

    def _put_pair(self, identity: str, pair: Pair) -> None:
        self._disk.put("pair", identity, {**self._disk.table("pair").get(identity, {}), pair.incarnation: pair})

    def _remove_pair(self, identity: str, incarnation: bytes) -> None:
        left = dict(self._disk.table("pair")[identity])
        del left[incarnation]
        self._disk.put("pair", identity, left)

    def _put_letter(self, letter: DeadLetter) -> int:
        key: int = self._disk.table("keys").get("letter", 0) + 1
        self._disk.put("keys", "letter", key)
        self._disk.put("letter", key, replace(letter, key=key))
        return key

    def _letters(self, identity: str | None) -> Iterator[DeadLetter]:
        self._disk.read()
        return (letter for _, letter in sorted(self._disk.table("letter").items()) if identity in (None, letter.identity))

    def _find_letter(self, identity: str, message_id: str) -> int | None:
        wanted = identity, message_id
        return next((letter.key for letter in self._letters(None) if (letter.identity, letter.message_id) == wanted), None)

    def _remove_letter(self, key: int) -> None:
        self._disk.remove("letter", key)

    def sizes(self) -> tuple[int, int | None]:
        return self._dead_bytes, None


class MemoryPositions(PositionsCalls):
    """One process's life with positions on `disk`; `clock` is whatever drives it, in seconds.

    Whoever has the clock calls `run` when `due_at` has come, and looks at `due_at` again after each call.
    """

    def __init__(self, disk: MemoryDisk, report: Report, clock: Callable[[], float], *, limits: PositionsLimits | None = None) -> None:
        super().__init__(MemoryPositionsStore(disk, limits=limits), report, lambda: clock() + disk.spent_s)
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
