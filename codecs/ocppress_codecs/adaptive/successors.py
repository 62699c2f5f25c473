"""What followed a context before: up to four numbers, the last one first, in a table of fixed size.

bits  52 … 61   check: a part of the context's hash
      39 … 51   the number that followed last, plus 1; 0 where there is none
      26 … 38, 13 … 25, 0 … 12   those before it
"""

from __future__ import annotations

from typing import Final, final

from librt.vecs import append, vec
from mypy_extensions import i64

__all__ = ["CANDIDATES_MAX", "NUMBER_MAX", "Successors", "candidates", "moved_to_front"]

CANDIDATES_MAX: Final = 4
_NUMBER_BITS: Final = 13
NUMBER_MAX: Final = (1 << _NUMBER_BITS) - 2
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1
_LIST_BITS: Final = _NUMBER_BITS * CANDIDATES_MAX
_LIST_MASK: Final = (1 << _LIST_BITS) - 1
_CHECK_MASK: Final = 1023


def candidates(packed: i64) -> list[int]:
    """The numbers in a packed list."""
    found: list[int] = []
    shift: i64 = _LIST_BITS - _NUMBER_BITS
    while shift >= 0:
        number = packed >> shift & _NUMBER_MASK
        if number == 0:
            break
        found.append(number - 1)
        shift -= _NUMBER_BITS
    return found


def moved_to_front(packed: i64, number: i64) -> i64:
    """The packed list after `number` has followed."""
    result = number + 1
    count: i64 = 1
    for old in candidates(packed):
        if old != number and count < CANDIDATES_MAX:
            result = result << _NUMBER_BITS | old + 1
            count += 1
    return result << _NUMBER_BITS * (CANDIDATES_MAX - count)


@final
class Successors:
    """The table of one direction, over what the prior knows. `undo` goes back to where `keep` was called last."""

    __slots__ = ("_journal", "_mask", "_prior", "sets", "training")

    def __init__(self, size: int, prior: dict[int, int]) -> None:
        self.sets: vec[i64] = vec[i64]([0] * size)
        self._mask: i64 = size - 1
        self._prior: dict[int, int] = prior
        self._journal: vec[i64] = vec[i64]()
        """Places and what was there, in turn."""
        self.training: bool = False
        """Whether what is learned goes into the prior."""

    def find(self, context: i64) -> i64:
        """The packed list of what followed `context`, a hash of 32 bits."""
        found = self.sets[context & self._mask]
        if found and found >> _LIST_BITS == context >> 22 & _CHECK_MASK:
            return found & _LIST_MASK
        return self._prior.get(context, 0)

    def follow(self, context: i64, packed: i64, number: i64) -> None:
        """`number` has followed `context`, where `find` gave `packed`."""
        if packed >> _LIST_BITS - _NUMBER_BITS == number + 1:
            return
        if self.training:
            self._prior[context] = moved_to_front(packed, number)
            return
        place = context & self._mask
        self._journal = append(append(self._journal, place), self.sets[place])
        self.sets[place] = (context >> 22 & _CHECK_MASK) << _LIST_BITS | moved_to_front(packed, number)

    def keep(self) -> None:
        """What was learned stays."""
        self._journal = vec[i64]()

    def undo(self) -> None:
        """Forget what was learned since `keep`."""
        left: i64 = len(self._journal)
        while left:
            left -= 2
            self.sets[self._journal[left]] = self._journal[left + 1]
        self.keep()
