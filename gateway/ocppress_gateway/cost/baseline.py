"""The same station without us: OCPP-J over TLS 1.3 and WebSocket, plain and with permessage-deflate, over a month of reconnects.

Deflate is at its best (see `deflate`), and begins anew with each connection, as RFC 7692 has it. The habits:

    handshakes   the first one as common libraries make it; each further one resumed, and as small as the link's own
    heartbeats   those of the records: they cross the SIM
    pings        when nothing has passed for the keepalive interval, the link's own; or each `ping_s`, as most libraries do, whatever passes
    the end      of a broken connection costs what it costs the link
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ocppress_gateway.cost.deflate import DeflateStream
from ocppress_gateway.cost.month import month_of, reconnect_times
from ocppress_gateway.cost.wire import (
    PLAIN_HANDSHAKE,
    RESUMED_HANDSHAKE,
    TLS_RECORD_BYTES,
    ByteCount,
    Conditions,
    Handshake,
    LinkTransport,
    Wire,
    WireMessage,
    handshake_bytes,
    websocket_header_bytes,
)
from ocppress_gateway.workloads.traces import Direction, TraceRecord

__all__ = ["HABITS", "Baseline", "BaselineCount", "baseline_conditions", "baseline_months"]

USUAL_PING_S: Final = 60.0

FIN_SEGMENTS: Final = 4


class Baseline(enum.StrEnum):
    """What the link is compared with."""

    PLAIN = "plain"
    DEFLATE = "permessage-deflate"
    DEFLATE_PING60 = "permessage-deflate-ping60"


HABITS: Final = {
    Baseline.PLAIN: "no compression; a ping when idle for the keepalive interval; Heartbeats as recorded",
    Baseline.DEFLATE: (
        "level 9, window 2^15, memory level 9, context takeover both ways; a ping when idle for the keepalive interval; Heartbeats as recorded"
    ),
    Baseline.DEFLATE_PING60: "the same, and a ping every 60 s",
}
"""In words, for reports. All reconnect as often as the link, with a resumed TLS handshake as small as its own, and deflate begins anew then."""


def baseline_conditions(conditions: Conditions) -> Conditions:
    """A station's own connection under the link's conditions."""
    return replace(conditions, transport=LinkTransport.WEBSOCKET, first=PLAIN_HANDSHAKE, reconnect=RESUMED_HANDSHAKE)


class BaselineCount:
    """One baseline, record by record, in order of time. Times are seconds on one clock."""

    def __init__(
        self,
        baseline: Baseline,
        conditions: Conditions,
        breaks_s: Iterable[float] = (),
        *,
        begin_s: float = 0.0,
        handshake: Handshake | None = None,
    ) -> None:
        """The first connection is made at `begin_s`, with this handshake, by default the first one of `conditions`; it breaks at `breaks_s`."""
        self.conditions = baseline_conditions(conditions)
        self._deflates = baseline is not Baseline.PLAIN
        self._ping_s = USUAL_PING_S if baseline is Baseline.DEFLATE_PING60 else self.conditions.keepalive_s
        self._pings_always = baseline is Baseline.DEFLATE_PING60
        self._breaks_s: Iterator[float] = iter([*breaks_s, float("inf")])
        self._break_s = next(self._breaks_s)
        self._heard_s = begin_s
        self.cost = ByteCount()
        segment_bytes = self.conditions.segment_bytes
        headers = websocket_header_bytes(0, Direction.UP) + websocket_header_bytes(0, Direction.DOWN)
        # The pong carries the ping's acknowledgement where it comes in time; and its own goes alone.
        self._ping_bytes = 3 * segment_bytes + headers + 2 * TLS_RECORD_BYTES
        self._connect(handshake or self.conditions.first)

    def add(self, direction: Direction, text: str, at_s: float) -> None:
        """The next message."""
        self.advance(at_s)
        size = len(self._streams[direction].compress(text)) if self._deflates else len(text.encode())
        sent = self._wire.send(WireMessage(at_s, direction, size))
        self._payload += sent.payload
        self._framing += sent.framing
        self._tls += sent.tls
        self._tcp_ip += sent.tcp_ip
        if not self._pings_always:
            self._heard_s = at_s

    def advance(self, to_s: float) -> None:
        """Pings and reconnects until then."""
        while min(self._break_s, self._heard_s + self._ping_s) <= to_s:
            if self._break_s <= self._heard_s + self._ping_s:
                at_s, self._break_s = self._break_s, next(self._breaks_s)
                self._reconnect(at_s)
            else:
                self._heard_s += self._ping_s
                self.cost += ByteCount(keepalive=self._ping_bytes)

    def break_off(self, at_s: float) -> None:
        """The connection breaks, and another takes its place."""
        self.advance(at_s)
        self._reconnect(at_s)

    def close(self, at_s: float) -> ByteCount:
        """The connection ends, and no other comes; returns what has passed."""
        self.advance(at_s)
        self._end()
        return self.cost

    def total(self, to_s: float) -> ByteCount:
        """What has passed until then, by layer."""
        self.advance(to_s)
        self._flush()
        return self.cost

    def _reconnect(self, at_s: float) -> None:
        self._end()
        self._heard_s = at_s
        self._connect(self.conditions.reconnect)

    def _connect(self, handshake: Handshake) -> None:
        self.cost += ByteCount(handshake=handshake_bytes(handshake, self.conditions))
        self._wire = Wire(self.conditions)
        self._streams = {direction: DeflateStream() for direction in Direction} if self._deflates else {}
        self._payload = self._framing = self._tls = self._tcp_ip = 0.0

    def _end(self) -> None:
        self._flush()
        self.cost += ByteCount(handshake=FIN_SEGMENTS * self.conditions.segment_bytes)

    def _flush(self) -> None:
        self.cost += ByteCount(self._payload, self._framing, self._tls, self._tcp_ip)
        self._payload = self._framing = self._tls = self._tcp_ip = 0.0


def baseline_months(records: Iterable[TraceRecord], conditions: Conditions, span_s: float) -> dict[Baseline, ByteCount]:
    """What a month of these records costs without the link, in proportion where they are about `span_s` seconds."""
    breaks_s = reconnect_times(conditions, span_s)
    counts = {baseline: BaselineCount(baseline, conditions, breaks_s) for baseline in Baseline}
    begin_s: float | None = None
    at_s = 0.0
    for record in records:
        if record.ts is not None:
            begin_s = record.ts if begin_s is None else begin_s
            at_s = max(at_s, record.ts - begin_s)
        if at_s > span_s:
            break
        for count in counts.values():
            count.add(record.direction, record.text, at_s)
    own = baseline_conditions(conditions)
    first, again = (ByteCount(handshake=handshake_bytes(handshake, own)) for handshake in (own.first, own.reconnect))
    return {
        baseline: month_of(count.total(span_s), span_s, len(breaks_s), own, first=first, again=again) for baseline, count in counts.items()
    }
