"""The link's connections, from their counters and from what the machine tells, to bytes by layer.

    what the kernel counted since the last reading                what the machine told
    ┌────────────────┬───────────┬───────────┬──────────────┐     ┌─────────┬──────────────┐
    │ segments again │ no more   │ other     │ TCP payload  │  ◄──│ payload │ link headers │
    │ (header, data) │ than ACKs │ headers   │              │     │         │ WS header    │
    └────────────────┴───────────┴───────────┴──────────────┘     └─────────┴──────────────┘
     retransmission    keepalive   TCP/IP      payload, framing; what remains: TLS

The layers of a reading are those bytes and no others, so they always add up to what was counted. What is told before it is counted waits;
what was counted before it is told (a reading between the kernel's receiving and the machine's) is TLS at first, and made up for by the
next readings' TLS.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ocppress_gateway.core.ledger_day import REST, DayAccount, Layer, shared_out
from ocppress_gateway.core.ledger_events import LinkCounted, LinkDialled, LinkEnded, LinkMessageCounted, Way
from ocppress_gateway.core.wire_count import WireCount

__all__ = ["LinkAccounts", "websocket_header_bytes"]

SYN_OPTIONS_BYTES: Final = {Way.UP: 20, Way.DOWN: 12}
"""Options of SYN (Linux offers timestamps) and of a SYN-ACK that declines them: in no counter, as `header_bytes` is of other segments.
With timestamps every header has 12 of them, so 8 remain both ways."""

SYN_OPTIONS_BESIDES_TIMESTAMPS_BYTES: Final = 8

SYN_BYTES: Final = 60
"""IPv4 and TCP header with those options: a connection that isn't made leaves no counters, only these."""

SYN_RETRIES_MAX: Final = 6
"""Linux's tcp_syn_retries: SYNs go after 0, 1, 3, 7, 15, 31, 63 s."""

FIN_SEGMENTS: Final = 2
"""Each way, a FIN and an ACK, after the last reading. A link that broke rather ended repeats its FIN a few times unheard; as many are
counted."""

DNS_BYTES: Final = {Way.UP: 132, Way.DOWN: 176}
"""Queries for A and AAAA of a name of 20 characters (IPv4 20, UDP 8, DNS 12, question 26), and answers with an address each (16 and 28
more). An upper end: a caching resolver spares it."""

REFUSED_BYTES: Final = {Way.UP: 1500, Way.DOWN: 1500}
"""A connection that ended in the handshake of TLS or HTTP: its counters are gone. A whole handshake with both certificates was measured as
2,873 bytes both ways."""

LINKS_MAX: Final = 16
"""Connections that haven't been said to have ended; an edge has one at a time."""

TOLD_MAX: Final = 1024
"""Pairs of station and action between two readings, and where the kernel counts nothing ever; 16 actions of each station."""

_TIMESTAMPS_HEADERS: Final = frozenset({52, 72})
_MASK_BYTES: Final = 4
"""RFC 6455 5.1: what a client sends is masked."""


def websocket_header_bytes(message_bytes: int, way: Way) -> int:
    """RFC 6455 5.2, one unfragmented frame."""
    length_bytes = 0 if message_bytes <= 125 else 2 if message_bytes <= 0xFFFF else 8
    return 2 + length_bytes + (_MASK_BYTES if way is Way.UP else 0)


@dataclass(slots=True)
class _Told:
    """Bytes one way that the machine told of and that no reading has shown yet."""

    payload: dict[tuple[str, str], int] = field(default_factory=dict)
    """By identity and action."""
    framing: int = 0

    def add(self, identity: str, action: str, count: int) -> None:
        """Payload of one station's messages of one action."""
        key = (identity, action)
        if key not in self.payload and len(self.payload) >= TOLD_MAX:
            key = (REST, REST)
        self.payload[key] = self.payload.get(key, 0) + count

    def move(self, room: int, way: Way, book: DayAccount) -> int:
        """Book as much of it as was counted; returns the rest of `room`."""
        for (identity, action), waiting in list(self.payload.items()):
            if room == 0:
                return 0
            moved = min(waiting, room)
            book.add_payload(way, identity, action, moved)
            room -= moved
            if moved == waiting:
                del self.payload[identity, action]
            else:
                self.payload[identity, action] -= moved
        moved = min(self.framing, room)
        book.add_counted(way, Layer.FRAMING, moved)
        self.framing -= moved
        return room - moved


@dataclass(slots=True)
class _Link:
    dialled_at: float | None = None
    last: WireCount | None = None
    told: dict[Way, _Told] = field(default_factory=lambda: {way: _Told() for way in Way})


