"""A disk in memory, with seeded faults: what the in-memory stores lie on, for tests and simulation.

The faults it can produce, all drawn from one seed:

- a commit takes a while (`commit_s`), now and then a long one (`slow_share`, `slow_s`),
- a commit or read fails, and all that follow for a while (`fail_share`, `fail_s`),
- the process dies while nobody has been told of a commit yet: it is there afterwards, or it isn't (`torn_share`),
- the store is found damaged after a death (`damage_share`).

On demand, whatever the seed: `failing` (a reason) makes all commits and reads fail, `commit_takes_s` makes commits take so long. Time is the caller's;
what takes time adds up in `spent_s`, and nothing waits. Not produced: a committed write that is lost later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from ocppress_gateway.errors import StoreDamaged, StoreFailed, StoreInUse

__all__ = ["DiskFaults", "MemoryDisk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFaults:
    """Which faults, and the seed that they are drawn from. Shares are of commits and reads, or of deaths; ranges are inclusive."""

    seed: int = 0
    commit_s: tuple[float, float] = (0.0, 0.0)
    slow_share: float = 0.0
    slow_s: tuple[float, float] = (2.0, 5.0)
    fail_share: float = 0.0
    fail_s: tuple[float, float] = (0.0, 0.0)
    torn_share: float = 0.5
    damage_share: float = 0.0


class MemoryDisk:
    """Tables that outlive whoever uses them. A store opens the disk, changes tables within transactions, and closes it."""

    def __init__(self, faults: DiskFaults | None = None, *, clock: Callable[[], float] = lambda: 0.0) -> None:
        """`clock` gives the caller's seconds, for failures that last."""
        self.faults = faults or DiskFaults()
        self.random = Random(self.faults.seed)
        self.clock = clock
        self.failing: str | None = None
        self.commit_takes_s: float | None = None
        self.spent_s = 0.0
        """Seconds that commits have taken since the caller set this to 0."""
        self.is_damaged = False
        self._tables: dict[str, dict[Any, Any]] = {}
        self._in_use = False
        self._fails_until = float("-inf")
        self._undo: list[Callable[[], None]] = []
        self._unreported: list[Callable[[], None]] = []

    # --- life

    def open(self) -> None:
        """Take the disk. Raises `StoreInUse`, `StoreFailed`, `StoreDamaged`; then it stays as it was."""
        if self._in_use:
            raise StoreInUse("memory", "in use by another process")
        self._may_fail()
        if self.is_damaged:
            raise StoreDamaged("memory", "as the fault plan has it")
        self._in_use = True

    def close(self) -> None:
        """Let go of it."""
        self._in_use = False
        self._unreported.clear()

    def die(self) -> None:
        """The process that uses it dies."""
        if self.random.random() < self.faults.torn_share:
            _take_back(self._unreported)
        self.is_damaged = self.is_damaged or self.random.random() < self.faults.damage_share
        self.close()

    # --- tables

    def table(self, name: str) -> dict[Any, Any]:
        """A table, to be looked at; sorted by nothing but the order of `put`."""
        return self._tables.setdefault(name, {})

    def put(self, name: str, key: object, value: object) -> None:
        """Within a transaction: set a value."""
        table = self.table(name)
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.pop(key))
        table[key] = value

    def remove(self, name: str, key: object) -> None:
        """Within a transaction: remove a value, if it is there."""
        table = self.table(name)
        if key in table:
            before = table.pop(key)
            self._undo.append(lambda: table.__setitem__(key, before))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises `StoreFailed`."""
        try:
            yield
            self._take_time()
            self._may_fail()
        except BaseException:
            _take_back(self._undo)
            raise
        self._unreported += self._undo
        self._undo.clear()

    def read(self) -> None:
        """About to read. Raises `StoreFailed`."""
        self._may_fail()

    def reported(self) -> None:
        """Whoever asked for the commits so far has been told of them: a death takes none of them back."""
        self._unreported.clear()

    # --- faults

    def _may_fail(self) -> None:
        now = self.clock() + self.spent_s
        if self.random.random() < self.faults.fail_share:
            self._fails_until = max(self._fails_until, now + self.random.uniform(*self.faults.fail_s))
            raise StoreFailed("memory", "as the fault plan has it")
        if now < self._fails_until:
            raise StoreFailed("memory", "as the fault plan has it")
        if self.failing is not None:
            raise StoreFailed("memory", self.failing)

    def _take_time(self) -> None:
        faults = self.faults
        slow = self.random.random() < faults.slow_share
        took_s = self.random.uniform(*(faults.slow_s if slow else faults.commit_s))
        self.spent_s += took_s if self.commit_takes_s is None else self.commit_takes_s


def _take_back(steps: list[Callable[[], None]]) -> None:
    while steps:
        steps.pop()()
