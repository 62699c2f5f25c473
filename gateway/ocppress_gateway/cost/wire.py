"""What WebSocket messages cost in IP bytes, packet by packet: TLS 1.3 over TCP, both directions, headers and acknowledgements counted.

    one uplink message of 60 bytes, IPv4, no TCP timestamps                         168
    ┌───────┬────────┬──────────┬────┬─────────┬──────────┐   ┌───────┬────────┐
    │ IP 20 │ TCP 20 │ record 5 │ WS │ payload │ type 1   │   │ IP 20 │ TCP 20 │  the bare ACK, unless an answer
    │       │        │          │ 6  │ 60      │ + tag 16 │   │       │        │  carries it within 40 ms
    └───────┴────────┴──────────┴────┴─────────┴──────────┘   └───────┴────────┘

Over MQTT 5, QoS 0, the header is 10 bytes up (topic alias) and 23 down. The formulas give the bytes that were measured in an emulated network
of 70 ms round trip (Linux 6.18, OpenSSL 3.0, aiohttp, mosquitto); sizes of handshakes are measured. Not modelled: loss, DNS, a carrier's rounding.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

from ocppress_gateway.workloads.traces import Direction

__all__ = [
    "CLOSE_PACKETS",
    "FULL_HANDSHAKE",
    "MQTT_FULL_HANDSHAKE",
    "MQTT_PING_STREAM_BYTES",
    "MQTT_RESUMED_HANDSHAKE",
    "PLAIN_HANDSHAKE",
    "RESUMED_HANDSHAKE",
    "ByteCount",
    "Conditions",
    "Handshake",
    "LinkTransport",
    "Sending",
    "Wire",
    "WireMessage",
    "close_bytes",
    "handshake_bytes",
    "message_header_bytes",
    "messages_ip_bytes",
    "tls_bytes",
    "websocket_header_bytes",
]

DAY_S: Final = 86_400.0

TCP_HEADER_BYTES: Final = 20
"""RFC 9293 3.1, without options."""

TCP_TIMESTAMP_BYTES: Final = 12
"""RFC 7323 3.2: 10 and two of padding, in every segment once both ends agreed."""

SYN_OPTION_BYTES: Final = 12
"""MSS 4, SACK permitted 2, window scale 3, padding, as Linux sends them; 20 with timestamps."""

SYN_TIMESTAMP_BYTES: Final = 8

TLS_RECORD_BYTES: Final = 22
"""RFC 8446 5.2: header 5, inner content type 1, AEAD tag 16 (AES-GCM and ChaCha20-Poly1305 alike)."""

TLS_RECORD_PLAINTEXT_MAX: Final = 16_384
"""RFC 8446 5.1."""

WS_MASK_BYTES: Final = 4
"""RFC 6455 5.1: what a client sends is masked."""

MQTT_PING_STREAM_BYTES: Final = 2 + TLS_RECORD_BYTES
"""PINGREQ or PINGRESP (MQTT 5 3.12, 3.13) in a record."""

MTU_BYTES: Final = 1500

DELAYED_ACK_S: Final = 0.040
"""Linux's TCP_DELACK_MIN: an answer within it carries the acknowledgement, later the ACK leaves alone."""

SEGMENTS_PER_ACK: Final = 2
"""RFC 9293 3.8.6.3: at least every second full segment is acknowledged."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """TCP, TLS and the WebSocket upgrade until quiet: SYN and SYN-ACK, then `segments` with `tcp_payload_bytes` in all, both ways.

    Both are measured: `segments` from the difference that TCP timestamps make, the payload as what remains without headers.
    """

    segments: int
    tcp_payload_bytes: int


RESUMED_HANDSHAKE: Final = Handshake(9, 901)
"""The link as `bench.link` measured it: TLS 1.3 resumed by a stateful ticket, no padding, X25519, slim HTTP headers. 1365 B, the mean of seven,
in which a bare ACK comes or doesn't."""

FULL_HANDSHAKE: Final = Handshake(9, 1839)
"""The link with both certificates (P-256, leaf only). Measured likewise: 2303 B in 11 packets."""

MQTT_RESUMED_HANDSHAKE: Final = Handshake(10, 1808)
"""With CONNECT, SUBSCRIBE and our opening, at mosquitto, whose stateless ticket has the client's certificate in it. Measured likewise: 2312 B."""

MQTT_FULL_HANDSHAKE: Final = Handshake(11, 3154)
"""Measured likewise: 3698 B in 13 packets."""

