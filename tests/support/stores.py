"""Outboxes and stores of positions of every kind, run step by step on a clock that the test moves: no thread, no waiting.

A `Rig` outlives processes: `restart` ends one in order, `kill` ends it as `kill -9` does, and another opens what is left.
"""

from __future__ import annotations

import abc
import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.saved_contexts import SavedContext
from ocppress_gateway.core.stored import DeadLetter, Lane, PositionsEvent, StoredMessage
from ocppress_gateway.errors import StoreFailed
from ocppress_gateway.outbox.base import Outbox, OutboxLimits
from ocppress_gateway.outbox.calls import OutboxCalls
from ocppress_gateway.outbox.memory import MemoryOutbox
from ocppress_gateway.outbox.sqlite import SqliteOutboxStore
from ocppress_gateway.outbox.store import OutboxStore
from ocppress_gateway.positions.base import Positions, PositionsLimits
from ocppress_gateway.positions.calls import PositionsCalls
from ocppress_gateway.positions.memory import MemoryPositions
from ocppress_gateway.positions.shared import SharedPositionsStore
from ocppress_gateway.positions.sqlite import SqlitePositionsStore
from ocppress_gateway.positions.store import PositionsStore
from ocppress_gateway.storage.calls import Call
from ocppress_gateway.storage.database import Database
from ocppress_gateway.storage.desk import Desk
from ocppress_gateway.storage.memory import DiskFaults, MemoryDisk
from ocppress_gateway.storage.store import Store
from tests.support.redis_server import RedisServer, needs_redis

__all__ = [
    "KINDS",
    "POSITIONS_KINDS",
    "MemoryOutboxRig",
    "OutboxRig",
    "PositionsRig",
    "Rig",
    "SharedPositionsRig",
    "SqliteOutboxRig",
    "SteppedPositions",
    "context_of",
    "letter",
    "message",
    "outbox_rig",
    "positions_rig",
]

KINDS = ("sqlite", "memory")

POSITIONS_KINDS = (*KINDS, pytest.param("server", marks=needs_redis))

E = TypeVar("E")


def message(
    number: int,
    *,
    identity: str = "CP1",
    lane: Lane = Lane.ORDERED,
    version: str = "2.0.1",
    fill: int = 0,
    transaction: bool = True,
) -> StoredMessage:
    """A message to store, told from others by its number."""
    fingerprint = number.to_bytes(16, "big") if transaction else b""
    body = f'"MeterValues",{{"n":{10_000 + number}.10,"é":"{"x" * fill}"}}'
    return StoredMessage(identity, lane, 0, version, body, number % 2 == 0, fingerprint, 1000.0 + number)


def letter(number: int, *, identity: str = "CP1", fill: int = 0) -> DeadLetter:
    """A dead letter, told from others by its number."""
    body = f'"TransactionEvent",{{"n":{number},"fill":"{"x" * fill}"}}'
    return DeadLetter(identity, f"id-{number}", "2.0.1", body, "InternalError", "no\ud800t today", 3, 5000.0 + number)


def context_of(identity: str, edge: str = "e", fill: int = 10) -> SavedContext:
    """A context of nothing."""
    return SavedContext(
        edge=edge,
        identity=identity,
        codec=CodecName.ADAPTIVE,
        fingerprint=fingerprint(CodecName.ADAPTIVE),
        version=OcppVersion.V16,
        epoch=7,
        sent=1,
        received=2,
        encoder=os.urandom(fill),
        decoder=os.urandom(fill),
    )


class Process(Protocol):
    """An outbox or store of positions that somebody else's clock drives."""

    def open(self) -> None: ...
    def due_at(self) -> float | None: ...
    def run(self) -> None: ...
    def close(self) -> None: ...
    def die(self) -> None: ...


class _Stepped:
    """Runs a desk without a thread; what the disk does takes no time on the test's clock."""

    _desk: Desk
    _clock: Callable[[], float]

    def open(self) -> None:
        """Nothing: the first `run` opens it."""

    def due_at(self) -> float | None:
        return self._desk.due_at()

    def run(self) -> None:
        due_at = self.due_at()
        if due_at is not None and due_at <= self._clock():
            for result in self._desk.step():
                result()

    def run_unheard(self) -> None:
        """Do what is due, and let nobody hear of it."""
        self._desk.step()

    def close(self) -> None:
        for result in self._desk.close():
            result()

    def die(self) -> None:
        """Its files have been copied; what is left is nobody's."""

    def _submit(self, call: Call) -> None:
        self._desk.submit(call)


