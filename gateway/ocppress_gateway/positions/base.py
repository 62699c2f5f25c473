"""What the cloud asks of its store of positions: how far the CSMS has answered each outbox, on disk before the next CALL goes out.

All calls return at once; what comes of them is reported later, in the event loop, as an event of `core.stored`. Dead letters live beside the
positions. They are for people to look at; none is ever dropped to make room.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.core.stored import Claim, DeadLetter, Lane, PositionsEvent

__all__ = [
    "COMMIT_PAUSE_S",
    "COMMIT_PAUSE_S_MAX",
    "DEAD_BYTES_MAX",
    "DEAD_LETTERS_MAX",
    "DEAD_TEXT_MAX",
    "INCARNATIONS_MAX",
    "PAIRS_MAX",
    "SLOW_COMMIT_S",
    "Positions",
    "PositionsLimits",
    "PositionsMeasure",
    "Report",
]

INCARNATIONS_MAX: Final = 4
"""Outboxes of which a station's positions are kept, the one saved last the longest: an edge that was replaced, and the old one put back."""

DEAD_LETTERS_MAX: Final = 10_000
"""More than a person looks through; a CSMS that refuses everything would fill any room."""

DEAD_BYTES_MAX: Final = 64 * 1024 * 1024

DEAD_TEXT_MAX: Final = 4 * 1024 * 1024
"""Characters of bodies after which a list of dead letters ends, whatever its limit; it has one at least."""

PAIRS_MAX: Final = 400_000
"""Pairs of identity and incarnation, for a hundred thousand stations that have had four each. Further stations hold their lanes."""

COMMIT_PAUSE_S: Final = 0.01
"""Commits begin at least this far apart, so that stations share them. A position that finds the store idle doesn't wait."""

COMMIT_PAUSE_S_MAX: Final = 0.05
"""What the pause grows to where more stations share a commit: then it is shared by more yet, which costs half as much of the processor. A station whose
outbox is emptied gets on by 20 messages a second at least, and alone by 100."""

_SHARING: Final = 2
"""Positions of a commit above which the pause grows, in proportion."""

SLOW_COMMIT_S: Final = 2.0
"""A commit that takes longer is reported: every lane of every station waits for it."""

Report = Callable[[PositionsEvent], None]
"""Takes an event; called in the event loop (or by whoever runs a `memory` store), never from within a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsLimits:
    """When nothing more is taken, and how often it is written."""

    pairs_max: int = PAIRS_MAX
    dead_letters_max: int = DEAD_LETTERS_MAX
    dead_bytes_max: int = DEAD_BYTES_MAX
    commit_pause_s: float = COMMIT_PAUSE_S

    def pause_s(self, writes: int) -> float:
        """From the beginning of a commit with so many writes until the next may begin."""
        return min(self.commit_pause_s * max(1.0, writes / _SHARING), COMMIT_PAUSE_S_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsMeasure:
    """How the store stands, for `status`."""

    trouble: str | None
    """The reason of the last `PositionsTrouble`."""
    pairs: int
    """Pairs of identity and incarnation whose positions are there."""
    dead_letters: int
    dead_bytes: int
    file_bytes: int
    """All files of the store together."""
    written_bytes: int | None
    """Bytes written since it was opened, as the kernel counts them; None where it doesn't."""
    commits: int
    last_commit_s: float | None
    faults: int
    """Commits and reads that failed since it was opened, by the disk's fault."""


class Positions(abc.ABC):
    """The store as the cloud's driver sees it."""

    @abc.abstractmethod
    def open(self) -> None:
        """Begin, once: `PositionsOpened` soon, or, with `PositionsTrouble` before it, when the disk allows. Calls wait for it."""

    @abc.abstractmethod
    def load(self, identity: str) -> None:
        """Read an identity's positions: `PositionsLoaded`. If the disk fails, it comes when it works again."""

    @abc.abstractmethod
    def save(self, identity: str, incarnation: bytes, lane: Lane, position: int, claim: Claim | None = None) -> None:
        """Save a position of at most `POSITION_MAX`: `PositionSaved`, after `PositionNotSaved` if the disk fails first. It never goes back.

        By a claim that another cloud has overridden it isn't saved: `EdgeTaken`.
        """

    @abc.abstractmethod
    def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter: `Buried` or `NotBuried`. One that is there already, by identity and message id, stays as it is."""

    @abc.abstractmethod
    def claim(self, claim: Claim, key_print: str) -> None:
        """Speak for an edge, in turn with what is saved: `EdgeClaimed` or `EdgeNotClaimed`."""

    @abc.abstractmethod
    def release(self, claim: Claim) -> None:
        """The connection of this claim has gone; nothing is reported."""

    @abc.abstractmethod
    def keep_contexts(self, edge: str, contexts: Sequence[LeavingContext | SavedContext], report: Callable[[int], None]) -> None:
        """Keep them for whoever claims this edge next, and call `report` with how many that were; nobody touches them any more."""

    @abc.abstractmethod
    def dead(self, identity: str | None, limit: int, report: Callable[[Sequence[DeadLetter]], None]) -> None:
        """Call `report` with the oldest dead letters of an identity, or of all: at most `limit`, or `DEAD_TEXT_MAX`."""

    @abc.abstractmethod
    def dead_letter(self, key: int, report: Callable[[DeadLetter | None], None]) -> None:
        """Call `report` with one dead letter; None if there is none under this key."""

    @abc.abstractmethod
    def drop(self, key: int, report: Callable[[bool], None]) -> None:
        """Drop a dead letter, and call `report` once that is on disk, with whether there was one."""

    @abc.abstractmethod
    def measure(self) -> PositionsMeasure:
        """How the store stood after its last commit; at once, also while the disk hangs."""
