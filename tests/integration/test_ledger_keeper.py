"""The keeper between counters, ledger, plan and store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from ocppress_gateway.cloud.program import CloudProgram
from ocppress_gateway.core.events import CloseLink, LinkClosed, LinkMessage, LinkOpened, LinkSent, OpenLink, SendLink
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_day import Layer
from ocppress_gateway.core.ledger_events import FrameShare, LinkMessageCounted, TransferBegan, TransferEnded, Way
from ocppress_gateway.core.ledger_links import REFUSED_BYTES, websocket_header_bytes
from ocppress_gateway.core.plan import Plan, PlanName, PlanSettings
from ocppress_gateway.edge.program import EdgeProgram
from ocppress_gateway.errors import StoreFailed
from ocppress_gateway.ledger import keeper as keeper_module
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.ledger.interface import read_interface
from ocppress_gateway.ledger.keeper import LedgerKeeper
from ocppress_gateway.ledger.memory import MemoryLedgerStore
from ocppress_gateway.ledger.sqlite import LEDGER_FILE, SqliteLedgerStore
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.support.fake_sys import FakeInterface
from tests.support.ledgers import MARCH, settings
from tests.support.scripted_machine import WAIT_S, ScriptedMachine

BUDGET_BYTES: Final = 10_000_000


class _Site:
    """A keeper with its clocks in one hand."""

    def __init__(
        self, root: Path, store: LedgerStore, *, interface: str | None = "wwan0", now: float = 0.0, wall: datetime = MARCH
    ) -> None:
        self.now = now
        self.wall = wall
        self.keeper = LedgerKeeper(
            Ledger(settings(budget_bytes=BUDGET_BYTES)),
            Plan(PlanSettings(PlanName.AUTO, BUDGET_BYTES), keepalive_s=240.0, now=now),
            store,
            interface=interface,
            logger=logging.getLogger("ocppress.edge"),
            clock=lambda: self.now,
            wall=lambda: self.wall,
            root=root,
        )

    def begin(self) -> None:
        asyncio.run(self.keeper.begin())

    def finish(self) -> None:
        asyncio.run(self.keeper.finish())

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.wall += timedelta(seconds=seconds)
        self.keeper.read()


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of the log, with their fields."""
    return [f"{record.getMessage()} {record.__dict__['fields']}" for record in caplog.records]


def test_the_real_loopback_has_counters() -> None:
    def differ_by() -> int:
        counted = read_interface("lo")
        assert counted is not None
        return counted.received_bytes - counted.sent_bytes

    # A packet of somebody else's may come between the two counters.
    assert any(differ_by() == 0 for _ in range(1000))
    assert read_interface("no-such-interface") is None


def test_the_interface_is_read_and_spent(tmp_path: Path) -> None:
    interface = FakeInterface(tmp_path)
    site = _Site(tmp_path, MemoryLedgerStore())
    site.begin()
    interface.count(received_bytes=7000, sent_bytes=3000)
    site.pass_time(60)
    assert site.keeper.ledger.month().others_bytes == 10_000
    level_days = site.keeper.plan.view(site.now).bucket_days
    assert level_days == pytest.approx(0.5 + 60 / 86_400 - 10_000 / (0.8 * BUDGET_BYTES / 31))


def test_a_modem_that_is_replugged_is_counted_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interface = FakeInterface(tmp_path)
    site = _Site(tmp_path, MemoryLedgerStore())
    site.begin()
    interface.count(received_bytes=5000, sent_bytes=0)
    site.pass_time(60)
    interface.unplug()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            site.pass_time(60)
        interface.plug(index=4)
        interface.count(received_bytes=300, sent_bytes=0)
        site.pass_time(60)
    assert site.keeper.ledger.month().others_bytes == 5300
    fields = "{'interface': 'wwan0'}"
    assert _said(caplog) == [f"the SIM's interface isn't there {fields}", f"the SIM's interface is there {fields}"]


