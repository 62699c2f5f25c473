"""Which of many things is due next, at a cost that doesn't grow with how many wait."""

from __future__ import annotations

import heapq
from typing import Final, Generic, TypeVar

__all__ = ["Alarms"]

Key = TypeVar("Key")

STALE_MAX: Final = 64
"""Entries of alarms set anew that may lie in the heap beyond as many as there are alarms."""


class Alarms(Generic[Key]):
    """One time per key, in seconds of the machine's clock."""

    def __init__(self) -> None:
        self._at: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = 0

    def set(self, key: Key, at: float | None) -> None:
        """The key is due at this time, or never."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            self._order += 1
            heapq.heappush(self._heap, (at, self._order, key))
            if len(self._heap) > 2 * len(self._at) + STALE_MAX:
                self._heap = [entry for entry in self._heap if self._at.get(entry[2]) == entry[0]]
                heapq.heapify(self._heap)

    def next(self) -> float | None:
        """When the first is due."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Key]:
        """What is due, the earliest first; none of it is due again before it is set."""
        due: list[Key] = []
        while (at := self.next()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            due.append(key)
        return due
