"""The positions as their one thread sees them: blocking calls, and the rules of those stores that one process has for itself."""

from __future__ import annotations

import abc
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.core.stored import Claim, DeadLetter, Lane
from ocppress_gateway.errors import StoreDamaged, StoreFull
from ocppress_gateway.positions.base import DEAD_TEXT_MAX, INCARNATIONS_MAX, PositionsLimits
from ocppress_gateway.storage.store import Store

__all__ = [
    "LETTER_OVERHEAD_BYTES",
    "Claimed",
    "Figures",
    "LocalPositionsStore",
    "Outcome",
    "Pair",
    "PositionsStore",
    "size_of_letter",
    "to_bytes",
    "to_text",
]

T = TypeVar("T")

Outcome = Callable[[], T]
"""What came of a call, known once its transaction is over; raises `StoreFull`."""

SAVED_MAX: Final = 20_000
"""Stations whose pairs are remembered: 12 MB. Those of others are read again before they are saved."""

LETTER_OVERHEAD_BYTES: Final = 100
"""What a dead letter counts besides its texts."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The positions of an identity's outbox incarnation. `saved`: a number that grows with each saving of the identity's positions."""

    incarnation: bytes
    positions: tuple[int, int]
    saved: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is in a store after a commit."""

    pairs: int = 0
    dead_letters: int = 0
    dead_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """What came of a claim; see `EdgeClaimed` and `EdgeNotClaimed`."""

    rival: bool = False
    others: bool = False
    contexts: tuple[SavedContext, ...] = ()


class PositionsStore(Store):
    """What a desk asks of positions and dead letters, besides `Store`."""

    def __init__(self, place: object, limits: PositionsLimits) -> None:
        self.fault: str | None = None
        """What was set aside when it was opened."""
        self.figures = Figures()
        """As of the last commit; replaced, never changed, so that any thread may look."""
        self.remark: str | None = None
        """What of its surroundings the operator should know, once it is open."""
        self.limits = limits
        self._place = str(place)

    @abc.abstractmethod
    def sizes(self) -> tuple[int, int | None]:
        """Bytes of all files, and bytes written since they were opened, None where nobody counts them; any thread may look."""

    # --- within a transaction

    @abc.abstractmethod
    def save(self, identity: str, incarnation: bytes, lane: Lane, position: int, claim: Claim | None = None) -> Outcome[bool]:
        """Save a position; false if the claim is gone. Raises `StoreFull`, `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def bury(self, letter: DeadLetter) -> Outcome[int]:
        """Keep a dead letter; its key. Raises `StoreFull`, `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def drop(self, key: int) -> Outcome[bool]:
        """Drop a dead letter; whether there was one. Raises `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def claim(self, claim: Claim, key_print: str) -> Outcome[Claimed]:
        """Speak for an edge. Raises `StoreFailed`."""

    @abc.abstractmethod
    def release(self, claim: Claim) -> None:
        """Its connection has gone. Raises `StoreFailed`."""

    @abc.abstractmethod
    def keep_contexts(self, edge: str, contexts: Sequence[LeavingContext | SavedContext]) -> Outcome[int]:
        """Keep an edge's contexts for whoever claims it next; how many there are to be found. Raises `StoreFailed`."""

    # --- and outside of one

    @abc.abstractmethod
    def load(self, identity: str) -> dict[bytes, tuple[int, int]]:
        """An identity's positions by incarnation. Raises `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def dead(self, identity: str | None, limit: int) -> tuple[DeadLetter, ...]:
        """The oldest dead letters. Raises `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def dead_letter(self, key: int) -> DeadLetter | None:
        """One letter; None if there is none under this key. Raises `StoreFailed`, `StoreDamaged`."""


class LocalPositionsStore(PositionsStore):
    """Positions that no other process uses: the limits are kept here, and subclasses keep the rest."""

    def __init__(self, place: object, limits: PositionsLimits) -> None:
        super().__init__(place, limits)
        self._damage = "found when it was open last"
        self._pairs = 0
        self._dead_letters = 0
        self._dead_bytes = 0
        self._saved: OrderedDict[str, dict[bytes, Pair]] = OrderedDict()
        """The pairs that were saved last, as they are on the disk or will be with this transaction."""

    # --- what the kinds of store differ in

    @abc.abstractmethod
    def _open(self) -> tuple[int, int, int]:
        """Open or make it; returns how many pairs, dead letters and bytes of these there are. Raises as `open` does."""

    @abc.abstractmethod
    def _put_damaged_away(self) -> str | None:
        """Nothing more is wanted of what was set aside; returns where it is, None if nothing was."""

    @abc.abstractmethod
    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        """All or nothing on the disk. Raises `StoreFailed`, `StoreDamaged`."""

    @abc.abstractmethod
    def _pairs_of(self, identity: str) -> list[Pair]:
        """All of an identity, in no order."""

    @abc.abstractmethod
    def _put_pair(self, identity: str, pair: Pair) -> None:
        """Write a pair, in place of what was."""

    @abc.abstractmethod
    def _remove_pair(self, identity: str, incarnation: bytes) -> None:
        """Remove a pair that is there."""

    @abc.abstractmethod
    def _put_letter(self, letter: DeadLetter) -> int:
        """Write a letter; returns its key, which no other letter ever had."""

    @abc.abstractmethod
    def _letters(self, identity: str | None) -> Iterator[DeadLetter]:
        """The letters of an identity, or all, by key."""

    @abc.abstractmethod
    def _find_letter(self, identity: str, message_id: str) -> int | None:
        """The key of a letter; None if there is none."""

    @abc.abstractmethod
    def _remove_letter(self, key: int) -> None:
        """Remove a letter that is there."""

    # --- life

    def open(self) -> None:
        """Open or make it; a damaged one is set aside, and what it had is forgotten."""
        self._saved.clear()
        try:
            found = self._open()
        except StoreDamaged as error:
            self._damage = error.reason
            self.set_aside()
            found = self._open()
        old_file = self._put_damaged_away()
        if old_file is not None:
            self.fault = f"damaged ({self._damage}): positions and dead letters are forgotten; the old file is {old_file}"
        self._pairs, self._dead_letters, self._dead_bytes = found
        self._measure()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        figures = self._pairs, self._dead_letters, self._dead_bytes
        try:
            with self._transaction():
                yield
        except BaseException:
            self._pairs, self._dead_letters, self._dead_bytes = figures
            self._saved.clear()
            raise
        self._measure()

    def obstacle(self) -> str | None:
        """None: what is full refuses one call, and concerns no other."""
        return None

    def obstacle_at(self) -> float | None:
        return None

    # --- within a transaction

    def save(self, identity: str, incarnation: bytes, lane: Lane, position: int, claim: Claim | None = None) -> Outcome[bool]:
        self._save(identity, incarnation, lane, position)
        return _known(True)

    def _save(self, identity: str, incarnation: bytes, lane: Lane, position: int) -> None:
        pairs = self._saved.get(identity)
        if pairs is None:
            pairs = self._saved[identity] = {pair.incarnation: pair for pair in self._pairs_of(identity)}
            if len(self._saved) > SAVED_MAX:
                self._saved.popitem(last=False)
        else:
            self._saved.move_to_end(identity)
        newest = max((pair.saved for pair in pairs.values()), default=0)
        pair = pairs.get(incarnation)
        if pair is None:
            if len(pairs) < INCARNATIONS_MAX and self._pairs >= self.limits.pairs_max:
                raise StoreFull(self._place, f"full: {self.limits.pairs_max} outboxes are known")
            pair = Pair(incarnation, (0, 0), newest + 1)
            self._pairs += 1
        elif pair.saved < newest:
            pair = replace(pair, saved=newest + 1)
        elif position <= pair.positions[lane]:
            return
        express, ordered = pair.positions
        positions = (max(express, position), ordered) if lane is Lane.EXPRESS else (express, max(ordered, position))
        pairs[incarnation] = replace(pair, positions=positions)
        self._put_pair(identity, pairs[incarnation])
        if len(pairs) > INCARNATIONS_MAX:
            oldest = min(pairs.values(), key=lambda old: old.saved).incarnation
            self._remove_pair(identity, oldest)
            del pairs[oldest]
            self._pairs -= 1

    def bury(self, letter: DeadLetter) -> Outcome[int]:
        earlier = self._find_letter(letter.identity, letter.message_id)
        if earlier is not None:
            return _known(earlier)
        size = size_of_letter(letter)
        limits = self.limits
        if self._dead_letters >= limits.dead_letters_max or self._dead_bytes + size > limits.dead_bytes_max:
            raise StoreFull(
                self._place, f"full: {self._dead_letters} dead letters of {self._dead_bytes // 1024} KiB wait for somebody to look at them"
            )
        self._dead_letters += 1
        self._dead_bytes += size
        return _known(self._put_letter(letter))

    def drop(self, key: int) -> Outcome[bool]:
        letter = self.dead_letter(key)
        if letter is None:
            return _known(False)
        self._remove_letter(key)
        self._dead_letters -= 1
        self._dead_bytes -= size_of_letter(letter)
        return _known(True)

    def claim(self, claim: Claim, key_print: str) -> Outcome[Claimed]:
        return _known(Claimed())

    def release(self, claim: Claim) -> None:
        """Nobody else asks."""

    def keep_contexts(self, edge: str, contexts: Sequence[LeavingContext | SavedContext]) -> Outcome[int]:
        return _known(0)

    # --- and outside of one

    def load(self, identity: str) -> dict[bytes, tuple[int, int]]:
        return {pair.incarnation: pair.positions for pair in self._pairs_of(identity)}

    def dead(self, identity: str | None, limit: int) -> tuple[DeadLetter, ...]:
        found: list[DeadLetter] = []
        text = 0
        letters = self._letters(identity)
        while len(found) < limit:
            letter = next(letters, None)
            if letter is None:
                break
            text += len(letter.body)
            if found and text > DEAD_TEXT_MAX:
                break
            found.append(letter)
        return tuple(found)

    def _measure(self) -> None:
        self.figures = Figures(self._pairs, self._dead_letters, self._dead_bytes)


def size_of_letter(letter: DeadLetter) -> int:
    """Bytes that a letter counts."""
    texts = (letter.identity, letter.message_id, letter.body, letter.error_code, letter.error_description)
    return LETTER_OVERHEAD_BYTES + sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def to_bytes(text: str) -> bytes:
    """A text that a CSMS has made, which may be no valid Unicode."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """The text of `to_bytes`."""
    return data.decode("utf-8", "surrogatepass")


def _known(value: T) -> Outcome[T]:
    return lambda: value
