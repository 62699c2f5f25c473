"""What a kernel would count of a simulated link connection: the wire's cost model, read as TCP_INFO."""

from __future__ import annotations

from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.wire import (
    MQTT_PING_STREAM_BYTES,
    ByteCount,
    Conditions,
    Handshake,
    LinkTransport,
    Wire,
    WireMessage,
    handshake_bytes,
)
from ocppress_gateway.workloads.traces import Direction

__all__ = ["SimulatedCount"]

_DIRECTIONS = {Way.UP: Direction.UP, Way.DOWN: Direction.DOWN}


class SimulatedCount:
    """One connection at the edge, from its handshake on. Times are seconds of one clock and only grow."""

    def __init__(self, conditions: Conditions, handshake: Handshake, *, at_s: float, round_trip_s: float = 0.0) -> None:
        self._conditions = conditions
        self._wire = Wire(conditions, round_trip_s=round_trip_s)
        self.cost = ByteCount(handshake=handshake_bytes(handshake, conditions))
        """What has passed by layer, SYN options included; of the messages all that isn't known to be payload is framing."""
        down = handshake.segments // 2
        down_bytes = handshake.tcp_payload_bytes // 2
        # SYN and SYN-ACK are among the segments; their options are in no counter.
        self._segments = {Way.UP: 1 + handshake.segments - down, Way.DOWN: 1 + down}
        self._stream_bytes = {Way.UP: handshake.tcp_payload_bytes - down_bytes, Way.DOWN: down_bytes}
        self._data_segments = dict.fromkeys(Way, 0)
        self._segments_again = 0
        self._bytes_again = 0
        self._active_s = at_s
        self._pings = conditions.transport is LinkTransport.MQTT
        self._said_s = at_s
        """When the edge has sent something, over MQTT."""
        self._pinged = False
        """Whether nothing has passed since the last ping."""

    def message(self, way: Way, message_bytes: int, *, at_s: float, lost: bool = False) -> None:
        """A link message leaves or arrives. `lost`: nobody hears it; the kernel sends it again, once at the least."""
        self._probe(at_s)
        self._active_s = at_s
        self._said_s = at_s if way is Way.UP else self._said_s
        self._pinged = False
        sent = self._wire.take(WireMessage(at_s, _DIRECTIONS[way], message_bytes))
        times = 2 if lost else 1
        self._segments[way] += times * sent.data_segments - sent.acks_spared
        self._data_segments[way] += times * sent.data_segments
        self._stream_bytes[way] += times * sent.stream_bytes
        segments = times * sent.data_segments - sent.acks_spared + (0 if lost else sent.acks)
        self.cost += ByteCount(
            framing=times * (sent.message_bytes + sent.ws_bytes),
            tls=times * sent.tls_bytes,
            tcp_ip=segments * self._conditions.segment_bytes,
        )
        if lost:
            self._segments_again += sent.data_segments
            self._bytes_again += sent.stream_bytes
        else:
            self._segments[Way.DOWN if way is Way.UP else Way.UP] += sent.acks

    def _ping(self, now: float) -> None:
        """MQTT's pings until now: one once the edge has said nothing for the Keep Alive, behind which TCP has nothing left to probe. The broker's
        kernel acknowledges by itself the first one after other traffic; the next are answered in time."""
        while (at_s := self._said_s + self._conditions.keepalive_s) <= now:
            self._said_s = at_s
            acks = 0 if self._pinged else 1
            self._pinged = True
            self.cost += ByteCount(keepalive=self._conditions.mqtt_ping_bytes + acks * self._conditions.segment_bytes)
            self._segments[Way.UP] += 2
            self._segments[Way.DOWN] += 1 + acks
            for way in Way:
                self._stream_bytes[way] += MQTT_PING_STREAM_BYTES

    def _probe(self, now: float) -> None:
        """TCP keepalive probes, and their answers, of the idle time until now; over MQTT its own pings."""
        if self._pings:
            self._ping(now)
            return
        probes = int((now - self._active_s) // self._conditions.keepalive_s)
        self._active_s += probes * self._conditions.keepalive_s
        self.cost += ByteCount(keepalive=probes * self._conditions.probe_bytes)
        for way in Way:
            self._segments[way] += probes

    def payload(self, payload_bytes: int) -> None:
        """So much of what has passed were frames of the codec."""
        self.cost += ByteCount(payload=payload_bytes, framing=-payload_bytes)

    def passed_bytes(self, way: Way, now: float) -> int:
        """IP bytes that have passed the SIM this way, but for SYN options."""
        self._probe(now)
        return self._segments[way] * self._conditions.segment_bytes + self._stream_bytes[way]

    def count(self, now: float) -> WireCount:
        """The kernel's counters."""
        self._probe(now)
        return WireCount(
            sent_segments=self._segments[Way.UP],
            received_segments=self._segments[Way.DOWN],
            sent_data_segments=self._data_segments[Way.UP],
            received_data_segments=self._data_segments[Way.DOWN],
            sent_bytes=self._stream_bytes[Way.UP],
            received_bytes=self._stream_bytes[Way.DOWN],
            retransmitted_segments=self._segments_again,
            retransmitted_bytes=self._bytes_again,
            header_bytes=self._conditions.segment_bytes,
        )
