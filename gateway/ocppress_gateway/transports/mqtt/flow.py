"""What stands before each link message on a broker, and what it is for: a broker delivers QoS 0 at most once, in any order, without waiting.

      0        1        2
    +--------+--------+----------------------
    | number |  seq   | link message              seq: 1, 2, … 255, 1, …
    +--------+--------+------+---------------
    | number |   0    | kind | …                  control, below
    +--------+--------+------+---------------

    OPEN    up         version 1, 8 random bytes      this number is a new connection
    CLOSED  both       a reason in UTF-8, or none     this connection is over, or unknown; the edge's will has no reason
    TAKEN   both       seq                            what came up to there has been received: there is room again

`number` is the connection's, one more each time and random at first, so that messages of an earlier connection are recognised, and ignored. In
a connection, each message has the next `seq`; any other means that one was lost, repeated or overtaken: the connection ends, and what
the session above hasn't had acknowledged goes again over the next. A lost message that nothing follows is found when something does.

A broker reads from its publishers whether or not the subscriber keeps up, and drops what gets too much. So not more than the window is under way, and
TAKEN opens it: about every hundredth message, or every 32 KiB.

Cost: 2 bytes a message, and about 1 more for the TAKEN. An OPEN is 12 bytes and travels with the subscription.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX

__all__ = [
    "HEADER_BYTES",
    "NONCE_BYTES",
    "NUMBERS",
    "PAYLOAD_BYTES_MAX",
    "WINDOW_BYTES",
    "WINDOW_MESSAGES",
    "Control",
    "Flow",
    "FlowError",
    "Kind",
    "closed",
    "opening",
    "parse",
]

HEADER_BYTES: Final = 2
PAYLOAD_BYTES_MAX: Final = HEADER_BYTES + LINK_MESSAGE_BYTES_MAX
NUMBERS: Final = 256
NONCE_BYTES: Final = 8
"""Tell a repeated OPEN from a new one of an edge that has begun again with the same number."""

WINDOW_BYTES: Final = 64 * 1024
"""Bytes under way in one direction of a connection: what a session keeps for one station, and four of the largest messages."""

WINDOW_MESSAGES: Final = 200
"""Messages under way: less than `seq` counts, so that no whole round can be lost unnoticed, and than the 1000 from which on mosquitto drops."""

_VERSION: Final = 1
_SEQUENCES: Final = 255
_REASON_BYTES_MAX: Final = 100


class Kind(IntEnum):
    """What a control message says."""

    OPEN = 1
    CLOSED = 2
    TAKEN = 3


@dataclass(frozen=True, slots=True)
class Control:
    """A control message of connection `number`; `body` is the nonce, the reason, or one byte of `seq`."""

    number: int
    kind: Kind
    body: bytes

    @property
    def reason(self) -> str:
        """What a CLOSED says, harmless to print."""
        text = self.body[:_REASON_BYTES_MAX].decode(errors="replace")
        return "".join(character if character.isprintable() else "?" for character in text)


class FlowError(Exception):
    """The far end or the broker broke the rules; the connection is over. Its text is one line for people."""


def opening(number: int, nonce: bytes) -> bytes:
    """An OPEN."""
    return bytes((number, 0, Kind.OPEN, _VERSION)) + nonce


def closed(number: int, reason: str = "") -> bytes:
    """A CLOSED."""
    return bytes((number, 0, Kind.CLOSED)) + reason.encode()[:_REASON_BYTES_MAX]


def parse(payload: bytes) -> Control | tuple[int, int, bytes]:
    """A control message, or number, seq and link message. Raises `FlowError`."""
    if not HEADER_BYTES < len(payload) <= PAYLOAD_BYTES_MAX:
        raise FlowError(f"a message of {len(payload)} bytes")
    number, sequence = payload[0], payload[1]
    if sequence:
        return number, sequence, payload[HEADER_BYTES:]
    body = payload[HEADER_BYTES + 1 :]
    match payload[HEADER_BYTES]:
        case Kind.OPEN:
            if body[:1] != bytes((_VERSION,)):
                raise FlowError("another version's OPEN")
            if len(body) != 1 + NONCE_BYTES:
                raise FlowError("an OPEN of a wrong length")
            return Control(number, Kind.OPEN, body[1:])
        case Kind.CLOSED:
            return Control(number, Kind.CLOSED, body)
        case Kind.TAKEN if len(body) == 1:
            return Control(number, Kind.TAKEN, body)
    raise FlowError("an unknown control message")


class Flow:
    """The numbers of one end of a connection. Pure: it neither sends nor waits."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._sent = 0
        self._under_way: deque[int] = deque()  # sizes, oldest first
        self._under_way_bytes = 0
        self._received = 0
        self._unread = self._unread_bytes = 0
        self._read = self._read_bytes = 0  # since the last TAKEN

    def has_room(self, size: int) -> bool:
        """Whether a message of this size may go now."""
        return len(self._under_way) < WINDOW_MESSAGES and self._under_way_bytes + size <= WINDOW_BYTES

    def data(self, message: bytes) -> bytes:
        """What carries the next message, for which there is room."""
        self._sent = self._sent % _SEQUENCES + 1
        self._under_way.append(len(message))
        self._under_way_bytes += len(message)
        return bytes((self.number, self._sent)) + message

    def taken(self, sequence: int) -> None:
        """The far end has received everything up to `sequence`. One that isn't under way is an old one, and says nothing new."""
        first = self._sent - len(self._under_way) + 1
        count = (sequence - first) % _SEQUENCES + 1
        if sequence >= 1 and count <= len(self._under_way):
            for _ in range(count):
                self._under_way_bytes -= self._under_way.popleft()

    def accept(self, sequence: int, size: int) -> None:
        """A message has arrived, and waits to be read. Raises `FlowError` for any but the next, and for more than the window."""
        if sequence != self._received % _SEQUENCES + 1:
            raise FlowError("a message was lost, repeated or overtaken at the broker")
        self._received = sequence
        self._unread += 1
        self._unread_bytes += size
        if self._unread > WINDOW_MESSAGES or self._unread_bytes > WINDOW_BYTES:
            raise FlowError("the far end sends more than it may")

    def read(self, size: int) -> bytes | None:
        """The oldest message that waited has been read; the TAKEN that is due now, if one is."""
        self._unread -= 1
        self._unread_bytes -= size
        self._read += 1
        self._read_bytes += size
        if self._read < WINDOW_MESSAGES // 2 and self._read_bytes < WINDOW_BYTES // 2:
            return None
        self._read = self._read_bytes = 0
        last = (self._received - self._unread - 1) % _SEQUENCES + 1
        return bytes((self.number, 0, Kind.TAKEN, last))
