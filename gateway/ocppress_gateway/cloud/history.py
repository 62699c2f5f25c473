"""What edges have told of their days, kept over restarts of the cloud: for operators, nothing that carries traffic depends on it.

site-1/2026-05-27   ─►   the report's bytes, as the edge has written them (`core.report`)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final, NoReturn

from ocppress_gateway.core.report import Report, read_report
from ocppress_gateway.errors import StoreDamaged, StoreFailed
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.ledger.disk import DiskThread
from ocppress_gateway.ledger.sqlite import SqliteLedgerStore

__all__ = ["DAYS_KEPT", "REPORTS_FILE", "ReportHistory", "report_store"]

REPORTS_FILE: Final = "reports.sqlite"
_APPLICATION_ID: Final = 0x6F635264

DAYS_KEPT: Final = 62
"""Of each edge: this month and the last. Ten thousand edges have 620,000 reports then, 60 MB in memory and on disk."""

SAVE_S: Final = 5.0
"""Between two saves: reports of many edges come together, soon after midnight."""

FINISH_S: Final = 3.0
"""How long the last save may take."""


def report_store(folder: Path) -> SqliteLedgerStore:
    """Where reports are kept in the state folder: entries with checksums, as the ledger has them."""
    return SqliteLedgerStore(folder, file=REPORTS_FILE, application_id=_APPLICATION_ID)


class ReportHistory:
    """The reports of all edges, a day each."""

    def __init__(self, store: LedgerStore, *, logger: logging.Logger) -> None:
        self._store = store
        self._logger = logger
        self._disk = DiskThread("reports")
        self._reports: dict[str, dict[date, bytes]] = {}
        self._unsaved: dict[str, bytes | None] = {}
        self._changed = asyncio.Event()
        self._may_save = False

    def of(self, edge: str, days: int = DAYS_KEPT) -> Sequence[Report]:
        """What this edge has told of its last `days` days, the oldest first."""
        return [read_report(data) for _, data in sorted(self._reports.get(edge, {}).items())[-days:]]

    def keep(self, edge: str, data: bytes) -> None:
        """A report that `read_report` has read; a later one of the same day takes its place."""
        days = self._reports.setdefault(edge, {})
        day = read_report(data).day
        days[day] = data
        self._unsaved[_key(edge, day)] = data
        while len(days) > DAYS_KEPT:
            oldest = min(days)
            del days[oldest]
            self._unsaved[_key(edge, oldest)] = None
        self._changed.set()

    async def begin(self) -> None:
        """Take up what a former process left. Raises `StoreInUse`, `StoreNewer`."""
        try:
            for key, data in (await self._disk.run(self._store.load)).items():
                edge, _, day = key.rpartition("/")
                self._reports.setdefault(edge, {})[date.fromisoformat(day)] = data
                read_report(data)
            self._may_save = True
        except (StoreDamaged, ValueError) as error:
            self._reports.clear()
            try:
                kept = await self._disk.run(self._store.set_aside)
                self._may_save = True
                self._say("what edges have told of former days is damaged and set aside", reason=str(error), set_aside=str(kept))
            except StoreFailed as failure:
                self._say("what edges have told of former days is damaged, and can't be set aside", reason=str(failure))
        except StoreFailed as error:
            self._say("what edges have told of former days can't be read", reason=str(error))

    async def run(self) -> NoReturn:
        """Save until cancelled; after that you must call `finish`."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await asyncio.sleep(SAVE_S)
            await self._save()

    async def finish(self) -> None:
        """Save a last time, and close the store. Also after a `begin` that failed."""
        try:
            async with asyncio.timeout(FINISH_S):
                await self._save()
                await self._disk.run(self._store.close)
        except TimeoutError:
            self._say("the disk takes too long, the last reports of edges are lost")

    async def _save(self) -> None:
        changes = dict(self._unsaved)
        if not changes or not self._may_save:
            return
        try:
            await self._disk.run(lambda: self._store.save(changes))
        except StoreFailed as error:
            self._say("reports of edges can't be saved", reason=str(error))
            self._changed.set()
            return
        for key, data in changes.items():
            if self._unsaved.get(key, b"") == data:
                del self._unsaved[key]

    def _say(self, words: str, **fields: str) -> None:
        self._logger.warning(words, extra={"fields": fields})


def _key(edge: str, day: date) -> str:
    return f"{edge}/{day.isoformat()}"
