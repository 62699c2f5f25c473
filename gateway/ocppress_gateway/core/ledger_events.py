"""What the ledger is told: connections, link messages, the SIM's interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ocppress_gateway.core.wire_count import WireCount

__all__ = [
    "ComparisonCounted",
    "FrameShare",
    "InterfaceCounted",
    "LedgerEvent",
    "LinkCounted",
    "LinkDialled",
    "LinkEnded",
    "LinkMessageCounted",
    "TransferBegan",
    "TransferEnded",
    "Way",
]


class Way(StrEnum):
    """Direction of bytes, seen from the SIM."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LinkDialled:
    """A connection is about to be made. Numbers only grow. `looks_up`: its host is a name that DNS has to find."""

    link: int
    looks_up: bool


@dataclass(frozen=True, slots=True)
class LinkCounted:
    """A connection's counters so far. The first reading, due when the connection opens and before anything is sent, is its handshake."""

    link: int
    count: WireCount


@dataclass(frozen=True, slots=True)
class LinkEnded:
    """A connection is gone, or could not be made; its last `LinkCounted`, if it had any, came before.

    `refused`: the far end was reached, and TLS or HTTP refused the connection.
    """

    link: int
    refused: bool = False


@dataclass(frozen=True, slots=True)
class FrameShare:
    """A frame, or a piece of one, within a link message.

    `actions`: text characters of the frame's messages by action; an answer counts under its CALL's action, "" if that isn't known. The
    payload is shared out over them in proportion: what each cost the codec by itself can't be told.
    """

    identity: str
    payload_bytes: int
    actions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkMessageCounted:
    """A link message goes to the transport (`UP`) or came from it (`DOWN`). What is no frame's payload is the link's framing."""

    link: int
    way: Way
    message_bytes: int
    frames: tuple[FrameShare, ...] = ()


@dataclass(frozen=True, slots=True)
class InterfaceCounted:
    """Counters of the SIM's network interface.

    `life` names their incarnation (boot and interface index): those of another life began at zero. On an interface of Ethernet's kind
    drivers count up to 14 bytes a packet that no carrier bills; they are left in, for how many a driver adds isn't known, and so go to
    *others*.
    """

    life: str
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class ComparisonCounted:
    """IP bytes, both directions, that the stations' own connections would have caused without the gateway since it was told last."""

    plain_bytes: int
    deflate_bytes: int
    """With permessage-deflate at its best."""


@dataclass(frozen=True, slots=True)
class TransferBegan:
    """A station transfers a file past the gateway from now on, or in so many seconds. `action`: of the CSMS, which asked for it, or of the station."""

    identity: str
    way: Way
    action: str
    in_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """A station says that its transfer is over; one that is still to come isn't meant."""

    identity: str
    way: Way


LedgerEvent = LinkDialled | LinkCounted | LinkEnded | InterfaceCounted | ComparisonCounted | TransferBegan | TransferEnded
"""What has its time; a `LinkMessageCounted` waits for the next reading."""
