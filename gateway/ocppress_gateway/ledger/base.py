"""Where ledger and plan are kept over a restart: named entries of bytes, saved together or not at all.

`sqlite` is for the edge, `memory` for tests; the tests of the contract run over both.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path

__all__ = ["LedgerStore"]


class LedgerStore(abc.ABC):
    """Entries by key. All calls come from one thread, and wait for the disk."""

    @abc.abstractmethod
    def load(self) -> dict[str, bytes]:
        """All entries. Raises `StoreInUse`, `StoreNewer`, `StoreDamaged`, `StoreFailed`."""

    @abc.abstractmethod
    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Write these entries, all or none; None deletes one, if it is there. When it returns they are on disk. Raises as `load` does."""

    @abc.abstractmethod
    def set_aside(self) -> Path | None:
        """What is there is damaged, or its reader can make nothing of it: begin anew, and say where it went. Raises `StoreFailed`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of it; safe to call twice."""
