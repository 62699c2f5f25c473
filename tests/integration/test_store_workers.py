"""The stores' threads beside the event loop: order, shutdown, disks that hang, and what ends a thread for good."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ocppress_gateway.core.stored import (
    Lane,
    Loaded,
    NotStored,
    OutboxOpened,
    OutboxTrouble,
    PositionSaved,
    PositionsLoaded,
    PositionsOpened,
    Stored,
)
from ocppress_gateway.errors import StoreDamaged, StoreInUse
from ocppress_gateway.outbox.memory import MemoryOutboxStore
from ocppress_gateway.outbox.sqlite import SqliteOutboxStore
from ocppress_gateway.outbox.worker import OutboxWorker
from ocppress_gateway.positions.sqlite import SqlitePositionsStore
from ocppress_gateway.positions.worker import PositionsWorker
from ocppress_gateway.storage import thread
from ocppress_gateway.storage.memory import MemoryDisk
from tests.support.stores import message

WAIT_S = 20.0
SHORT_S = 0.05

E = TypeVar("E")


class _Ear:
    """Hears events, in the loop's thread, and lets tests wait for them."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._changed = asyncio.Event()
        self._thread = threading.get_ident()

    def __call__(self, event: object) -> None:
        assert threading.get_ident() == self._thread
        self.events.append(event)
        self._changed.set()

    async def hear(self, kind: type[E], count: int = 1) -> list[E]:
        """Wait until there are so many of a kind; all of them."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._changed.clear()
                await self._changed.wait()
        return found


@contextlib.asynccontextmanager
async def _outbox(folder: Path) -> AsyncIterator[tuple[OutboxWorker, _Ear]]:
    ear = _Ear()
    worker = OutboxWorker(SqliteOutboxStore(folder), ear)
    worker.open()
    try:
        yield worker, ear
    finally:
        await worker.close()


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(WAIT_S):
            await work()

    asyncio.run(run())


def test_many_stations_at_once(tmp_path: Path) -> None:
    """Each sends one message after the other, as stations do; the commits they share are far fewer."""

    async def work() -> None:
        async with _outbox(tmp_path) as (outbox, ear):
            waiting: dict[int, asyncio.Future[int]] = {}

            def hear(event: object) -> None:
                ear(event)
                if isinstance(event, Stored):
                    waiting.pop(event.ticket).set_result(event.position)

            outbox._report = hear

            async def station(number: int) -> None:
                for position in range(1, 11):
                    ticket = number * 100 + position
                    waiting[ticket] = asyncio.get_running_loop().create_future()
                    outbox.store(ticket, message(ticket, identity=f"CP{number}"))
                    assert await waiting[ticket] == position

            async with asyncio.TaskGroup() as group:
                for number in range(30):
                    group.create_task(station(number), name=f"station {number}")
            assert outbox.measure().commits < 100
            assert outbox.measure().messages == 300

    _run(work)


def test_nothing_is_reported_from_within_a_call(tmp_path: Path) -> None:
    async def work() -> None:
        async with _outbox(tmp_path) as (outbox, ear):
            await ear.hear(OutboxOpened)
            before = list(ear.events)
            outbox.store(1, message(1))
            outbox.load("CP1", Lane.ORDERED, 0, 1000)
            threading.Event().wait(SHORT_S * 4)
            assert ear.events == before
            await ear.hear(Loaded)
            assert [type(event) for event in ear.events] == [OutboxOpened, Stored, Loaded]

    _run(work)


def test_closing_writes_what_waits_and_reports_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with _outbox(tmp_path) as (outbox, ear):
            await ear.hear(OutboxOpened)
            for number in range(100):
                outbox.store(number, message(number))
            outbox.forget("CP1", Lane.ORDERED, 50)
            await outbox.close()
            assert [event.ticket for event in await ear.hear(Stored, 100)] == list(range(100))
            await outbox.close()
            await outbox.ended()
        async with _outbox(tmp_path) as (_, ear):
            (opened,) = await ear.hear(OutboxOpened)
            assert [station.newest for station in opened.stations] == [(0, 100)]

    _run(work)


def test_closing_before_opening_does_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        await OutboxWorker(SqliteOutboxStore(tmp_path), _Ear()).close()
        await PositionsWorker(SqlitePositionsStore(tmp_path), _Ear()).close()

    _run(work)


def test_an_outbox_in_use_ends_the_second_worker_with_a_clear_error(tmp_path: Path) -> None:
    async def work() -> None:
        async with _outbox(tmp_path) as (_, ear):
            await ear.hear(OutboxOpened)
            async with _outbox(tmp_path) as (second, other):
                with pytest.raises(StoreInUse, match="in use by another process"):
                    await second.ended()
                assert other.events == []

    _run(work)


def test_damage_that_is_found_later_ends_the_worker_and_the_next_has_a_new_incarnation(tmp_path: Path) -> None:
    async def work() -> None:
        async with _outbox(tmp_path) as (outbox, ear):
            outbox.store(1, message(1))
            await ear.hear(Stored)
            outbox.distrust("the cloud knows of position 7")
            with pytest.raises(StoreDamaged, match="the cloud knows of position 7"):
                await outbox.ended()
            (first,) = await ear.hear(OutboxOpened)
        async with _outbox(tmp_path) as (outbox, ear):
            (second,) = await ear.hear(OutboxOpened)
            assert second.incarnation != first.incarnation
            assert second.fault is not None
            outbox.load("CP1", Lane.ORDERED, 0, 1000)
            (loaded,) = await ear.hear(Loaded)
            assert [(one.position, one.body) for one in loaded.messages] == [(1, message(1).body)]

    _run(work)


def test_a_mistake_in_the_thread_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(SqliteOutboxStore, "insert", mistaken)

    async def work() -> None:
        async with _outbox(tmp_path) as (outbox, _):
            outbox.store(1, message(1))
            with pytest.raises(ZeroDivisionError):
                await outbox.ended()

    _run(work)


class _HangingStore(MemoryOutboxStore):
    """Commits wait while `held`."""

    def __init__(self) -> None:
        super().__init__(MemoryDisk(), lambda: 0.0)
        self.go = threading.Event()
        self.go.set()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with super()._transaction():
            yield
            self.go.wait(WAIT_S)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is slow after seconds is slow at once."""
    monkeypatch.setattr("ocppress_gateway.outbox.calls.SLOW_COMMIT_S", SHORT_S)
    monkeypatch.setattr("ocppress_gateway.outbox.worker.SLOW_COMMIT_S", SHORT_S)
    monkeypatch.setattr("ocppress_gateway.storage.desk.RETRY_S_MIN", SHORT_S)
    monkeypatch.setattr(thread, "CLOSE_S_MAX", SHORT_S)


