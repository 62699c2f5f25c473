"""The task that feeds ledger and plan, and keeps them: reads the counters each minute, saves each ten.

Links ──dialled, opened, ended──► ┌────────┐ ──LinkCounted, InterfaceCounted, …──► Ledger ──bytes──► Plan
TCP_INFO, /sys ─────read─────────►│ keeper │ ◄──────────────notes────────────────────┴────────────────┘
                                  └────────┘ ──changes──► LedgerStore
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_events import LedgerEvent, LinkCounted, LinkDialled, LinkEnded
from ocppress_gateway.core.plan import Plan
from ocppress_gateway.errors import StoreDamaged, StoreError, StoreFailed
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.ledger.disk import DiskThread
from ocppress_gateway.ledger.interface import ROOT, read_interface
from ocppress_gateway.log import log_note
from ocppress_gateway.transports.base import Connection

__all__ = ["READ_S", "SAVE_S", "LedgerKeeper", "looks_up"]

READ_S: Final = 60.0
"""Between two readings: shorter than any keepalive interval, so that a reading holds either probes or traffic, seldom both."""

SAVE_S: Final = 600.0
"""Between two saves: what a crash can cost of the account of ours. The interface's counters bring back the SIM's."""

FINISH_S: Final = 5.0
"""How long the last save may take; a disk that hangs must not keep the program from ending."""

_PLAN_KEY: Final = "plan"


class LedgerKeeper:
    """Between the ledger of one SIM, its plan, and the world. A `LinkWatch`."""

    def __init__(
        self,
        ledger: Ledger,
        plan: Plan,
        store: LedgerStore,
        *,
        interface: str | None,
        looks_up: bool,
        logger: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        root: Path = ROOT,
    ) -> None:
        """`interface`: the SIM's, None if it isn't known. `looks_up`: the cloud's host is a name. `root` is that of /sys and /proc."""
        self.ledger = ledger
        self.plan = plan
        self._store = store
        self._interface = interface
        self._looks_up = looks_up
        self._logger = logger
        self._clock = clock
        self._wall = wall
        self._root = root
        self._connections: dict[int, Connection] = {}
        self._disk = DiskThread("ledger")
        self._may_save = False
        self._unsaved: dict[str, bytes | None] = {}
        self._interface_missing = False

    async def begin(self) -> None:
        """Take up what a former process left, and read for the first time. Before anything else. Raises `StoreInUse`, `StoreNewer`."""
        plan = None
        try:
            plan = await self._take_up()
            self._may_save = True
        except StoreFailed as error:
            # To save over what couldn't be read would lose it.
            self._say(Level.ERROR, "the ledger can't be read, and isn't saved until the program starts again", reason=str(error))
        try:
            if plan is not None:
                self.plan.restore(plan, self._clock())
        except ValueError as error:
            self._say(Level.WARNING, "what was kept of the plan makes no sense; it begins anew", reason=str(error))
        self.read()

    async def run(self) -> NoReturn:
        """Read and save until cancelled; after that you must call `finish`."""
        save_at = self._clock() + SAVE_S
        while True:
            await asyncio.sleep(READ_S)
            self.read()
            if self._clock() >= save_at:
                save_at = self._clock() + SAVE_S
                await self._save()

    async def finish(self) -> None:
        """Read and save a last time, and close the store. Also after a `begin` that failed."""
        try:
            async with asyncio.timeout(FINISH_S):
                if self._may_save:
                    self.read()
                    await self._save()
                await self._disk.run(self._store.close)
        except TimeoutError:
            self._say(Level.WARNING, "the disk takes too long, the ledger's last minutes are lost")

    def read(self) -> None:
        """Read all counters, tell ledger and plan, and log what they say."""
        for number, connection in self._connections.items():
            self._count(number, connection)
        if self._interface is not None:
            counted = read_interface(self._interface, root=self._root)
            if counted is not None:
                self._tell(counted)
            if (counted is None) is not self._interface_missing:
                self._interface_missing = counted is None
                level, words = (
                    (Level.WARNING, "the SIM's interface isn't there") if counted is None else (Level.INFO, "the SIM's interface is there")
                )
                self._say(level, words, interface=self._interface)
        now = self._clock()
        self.plan.spent(self.ledger.take_spent(), now)
        for note in (*self.ledger.tick(now, self._wall()), *self.plan.tick(now, self.ledger.month())):
            log_note(self._logger, note)

    # --- what the links tell

    def dialled(self, number: int) -> None:
        """A connection is about to be made."""
        self._tell(LinkDialled(number, self._looks_up))

    def opened(self, number: int, connection: Connection) -> None:
        """A connection is up: what it has cost so far is its handshake."""
        self._connections[number] = connection
        self._count(number, connection)

    def ended(self, number: int, connection: Connection | None, *, refused: bool) -> None:
        """A connection is gone, or wasn't made."""
        self._connections.pop(number, None)
        if connection is not None:
            self._count(number, connection)
        self._tell(LinkEnded(number, refused))

    def _count(self, number: int, connection: Connection) -> None:
        count = connection.wire_count()
        if count is not None:
            self._tell(LinkCounted(number, count))

    def _tell(self, event: LedgerEvent) -> None:
        self.ledger.step(event, self._clock(), self._wall())

    # --- the store

    async def _take_up(self) -> bytes | None:
        """Restore the ledger; returns what was kept of the plan."""
        try:
            saved = await self._disk.run(self._store.load)
            plan = saved.pop(_PLAN_KEY, None)
            self.ledger.restore(saved)
        except (StoreDamaged, ValueError) as error:
            kept = await self._disk.run(self._store.set_aside)
            self._say(Level.ERROR, "the ledger is damaged; a new one begins", reason=str(error), set_aside=str(kept))
            return None
        return plan

    async def _save(self) -> None:
        """Save what has changed, and what couldn't be saved before."""
        if not self._may_save:
            return
        self._unsaved |= self.ledger.changes()
        self._unsaved[_PLAN_KEY] = self.plan.snapshot(self._clock())
        changes = dict(self._unsaved)
        try:
            await self._disk.run(lambda: self._store.save(changes))
        except StoreError as error:
            self._say(Level.WARNING, "the ledger can't be saved; it will be tried again", reason=str(error))
        else:
            self._unsaved.clear()

    def _say(self, level: Level, words: str, **fields: str) -> None:
        log_note(self._logger, Note(level, words, dict(fields)))


def looks_up(url: str) -> bool:
    """Whether the host of a URL is a name that has to be looked up."""
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False
