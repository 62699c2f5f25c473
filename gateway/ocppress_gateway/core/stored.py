"""What the durable stores keep, and what they report to the machines: the outbox at the edge, the positions at the cloud.

A store carries out what it is asked in a thread of its own; whatever it reports comes later, as one of these events. The interfaces that take
the calls are `outbox.base` and `positions.base`; nothing here knows of them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ocppress_gateway.core.saved_contexts import SavedContext

__all__ = [
    "INCARNATION_BYTES",
    "POSITION_MAX",
    "Buried",
    "Claim",
    "DeadLetter",
    "EdgeClaimed",
    "EdgeNotClaimed",
    "EdgeTaken",
    "Lane",
    "Loaded",
    "NotBuried",
    "NotStored",
    "OutboxEvent",
    "OutboxOpened",
    "OutboxTrouble",
    "PositionNotSaved",
    "PositionSaved",
    "PositionsEvent",
    "PositionsLoaded",
    "PositionsOpened",
    "PositionsTrouble",
    "StationRecord",
    "Stored",
    "StoredMessage",
    "as_pair",
]

POSITION_MAX: Final = 2**40 - 1
"""The largest position: at a thousand messages a second an outbox gets there in 35 years. What the far end claims beyond it isn't true."""


INCARNATION_BYTES: Final = 8
"""Random, made with the outbox: two outboxes of one edge are never taken for each other."""


class Lane(enum.IntEnum):
    """The two lanes of a station (rule R4); as an index into a pair, too."""

    EXPRESS = 0
    ORDERED = 1


def as_pair(positions: Mapping[Lane, int]) -> tuple[int, int]:
    """Indexed by `Lane`."""
    return positions[Lane.EXPRESS], positions[Lane.ORDERED]


# --- the edge's outbox


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A CALL that the edge owns. `body` is that of `ocppress_codecs.rpc.Message`: the exact text `"MeterValues",{…}`."""

    identity: str
    lane: Lane
    position: int
    """From 1, without gaps, per incarnation, identity and lane; given by the outbox with `Stored`, 0 before that."""
    version: str
    """A value of `OcppVersion`."""
    body: str = field(repr=False)
    urgent: bool
    fingerprint: bytes
    """16 bytes of `core.repeats` for a transaction message, else b""."""
    stored_at_s: float
    """Unix seconds, for people only: the outbox counts a message's age by a clock that nobody can set."""


@dataclass(frozen=True, slots=True)
class StationRecord:
    """What the outbox knows of a station; pairs are indexed by `Lane`."""

    identity: str
    version: str
    """The OCPP version of its newest stored message, "" if it has never stored one."""
    delivered: tuple[int, int]
    """Up to which position all was forgotten, and thus answered by the CSMS."""
    newest: tuple[int, int]
    """The newest position given out; what lies between the two is still to be delivered."""
    accepted: bool
    """What was remembered last: whether its BootNotification was accepted (rule R2)."""
    heartbeat_interval_s: int
    fingerprints: tuple[bytes, ...]
    """Of its last `FINGERPRINTS_MAX` stored transaction messages, delivered or not, newest last."""


@dataclass(frozen=True, slots=True)
class OutboxOpened:
    """The outbox is open; comes once, before everything but `OutboxTrouble` and `NotStored`.

    `fault` says what has happened if the outbox was found damaged, None if it wasn't: its file was set aside, and what could still be read was
    taken over into a new incarnation, with new positions. Damage that is found later ends the program; the next one finds it so.
    """

    incarnation: bytes
    """8 random bytes, made with the outbox's file."""
    stations: tuple[StationRecord, ...]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxTrouble:
    """The outbox is slow, failing, full, or has messages that are too old (`reason`, for people), or works again (None).

    Until then whoever answers stations early had better not: what is offered meanwhile is refused, and only what was under way may still be
    stored. Messages can be loaded and forgotten as ever, as far as the disk allows.
    """

    reason: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A message is on disk: from now on it is the edge's. Reported in the order of the calls, together with `NotStored`."""

    ticket: int
    position: int


