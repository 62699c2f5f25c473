"""The table of statistics as one direction has it: what it shares with all others, and over that the few places that it has changed.

Of the table's places a station comes to a few thousand in its life, spread by hashing; so those are kept in a hash table of their own, that grows with them.
It has 64 groups of slots, and the low bits of a place say which group is its own. So an entry says the rest of the place, and takes no more than four bytes:

    bits 22 … 30   place // 64
          0 … 21   state

Within a group an entry is where the rest's low bits say, or in the next slot that is free. Once a group has slots for all its places, each has its own.
"""

from __future__ import annotations

from typing import Final, final

from librt.vecs import append, vec
from mypy_extensions import i32, i64

from ocppress_codecs.adaptive.contexts import COUNT_BITS, COUNT_MAX, STATE_BITS, STATE_MASK, TABLE_SIZE

__all__ = ["PLACES_MAX", "RATES", "Table", "learned"]

RATES: Final = vec[i64]([65536 * 10 // (10 * count + 16) for count in range(COUNT_MAX + 1)])
"""By how much of the difference a probability moves, in 65536ths: nearly all the first time, 1/64 in the end."""

_GROUP_BITS: Final = 6
_GROUPS: Final = 1 << _GROUP_BITS
_GROUP_MASK: Final = _GROUPS - 1
_WHOLE: Final = TABLE_SIZE // _GROUPS
"""Places of a group."""

_FIRST_WIDTH: Final = 8
_HASHED_WIDTH_MAX: Final = 128
"""Slots of a group, a power of two, up to which places are hashed."""

PLACES_MAX: Final = 4
"""That one decision comes to."""

_NONE: Final = -1
"""A slot that no place has."""


def learned(state: i64, bit: i64) -> i64:
    """A state after one more decision."""
    probability = state >> COUNT_BITS
    rate = RATES[state & COUNT_MAX]
    change = (0xFFFF - probability) * rate >> 16 if bit else -(probability * rate >> 16)
    if state & COUNT_MAX < COUNT_MAX:
        state += 1
    return state + (change << COUNT_BITS)


@final
class Table:
    """The states of one direction. `undo` goes back to where `keep` was called last."""

    __slots__ = ("_known", "_mask", "_width", "crowded", "entries", "journal")

    def __init__(self, known: vec[i64]) -> None:
        """`known` are the states that it begins with, of all places; it isn't changed."""
        self._known: vec[i64] = known
        self._width: i64 = _FIRST_WIDTH
        self._mask: i64 = _FIRST_WIDTH - 1
        self.entries: vec[i32] = vec[i32]([_NONE] * (_GROUPS * _FIRST_WIDTH))
        self.journal: vec[i64] = vec[i64]()
        """`place << STATE_BITS | state`: what places held before they changed."""
        self.crowded: bool = False
        """Some group has no slots for another decision: before that the table must `grow`. Until then each place stays in its slot."""

    def slot(self, place: i64) -> i64:
        """Where the entry of `place` is."""
        entries = self.entries
        rest = place >> _GROUP_BITS
        mask = self._mask
        begin = (place & _GROUP_MASK) * self._width
        step = rest & mask
        while True:
            # Compiled, by way of an `int` an `i32` becomes an `i64`.
            found: int = entries[begin + step]
            entry: i64 = found
            if entry >> STATE_BITS == rest:
                return begin + step
            if entry < 0:
                break
            step = step + 1 & mask
        found = rest << STATE_BITS | self._known[place]
        entries[begin + step] = found
        if self._width < _WHOLE:
            self._see(begin)
        return begin + step

    def learn(self, slot: i64, place: i64, state: i64, bit: i64) -> None:
        """`place`, whose entry in `slot` has this state, has seen one more decision."""
        self.journal = append(self.journal, place << STATE_BITS | state)
        entry: int = place >> _GROUP_BITS << STATE_BITS | learned(state, bit)
        self.entries[slot] = entry

    def states(self) -> list[int]:
        """The states of all places."""
        found: list[int] = list(self._known)
        for slot in range(len(self.entries)):
            entry: int = self.entries[slot]
            if entry >= 0:
                found[entry >> STATE_BITS << _GROUP_BITS | slot // self._width] = entry & STATE_MASK
        return found

    def restore(self, states: list[int]) -> None:
        """Begin anew with these."""
        for place in range(TABLE_SIZE):
            if states[place] != self._known[place]:
                if self.crowded:
                    self.grow()
                self._put(place, states[place])
        self.keep()

    def keep(self) -> None:
        """What was changed stays."""
        self.journal = vec[i64]()

    def undo(self) -> None:
        """Forget what was changed since `keep`."""
        left: i64 = len(self.journal)
        while left:
            left -= 1
            old = self.journal[left]
            self._put(old >> STATE_BITS, old & STATE_MASK)
        self.keep()

    def grow(self) -> None:
        """Make groups wider until none is crowded. Places move to other slots."""
        while self.crowded:
            old = self.entries
            width = self._width
            self._width = 2 * width if width < _HASHED_WIDTH_MAX else _WHOLE
            # Where each place has its own slot, its rest is that.
            self._mask = self._width - 1 if self._width < _WHOLE else (1 << STATE_BITS) - 1
            self.crowded = False
            self.entries = vec[i32]([_NONE] * (_GROUPS * self._width))
            for slot in range(len(old)):
                entry: int = old[slot]
                if entry >= 0:
                    self._put(entry >> STATE_BITS << _GROUP_BITS | slot // width, entry & STATE_MASK)

    def _put(self, place: i64, state: i64) -> None:
        entry: int = place >> _GROUP_BITS << STATE_BITS | state
        self.entries[self.slot(place)] = entry

    def _see(self, begin: i64) -> None:
        """Whether the group that begins there is crowded."""
        free: i64 = 0
        slot: i64
        for slot in range(begin, begin + self._width):
            if self.entries[slot] < 0:
                free += 1
        if free < PLACES_MAX:
            self.crowded = True
