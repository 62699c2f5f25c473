"""A store that a process takes with it when it ends."""

from __future__ import annotations

from collections.abc import Mapping

from ocppress_gateway.ledger.base import LedgerStore

__all__ = ["MemoryLedgerStore"]


class MemoryLedgerStore(LedgerStore):
    """Entries in a dictionary; `entries` may be another store's, as if a process had been restarted."""

    def __init__(self, entries: dict[str, bytes] | None = None) -> None:
        self.entries = {} if entries is None else entries

    def load(self) -> dict[str, bytes]:
        return dict(self.entries)

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value

    def set_aside(self) -> None:
        self.entries.clear()

    def close(self) -> None:
        """There is nothing to let go of."""
