"""The ledger in an SQLite file: it survives a power cut at any moment, and writes little.

A save at its usual size (today, the ledger's state, the plan) is one page of the table in the write-ahead log, 4,120 bytes and one fsync: 0.6 MB a
day at a save each ten minutes. Keys sort so that what changes lies together.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ocppress_gateway.errors import StoreDamaged
from ocppress_gateway.ledger.base import LedgerStore
from ocppress_gateway.storage.database import Database

__all__ = ["LEDGER_FILE", "SqliteLedgerStore"]

LEDGER_FILE: Final = "ledger.sqlite"
"""Name of the file in the state folder; its log, its lock and damaged ones lie beside it."""

_APPLICATION_ID: Final = 0x6F634C64

_MIGRATIONS: Final = ("CREATE TABLE entry (key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",)
"""Scripts that lead from each version of the schema to the next. Append one to change it; never touch those that were released."""


class SqliteLedgerStore(LedgerStore):
    """Entries in a folder of their own or of the program's."""

    def __init__(self, folder: Path, *, file: str = LEDGER_FILE, application_id: int = _APPLICATION_ID) -> None:
        """`file` and `application_id` are others where it isn't the ledger that is kept."""
        self._database = Database(folder / file, application_id=application_id, migrations=_MIGRATIONS)
        self._is_open = False

    def load(self) -> dict[str, bytes]:
        self._open()
        entries = {}
        for key, checksum, value in self._database.rows("SELECT key, checksum, value FROM entry"):
            if not (isinstance(key, bytes) and isinstance(value, bytes) and _checksum(key, value) == checksum):
                raise StoreDamaged(self._database.file, "an entry isn't what was written")
            entries[key.decode()] = value
        return entries

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        self._open()
        with self._database.transaction():
            for name, value in changes.items():
                key = name.encode()
                if value is None:
                    self._database.execute("DELETE FROM entry WHERE key = ?", (key,))
                else:
                    self._database.execute("REPLACE INTO entry VALUES (?, ?, ?)", (key, _checksum(key, value), value))

    def set_aside(self) -> Path:
        self._is_open = False
        self._database.set_aside()
        return self._database.put_damaged_away(datetime.now(UTC))

    def close(self) -> None:
        self._is_open = False
        self._database.close()

    def _open(self) -> None:
        if not self._is_open:
            self._database.open()
            self._is_open = True


def _checksum(key: bytes, value: bytes) -> int:
    """SQLite has none, and a flipped bit in a figure would look like one."""
    return zlib.crc32(value, zlib.crc32(key))