PLAIN_HANDSHAKE: Final = Handshake(10, 2033)
"""A station's own connection to a CSMS: server's P-256 leaf, HTTP headers of common libraries. Measured: 2537 and 2672."""

CLOSE_PACKETS: Final = 8
"""A clean close: two WebSocket close frames, two TLS alerts, two FINs, two ACKs. Measured as 384 to 464 B, as packets merge or not."""

_WS_CLOSE_BYTES: Final = 2 + 2
"""RFC 6455 5.5.1: header and status code, unmasked."""

_TLS_ALERT_BYTES: Final = 2


class LinkTransport(enum.StrEnum):
    """What carries the link's messages."""

    WEBSOCKET = "websocket"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the network does, and what the link does about it."""

    ip_header_bytes: int = 20
    """20 for IPv4, 40 for IPv6."""

    tcp_timestamps: bool = False
    """Off at both ends as soon as the cloud's host has them off."""

    keepalive_s: float = 25 * 60.0
    """Idle time after which the edge probes: a little less than the carrier keeps an idle TCP mapping."""

    reconnects_a_day: float = 3.0

    reconnect: Handshake = RESUMED_HANDSHAKE
    """How the link comes back."""

    first: Handshake = FULL_HANDSHAKE
    """How it comes first."""

    transport: LinkTransport = LinkTransport.WEBSOCKET

    @property
    def segment_bytes(self) -> int:
        """IP and TCP header of a segment that is no SYN."""
        return self.ip_header_bytes + TCP_HEADER_BYTES + (TCP_TIMESTAMP_BYTES if self.tcp_timestamps else 0)

    @property
    def syn_bytes(self) -> int:
        """A SYN or SYN-ACK."""
        options = SYN_OPTION_BYTES + (SYN_TIMESTAMP_BYTES if self.tcp_timestamps else 0)
        return self.ip_header_bytes + TCP_HEADER_BYTES + options

    @property
    def mqtt_ping_bytes(self) -> int:
        """PINGREQ, PINGRESP that carries the acknowledgement, and its own."""
        return 3 * self.segment_bytes + 2 * MQTT_PING_STREAM_BYTES

    @property
    def probe_bytes(self) -> int:
        """A TCP keepalive probe and its ACK, both empty."""
        return 2 * self.segment_bytes


