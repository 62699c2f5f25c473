"""How much of something there may be: it fills with time, and is taken out of."""

from __future__ import annotations

__all__ = ["Bucket"]


class Bucket:
    """Full at first. What is spent may exceed what is there: then it has to fill up to nothing first."""

    def __init__(self, capacity: float, per_s: float) -> None:
        self._capacity = capacity
        self._per_s = per_s
        self._level = capacity
        self._at = 0.0

    def level(self, now: float) -> float:
        """What is there; below zero what is owed."""
        self._level = min(self._capacity, self._level + max(0.0, now - self._at) * self._per_s)
        self._at = now
        return self._level

    def spend(self, amount: float, now: float) -> float:
        """Take it out; returns what is left."""
        self._level = self.level(now) - amount
        return self._level

    def wait_s(self, now: float) -> float:
        """How long until nothing is owed any more."""
        return max(0.0, -self.level(now) / self._per_s)
