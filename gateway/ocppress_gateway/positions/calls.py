"""The calls of the positions' store, put to a desk: the same for the thread beside the event loop and for virtual time."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.core.stored import (
    Buried,
    Claim,
    DeadLetter,
    EdgeClaimed,
    EdgeNotClaimed,
    EdgeTaken,
    Lane,
    NotBuried,
    PositionNotSaved,
    PositionSaved,
    PositionsEvent,
    PositionsLoaded,
    PositionsOpened,
    PositionsTrouble,
)
from ocppress_gateway.positions.base import SLOW_COMMIT_S, Positions, PositionsMeasure, Report
from ocppress_gateway.positions.store import Claimed, PositionsStore, size_of_letter
from ocppress_gateway.storage.calls import Call, Late, Read, Result, Write
from ocppress_gateway.storage.desk import GROUP_TEXT_MAX, Desk

__all__ = ["PositionsCalls"]


class PositionsCalls(Positions):
    """Positions whose store is used through a desk, by whoever `_submit` hands the calls to."""

    def __init__(self, store: PositionsStore, report: Report, clock: Callable[[], float]) -> None:
        self._store = store
        self._report = report
        self._trouble: str | None = None
        self._desk = Desk(
            store,
            clock=clock,
            pause_s=store.limits.pause_s,
            slow_s=SLOW_COMMIT_S,
            opened=self._opened,
            trouble=self._now_in_trouble,
        )

    @abc.abstractmethod
    def _submit(self, call: Call) -> None:
        """Hand a call to the desk, and see to it that it is worked off."""

    def load(self, identity: str) -> None:
        self._submit(Read(lambda: self._event(PositionsLoaded(identity, self._store.load(identity)))))

    def save(self, identity: str, incarnation: bytes, lane: Lane, position: int, claim: Claim | None = None) -> None:
        def run() -> Late:
            saved = self._store.save(identity, incarnation, lane, position, claim)
            return Late(lambda: self._event(PositionSaved(identity, incarnation, lane, position) if saved() else taken()))

        def taken() -> PositionsEvent:
            assert claim is not None, "nothing else is refused"
            return EdgeTaken(claim)

        def failed(reason: str) -> Result:
            return self._event(PositionNotSaved(identity, incarnation, lane, position, reason))

        self._submit(Write(run, failed, keep=True))

    def bury(self, letter: DeadLetter) -> None:
        def run() -> Late:
            key = self._store.bury(letter)
            return Late(lambda: self._event(Buried(letter.identity, letter.message_id, key())))

        def failed(reason: str) -> Result:
            return self._event(NotBuried(letter.identity, letter.message_id, reason))

        self._submit(Write(run, failed, size_of_letter(letter)))

    def claim(self, claim: Claim, key_print: str) -> None:
        def run() -> Late:
            outcome = self._store.claim(claim, key_print)
            return Late(lambda: self._event(found(outcome())))

        def found(claimed: Claimed) -> PositionsEvent:
            if claimed.rival:
                return EdgeNotClaimed(claim, True, "this edge is connected with another key")
            return EdgeClaimed(claim, claimed.others, claimed.contexts)

        self._submit(Write(run, lambda reason: self._event(EdgeNotClaimed(claim, False, reason))))

    def release(self, claim: Claim) -> None:
        def run() -> Result:
            self._store.release(claim)
            return _nothing

        self._submit(Write(run, lambda reason: _nothing))

    def keep_contexts(self, edge: str, contexts: Sequence[LeavingContext | SavedContext], report: Callable[[int], None]) -> None:
        def run() -> Late:
            kept = self._store.keep_contexts(edge, contexts)
            return Late(lambda: told(kept()))

        def told(count: int) -> Result:
            return lambda: report(count)

        # Each edge's go alone, for to pack them takes milliseconds a station, which whatever else waits shouldn't wait for.
        self._submit(Write(run, lambda reason: told(0), GROUP_TEXT_MAX))

    def dead(self, identity: str | None, limit: int, report: Callable[[Sequence[DeadLetter]], None]) -> None:
        def run() -> Result:
            letters = self._store.dead(identity, limit)
            return lambda: report(letters)

        self._submit(Read(run))

    def dead_letter(self, key: int, report: Callable[[DeadLetter | None], None]) -> None:
        def run() -> Result:
            letter = self._store.dead_letter(key)
            return lambda: report(letter)

        self._submit(Read(run))

    def drop(self, key: int, report: Callable[[bool], None]) -> None:
        def run() -> Late:
            dropped = self._store.drop(key)
            return Late(lambda: told(dropped()))

        def told(was_there: bool) -> Result:
            return lambda: report(was_there)

        self._submit(Write(run, lambda reason: _nothing, keep=True))

    def measure(self) -> PositionsMeasure:
        figures = self._store.figures
        file_bytes, written_bytes = self._store.sizes()
        return PositionsMeasure(
            trouble=self._trouble,
            pairs=figures.pairs,
            dead_letters=figures.dead_letters,
            dead_bytes=figures.dead_bytes,
            file_bytes=file_bytes,
            written_bytes=written_bytes,
            commits=self._desk.commits,
            last_commit_s=self._desk.last_commit_s,
            faults=self._desk.faults,
        )

    def _opened(self) -> Result:
        return self._event(PositionsOpened(self._store.fault))

    def _now_in_trouble(self, reason: str | None) -> Result:
        return lambda: self._say_trouble(reason)

    def _say_trouble(self, reason: str | None) -> None:
        """Report trouble, if it isn't the one that was reported last."""
        if reason != self._trouble:
            self._trouble = reason
            self._report(PositionsTrouble(reason))

    def _event(self, event: PositionsEvent) -> Result:
        return lambda: self._report(event)


def _nothing() -> None:
    """Nobody waits for more than that it is done."""
