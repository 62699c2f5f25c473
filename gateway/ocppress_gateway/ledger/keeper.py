"""The task that feeds ledger and plan, and keeps them: reads the counters each minute, saves each ten.

Links ──dialled, opened, ended──► ┌────────┐ ──LinkCounted, InterfaceCounted, …──► Ledger ──bytes──► Plan
TCP_INFO, /sys ─────read─────────►│ keeper │ ◄──────────────notes────────────────────┴────────────────┘
                                  └────────┘ ──changes──► LedgerStore

The upper half of it is in `reader`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.keepalive import KeepaliveSearch
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.plan import Plan
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import StoreDamaged, StoreError, StoreFailed
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.ledger.disk import DiskThread
from ocppress_gateway.ledger.interface import ROOT, read_interface
from ocppress_gateway.ledger.probing import Probing
from ocppress_gateway.ledger.reader import Counted, LedgerReader
from ocppress_gateway.log import log_note
from ocppress_gateway.transports.base import Connection

__all__ = ["READ_S", "SAVE_S", "LedgerKeeper"]

READ_S: Final = 60.0
"""Between two readings: shorter than any keepalive interval, so that a reading holds either probes or traffic, seldom both."""

SAVE_S: Final = 600.0
"""Between two saves: what a crash can cost of the account of ours. The interface's counters bring back the SIM's."""

KEEPALIVE_KEY: Final = "keepalive"
"""Of the entry about silences beside the ledger's."""

FINISH_S: Final = 5.0
"""How long the last save may take; a disk that hangs must not keep the program from ending."""


class LedgerKeeper(LedgerReader):
    """Between the ledger of one SIM, its plan, and the world."""

    def __init__(
        self,
        ledger: Ledger,
        plan: Plan,
        store: LedgerStore,
        *,
        interface: str | None,
        logger: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        root: Path = ROOT,
        search: KeepaliveSearch | None = None,
    ) -> None:
        """`interface`: the SIM's, None if it isn't known. `root` is that of /sys and /proc.

        Without `search` connections are probed as their connector has it.
        """
        super().__init__(
            ledger,
            plan,
            interface=interface,
            read_interface=partial(read_interface, root=root),
            note=partial(log_note, logger),
            clock=clock,
            wall=wall,
        )
        self._probing = None if search is None else Probing(search, is_charging=lambda: plan.is_charging, note=partial(log_note, logger))
        self._store = store
        self._disk = DiskThread("ledger")
        self._may_save = False
        self._unsaved: dict[str, bytes | None] = {}
        self._saving = asyncio.Lock()

    async def begin(self) -> None:
        """Take up what a former process left, and read for the first time. Before anything else. Raises `StoreInUse`, `StoreNewer`."""
        saved: dict[str, bytes] = {}
        try:
            saved = await self._take_up()
            self._may_save = True
        except StoreFailed as error:
            # To save over what couldn't be read would lose it.
            self._say(Level.ERROR, "the ledger can't be read, and isn't saved until the program starts again", reason=str(error))
        self.restore_plan(saved)
        if self._probing is not None and KEEPALIVE_KEY in saved:
            self._probing.restore(saved[KEEPALIVE_KEY], self._clock())
        self.read()

    async def run(self) -> NoReturn:
        """Read and save until cancelled; after that you must call `finish`."""
        save_at = self._clock() + SAVE_S
        while True:
            await asyncio.sleep(READ_S)
            self.read()
            if self._clock() >= save_at:
                save_at = self._clock() + SAVE_S
                await self.save()

    async def finish(self) -> None:
        """Read and save a last time, and close the store. Also after a `begin` that failed."""
        try:
            async with asyncio.timeout(FINISH_S):
                if self._may_save:
                    self.read()
                    await self.save()
                await self._disk.run(self._store.close)
        except TimeoutError:
            self._say(Level.WARNING, "the disk takes too long, the ledger's last minutes are lost")

    def read(self) -> None:
        """Read all counters, and see to it that the link is probed in time and not too often."""
        super().read()
        if self._probing is not None:
            self._probing.adapt(self._clock())
            self.plan.keepalive_s = self._probing.safe_s(self._clock())

    def opened(self, number: int, connection: Counted) -> None:
        """A connection is up."""
        if self._probing is not None:
            assert isinstance(connection, Connection), "what is probed is real"
            self._probing.opened(number, connection, self._clock())
        super().opened(number, connection)

    def ended(self, number: int, connection: Counted | None, *, refused: bool) -> None:
        """A connection is gone, or wasn't made."""
        super().ended(number, connection, refused=refused)
        if self._probing is not None:
            self._probing.ended(number, self._clock())

    def _count(self, number: int, connection: Counted) -> WireCount | None:
        count = super()._count(number, connection)
        if self._probing is not None and count is not None:
            self._probing.counted(number, count, self._clock())
        return count

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, to be saved all at once."""
        probing = {} if self._probing is None else {KEEPALIVE_KEY: self._probing.snapshot(self._clock())}
        return {**super().changes(), **probing}

    # --- the store

    async def _take_up(self) -> dict[str, bytes]:
        """Restore the ledger; returns what was kept."""
        try:
            saved = await self._disk.run(self._store.load)
            self.restore_ledger({key: entry for key, entry in saved.items() if key != KEEPALIVE_KEY})
        except (StoreDamaged, ValueError) as error:
            kept = await self._disk.run(self._store.set_aside)
            self._say(Level.ERROR, "the ledger is damaged; a new one begins", reason=str(error), set_aside=str(kept))
            return {}
        return saved

    async def save(self) -> None:
        """Save what has changed, and what couldn't be saved before."""
        if not self._may_save:
            return
        async with self._saving:
            self._unsaved |= self.changes()
            changes = dict(self._unsaved)
            try:
                await self._disk.run(lambda: self._store.save(changes))
            except StoreError as error:
                self._say(Level.WARNING, "the ledger can't be saved; it will be tried again", reason=str(error))
            else:
                self._unsaved.clear()

    def _say(self, level: Level, words: str, **fields: str) -> None:
        self._note(Note(level, words, dict(fields)))
