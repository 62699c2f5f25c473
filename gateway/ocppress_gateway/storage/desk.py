"""What is written when, and what to do while the disk fails: the same for both stores, and in real and virtual time.

    calls ──submit──► inbox ─┬─► writes ─┐
                             ├─► lazies ─┼─ one transaction ─► results, in the order of the calls
                             └─► reads ──┘   after it

Transactions begin at least a pause apart, and what came meanwhile shares one; a write that finds the desk idle doesn't wait. A lazy write
goes with the next one, or after `LAZY_S`.

While the disk fails, new writes are refused at once, and the disk is tried with growing waits until a write works again. Reads go on, for
a full disk can be read. A write that takes long counts as trouble, too: see `late`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

from ocppress_gateway.errors import StoreDamaged, StoreFailed, StoreFull
from ocppress_gateway.storage.calls import Call, Late, Lazy, Read, Result, Write
from ocppress_gateway.storage.store import Store

__all__ = ["GROUP_TEXT_MAX", "GROUP_WRITES_MAX", "LAZY_S", "RETRY_S_MAX", "RETRY_S_MIN", "Desk"]

GROUP_TEXT_MAX: Final = 1024 * 1024
"""Characters after which no further write joins a transaction, so that it doesn't take long; a single larger one goes alone."""

GROUP_WRITES_MAX: Final = 512

LAZY_S: Final = 60.0
"""How long a lazy write waits for another to go with. What it would free is freed when room is short, without any wait."""

RETRY_S_MIN: Final = 1.0
RETRY_S_MAX: Final = 30.0
"""Waits between trials of a disk that fails, doubled each time: a card that was full a moment ago, and one that has gone for good."""