@pytest.mark.usefixtures("impatient")
def test_a_disk_that_hangs_is_reported_while_it_hangs_and_when_it_works_again() -> None:
    async def work() -> None:
        store, ear = _HangingStore(), _Ear()
        outbox = OutboxWorker(store, ear)
        outbox.open()
        await ear.hear(OutboxOpened)
        store.go.clear()
        outbox.store(1, message(1))
        (trouble,) = await ear.hear(OutboxTrouble)
        assert trouble.reason is not None
        assert trouble.reason.startswith("slow")
        assert outbox.measure().trouble == trouble.reason
        outbox.store(2, message(2))
        await asyncio.sleep(SHORT_S * 2)
        assert [type(event) for event in ear.events] == [OutboxOpened, OutboxTrouble], "once, and nobody is answered"
        store.go.set()
        assert (await ear.hear(OutboxTrouble, 2))[1] == OutboxTrouble(None)
        assert [type(event) for event in ear.events if isinstance(event, Stored | NotStored)] == [Stored, NotStored]
        outbox.store(3, message(3))
        assert [event.position for event in await ear.hear(Stored, 2)] == [1, 2]
        await outbox.close()

    _run(work)


@pytest.mark.usefixtures("impatient")
def test_a_disk_that_hangs_does_not_keep_the_program_from_ending() -> None:
    async def work() -> None:
        store, ear = _HangingStore(), _Ear()
        outbox = OutboxWorker(store, ear)
        outbox.open()
        await ear.hear(OutboxOpened)
        store.go.clear()
        outbox.store(1, message(1))
        await ear.hear(OutboxTrouble)
        await outbox.close()
        assert not [event for event in ear.events if isinstance(event, Stored)]
        store.go.set()
        await outbox.ended()

    _run(work)


def test_positions_in_their_thread(tmp_path: Path) -> None:
    async def work() -> None:
        for expected in ({}, {b"incarn 1": (0, 49)}):
            ear = _Ear()
            positions = PositionsWorker(SqlitePositionsStore(tmp_path), ear)
            positions.open()
            assert await ear.hear(PositionsOpened) == [PositionsOpened(None)]
            positions.load("CP1")
            assert await ear.hear(PositionsLoaded) == [PositionsLoaded("CP1", expected)]
            for position in range(50):
                positions.save("CP1", b"incarn 1", Lane.ORDERED, position)
            saved = await ear.hear(PositionSaved, 50)
            assert [event.position for event in saved] == list(range(50))
            await positions.close()
            await positions.ended()

    _run(work)
