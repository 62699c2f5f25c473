"""The account of bytes of one SIM. Skeleton: the interface is as it will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

from ocppress_gateway.core.events import Note
from ocppress_gateway.core.wire_count import WireCount

__all__ = [
    "FrameShare",
    "InterfaceCounted",
    "Ledger",
    "LedgerEvent",
    "LedgerSettings",
    "LinkCounted",
    "LinkDialled",
    "LinkEnded",
    "LinkMessageCounted",
    "MonthView",
    "Way",
]


class Way(StrEnum):
    """Direction of bytes, seen from the SIM."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LinkDialled:
    """A connection is about to be made (with `OpenLink`). `looks_up` says whether its host is a name that DNS has to find."""

    link: int
    looks_up: bool


@dataclass(frozen=True, slots=True)
class LinkCounted:
    """A connection's counters now. The first reading, taken when the connection opens, is its handshake."""

    link: int
    count: WireCount


@dataclass(frozen=True, slots=True)
class LinkEnded:
    """A connection is gone or could not be made (with `LinkClosed`); its last `LinkCounted`, if any, came before."""

    link: int


@dataclass(frozen=True, slots=True)
class FrameShare:
    """A frame or piece within a link message. `actions`: text characters of the frame's messages by action; an answer's action is that of
    its CALL, "" if unknown. The payload is shared out in proportion."""

    identity: str
    payload_bytes: int
    actions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LinkMessageCounted:
    """A link message given to the transport (`UP`), or come from it (`DOWN`). What isn't a frame's payload is framing."""

    link: int
    way: Way
    message_bytes: int
    frames: tuple[FrameShare, ...] = ()


@dataclass(frozen=True, slots=True)
class InterfaceCounted:
    """The SIM's interface. `life` names the counters' incarnation (boot and interface index): another one began from zero."""

    life: str
    received_bytes: int
    sent_bytes: int


LedgerEvent = LinkDialled | LinkCounted | LinkEnded | LinkMessageCounted | InterfaceCounted


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What the ledger is told of the SIM."""

    budget_bytes: int
    zone: tzinfo
    first_day: int = 1
    rounding_bytes: int = 0


@dataclass(frozen=True, slots=True)
class MonthView:
    """A billing month so far, in bytes of both directions (more fields to come)."""

    budget_bytes: int
    ours_bytes: int
    others_bytes: int
    total_bytes: int
    percent: float
    projection_bytes: int | None
    reserve_bytes: int


class Ledger:
    """The account of one SIM. No I/O, no clock: `now` is monotonic seconds, `wall` an aware datetime, right or wrong."""

    def __init__(self, settings: LedgerSettings) -> None:
        raise NotImplementedError

    def step(self, event: LedgerEvent, now: float, wall: datetime) -> None:
        """Take one event."""
        raise NotImplementedError

    def tick(self, now: float, wall: datetime) -> list[Note]:
        """Once a minute or so: book what waits, and say what there is to say (alarms at 50, 80, 100 %)."""
        raise NotImplementedError

    def take_spent(self) -> int:
        """Bytes of the SIM since the last call, for `Plan.spent`."""
        raise NotImplementedError

    def month(self, wall: datetime) -> MonthView:
        """The billing month of `wall`."""
        raise NotImplementedError

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, for `LedgerStore.save`; None deletes a key."""
        raise NotImplementedError

    def restore(self, saved: Mapping[str, bytes]) -> None:
        """Begin where a former process left off, before any event. Raises `ValueError` if `saved` isn't of this format."""
        raise NotImplementedError
