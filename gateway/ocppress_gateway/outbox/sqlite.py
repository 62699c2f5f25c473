"""The outbox in an SQLite file.

A message's key is its station, lane and position in one integer (see `rows`), so that a lane's messages lie together in the table's own order
and a new one touches a single page: no index is kept. Pages that are freed are used again, so the file stays near the most that it ever held.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ocppress_gateway.core.stored import INCARNATION_BYTES, Lane
from ocppress_gateway.errors import StoreDamaged
from ocppress_gateway.outbox.base import OutboxLimits
from ocppress_gateway.outbox.contents import Contents, Row, Station
from ocppress_gateway.outbox.rows import (
    MESSAGE_COLUMNS,
    STATION_COLUMNS,
    key_of,
    message_from,
    message_values,
    station_from,
    station_values,
)
from ocppress_gateway.outbox.salvage import Salvage
from ocppress_gateway.outbox.store import OutboxStore
from ocppress_gateway.storage.database import Database

__all__ = ["OUTBOX_FILE", "SqliteOutboxStore"]

OUTBOX_FILE: Final = "outbox.sqlite"
"""Name of the file in the state folder; its log, its lock and damaged ones lie beside it."""

_APPLICATION_ID: Final = 0x6F63704F

_MIGRATIONS: Final = (
    """
    CREATE TABLE outbox (incarnation BLOB NOT NULL, probes INTEGER NOT NULL, took_over INTEGER NOT NULL);
    CREATE TABLE station (
        number INTEGER PRIMARY KEY,
        identity TEXT NOT NULL,
        version TEXT NOT NULL,
        accepted INTEGER NOT NULL,
        heartbeat_interval_s INTEGER NOT NULL,
        express INTEGER NOT NULL,
        ordered INTEGER NOT NULL,
        fingerprints BLOB NOT NULL,
        checksum INTEGER NOT NULL
    );
    CREATE TABLE message (
        key INTEGER PRIMARY KEY,
        identity TEXT NOT NULL,
        version TEXT NOT NULL,
        urgent INTEGER NOT NULL,
        fingerprint BLOB NOT NULL,
        stored_at_s REAL NOT NULL,
        open_s REAL NOT NULL,
        body BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )
    """,
)
"""Scripts that lead from each version of the schema to the next. Append one to change it; never touch those that were released."""


class SqliteOutboxStore(OutboxStore):
    """An outbox in a folder of its own or of the program's."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: OutboxLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(folder / OUTBOX_FILE, limits or OutboxLimits(), clock)
        self._database = Database(folder / OUTBOX_FILE, application_id=_APPLICATION_ID, migrations=_MIGRATIONS)
        self._random_bytes = random_bytes

    def close(self) -> None:
        self._database.close()

    def set_aside(self) -> None:
        self._database.set_aside()

    def probe(self) -> None:
        self._database.execute("UPDATE outbox SET probes = probes + 1")

    # --- what `OutboxStore` leaves open

    def _open(self) -> Contents:
        self._database.open()
        found = self._database.execute("SELECT incarnation, took_over FROM outbox").fetchone()
        incarnation, took_over = found or self._begin()
        fault = self._take_over_damaged(bool(took_over)) if self._database.damaged_file.exists() else None
        if len(incarnation) != INCARNATION_BYTES:
            raise StoreDamaged(self.place, "the incarnation is not what was written")
        return Contents(incarnation, list(self._stations_there()), self._read("ORDER BY key"), fault)

    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        return self._database.transaction()

    def _put_station(self, station: Station) -> None:
        self._database.execute(f"REPLACE INTO station ({STATION_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", station_values(station))

    def _put_row(self, number: int, row: Row) -> None:
        self._database.execute(f"INSERT INTO message ({MESSAGE_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", message_values(number, row))

    def _rows(self, number: int, lane: Lane, after: int, up_to: int) -> Iterator[Row]:
        return self._read("WHERE key > ? AND key <= ? ORDER BY key", key_of(number, lane, after), key_of(number, lane, up_to))

    def _remove_rows(self, number: int, lane: Lane, up_to: int) -> None:
        self._database.execute("DELETE FROM message WHERE key >= ? AND key <= ?", (key_of(number, lane, 0), key_of(number, lane, up_to)))

    def sizes(self) -> tuple[int, int | None]:
        return self._database.sizes

    # --- reading

    def _read(self, rest: str, *values: int) -> Iterator[Row]:
        for found in self._database.rows(f"SELECT {MESSAGE_COLUMNS} FROM message {rest}", values):
            row = message_from(found)
            if row is None:
                raise StoreDamaged(self.place, "a message is not what was written")
            yield row

    def _stations_there(self) -> Iterator[Station]:
        for found in self._database.rows(f"SELECT {STATION_COLUMNS} FROM station ORDER BY number"):
            station = station_from(found)
            if station is None:
                raise StoreDamaged(self.place, "what is known of a station is not what was written")
            yield station

    # --- beginning

    def _begin(self) -> tuple[bytes, int]:
        """Make this a new outbox."""
        incarnation = self._random_bytes(INCARNATION_BYTES)
        with self._database.transaction():
            self._database.execute("INSERT INTO outbox VALUES (?, 0, 0)", (incarnation,))
        return incarnation, 0

    def _take_over_damaged(self, done: bool) -> str:
        """Put into this new outbox what can be read of the damaged one, once, whatever happens meanwhile; says what was done."""
        words = "what could be read of it was taken over before"
        if not done:
            with contextlib.closing(Salvage(self._database.damaged_file)) as salvage, self._database.transaction():
                taken = self._take_over(salvage.stations(), salvage.rows())
                words = f"{taken} messages were taken over into a new one, {salvage.unreadable} could not be read"
                self._database.execute("UPDATE outbox SET took_over = 1")
        kept = self._database.put_damaged_away(datetime.now(UTC))
        return f"damaged ({self._damage}): {words}; the old file is {kept}"