@dataclass(frozen=True, slots=True)
class _Growth:
    """What one way has grown by since the last reading."""

    segments: int
    data_segments: int
    stream_bytes: int
    segments_again: int
    bytes_again: int


class LinkAccounts:
    """All connections that haven't ended. `header_bytes` says what the transport puts before a link message."""

    def __init__(self, header_bytes: Callable[[int, Way], int] = websocket_header_bytes) -> None:
        self._header_bytes = header_bytes
        self._links: OrderedDict[int, _Link] = OrderedDict()
        self._ended = -1

    def dialled(self, event: LinkDialled, now: float, book: DayAccount) -> None:
        """A connection is about to be made."""
        link = self._link(event.link)
        if link is None:
            return
        link.dialled_at = now
        if event.looks_up:
            _estimate(DNS_BYTES, book)

    def message(self, event: LinkMessageCounted) -> None:
        """A link message; booked when the kernel has counted it."""
        link = self._link(event.link)
        if link is None:
            return
        told = link.told[event.way]
        framing = event.message_bytes + self._header_bytes(event.message_bytes, event.way)
        for share in event.frames:
            framing -= share.payload_bytes
            for action, count in shared_out(share.payload_bytes, share.actions).items():
                told.add(share.identity, action, count)
        assert framing >= 0, "frames are part of their link message"
        told.framing += framing

    def counted(self, event: LinkCounted, book: DayAccount) -> None:
        """A reading; what has grown since the last one is booked."""
        link = self._link(event.link)
        if link is None:
            return
        header_bytes = event.count.header_bytes
        up, down = _growth(link.last, event.count)
        if link.last is None:
            timestamps = header_bytes in _TIMESTAMPS_HEADERS
            _estimate(dict.fromkeys(Way, SYN_OPTIONS_BESIDES_TIMESTAMPS_BYTES) if timestamps else SYN_OPTIONS_BYTES, book)
        for way, grown, other in ((Way.UP, up, down), (Way.DOWN, down, up)):
            rest = link.told[way].move(grown.stream_bytes - grown.bytes_again, way, book)
            if link.last is None:
                book.add_counted(way, Layer.HANDSHAKE, rest + grown.bytes_again + grown.segments * header_bytes)
                continue
            first_segments = grown.segments - grown.segments_again
            idle_segments = max(0, min(first_segments, grown.segments - grown.data_segments - other.data_segments))
            book.add_counted(way, Layer.TLS, rest)
            book.add_counted(way, Layer.RETRANSMISSION, grown.bytes_again + grown.segments_again * header_bytes)
            book.add_counted(way, Layer.KEEPALIVE, idle_segments * header_bytes)
            book.add_counted(way, Layer.TCP_IP, (first_segments - idle_segments) * header_bytes)
        link.last = event.count

    def ended(self, event: LinkEnded, now: float, book: DayAccount) -> None:
        """A connection is gone, or wasn't made."""
        link = self._links.pop(event.link, None)
        self._ended = max(self._ended, event.link)
        if link is None:
            return
        if link.last is not None:
            _estimate(dict.fromkeys(Way, FIN_SEGMENTS * link.last.header_bytes), book)
        elif event.refused:
            _estimate(REFUSED_BYTES, book)
        elif link.dialled_at is not None:
            retries = min(SYN_RETRIES_MAX, int(math.log2(max(0.0, now - link.dialled_at) + 1)))
            book.add_estimated(Way.UP, (1 + retries) * SYN_BYTES)

    def _link(self, number: int) -> _Link | None:
        """The connection of this number, a new one if need be; None for one that has ended: it was counted to its end."""
        if number <= self._ended:
            return None
        if number not in self._links:
            self._links[number] = _Link()
            if len(self._links) > LINKS_MAX:
                # Whatever is counted of it from now on would be counted from its begin.
                self._ended, _ = self._links.popitem(last=False)
        return self._links[number]


def _growth(last: WireCount | None, count: WireCount) -> tuple[_Growth, _Growth]:
    """Of the way up and the way down."""

    def grown(name: str) -> int:
        before = 0 if last is None else getattr(last, name)
        return max(0, int(getattr(count, name)) - before)

    segments_up, stream_up = grown("sent_segments"), grown("sent_bytes")
    up = _Growth(
        segments_up,
        grown("sent_data_segments"),
        stream_up,
        min(segments_up, grown("retransmitted_segments")),
        min(stream_up, grown("retransmitted_bytes")),
    )
    return up, _Growth(grown("received_segments"), grown("received_data_segments"), grown("received_bytes"), 0, 0)


def _estimate(both_ways: dict[Way, int], book: DayAccount) -> None:
    for way, count in both_ways.items():
        book.add_estimated(way, count)