class SteppedOutbox(_Stepped, OutboxCalls):
    """An outbox without a thread."""


class SteppedPositions(_Stepped, PositionsCalls):
    """A store of positions without a thread."""

    def __init__(self, store: PositionsStore, report: Callable[[PositionsEvent], None], clock: Callable[[], float]) -> None:
        super().__init__(store, report, clock)
        self._clock = clock


class Rig(abc.ABC):
    """One store, its processes one after the other, and what they have reported."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.events: list[Any] = []
        self._read = 0

    @property
    @abc.abstractmethod
    def process(self) -> Process:
        """The one that runs now."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begin another process on what there is."""

    @abc.abstractmethod
    def kill(self, *, unheard: bool = False) -> None:
        """The process dies, and another begins; `unheard`: after it has done what was due, and before it could report that."""

    @abc.abstractmethod
    def break_disk(self) -> None:
        """From now on the disk takes nothing."""

    @abc.abstractmethod
    def repair_disk(self) -> None:
        """It does again."""

    def restart(self) -> None:
        """The process ends in order, and another begins."""
        self.process.close()
        self.start()

    def run(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        end = self.now + seconds
        for _ in range(10_000):
            due_at = self.process.due_at()
            if due_at is None or due_at > end:
                self.now = end
                return
            self.now = max(self.now, due_at)
            self.process.run()
        raise AssertionError("the store asks for a time that its step doesn't move")

    def heard(self, *kinds: type[E]) -> list[E]:
        """Events of these kinds since this was asked last; others, or all if none is named, are skipped."""
        events, self._read = self.events[self._read :], len(self.events)
        return [event for event in events if isinstance(event, kinds)]

    def close(self) -> None:
        """At the end of a test."""
        self.process.close()


class OutboxRig(Rig):
    """With an outbox."""

    outbox: Outbox
    limits: OutboxLimits | None
    tickets: Iterator[int]

    def store(self, *messages: StoredMessage) -> list[int]:
        """Ask for messages to be stored; their tickets."""
        tickets = [next(self.tickets) for _ in messages]
        for ticket, one in zip(tickets, messages, strict=True):
            self.outbox.store(ticket, one)
        return tickets


class PositionsRig(Rig):
    """With a store of positions."""

    positions: Positions
    limits: PositionsLimits | None


class _InSqlite(Rig):
    """On files in a folder; a kill is a copy of the folder as it is, and the next process opens the copy."""

    folder: Path

    def begin(self, root: Path) -> None:
        """Start the first process."""
        self._root = root
        self._copies = 0
        self.folder = root / "state"
        self.is_broken = False
        self.start()

    @property
    @abc.abstractmethod
    def stepped(self) -> tuple[_Stepped, Store]:
        """The process that runs now, and its store."""

    def kill(self, *, unheard: bool = False) -> None:
        process, store = self.stepped
        if unheard:
            process.run_unheard()
        self._copies += 1
        copy = self._root / f"state{self._copies}"
        if self.folder.exists():
            shutil.copytree(self.folder, copy)
        self.folder = copy
        store.close()
        self.start()

    def break_disk(self) -> None:
        self.is_broken = True

    def repair_disk(self) -> None:
        self.is_broken = False

    @contextlib.contextmanager
    def breaking(self, database: Database, transaction: contextlib.AbstractContextManager[None]) -> Iterator[None]:
        """A transaction that the broken disk doesn't take; one that writes nothing is no concern of the disk's."""
        with transaction:
            before = _changes(database)
            yield
            if self.is_broken and _changes(database) != before:
                raise StoreFailed(self.folder, "no space left on the disk")


def _changes(database: Database) -> int:
    return int(database.execute("SELECT total_changes()").fetchone()[0])


class _InMemory(Rig):
    """On a disk in memory."""

    def begin(self, faults: DiskFaults | None = None) -> None:
        """Start the first process."""
        self.disk = MemoryDisk(faults, clock=lambda: self.now)
        self.start()

    def kill(self, *, unheard: bool = False) -> None:
        if unheard:
            self.disk.commit_takes_s = 1.0
            self.process.run()
            self.disk.commit_takes_s = None
        self.process.die()
        self.start()

    def break_disk(self) -> None:
        self.disk.failing = "no space left on the disk"

    def repair_disk(self) -> None:
        self.disk.failing = None


class SqliteOutboxRig(_InSqlite, OutboxRig):
    """An outbox in SQLite."""

    def __init__(self, folder: Path, limits: OutboxLimits | None = None) -> None:
        super().__init__()
        self.limits, self.tickets = limits, itertools.count(1)
        self.begin(folder)

    @property
    def process(self) -> SteppedOutbox:
        return self._outbox

    @property
    def stepped(self) -> tuple[SteppedOutbox, OutboxStore]:
        return self._outbox, self.sqlite

    def start(self) -> None:
        rig = self

        class Breakable(SqliteOutboxStore):
            def _transaction(self) -> contextlib.AbstractContextManager[None]:
                return rig.breaking(self._database, super()._transaction())

        self.sqlite = Breakable(self.folder, limits=self.limits, clock=lambda: self.now)
        self.outbox = self._outbox = SteppedOutbox(self.sqlite, self.events.append, lambda: self.now)


class MemoryOutboxRig(_InMemory, OutboxRig):
    """An outbox in memory."""

    def __init__(self, limits: OutboxLimits | None = None, faults: DiskFaults | None = None) -> None:
        super().__init__()
        self.limits, self.tickets = limits, itertools.count(1)
        self.begin(faults)

    @property
    def process(self) -> MemoryOutbox:
        return self._outbox

    def start(self) -> None:
        self.outbox = self._outbox = MemoryOutbox(self.disk, self.events.append, lambda: self.now, limits=self.limits)
        self.outbox.open()


class SqlitePositionsRig(_InSqlite, PositionsRig):
    """Positions in SQLite."""

    def __init__(self, folder: Path, limits: PositionsLimits | None = None) -> None:
        super().__init__()
        self.limits = limits
        self.begin(folder)

    @property
    def process(self) -> SteppedPositions:
        return self._positions

    @property
    def stepped(self) -> tuple[SteppedPositions, PositionsStore]:
        return self._positions, self.sqlite

    def start(self) -> None:
        rig = self

        class Breakable(SqlitePositionsStore):
            def _transaction(self) -> contextlib.AbstractContextManager[None]:
                return rig.breaking(self._database, super()._transaction())

        self.sqlite = Breakable(self.folder, limits=self.limits)
        self.positions = self._positions = SteppedPositions(self.sqlite, self.events.append, lambda: self.now)


class MemoryPositionsRig(_InMemory, PositionsRig):
    """Positions in memory."""

    def __init__(self, limits: PositionsLimits | None = None, faults: DiskFaults | None = None) -> None:
        super().__init__()
        self.limits = limits
        self.begin(faults)

    @property
    def process(self) -> MemoryPositions:
        return self._positions

    def start(self) -> None:
        self.positions = self._positions = MemoryPositions(self.disk, self.events.append, lambda: self.now, limits=self.limits)
        self.positions.open()


def outbox_rig(kind: str, folder: Path, limits: OutboxLimits | None = None) -> SqliteOutboxRig | MemoryOutboxRig:
    """A rig of one of `KINDS`."""
    return SqliteOutboxRig(folder, limits) if kind == "sqlite" else MemoryOutboxRig(limits)


class SharedPositionsRig(PositionsRig):
    """Positions on a server, which outlives their processes; each is another cloud's life."""

    def __init__(self, folder: Path, limits: PositionsLimits | None = None) -> None:
        super().__init__()
        self.limits = limits
        self.server = RedisServer(folder / "server")
        self.server.start()
        self.is_broken = False
        self.lives = itertools.count(1)
        self.start()

    @property
    def process(self) -> SteppedPositions:
        return self._positions

    def start(self) -> None:
        rig = self

        class Breakable(SharedPositionsStore):
            @contextlib.contextmanager
            def transaction(self) -> Iterator[None]:
                with super().transaction():
                    yield
                    if rig.is_broken and self._collecting.is_asked:
                        raise StoreFailed(self._place, "no space left on the disk")

        self.run_name = f"run{next(self.lives)}"
        self.store = Breakable(self.server.place, self.run_name, **({} if self.limits is None else {"limits": self.limits}))
        self.positions = self._positions = SteppedPositions(self.store, self.events.append, lambda: self.now)

    def kill(self, *, unheard: bool = False) -> None:
        if unheard:
            self.process.run_unheard()
        self.store.close()
        self.start()

    def break_disk(self) -> None:
        self.is_broken = True

    def repair_disk(self) -> None:
        self.is_broken = False

    def close(self) -> None:
        super().close()
        self.server.kill()


def positions_rig(kind: str, folder: Path, limits: PositionsLimits | None = None) -> PositionsRig:
    """A rig of one of `POSITIONS_KINDS`."""
    if kind == "server":
        return SharedPositionsRig(folder, limits)
    return SqlitePositionsRig(folder, limits) if kind == "sqlite" else MemoryPositionsRig(limits)
