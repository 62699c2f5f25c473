"""Where ledger and plan are kept over a restart: named entries of bytes, saved together or not at all.

`sqlite` is for the edge, `memory` for tests and for edges without a disk; the tests of the contract run over both.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path

__all__ = ["LedgerStore"]


class LedgerStore(abc.ABC):
    """Entries by key. One caller at a time; calls wait for the disk."""

    set_aside: Path | None = None
    """Where something went that was in the store's place and couldn't be read; None if all was well."""

    @abc.abstractmethod
    def load(self) -> dict[str, bytes]:
        """All entries. Raises `LedgerError` if the store can't be opened; what is there and can't be read is set aside."""

    @abc.abstractmethod
    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Write these entries, all or none; None deletes one, if it is there. When it returns they are on disk. Raises `LedgerError`."""

    @abc.abstractmethod
    def discard(self) -> None:
        """Set everything aside, since its reader can make nothing of it, and begin anew. Raises `LedgerError`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of it; safe to call twice."""