class Desk:
    """One store's work. `submit` and `late` may be called from any thread, everything else from the store's own."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float],
        pause_s: Callable[[int], float],
        slow_s: float,
        opened: Callable[[], Result],
        trouble: Callable[[str | None], Result],
    ) -> None:
        """`pause_s` is from the beginning of a transaction of so many writes to that of the next.

        `opened` makes what to report when the store is open, `trouble` what to report after each step, changed or not.
        """
        self._store = store
        self._clock = clock
        self._pause_s = pause_s
        self._slow_s = slow_s
        self._report_opened = opened
        self._report_trouble = trouble
        self._inbox: deque[Call] = deque()
        self._writes: deque[Write] = deque()
        self._kept: deque[Write] = deque()
        self._lazies: dict[Hashable, Lazy] = {}
        self._lazies_due_at = 0.0
        self._reads: deque[Read] = deque()
        self._reads_failed = False
        self._is_open = False
        self._failing: str | None = None
        self._retry_s = RETRY_S_MIN
        self._retry_at = 0.0
        self.slow_words = f"slow: the disk takes more than {slow_s:g} s"
        self._next_at = clock()
        self._at_work_since: float | None = None
        self.trouble: str | None = None
        """Why new writes are refused; None while they aren't."""
        self.commits = 0
        self.last_commit_s: float | None = None
        self.faults = 0

    # --- from any thread

    def submit(self, call: Call) -> None:
        """Put a call in; whoever runs the desk is to be woken."""
        self._inbox.append(call)

    @property
    def at_work(self) -> bool:
        """Whether the disk is being asked for something."""
        return self._at_work_since is not None

    def late(self, now: float) -> str | None:
        """The reason to report as trouble if the disk has been at work on one thing for too long already; None if not.

        `step` reports how it stands as soon as the disk is done.
        """
        since = self._at_work_since
        return None if since is None or now - since < self._slow_s else self.slow_words

    # --- from the store's thread

    @property
    def pauses(self) -> bool:
        """Whether writes wait for the next transaction, so that a further one changes nothing about when that is."""
        return bool(self._writes) and self._is_open and self._failing is None

    def due_at(self) -> float | None:
        """When `step` has something to do; None for not before the next call."""
        if self._inbox:
            return self._clock()
        if not self._is_open:
            return self._retry_at
        times = []
        if self._failing is not None or self._kept or self._reads:
            times.append(self._retry_at)
        if self._failing is None:
            if self._writes or (self._lazies and self.trouble is not None):
                times.append(self._next_at)
            elif self._lazies:
                times.append(max(self._lazies_due_at, self._next_at))
            obstacle_at = self._store.obstacle_at()
            if self.trouble is None and obstacle_at is not None:
                times.append(obstacle_at)
        return min(times, default=None)

    def step(self) -> list[Result]:
        """Do what is due, which may block; run the results in order. Raises `StoreInUse`, `StoreNewer`, `StoreDamaged` for good."""
        self._take_in()
        try:
            opened = [] if self._is_open else self._open()
            done = self._work() if self._is_open else self._refuse()
        except StoreDamaged:
            with contextlib.suppress(StoreFailed):
                self._store.set_aside()
            raise
        finally:
            self._at_work_since = None
        self.trouble = self._failing or (self._store.obstacle() if self._is_open else None)
        return [*opened, self._report_trouble(self.trouble), *done]

    def close(self) -> list[Result]:
        """Write what waits, without any pause, and close the store; run the results in order. Raises as `step` does."""
        self._take_in()
        self._try_kept_again()
        done: list[Result] = []
        try:
            while self._is_open and (self._writes or self._lazies):
                done += self._commit()
                if self._failing is not None:
                    break
        finally:
            self._store.close()
            self._at_work_since = None
        self._failing = self._failing or "closed"
        return [*done, *self._refuse()]

    def abandon(self) -> None:
        """Close the store as it is, after `step` or `close` has raised."""
        self._store.close()

    def _take_in(self) -> None:
        while self._inbox:
            call = self._inbox.popleft()
            if isinstance(call, Write):
                self._writes.append(call)
            elif isinstance(call, Read):
                self._reads.append(call)
            else:
                due_at = self._clock() + (0.0 if call.hurry else LAZY_S)
                self._lazies_due_at = min(due_at, self._lazies_due_at) if self._lazies else due_at
                self._lazies[call.key] = call

    def _open(self) -> list[Result]:
        if self._clock() < self._retry_at:
            return []
        try:
            self._store.open()
        except StoreFailed as error:
            self._fails(error.reason)
            return []
        self._is_open = True
        self._works()
        return [self._report_opened()]

    def _work(self) -> list[Result]:
        now = self._clock()
        trial = now >= self._retry_at
        if trial:
            self._try_kept_again()
        done: list[Result] = []
        if self._failing is not None and not trial:
            done += self._refuse()
        elif self._must_commit(now):
            done += self._commit()
        if self._reads and (trial or not self._reads_failed):
            done += self._read()
        return done

    def _must_commit(self, now: float) -> bool:
        if now < self._next_at:
            return False
        if self._failing is not None or self._writes:
            return True
        return bool(self._lazies) and (self.trouble is not None or now >= self._lazies_due_at)

    def _commit(self) -> list[Result]:
        """One transaction with what waits, and with a probe if the last one failed."""
        begun = self._at_work_since = self._clock()
        group = self._next_group()
        self._next_at = begun + self._pause_s(len(group))
        outcomes: list[Result | Late | StoreFull] = []
        try:
            with self._store.transaction():
                for lazy in self._lazies.values():
                    lazy.run()
                for write in group:
                    try:
                        outcomes.append(write.run())
                    except StoreFull as error:
                        outcomes.append(error)
                if self._failing is not None:
                    self._store.probe()
        except StoreFailed as error:
            self._fails(error.reason)
            return [result for write in group for result in self._failed(write, error.reason)]
        self._lazies.clear()
        self.commits += 1
        self.last_commit_s = self._clock() - begun
        if not self._has_been_slow():
            self._works()
        done: list[Result] = []
        for write, outcome in zip(group, map(_settled, outcomes), strict=True):
            if not isinstance(outcome, StoreFull):
                done.append(outcome)
                continue
            done += self._failed(write, outcome.reason)
            if write.keep and self._retry_at <= begun:
                self._retry_at = begun + RETRY_S_MAX
        return done

    def _try_kept_again(self) -> None:
        self._writes.extendleft(reversed(self._kept))
        self._kept.clear()

    def _next_group(self) -> list[Write]:
        group: list[Write] = []
        text = 0
        while self._writes and len(group) < GROUP_WRITES_MAX and (not group or text + self._writes[0].text <= GROUP_TEXT_MAX):
            group.append(self._writes.popleft())
            text += group[-1].text
        return group

    def _read(self) -> list[Result]:
        done: list[Result] = []
        self._reads_failed = False
        while self._reads:
            self._at_work_since = self._clock()
            try:
                done.append(self._reads[0].run())
            except StoreFailed as error:
                self._reads_failed = True
                self._fails(error.reason)
                break
            self._reads.popleft()
            self._has_been_slow()
        return done

    # --- trouble

    def _fails(self, reason: str) -> None:
        self.faults += 1
        self._failing = reason
        self._retry_at = self._clock() + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_S_MAX)

    def _has_been_slow(self) -> bool:
        """Whether what the disk has just done took too long; then that is what it fails by, until something goes fast."""
        assert self._at_work_since is not None
        if self._clock() - self._at_work_since < self._slow_s:
            return False
        self._retry_s = RETRY_S_MIN
        self._fails(self.slow_words)
        return True

    def _works(self) -> None:
        self._failing = None
        self._retry_s = RETRY_S_MIN

    def _refuse(self) -> list[Result]:
        """Whatever waits to be written, while the disk fails."""
        done: list[Result] = []
        while self._writes:
            done += self._failed(self._writes.popleft(), self._failing or "not open")
        return done

    def _failed(self, write: Write, reason: str) -> list[Result]:
        if write.keep:
            self._kept.append(write)
            if write.has_failed:
                return []
        write.has_failed = True
        return [write.failed(reason)]


def _settled(outcome: Result | Late | StoreFull) -> Result | StoreFull:
    """What became of a write, its transaction being over."""
    if not isinstance(outcome, Late):
        return outcome
    try:
        return outcome.settle()
    except StoreFull as error:
        return error
