"""Which of many things is due next, at a cost that doesn't grow with how many wait."""

from __future__ import annotations

import heapq
from typing import Final, Generic, TypeVar

__all__ = ["Alarms", "earlier"]

Key = TypeVar("Key")

STALE_MAX: Final = 64
"""Entries of alarms set anew that may lie in the heap beyond as many as there are alarms."""


def earlier(one: float | None, other: float | None) -> float | None:
    """The first of two times, None for never."""
    if one is None or (other is not None and other < one):
        return other
    return one


class Alarms(Generic[Key]):
    """One time per key, in seconds of the machine's clock.

    Most alarms are put off again and again and never come; so a key that is put off keeps its place in the heap, and gets its new one when the old one
    has come to the top.
    """

    def __init__(self) -> None:
        self._at: dict[Key, float] = {}
        self._queued: dict[Key, float] = {}
        """Where in the heap a key stands: not behind its time."""
        self._heap: list[tuple[float, int, Key]] = []
        self._order = 0

    def set(self, key: Key, at: float | None) -> None:
        """The key is due at this time, or never."""
        if at is None:
            self._at.pop(key, None)
            return
        self._at[key] = at
        queued = self._queued.get(key)
        if queued is None or at < queued:
            self._queue(key, at)
            if len(self._heap) > 2 * len(self._at) + STALE_MAX:
                self._tidy()

    def next(self) -> float | None:
        """When the first is due."""
        while self._heap:
            queued, _, key = self._heap[0]
            at = self._at.get(key)
            if at == queued:
                return at
            heapq.heappop(self._heap)
            if self._queued.get(key) == queued:  # otherwise it stands further to the front, or stood there
                del self._queued[key]
                if at is not None:
                    self._queue(key, at)
        return None

    def take_due(self, now: float) -> list[Key]:
        """What is due, the earliest first; none of it is due again before it is set."""
        due: list[Key] = []
        while (at := self.next()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            del self._queued[key]
            due.append(key)
        return due

    def _queue(self, key: Key, at: float) -> None:
        self._queued[key] = at
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, key))

    def _tidy(self) -> None:
        """Nothing that is stale stays in the heap."""
        self._heap.clear()
        self._queued.clear()
        for key, at in self._at.items():
            self._queue(key, at)
