"""The ledger's file: SQLite, for it survives a cut of power at any moment and writes little.

A save at its usual size (today, the ledger's state, the plan) is one page of the table in the write-ahead log, 4,120 bytes and one fsync: at a
save each ten minutes 0.6 MB a day, for keys sort so that what changes lies together.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ocppress_gateway.errors import LedgerError
from ocppress_gateway.ledger.base import LedgerStore

__all__ = ["SqliteLedgerStore"]

APPLICATION_ID: Final = 0x4F435050
"""ASCII `OCPP`: says whose file it is (`PRAGMA application_id`)."""

FORMAT: Final = 1
"""`PRAGMA user_version`."""

LOG_PAGES_MAX: Final = 64
"""Of the write-ahead log, 256 KiB or ten hours of saves, before it is worked into the table."""

BUSY_S: Final = 5.0
"""How long somebody who reads the file may hold up a save."""

_SUFFIXES: Final = ("", "-wal", "-shm")
"""Of the files that are one SQLite database."""


class SqliteLedgerStore(LedgerStore):
    """Entries in the file `path`, whose folder must exist. What can't be read there is renamed to end in `.corrupt`, in place of an older
    one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    def load(self) -> dict[str, bytes]:
        with self._errors():
            try:
                return self._read()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise  # the disk, not what is on it
                self._set_aside()
                return self._read()

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        with self._errors():
            database = self._open()
            with database:
                for key, value in changes.items():
                    if value is None:
                        database.execute("DELETE FROM entries WHERE key = ?", (key,))
                    else:
                        database.execute("REPLACE INTO entries VALUES (?, ?, ?)", (key, _checksum(key, value), value))

    def discard(self) -> None:
        with self._errors():
            self._set_aside()
            self._open()

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _read(self) -> dict[str, bytes]:
        entries = {}
        for key, checksum, value in self._open().execute("SELECT key, checksum, value FROM entries"):
            try:
                name = key.decode()
                whole = _checksum(name, value) == checksum
            except (AttributeError, TypeError, UnicodeDecodeError):
                whole = False
            if not whole:
                raise sqlite3.DatabaseError("an entry isn't what was written")
            entries[name] = value
        return entries

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            # One caller at a time, but not always from the same thread.
            database = sqlite3.connect(self._path, timeout=BUSY_S, check_same_thread=False)
            database.text_factory = bytes  # what is no UTF-8 is for `_read` to find
            try:
                _prepare(database)
            except BaseException:
                database.close()
                raise
            self._database = database
        return self._database

    def _set_aside(self) -> None:
        self.close()
        for suffix in _SUFFIXES:
            file = self._path.with_name(self._path.name + suffix)
            if file.exists():
                file.replace(self._path.with_name(f"{self._path.name}.corrupt{suffix}"))
        self.set_aside = self._path.with_name(f"{self._path.name}.corrupt")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"{self._path}: {error}") from error


def _prepare(database: sqlite3.Connection) -> None:
    """Check the file or make a new one. Raises `sqlite3.DatabaseError` for what is none of ours."""
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema")]
    if tables and (application_id, version, tables) != (APPLICATION_ID, FORMAT, [b"entries"]):
        raise sqlite3.DatabaseError("not a ledger of this version")
    if database.execute("PRAGMA quick_check").fetchall() != [(b"ok",)]:
        raise sqlite3.DatabaseError("damaged")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}")
    if not tables:
        with database:
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {FORMAT}")
            database.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, checksum INTEGER, value BLOB) WITHOUT ROWID")


def _checksum(key: str, value: bytes) -> int:
    """SQLite has none, and a flipped bit in a figure would look like one."""
    return zlib.crc32(value, zlib.crc32(key.encode()))