def test_a_restart_goes_on_where_the_last_save_was(tmp_path: Path) -> None:
    interface = FakeInterface(tmp_path)
    site = _Site(tmp_path, SqliteLedgerStore(tmp_path))
    site.begin()
    for count in (1000, 2000):
        interface.count(received_bytes=count, sent_bytes=0)
        site.pass_time(60)
    site.keeper.plan.smart_charging("CP1", site.now)
    site.finish()
    interface.count(received_bytes=2500, sent_bytes=0)
    later = _Site(tmp_path, SqliteLedgerStore(tmp_path), now=9.0, wall=site.wall)
    later.begin()
    assert later.keeper.ledger.month().others_bytes == 2500
    spent_days = 500 / (0.8 * BUDGET_BYTES / 31)
    assert later.keeper.plan.view(9.0).bucket_days == pytest.approx(site.keeper.plan.view(site.now).bucket_days - spent_days)
    later.finish()


def test_a_corrupt_file_is_reported_and_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / LEDGER_FILE).write_bytes(b"\x00" * 5000)
    site = _Site(tmp_path, SqliteLedgerStore(tmp_path), interface=None)
    site.begin()
    (said,) = _said(caplog)
    assert said.startswith("the ledger is damaged; a new one begins {'reason': ")
    assert list(tmp_path.glob("ledger-*.damaged")), "it is kept"
    site.finish()
    assert SqliteLedgerStore(tmp_path).load().keys() == {"ledger", "plan"}