@dataclass(frozen=True, slots=True)
class NotStored:
    """A message is not stored, and still the station's.

    After a write that failed and the process's death right after it, the next one may find the message in the outbox nevertheless.
    """

    ticket: int
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Messages in order of position, without a gap; none if there is none after the position asked for."""

    identity: str
    lane: Lane
    messages: tuple[StoredMessage, ...]


OutboxEvent = OutboxOpened | OutboxTrouble | Stored | NotStored | Loaded


# --- the cloud's positions


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A transaction message that the CSMS has refused for good (rule R6)."""

    identity: str
    message_id: str
    """The id under which the CSMS got it."""
    version: str
    body: str = field(repr=False)
    error_code: str
    error_description: str
    attempts: int
    at_s: float
    """When it was given up, in Unix seconds; for people only."""
    key: int = 0
    """The store's own number for it, 0 before it is there."""


@dataclass(frozen=True, slots=True)
class PositionsOpened:
    """The positions' store is open; comes once, before everything but `PositionsTrouble`, `PositionNotSaved` and `NotBuried`.

    `fault` says what was set aside if the store was found damaged: its positions are forgotten, and what edges still have comes again. None if
    it wasn't. Damage that is found later ends the program; the next one finds it so.
    """

    fault: str | None = None


@dataclass(frozen=True, slots=True)
class PositionsTrouble:
    """The positions' store is slow or failing (`reason`, for people), or works again (None). What was asked of it is tried again till then."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class PositionsLoaded:
    """What was saved last for an identity: per incarnation, of which the store keeps the last few, the two lanes' positions by `Lane`."""

    identity: str
    positions: Mapping[bytes, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class PositionSaved:
    """A position is on disk. Reported once for each call, in their order per identity."""

    identity: str
    incarnation: bytes
    lane: Lane
    position: int


@dataclass(frozen=True, slots=True)
class PositionNotSaved:
    """A position isn't on disk yet; the store tries again by itself, and `PositionSaved` comes in the end. Reported once for each call."""

    identity: str
    incarnation: bytes
    lane: Lane
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter is on disk, under `key`."""

    identity: str
    message_id: str
    key: int


@dataclass(frozen=True, slots=True)
class NotBuried:
    """A dead letter found no room, or the disk fails: hold its lane, and try again later."""

    identity: str
    message_id: str
    reason: str


# --- a store that several clouds share


@dataclass(frozen=True, slots=True)
class Claim:
    """That this cloud speaks for an edge, since the edge's newest connection is here.

    `number` tells a cloud's claims to an edge apart: its link's. Whoever has claimed an edge last may save positions for its stations, nobody else.
    """

    edge: str
    number: int


@dataclass(frozen=True, slots=True)
class EdgeClaimed:
    """From now on other clouds save no position for this edge's stations.

    `others`: what this cloud remembers of the edge is of no use, for another has had it since, or the store has forgotten who had. `contexts` are those of a
    cloud that has stopped in an orderly way; nobody is given them a second time.
    """

    claim: Claim
    others: bool
    contexts: tuple[SavedContext, ...] = ()


@dataclass(frozen=True, slots=True)
class EdgeNotClaimed:
    """The claim failed, for another cloud has a connection of the edge's name with another key (`rival`), or because the store does."""

    claim: Claim
    rival: bool
    reason: str


@dataclass(frozen=True, slots=True)
class EdgeTaken:
    """Another cloud has claimed the edge since: positions saved by this claim are refused, and one that was asked for may have been."""

    claim: Claim


PositionsEvent = (
    PositionsOpened
    | PositionsTrouble
    | PositionsLoaded
    | PositionSaved
    | PositionNotSaved
    | Buried
    | NotBuried
    | EdgeClaimed
    | EdgeNotClaimed
    | EdgeTaken
)
