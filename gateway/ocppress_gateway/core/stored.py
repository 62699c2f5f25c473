"""Messages that the edge answers itself, once they are on disk; and what the stores of either end report.

A message's place is its *position*: from 1 on, without gaps, in one lane of one station and one incarnation of the outbox. The cloud's message ids are made
of that, so whoever sends a message again uses the same id.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

__all__ = [
    "INCARNATION_BYTES",
    "DeadLetter",
    "Lane",
    "Loaded",
    "NotStored",
    "OutboxOpened",
    "PositionSaved",
    "PositionsLoaded",
    "StationRecord",
    "Stored",
    "StoredMessage",
]

INCARNATION_BYTES: Final = 8
"""Random, made with the store: two stores of one edge are never taken for each other."""


class Lane(enum.IntEnum):
    """The lanes of rule R4; each keeps its order."""

    EXPRESS = 0
    ORDERED = 1


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A CALL for the outbox. `body` is that of `ocppress_codecs.rpc.Message`; `position` 0 until it is durable."""

    identity: str
    lane: Lane
    position: int
    version: str
    body: str
    urgent: bool
    fingerprint: bytes
    """Of a transaction message, see `repeats`; else empty."""
    stored_at_s: float
    """Unix seconds by the edge's own clock: for people, and for the age limit."""


@dataclass(frozen=True, slots=True)
class StationRecord:
    """What the outbox knows of a station: positions by lane (express, ordered), and how its last BootNotification was answered.

    `fingerprints` are those of the transaction messages stored last, delivered or not, the newest last.
    """

    identity: str
    version: str
    delivered: tuple[int, int]
    newest: tuple[int, int]
    accepted: bool
    heartbeat_interval_s: int
    fingerprints: list[bytes]


@dataclass(frozen=True, slots=True)
class OutboxOpened:
    """The edge's outbox is there. `fault` says what happened to an earlier one; without an `incarnation` nothing can be stored."""

    incarnation: bytes
    stations: list[StationRecord]
    fault: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """The message of this ticket is durable."""

    ticket: int
    position: int


@dataclass(frozen=True, slots=True)
class NotStored:
    """The message of this ticket is not in the outbox, and never will be."""

    ticket: int
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read from the outbox, in order of position; empty if nothing follows."""

    identity: str
    lane: Lane
    messages: list[StoredMessage]


@dataclass(frozen=True, slots=True)
class PositionsLoaded:
    """Up to where a station's stored messages have been answered: by incarnation, positions of the express and the ordered lane."""

    identity: str
    positions: dict[bytes, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class PositionSaved:
    """That position is durable."""

    identity: str
    incarnation: bytes
    lane: Lane
    position: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A stored message that the CSMS refused for good. `at_s` in Unix seconds, 0 until the store has set it."""

    identity: str
    message_id: str
    version: str
    body: str
    error_code: str
    error_description: str
    attempts: int
    at_s: float
