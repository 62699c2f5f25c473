"""The table of statistics as one direction has it: what it shares with all others, and over that the few places that it has changed.

Of the table's places a station comes to a few thousand in its life, spread by hashing; so those are kept in a hash table of their own, with
linear probing, that grows with them. Once it would be no smaller than the whole table, each place has its own slot.

An entry holds `place << STATE_BITS | state`, and so does the journal, what a place held before it changed.
"""

from __future__ import annotations

from typing import Final, final

from librt.vecs import append, vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.contexts import COUNT_BITS, COUNT_MAX, STATE_BITS, STATE_MASK, TABLE_SIZE

__all__ = ["PLACES_MAX", "RATES", "Table", "learned"]

RATES: Final = vec[i64]([65536 * 10 // (10 * count + 16) for count in range(COUNT_MAX + 1)])
"""By how much of the difference a probability moves, in 65536ths: nearly all the first time, 1/64 in the end."""

_FIRST_SIZE: Final = 256
_HASHED_SIZE_MAX: Final = 8192
"""Slots, a power of two, up to which places are hashed."""

PLACES_MAX: Final = 4
"""That one decision comes to."""

_NONE: Final = -1
"""A slot that no place has."""


def learned(entry: i64, bit: i64) -> i64:
    """An entry, or a state alone, after one more decision."""
    probability = entry >> COUNT_BITS & 0xFFFF
    rate = RATES[entry & COUNT_MAX]
    change = (0xFFFF - probability) * rate >> 16 if bit else -(probability * rate >> 16)
    if entry & COUNT_MAX < COUNT_MAX:
        entry += 1
    return entry + (change << COUNT_BITS)


@final
class Table:
    """The states of one direction. `undo` goes back to where `keep` was called last."""

    __slots__ = ("_known", "_mask", "entries", "journal", "room")

    def __init__(self, known: vec[i64]) -> None:
        """`known` are the states that it begins with, of all places; it isn't changed."""
        self._known: vec[i64] = known
        self._mask: i64 = _FIRST_SIZE - 1
        self.room: i64 = _FIRST_SIZE * 3 // 4
        """Places that may still be looked for before the table must `grow`. Until then each stays in its slot."""
        self.entries: vec[i64] = vec[i64]([_NONE] * _FIRST_SIZE)
        self.journal: vec[i64] = vec[i64]()

    def slot(self, place: i64) -> i64:
        """Where the entry of `place` is."""
        entries = self.entries
        mask = self._mask
        slot = place & mask
        while True:
            entry = entries[slot]
            if entry >> STATE_BITS == place:
                return slot
            if entry < 0:
                break
            slot = slot + 1 & mask
        entries[slot] = place << STATE_BITS | self._known[place]
        self.room -= 1
        return slot

    def learn(self, slot: i64, entry: i64, bit: i64) -> None:
        """The place whose entry in `slot` was `entry` has seen one more decision."""
        self.journal = append(self.journal, entry)
        self.entries[slot] = learned(entry, bit)

    def states(self) -> list[int]:
        """The states of all places."""
        found: list[int] = list(self._known)
        for entry in self.entries:
            if entry >= 0:
                found[entry >> STATE_BITS] = entry & STATE_MASK
        return found

    def restore(self, states: list[int]) -> None:
        """Begin anew with these."""
        for place in range(TABLE_SIZE):
            state: i64 = states[place]
            if state != self._known[place]:
                if not self.room:
                    self.grow()
                self.entries[self.slot(place)] = place << STATE_BITS | state
        self.keep()

    def keep(self) -> None:
        """What was changed stays."""
        self.journal = vec[i64]()

    def undo(self) -> None:
        """Forget what was changed since `keep`."""
        journal = self.journal
        left: i64 = len(journal)
        while left:
            left -= 1
            entry = journal[left]
            self.entries[self.slot(entry >> STATE_BITS)] = entry
        self.keep()

    def grow(self) -> None:
        """Double the table. Places move to other slots."""
        old = self.entries
        size: i64 = 2 * len(old)
        self._mask = size - 1
        self.room += size // 2 * 3 // 4
        if size > _HASHED_SIZE_MAX:
            size = TABLE_SIZE
            self.room = TABLE_SIZE + PLACES_MAX
            self._mask = -1
        entries = vec[i64]([_NONE] * size)
        for entry in old:
            if entry >= 0:
                slot = entry >> STATE_BITS & self._mask
                while entries[slot] >= 0:
                    slot = slot + 1 & self._mask
                entries[slot] = entry
        self.entries = entries
