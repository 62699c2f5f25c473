"""What can still be read of a damaged outbox.

A damaged page ends a walk through the table, so keys are gathered from both ends, and each row is then fetched by itself. A row counts if its
checksum is right; everything else is left where it is, in the file that was set aside.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ocppress_gateway.outbox.contents import Row, Station
from ocppress_gateway.outbox.rows import MESSAGE_COLUMNS, STATION_COLUMNS, message_from, station_from

__all__ = ["Salvage"]


class Salvage:
    """Reads a damaged file. A context; opening it raises nothing, a hopeless file is empty."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, timeout=0)
        self.unreadable = 0
        """Rows that are known to be there but aren't what was written, so far."""

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def stations(self) -> list[Station]:
        """Stations whose record is intact."""
        found = [station_from(values) for values in self._all(f"SELECT {STATION_COLUMNS} FROM station")]
        return [station for station in found if station is not None]

    def rows(self) -> Iterator[Row]:
        """Intact messages, those of a lane in their order."""
        keys = {key for direction in ("ASC", "DESC") for (key,) in self._all(f"SELECT key FROM message ORDER BY key {direction}")}
        for key in sorted(keys):
            values = next(self._all(f"SELECT {MESSAGE_COLUMNS} FROM message WHERE key = {key}"), None)
            row = None if values is None else message_from(values)
            if row is None:
                self.unreadable += 1
            else:
                yield row

    def _all(self, query: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, as far as it goes."""
        with contextlib.suppress(sqlite3.Error):
            yield from self._connection.execute(query)
