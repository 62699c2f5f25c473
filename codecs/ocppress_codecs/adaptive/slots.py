"""Numbered places for what is remembered: of bounded number and weight, the one unused longest forgotten first.

A number that is used again means something else from then on, at both ends alike; so nothing that refers to numbers needs to know of what is forgotten.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar, final

from librt.vecs import append, pop, vec
from mypy_extensions import i64

__all__ = ["Slots"]

_Key = TypeVar("_Key")
_Item = TypeVar("_Item")

_NUMBER_BITS: Final = 16
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1


@final
class Slots(Generic[_Key, _Item]):
    """Items by number and by key. `undo` goes back to where `keep` was called last."""

    __slots__ = (
        "_kept_clock",
        "_old_items",
        "_old_keys",
        "_old_places",
        "_old_stamps",
        "capacity",
        "clock",
        "items",
        "keys",
        "numbers",
        "stamps",
        "weight",
        "weight_max",
        "weights",
    )

    def __init__(self, capacity: int, weight_max: int) -> None:
        self.capacity: Final[i64] = capacity
        self.weight_max: Final[i64] = weight_max
        self.items: list[_Item | None] = []
        """The item of each number; None where it was forgotten and nothing has taken its place."""
        self.keys: list[_Key | None] = []
        self.weights: vec[i64] = vec[i64]()
        self.stamps: vec[i64] = vec[i64]()
        """When each was used last, by `clock`."""
        self.numbers: dict[_Key, int] = {}
        self.clock: i64 = 0
        self.weight: i64 = 0
        self._old_stamps: vec[i64] = vec[i64]()
        """Stamps before they changed, with their numbers in the low bits."""
        self._old_places: vec[i64] = vec[i64]()
        """Weights before a place's contents changed, with its number; and what it held."""
        self._old_keys: list[_Key | None] = []
        self._old_items: list[_Item | None] = []
        self._kept_clock: i64 = 0

    def find(self, key: _Key) -> int:
        """The number of the item with this key, -1 if there is none."""
        return self.numbers.get(key, -1)

    def ranked(self) -> list[int]:
        """All numbers in use, the one used last first."""
        stamped = [self.stamps[number] << _NUMBER_BITS | number for number, key in enumerate(self.keys) if key is not None]
        stamped.sort(reverse=True)
        return [stamp & _NUMBER_MASK for stamp in stamped]

    def touch(self, number: i64) -> None:
        """Item `number` is used."""
        self._old_stamps = append(self._old_stamps, self.stamps[number] << _NUMBER_BITS | number)
        self.clock += 1
        self.stamps[number] = self.clock

    def replace(self, number: i64, item: _Item) -> None:
        """Another item of the same key and weight; this uses it."""
        self._note(number)
        self.touch(number)
        self.items[number] = item

    def insert(self, key: _Key, item: _Item, weight: i64) -> int:
        """A new item, whose key must be new and whose weight must not exceed `weight_max`; returns its number."""
        while self.weight + weight > self.weight_max or len(self.numbers) >= self.capacity:
            self._forget(self._oldest())
        number = 0
        while number < len(self.keys) and self.keys[number] is not None:
            number += 1
        if number == len(self.keys):
            self._extend()
        self._note(number)
        self.touch(number)
        self._put(number, key, item, weight)
        return number

    def restore(self, number: int, key: _Key, item: _Item, weight: i64) -> None:
        """Put an item where it was when it was saved; this uses it. It can't be undone."""
        while len(self.keys) <= number:
            self._extend()
        self.clock += 1
        self.stamps[number] = self.clock
        self._put(number, key, item, weight)

    def _extend(self) -> None:
        self.items.append(None)
        self.keys.append(None)
        self.weights = append(self.weights, 0)
        self.stamps = append(self.stamps, 0)

    def _put(self, number: i64, key: _Key, item: _Item, weight: i64) -> None:
        """Fill an empty place."""
        self.items[number] = item
        self.keys[number] = key
        self.weights[number] = weight
        self.numbers[key] = number
        self.weight += weight

    def _oldest(self) -> i64:
        oldest: i64 = -1
        for number, key in enumerate(self.keys):
            if key is not None and (oldest < 0 or self.stamps[number] < self.stamps[oldest]):
                oldest = number
        return oldest

    def _forget(self, number: i64) -> None:
        self._note(number)
        self._clear(number)

    def _clear(self, number: i64) -> None:
        key = self.keys[number]
        if key is not None:
            del self.numbers[key]
            self.weight -= self.weights[number]
        self.items[number] = None
        self.keys[number] = None
        self.weights[number] = 0

    def _note(self, number: i64) -> None:
        self._old_places = append(self._old_places, self.weights[number] << _NUMBER_BITS | number)
        self._old_keys.append(self.keys[number])
        self._old_items.append(self.items[number])

    def keep(self) -> None:
        """What was changed stays."""
        self._old_stamps = vec[i64]()
        self._old_places = vec[i64]()
        self._old_keys.clear()
        self._old_items.clear()
        self._kept_clock = self.clock

    def undo(self) -> None:
        """Forget what was changed since `keep`."""
        left: i64 = len(self._old_places)
        while left:
            left -= 1
            place = self._old_places[left]
            key = self._old_keys.pop()
            item = self._old_items.pop()
            self._clear(place & _NUMBER_MASK)
            if key is not None and item is not None:
                self._put(place & _NUMBER_MASK, key, item, place >> _NUMBER_BITS)
        left = len(self._old_stamps)
        while left:
            left -= 1
            stamp = self._old_stamps[left]
            self.stamps[stamp & _NUMBER_MASK] = stamp >> _NUMBER_BITS
        while self.keys and self.keys[-1] is None and self.stamps[-1] == 0:
            self.items.pop()
            self.keys.pop()
            self.weights, _ = pop(self.weights)
            self.stamps, _ = pop(self.stamps)
        self.clock = self._kept_clock
        self.keep()
