"""What an outbox keeps of messages and stations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.stored import StoredMessage

__all__ = ["MESSAGE_OVERHEAD_BYTES", "Contents", "Figures", "Row", "Station", "size_of_message"]

MESSAGE_OVERHEAD_BYTES: Final = 100
"""What a message counts besides its body: identity, fingerprint, times, and its share of a page."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message as it is kept. `open_s`: for how many seconds of its life the outbox had been open when it came, the clock of its age."""

    message: StoredMessage
    open_s: float


@dataclass(slots=True)
class Station:
    """What is kept of a station. `fingerprints` are those of forgotten messages, newest last; `newest` is found from the rows."""

    number: int
    identity: str
    version: str = ""
    accepted: bool = False
    heartbeat_interval_s: int = 0
    delivered: tuple[int, int] = (0, 0)
    fingerprints: tuple[bytes, ...] = ()
    newest: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Contents:
    """What an outbox has when it is opened; the rows of a lane come in order of position."""

    incarnation: bytes
    stations: list[Station]
    rows: Iterator[Row]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What is in an outbox after a commit. `opened_at` plus a row's `open_s` is when it came, by the clock of this process."""

    messages: int = 0
    message_bytes: int = 0
    oldest_came_at: float | None = None
    oldest_stored_at_s: float | None = None


def size_of_message(message: StoredMessage) -> int:
    """Bytes that a message counts."""
    return MESSAGE_OVERHEAD_BYTES + len(message.body.encode())