@pytest.mark.parametrize(("key", "words"), [("ledger", "the ledger is damaged"), ("plan", "kept of the plan makes no sense")])
def test_entries_without_sense_are_reported(key: str, words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryLedgerStore()
    site = _Site(tmp_path, store, interface=None)
    site.begin()
    site.finish()
    store.entries[key] = b"\x90"
    later = _Site(tmp_path, store, interface=None)
    later.begin()
    assert words in _said(caplog)[0]
    assert (store.entries == {}) is (key == "ledger"), "what is kept of the ledger isn't given up for the plan's sake"
    later.finish()
    caplog.clear()
    _Site(tmp_path, store, interface=None).begin()
    assert _said(caplog) == []


class _DeadDisk(MemoryLedgerStore):
    """Can't be read."""

    def load(self) -> dict[str, bytes]:
        raise StoreFailed("memory", "disk I/O error")


def test_what_could_not_be_read_is_not_written_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = _DeadDisk({"ledger": b"of last month"})
    site = _Site(tmp_path, store, interface=None)
    site.begin()
    site.pass_time(60)
    site.finish()
    assert store.entries == {"ledger": b"of last month"}
    assert [line.split(" {")[0] for line in _said(caplog)] == ["the ledger can't be read, and isn't saved until the program starts again"]


class _FullDisk(MemoryLedgerStore):
    """Can't be written at first. `saved` is called when it can."""

    def __init__(self, saved: Callable[[], object]) -> None:
        super().__init__()
        self.failures = 0
        self._saved = saved

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        if self.failures < 2:
            self.failures += 1
            raise StoreFailed("memory", "disk is full")
        super().save(changes)
        self._saved()


def test_what_could_not_be_saved_is_saved_later(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "READ_S", 0.001)
    monkeypatch.setattr(keeper_module, "SAVE_S", 0.0)
    interface = FakeInterface(tmp_path)

    async def main() -> None:
        saved = asyncio.Event()
        loop = asyncio.get_running_loop()
        store = _FullDisk(lambda: loop.call_soon_threadsafe(saved.set))
        site = _Site(tmp_path, store)
        await site.keeper.begin()
        interface.count(received_bytes=500, sent_bytes=0)
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            running = group.create_task(site.keeper.run())
            await saved.wait()
            running.cancel()
        later = _Site(tmp_path, MemoryLedgerStore(store.entries), interface=None)
        await later.keeper.begin()
        assert later.keeper.ledger.month().others_bytes == 500

    asyncio.run(main())
    assert _said(caplog) == ["the ledger can't be saved; it will be tried again {'reason': 'memory: disk is full'}"] * 2


# --- over a real socket


def test_a_link_is_counted_to_the_byte(tmp_path: Path) -> None:
    site = _Site(tmp_path, MemoryLedgerStore(), interface=None)

    async def main() -> None:
        listener = WebSocketListener(host="127.0.0.1", port=0)
        edge, cloud = ScriptedMachine(), ScriptedMachine()
        async with (
            asyncio.timeout(2 * WAIT_S),
            CloudProgram(cloud, listener, csms_url="ws://127.0.0.1:1/{identity}", shutdown_s=0.1) as cloud_program,
            EdgeProgram(edge, WebSocketConnector(listener.address), host="127.0.0.1", port=0, shutdown_s=0.1) as program,
        ):
            program.links.watch = site.keeper
            await site.keeper.begin()
            edge.do(program, OpenLink(1))
            await edge.event(LinkOpened)
            ledger = site.keeper.ledger
            handshake = ledger.month().undated
            assert handshake.counted_bytes == handshake.layer_bytes(Layer.HANDSHAKE) > 400
            for message in (b"u" * 100, b"v" * 1000):
                ledger.message(LinkMessageCounted(1, Way.UP, len(message), (FrameShare("CP1", len(message) - 1, {"MeterValues": 9}),)))
                edge.do(program, SendLink(1, message))
                await edge.event(LinkSent)
            await cloud.event(LinkMessage, 2)
            cloud.do(cloud_program, SendLink(1, b"down"))
            await edge.event(LinkMessage)
            ledger.message(LinkMessageCounted(1, Way.DOWN, 4))
            site.pass_time(60)
            edge.do(program, CloseLink(1, "enough"))
            await edge.event(LinkClosed)
            (count,) = program.links.wire_counts()
            day = ledger.month().undated
            segments = count.sent_segments + count.received_segments
            assert day.counted_bytes == count.sent_bytes + count.received_bytes + segments * count.header_bytes
            assert day.layer_bytes(Layer.PAYLOAD, Way.UP) == 99 + 999
            assert day.layer_bytes(Layer.FRAMING, Way.UP) == 2 + websocket_header_bytes(100, Way.UP) + websocket_header_bytes(1000, Way.UP)
            assert day.layer_bytes(Layer.FRAMING, Way.DOWN) == 4 + 2
            assert day.layer_bytes(Layer.TLS) < 20, "a plain link has nothing but the WebSocket's close"
            assert day.actions == {"MeterValues": [1098, 0]}
            assert day.estimated_bytes > 0

    asyncio.run(main())


def test_a_link_that_is_refused_is_estimated(tmp_path: Path) -> None:
    site = _Site(tmp_path, MemoryLedgerStore(), interface=None)

    async def main() -> None:
        listener = WebSocketListener(host="127.0.0.1", port=0)
        cloud = ScriptedMachine()
        async with (
            asyncio.timeout(2 * WAIT_S),
            CloudProgram(cloud, listener, csms_url="ws://127.0.0.1:1/{identity}", shutdown_s=0.1),
        ):
            edge = ScriptedMachine()
            connector = WebSocketConnector(f"{listener.address}no-such-path")
            async with EdgeProgram(edge, connector, host="127.0.0.1", port=0, shutdown_s=0.1) as program:
                program.links.watch = site.keeper
                await site.keeper.begin()
                edge.do(program, OpenLink(1))
                await edge.event(LinkClosed)
                assert site.keeper.ledger.month().undated.estimated_bytes >= sum(REFUSED_BYTES.values())

    asyncio.run(main())


def test_a_transfer_is_what_the_interface_counts_between_its_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interface = FakeInterface(tmp_path)
    site = _Site(tmp_path, MemoryLedgerStore())
    site.begin()
    interface.count(received_bytes=50_000, sent_bytes=0)  # since the last reading, and before the transfer
    site.keeper.transfer(TransferBegan("CP1", Way.DOWN, "UpdateFirmware"))
    interface.count(received_bytes=2_050_000, sent_bytes=100_000)
    site.pass_time(60)
    interface.count(received_bytes=3_050_000, sent_bytes=150_000)
    site.keeper.transfer(TransferEnded("CP1", Way.DOWN))
    interface.count(received_bytes=3_060_000, sent_bytes=150_000)
    site.pass_time(60)
    month = site.keeper.ledger.month()
    assert (month.transfers_bytes, month.others_bytes) == (3_150_000, 3_210_000)
    (said,) = [line for line in _said(caplog) if line.startswith("a transfer went around the gateway")]
    assert "'mb_at_most': 3.15, 'budget_percent': 31.5" in said
