"""Numbered places for what is remembered: of bounded number and weight, the one unused longest forgotten first.

A number that is used again means something else from then on, at both ends alike; so nothing that refers to numbers needs to know of what is forgotten.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar, final

__all__ = ["Slots"]

_Key = TypeVar("_Key")
_Item = TypeVar("_Item")


@final
class Slots(Generic[_Key, _Item]):
    """Items by number and by key. `undo` goes back to where `keep` was called last."""

    __slots__ = ("_journal", "_kept_clock", "capacity", "clock", "items", "keys", "numbers", "stamps", "weight", "weight_max", "weights")

    def __init__(self, capacity: int, weight_max: int) -> None:
        self.capacity: Final[int] = capacity
        self.weight_max: Final[int] = weight_max
        self.items: list[_Item | None] = []
        """The item of each number; None where it was forgotten and nothing has taken its place."""
        self.keys: list[_Key | None] = []
        self.weights: list[int] = []
        self.stamps: list[int] = []
        """When each was used last, by `clock`."""
        self.numbers: dict[_Key, int] = {}
        self.clock: int = 0
        self.weight: int = 0
        self._journal: list[tuple[int, _Key | None, _Item | None, int, int]] = []
        self._kept_clock: int = 0

    def find(self, key: _Key) -> int:
        """The number of the item with this key, -1 if there is none."""
        return self.numbers.get(key, -1)

    def ranked(self) -> list[int]:
        """All numbers in use, the one used last first."""
        stamps = self.stamps
        return sorted((number for number, key in enumerate(self.keys) if key is not None), key=stamps.__getitem__, reverse=True)

    def touch(self, number: int) -> None:
        """Item `number` is used."""
        self._note(number)
        self.clock += 1
        self.stamps[number] = self.clock

    def replace(self, number: int, item: _Item) -> None:
        """Another item of the same key and weight; this uses it."""
        self.touch(number)
        self.items[number] = item

    def insert(self, key: _Key, item: _Item, weight: int) -> int:
        """A new item, whose key must be new and whose weight must not exceed `weight_max`; returns its number."""
        while self.weight + weight > self.weight_max or len(self.numbers) >= self.capacity:
            self._forget(self._oldest())
        number = 0
        while number < len(self.keys) and self.keys[number] is not None:
            number += 1
        if number == len(self.keys):
            self.items.append(None)
            self.keys.append(None)
            self.weights.append(0)
            self.stamps.append(0)
        self._note(number)
        self.clock += 1
        self.put(number, key, item, weight, self.clock)
        return number

    def put(self, number: int, key: _Key, item: _Item, weight: int, stamp: int) -> None:
        """Fill an empty place."""
        self.items[number] = item
        self.keys[number] = key
        self.weights[number] = weight
        self.stamps[number] = stamp
        self.numbers[key] = number
        self.weight += weight

    def restore(self, number: int, key: _Key, item: _Item, weight: int) -> None:
        """Put an item where it was when it was saved; this uses it."""
        while len(self.keys) <= number:
            self.items.append(None)
            self.keys.append(None)
            self.weights.append(0)
            self.stamps.append(0)
        self.clock += 1
        self.put(number, key, item, weight, self.clock)

    def _oldest(self) -> int:
        oldest = -1
        for number, key in enumerate(self.keys):
            if key is not None and (oldest < 0 or self.stamps[number] < self.stamps[oldest]):
                oldest = number
        return oldest

    def _forget(self, number: int) -> None:
        self._note(number)
        self._clear(number)

    def _clear(self, number: int) -> None:
        key = self.keys[number]
        if key is not None:
            del self.numbers[key]
            self.weight -= self.weights[number]
        self.items[number] = None
        self.keys[number] = None
        self.weights[number] = 0

    def _note(self, number: int) -> None:
        self._journal.append((number, self.keys[number], self.items[number], self.weights[number], self.stamps[number]))

    def keep(self) -> None:
        """What was changed stays."""
        self._journal.clear()
        self._kept_clock = self.clock

    def undo(self) -> None:
        """Forget what was changed since `keep`."""
        journal = self._journal
        while journal:
            number, key, item, weight, stamp = journal.pop()
            self._clear(number)
            if key is not None and item is not None:
                self.put(number, key, item, weight, stamp)
            self.stamps[number] = stamp
        while self.keys and self.keys[-1] is None and self.stamps[-1] == 0:
            self.items.pop()
            self.keys.pop()
            self.weights.pop()
            self.stamps.pop()
        self.clock = self._kept_clock
