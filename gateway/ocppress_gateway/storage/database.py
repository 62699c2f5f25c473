"""One SQLite file, used by one thread of one process, in a way that a power cut or a full disk can't harm.

Write-ahead log and `synchronous=FULL`: what is committed is on disk. `locking_mode=EXCLUSIVE` keeps the log's index in memory instead of a
third file; that nobody else has the store is made sure of before, by a lock with a clear error.

A commit that fails is rolled back and the connection goes on: SQLite then writes the next transaction over the failed one's place in the
log. To open the file anew would be worse: the kernel may show pages of the failed transaction that never reached the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ocppress_gateway.errors import StoreDamaged, StoreFailed, StoreNewer
from ocppress_gateway.storage.files import (
    FileLock,
    failures,
    log_of,
    make_private_file,
    make_private_folder,
    put_away,
    size_of,
    thread_written_bytes,
)

__all__ = ["LOG_BYTES_MAX", "Database"]

LOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of the write-ahead log, which SQLite moves into the file at 4 MiB. If that fails, commits go on for a while, for the log alone must be
written."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FAILED: Final = {
    sqlite3.SQLITE_FULL: "no space left on the disk",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_BUSY: "locked by another program",
    sqlite3.SQLITE_LOCKED: "locked by another program",
}


class Database:
    """A file with `migrations`: scripts that lead from each version of the schema to the next, the first one from nothing."""

    def __init__(self, file: Path, *, application_id: int, migrations: Sequence[str]) -> None:
        self.file = file
        self._application_id = application_id
        self._migrations = migrations
        self._lock = FileLock(file.with_suffix(".lock"))
        self._connection: sqlite3.Connection | None = None
        self._reading: set[sqlite3.Cursor] = set()
        self._thread_id = 0
        self._written_before = 0

    # --- life

    def open(self) -> None:
        """Open, again if need be, or make it. Raises `StoreInUse`, `StoreNewer`, `StoreDamaged`, `StoreFailed`; then it is closed."""
        self._disconnect()
        self._thread_id = threading.get_native_id()
        self._written_before = thread_written_bytes(self._thread_id) or 0
        make_private_folder(self.file.parent)
        self._lock.acquire()
        make_private_file(self.file)
        try:
            with self._mapped():
                self._connection = sqlite3.connect(self.file, isolation_level=None, timeout=0)
                self._prepare()
        except BaseException:
            self._disconnect()
            raise

    def close(self) -> None:
        """Close, and let others have it."""
        self._disconnect()
        self._lock.release()

    def set_aside(self) -> Path:
        """Close, and rename the file to `name.damaged`, from where `kept_damaged` takes it. Raises `StoreFailed`."""
        self._disconnect()
        if self.damaged_file.exists():
            self.put_damaged_away(datetime.now().astimezone())
        with failures(self.file):
            # If only the first of the two happens, SQLite drops a log that has no file.
            self.file.rename(self.damaged_file)
            with contextlib.suppress(FileNotFoundError):
                log_of(self.file).rename(log_of(self.damaged_file))
        return self.damaged_file

    @property
    def damaged_file(self) -> Path:
        """Where a damaged file waits until what it still has is taken out of it."""
        return self.file.with_suffix(".damaged")

    def put_damaged_away(self, now: datetime) -> Path:
        """Nothing more is wanted of the damaged file: it gets its dated name. Raises `StoreFailed`."""
        return put_away(self.damaged_file, now)

    # --- work

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on disk at the end. Raises `StoreFailed`, `StoreDamaged`."""
        if size_of(log_of(self.file)) > LOG_BYTES_MAX:
            self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            assert self._connection is not None
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement; for one that gives many rows, use `rows`. Raises `StoreFailed`, `StoreDamaged`."""
        assert self._connection is not None, "not open"
        with self._mapped():
            return self._connection.execute(statement, values)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a query, one by one. Raises `StoreFailed`, `StoreDamaged`."""
        cursor = self.execute(statement, values)
        self._reading.add(cursor)
        try:
            with self._mapped():
                # Not `yield from`, which would close the cursor by itself, perhaps after its database.
                for row in cursor:  # noqa: UP028
                    yield row
        finally:
            self._reading.discard(cursor)
            with contextlib.suppress(sqlite3.ProgrammingError):  # the database has been closed
                cursor.close()

    @property
    def sizes(self) -> tuple[int, int | None]:
        """Bytes of the file and its log, and bytes written since they were opened, None where nobody counts them; any thread may look."""
        written = thread_written_bytes(self._thread_id)
        return size_of(self.file, log_of(self.file)), None if written is None else written - self._written_before

    def _prepare(self) -> None:
        self.execute("PRAGMA locking_mode=EXCLUSIVE")
        version = self.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self._migrations):
            raise StoreNewer(self.file, f"made by a later version of ocppress (schema {version}, this one knows {len(self._migrations)})")
        if version:
            found = self.execute("PRAGMA application_id").fetchone()[0]
            reason = "not a store of this kind" if found != self._application_id else self._first_fault()
        else:
            reason = "tables of another program" if self.execute("SELECT 1 FROM sqlite_schema").fetchone() else None
        if reason is not None:
            raise StoreDamaged(self.file, reason)
        if self.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise StoreFailed(self.file, "the write-ahead log cannot be used here")
        self.execute("PRAGMA synchronous=FULL")
        self.execute(f"PRAGMA journal_size_limit={LOG_BYTES_MAX}")
        for number, script in enumerate(self._migrations[version:], version + 1):
            with self.transaction():
                for statement in script.split(";"):
                    self.execute(statement)
                self.execute(f"PRAGMA user_version={number}")
                self.execute(f"PRAGMA application_id={self._application_id}")

    def _first_fault(self) -> str | None:
        found = self.execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if found == "ok" else str(found)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                # A reader that was left in the middle would keep the file open, and locked.
                for cursor in tuple(self._reading):
                    cursor.close()
                self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        """Turn SQLite's errors into ours; what only a mistake of ours can cause stays as it is."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _DAMAGED:
                raise StoreDamaged(self.file, str(error)) from error
            if code in _FAILED:
                raise StoreFailed(self.file, _FAILED[code]) from error
            raise
