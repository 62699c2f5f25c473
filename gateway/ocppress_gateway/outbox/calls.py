"""The outbox's calls, put to a desk: the same for the thread beside the event loop and for virtual time."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Final

from ocppress_gateway.core.stored import Lane, Loaded, NotStored, OutboxEvent, OutboxTrouble, Stored, StoredMessage
from ocppress_gateway.errors import StoreDamaged, StoreFull
from ocppress_gateway.outbox.base import SLOW_COMMIT_S, Outbox, OutboxMeasure, Report
from ocppress_gateway.outbox.store import OutboxStore
from ocppress_gateway.storage.calls import Call, Lazy, Read, Result, Write
from ocppress_gateway.storage.desk import Desk

__all__ = ["HEARTBEAT_S_MAX", "WAITING_TEXT_MAX", "OutboxCalls"]

WAITING_TEXT_MAX: Final = 16 * 1024 * 1024
"""Characters of messages that wait for the disk; what comes on top is refused, for the disk hangs and memory is small."""

HEARTBEAT_S_MAX: Final = 2**31 - 1
"""The largest integer of OCPP; a CSMS may send anything."""


class OutboxCalls(Outbox):
    """An outbox whose store is used through a desk, by whoever `_submit` hands the calls to."""

    def __init__(self, store: OutboxStore, report: Report, clock: Callable[[], float]) -> None:
        self._store = store
        self._report = report
        self._clock = clock
        self._trouble: str | None = None
        self._waiting_text = 0
        self._stored: dict[tuple[str, Lane], int] = {}
        """The newest position reported per identity and lane."""
        self._forgotten: dict[tuple[str, Lane], int] = {}
        self._desk = Desk(
            store,
            clock=clock,
            pause_s=lambda writes: store.limits.commit_pause_s,
            slow_s=SLOW_COMMIT_S,
            opened=self._opened,
            trouble=self._now_in_trouble,
        )

    @abc.abstractmethod
    def _submit(self, call: Call) -> None:
        """Hand a call to the desk, and see to it that it is worked off."""

    def store(self, ticket: int, message: StoredMessage) -> None:
        text = len(message.body)
        if self._waiting_text + text > WAITING_TEXT_MAX:
            self._submit(Write(self._overloaded, lambda reason: self._event(NotStored(ticket, reason))))
            return
        self._waiting_text += text

        def done(event: OutboxEvent) -> Result:
            def report() -> None:
                self._waiting_text -= text
                if isinstance(event, Stored):
                    self._stored[message.identity, message.lane] = event.position
                self._report(event)

            return report

        self._submit(
            Write(
                lambda: done(Stored(ticket, self._store.insert(message))),
                lambda reason: done(NotStored(ticket, reason)),
                text,
            )
        )

    def load(self, identity: str, lane: Lane, after_position: int, text_max: int) -> None:
        after = max(after_position, self._forgotten.get((identity, lane), 0))
        self._submit(Read(lambda: self._event(Loaded(identity, lane, self._store.load(identity, lane, after, text_max)))))

    def forget(self, identity: str, lane: Lane, position: int) -> None:
        # Whatever the far end claims, what it can't know of isn't forgotten.
        position = min(position, self._stored.get((identity, lane), 0))
        if position > self._forgotten.get((identity, lane), 0):
            self._forgotten[identity, lane] = position
            self._submit(Lazy((identity, lane), lambda: self._store.forget(identity, lane, position)))

    def remember(self, identity: str, accepted: bool, heartbeat_interval_s: int) -> None:
        interval_s = min(max(heartbeat_interval_s, 0), HEARTBEAT_S_MAX)
        self._submit(Lazy(identity, lambda: self._store.remember(identity, accepted, interval_s), hurry=True))

    def distrust(self, reason: str) -> None:
        def run() -> Result:
            raise StoreDamaged(self._store.place, reason)

        self._submit(Read(run))

    def measure(self) -> OutboxMeasure:
        figures = self._store.figures
        file_bytes, written_bytes = self._store.sizes()
        return OutboxMeasure(
            trouble=self._trouble,
            messages=figures.messages,
            message_bytes=figures.message_bytes,
            oldest_stored_at_s=figures.oldest_stored_at_s,
            oldest_age_s=None if figures.oldest_came_at is None else self._clock() - figures.oldest_came_at,
            file_bytes=file_bytes,
            written_bytes=written_bytes,
            commits=self._desk.commits,
            last_commit_s=self._desk.last_commit_s,
            faults=self._desk.faults,
        )

    def _overloaded(self) -> Result:
        raise StoreFull(self._store.place, "too much waits for the disk")

    def _opened(self) -> Result:
        opened = self._store.opened
        assert opened is not None, "the desk opens it first"

        def report() -> None:
            for station in opened.stations:
                for lane in Lane:
                    self._stored[station.identity, lane] = station.newest[lane]
                    self._forgotten[station.identity, lane] = station.delivered[lane]
            self._report(opened)

        return report

    def _now_in_trouble(self, reason: str | None) -> Result:
        return lambda: self._say_trouble(reason)

    def _say_trouble(self, reason: str | None) -> None:
        """Report trouble, if it isn't the one that was reported last."""
        if reason != self._trouble:
            self._trouble = reason
            self._report(OutboxTrouble(reason))

    def _event(self, event: OutboxEvent) -> Result:
        return lambda: self._report(event)