@dataclass(frozen=True, slots=True)
class ByteCount:
    """IP bytes of both directions, by layer."""

    payload: float = 0
    """What the application sends: for the link codec frames, for OCPP-J the text or its deflated form."""
    framing: float = 0
    """WebSocket headers and masks; for the link also link headers."""
    tls: float = 0
    tcp_ip: float = 0
    """Headers of data segments, and bare ACKs whole."""
    keepalive: float = 0
    handshake: float = 0

    @property
    def total(self) -> float:
        """All layers: what the SIM is billed."""
        return self.payload + self.framing + self.tls + self.tcp_ip + self.keepalive + self.handshake

    def __add__(self, other: ByteCount) -> ByteCount:
        return ByteCount(
            self.payload + other.payload,
            self.framing + other.framing,
            self.tls + other.tls,
            self.tcp_ip + other.tcp_ip,
            self.keepalive + other.keepalive,
            self.handshake + other.handshake,
        )

    def scaled(self, factor: float) -> ByteCount:
        """Each layer `factor` times."""
        return ByteCount(*(getattr(self, layer.name) * factor for layer in fields(self)))


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One WebSocket message, sent at `at_s` (seconds on any one clock); `header_bytes` is what a protocol of ours adds to the payload."""

    at_s: float
    direction: Direction
    payload_bytes: int
    header_bytes: int = 0


def websocket_header_bytes(message_bytes: int, direction: Direction) -> int:
    """RFC 6455 5.2, one unfragmented frame; what goes up is masked."""
    length_bytes = 0 if message_bytes <= 125 else 2 if message_bytes <= 0xFFFF else 8
    return 2 + length_bytes + (WS_MASK_BYTES if direction is Direction.UP else 0)


_MQTT_REST_BYTES: Final = {Direction.UP: 2 + 1 + 3 + 2, Direction.DOWN: 2 + 11 + 1 + 5 + 2}
"""Of a PUBLISH behind its fixed header: length of the topic, topic, length of the properties, and then up the alias, down the expiry (MQTT 5
3.3.2); and the two bytes of our own by which the ends tell one connection from another. The topic down is that of `site-1`."""

_MQTT_LENGTH_BITS: Final = 7
"""MQTT 5 1.5.5."""


def message_header_bytes(message_bytes: int, direction: Direction, transport: LinkTransport) -> int:
    """What the transport puts before a message."""
    if transport is LinkTransport.WEBSOCKET:
        return websocket_header_bytes(message_bytes, direction)
    rest_bytes = _MQTT_REST_BYTES[direction]
    return 1 + max(1, math.ceil((rest_bytes + message_bytes).bit_length() / _MQTT_LENGTH_BITS)) + rest_bytes


def tls_bytes(plaintext_bytes: int) -> int:
    """What TLS adds to one write."""
    return TLS_RECORD_BYTES * max(1, math.ceil(plaintext_bytes / TLS_RECORD_PLAINTEXT_MAX))


def handshake_bytes(handshake: Handshake, conditions: Conditions) -> int:
    """From SYN to the first message."""
    return 2 * conditions.syn_bytes + handshake.segments * conditions.segment_bytes + handshake.tcp_payload_bytes


def close_bytes(conditions: Conditions) -> int:
    """A clean close from either end."""
    records = 2 * (_WS_CLOSE_BYTES + TLS_RECORD_BYTES) + WS_MASK_BYTES + 2 * (_TLS_ALERT_BYTES + TLS_RECORD_BYTES)
    return CLOSE_PACKETS * conditions.segment_bytes + records


@dataclass(frozen=True, slots=True)
class Sending:
    """A message on its way: bytes of the stream by layer, segments with data, and bare ACKs."""

    message_bytes: int
    ws_bytes: int
    tls_bytes: int
    data_segments: int
    acks: int
    """The other way, unless an answer is going to spare one."""
    acks_spared: int
    """Its own way: the ACK of the message before, which was taken to go alone."""

    @property
    def stream_bytes(self) -> int:
        """TCP payload."""
        return self.message_bytes + self.ws_bytes + self.tls_bytes


class Wire:
    """One connection, message by message, each in a record of its own. No handshake, no keepalive."""

    def __init__(self, conditions: Conditions, *, round_trip_s: float = 0.0) -> None:
        """`round_trip_s`: the times are those at the edge, so that what comes down was sent half of it before, and what goes up arrives half
        of it later."""
        self._conditions = conditions
        self._round_trip_s = round_trip_s
        self._owed: dict[Direction, float] = {}
        """When the last message of a direction was sent whose acknowledgement may still ride on an answer."""
        self._interactive = dict.fromkeys(Direction, True)
        """Whether the last message of a direction had its answer in time. If not, Linux sends the next ACK at once (it has left pingpong
        mode)."""

    def take(self, message: WireMessage) -> Sending:
        """What the next message makes pass, its acknowledgement included; in order of time."""
        message_bytes = message.payload_bytes + message.header_bytes
        ws_bytes = message_header_bytes(message_bytes, message.direction, self._conditions.transport)
        record_bytes = tls_bytes(message_bytes + ws_bytes)
        segment_bytes_max = MTU_BYTES - self._conditions.segment_bytes
        data_segments = math.ceil((message_bytes + ws_bytes + record_bytes) / segment_bytes_max)
        acks_spared = 0
        if message.direction in self._owed:
            self._interactive[message.direction] = False
        other = message.direction.opposite
        sent_s = self._owed.pop(other, None)
        if sent_s is not None:
            waited_s = message.at_s - sent_s - (self._round_trip_s if message.direction is Direction.DOWN else 0.0)
            in_time = waited_s <= DELAYED_ACK_S
            if in_time and self._interactive[other]:
                acks_spared = 1
            self._interactive[other] = in_time
        self._owed[message.direction] = message.at_s
        return Sending(message_bytes, ws_bytes, record_bytes, data_segments, math.ceil(data_segments / SEGMENTS_PER_ACK), acks_spared)

    def send(self, message: WireMessage) -> ByteCount:
        """What that costs. An answer in time gives back the ACK that it carries."""
        sending = self.take(message)
        segments = sending.data_segments + sending.acks - sending.acks_spared
        return ByteCount(
            payload=message.payload_bytes,
            framing=message.header_bytes + sending.ws_bytes,
            tls=sending.tls_bytes,
            tcp_ip=segments * self._conditions.segment_bytes,
        )


def messages_ip_bytes(messages: Iterable[WireMessage], conditions: Conditions) -> ByteCount:
    """The messages of one connection, in order of time. No handshake, no keepalive."""
    wire = Wire(conditions)
    total = ByteCount()
    for message in messages:
        total += wire.send(message)
    return total
