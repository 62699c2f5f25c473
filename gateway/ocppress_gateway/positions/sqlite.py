"""The positions in an SQLite file.

A row of positions carries a checksum: one that a worn disk gives back wrongly counts as forgotten, for a position that is too high would lose
messages, and one that is too low only sends them again. Texts that a CSMS has made are kept as bytes, for they may be no valid Unicode.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ocppress_gateway.core.stored import DeadLetter
from ocppress_gateway.positions.base import PositionsLimits
from ocppress_gateway.positions.store import LETTER_OVERHEAD_BYTES, LocalPositionsStore, Pair, to_bytes, to_text
from ocppress_gateway.storage.database import Database

__all__ = ["POSITIONS_FILE", "SqlitePositionsStore"]

POSITIONS_FILE: Final = "positions.sqlite"
"""Name of the file in the state folder; its log, its lock and damaged ones lie beside it."""

_APPLICATION_ID: Final = 0x6F637050

_MIGRATIONS: Final = (
    """
    CREATE TABLE probe (count INTEGER NOT NULL);
    INSERT INTO probe VALUES (0);
    CREATE TABLE pair (
        identity TEXT NOT NULL,
        incarnation BLOB NOT NULL,
        express INTEGER NOT NULL,
        ordered INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (identity, incarnation)
    ) WITHOUT ROWID;
    CREATE TABLE letter (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        identity TEXT NOT NULL,
        message_id BLOB NOT NULL,
        version TEXT NOT NULL,
        error_code BLOB NOT NULL,
        error_description BLOB NOT NULL,
        attempts INTEGER NOT NULL,
        at_s REAL NOT NULL,
        body BLOB NOT NULL
    )
    """,
)
"""Scripts that lead from each version of the schema to the next. Append one to change it; never touch those that were released."""

_LETTER: Final = "SELECT key, identity, message_id, version, error_code, error_description, attempts, at_s, body FROM letter"


class SqlitePositionsStore(LocalPositionsStore):
    """Positions in a folder of their own or of the program's."""

    def __init__(self, folder: Path, *, limits: PositionsLimits | None = None) -> None:
        super().__init__(folder / POSITIONS_FILE, limits or PositionsLimits())
        self._database = Database(folder / POSITIONS_FILE, application_id=_APPLICATION_ID, migrations=_MIGRATIONS)

    def close(self) -> None:
        self._database.close()

    def set_aside(self) -> None:
        self._database.set_aside()

    def probe(self) -> None:
        self._database.execute("UPDATE probe SET count = count + 1")

    def dead_letter(self, key: int) -> DeadLetter | None:
        return next(self._read_letters(f"{_LETTER} WHERE key = ?", (key,)), None)

    # --- what `PositionsStore` leaves open

    def _open(self) -> tuple[int, int, int]:
        self._database.open()
        texts = ("identity", "message_id", "error_code", "error_description", "body")
        size = f"{LETTER_OVERHEAD_BYTES} + {' + '.join(f'length({text})' for text in texts)}"
        pairs = self._database.execute("SELECT count(*) FROM pair").fetchone()[0]
        letters, letter_bytes = self._database.execute(f"SELECT count(*), coalesce(sum({size}), 0) FROM letter").fetchone()
        return pairs, letters, letter_bytes

    def _put_damaged_away(self) -> str | None:
        return str(self._database.put_damaged_away(datetime.now(UTC))) if self._database.damaged_file.exists() else None

    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        return self._database.transaction()

    def _pairs_of(self, identity: str) -> list[Pair]:
        query = "SELECT identity, incarnation, express, ordered, saved, checksum FROM pair WHERE identity = ?"
        return [
            Pair(values[1], (values[2], values[3]), values[4])
            for values in self._database.rows(query, (identity,))
            if _checksum(values[:-1]) == values[-1]
        ]

    def _put_pair(self, identity: str, pair: Pair) -> None:
        values = (identity, pair.incarnation, *pair.positions, pair.saved)
        self._database.execute("REPLACE INTO pair VALUES (?,?,?,?,?,?)", (*values, _checksum(values)))

    def _remove_pair(self, identity: str, incarnation: bytes) -> None:
        self._database.execute("DELETE FROM pair WHERE identity = ? AND incarnation = ?", (identity, incarnation))

    def _put_letter(self, letter: DeadLetter) -> int:
        values = (
            letter.identity,
            to_bytes(letter.message_id),
            letter.version,
            to_bytes(letter.error_code),
            to_bytes(letter.error_description),
            letter.attempts,
            float(letter.at_s),
            to_bytes(letter.body),
        )
        key = self._database.execute("INSERT INTO letter VALUES (NULL,?,?,?,?,?,?,?,?)", values).lastrowid
        assert key is not None
        return key

    def _letters(self, identity: str | None) -> Iterator[DeadLetter]:
        if identity is None:
            return self._read_letters(f"{_LETTER} ORDER BY key")
        return self._read_letters(f"{_LETTER} WHERE identity = ? ORDER BY key", (identity,))

    def _find_letter(self, identity: str, message_id: str) -> int | None:
        query = "SELECT key FROM letter WHERE identity = ? AND message_id = ?"
        found = self._database.execute(query, (identity, to_bytes(message_id))).fetchone()
        return None if found is None else int(found[0])

    def _remove_letter(self, key: int) -> None:
        self._database.execute("DELETE FROM letter WHERE key = ?", (key,))

    def sizes(self) -> tuple[int, int | None]:
        return self._database.sizes

    def _read_letters(self, query: str, values: Sequence[Any] = ()) -> Iterator[DeadLetter]:
        for key, identity, message_id, version, error_code, error_description, attempts, at_s, body in self._database.rows(query, values):
            yield DeadLetter(
                identity,
                to_text(message_id),
                version,
                to_text(body),
                to_text(error_code),
                to_text(error_description),
                attempts,
                at_s,
                key,
            )


def _checksum(values: Sequence[Any]) -> int:
    return zlib.crc32(repr(tuple(values)).encode())
