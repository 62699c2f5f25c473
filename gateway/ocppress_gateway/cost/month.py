"""What a station's traffic costs on the SIM: over the link, and as plain OCPP-J over TLS; as it is, and as a month of the same.

A month has 30 days, and continues the traffic at its own pace. The edge probes when nothing has passed for the keepalive interval; the
carrier breaks the connection some times a day, and each time the edge makes another and both ends say hello.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from ocppress_codecs.registry import offers
from ocppress_gateway.core.limits import ACK_RIDE_FRAMES
from ocppress_gateway.core.parts import PROTOCOL_VERSION, Ack, FramePart, Hello, KnownStation, StationWelcome, Welcome, write_parts
from ocppress_gateway.core.stored import INCARNATION_BYTES
from ocppress_gateway.cost.deflate import DeflateStream
from ocppress_gateway.cost.wire import (
    DAY_S,
    FULL_HANDSHAKE,
    PLAIN_HANDSHAKE,
    ByteCount,
    Conditions,
    WireMessage,
    handshake_bytes,
    messages_ip_bytes,
)
from ocppress_gateway.workloads.traces import Direction, TraceRecord

__all__ = [
    "MONTH_S",
    "deflated_ocpp_ip_bytes",
    "hello_cost",
    "hello_ip_bytes",
    "link_ip_bytes",
    "link_messages",
    "month_of",
    "plain_ocpp_ip_bytes",
    "project_month",
    "project_plain_month",
    "reconnect_times",
    "relayed_ip_bytes",
]

MONTH_S: Final = 30 * DAY_S


def plain_ocpp_ip_bytes(records: Iterable[TraceRecord], conditions: Conditions) -> ByteCount:
    """One station's messages as plain OCPP-J over TLS: a record each, one handshake, no keepalive. A null `ts` counts as the one before."""
    return _ocpp_ip_bytes(((record, len(record.text.encode())) for record in records), conditions)


def deflated_ocpp_ip_bytes(records: Iterable[TraceRecord], conditions: Conditions) -> ByteCount:
    """The same with permessage-deflate."""
    streams = {direction: DeflateStream() for direction in Direction}
    return _ocpp_ip_bytes(((record, len(streams[record.direction].compress(record.text))) for record in records), conditions)


def _ocpp_ip_bytes(sized: Iterable[tuple[TraceRecord, int]], conditions: Conditions) -> ByteCount:
    def messages() -> Iterator[WireMessage]:
        at_s = 0.0
        for record, payload_bytes in sized:
            at_s = at_s if record.ts is None else record.ts
            yield WireMessage(at_s, record.direction, payload_bytes)

    return messages_ip_bytes(messages(), conditions) + ByteCount(handshake=handshake_bytes(PLAIN_HANDSHAKE, conditions))


def link_messages(frames: Iterable[tuple[float, Direction, int]]) -> Iterator[WireMessage]:
    """Codec frames (send time in seconds, direction, bytes), each in a link message of its own, with the headers and acknowledgements of the link."""
    unacknowledged = dict.fromkeys(Direction, 0)
    frame_head = len(write_parts([FramePart(0, 1, b"")]))
    acknowledgement = len(write_parts([Ack(0, 1)]))
    for at_s, direction, frame_bytes in frames:
        header_bytes = frame_head
        if unacknowledged[direction.opposite] >= ACK_RIDE_FRAMES:
            header_bytes += acknowledgement
            unacknowledged[direction.opposite] = 0
        unacknowledged[direction] += 1
        yield WireMessage(at_s, direction, frame_bytes, header_bytes)


def link_ip_bytes(messages: Sequence[WireMessage], conditions: Conditions, *, span_s: float) -> ByteCount:
    """The link over `span_s`, from its first message on: a full handshake, messages, probes while idle, reconnects at their rate.

    Reconnects have a rate and no place in time; so they replace no probe.
    """
    return _traffic(messages, conditions, span_s) + _connections(conditions, span_s)


def project_month(messages: Sequence[WireMessage], conditions: Conditions, *, span_s: float) -> ByteCount:
    """A month of traffic like these messages, which took `span_s` (more than 0), on one full handshake and the month's reconnects."""
    return _traffic(messages, conditions, span_s).scaled(MONTH_S / span_s) + _connections(conditions, MONTH_S)


def project_plain_month(messages: Sequence[WireMessage], conditions: Conditions, *, span_s: float) -> ByteCount:
    """The same month without a link: plain OCPP-J texts over TLS, reconnecting as often. A station's own pings aren't counted: the least."""
    handshakes = 1 + conditions.reconnects_a_day * MONTH_S / DAY_S
    connections = ByteCount(handshake=handshakes * handshake_bytes(PLAIN_HANDSHAKE, conditions))
    return messages_ip_bytes(messages, conditions).scaled(MONTH_S / span_s) + connections


def _traffic(messages: Sequence[WireMessage], conditions: Conditions, span_s: float) -> ByteCount:
    probes = _probe_count([message.at_s for message in messages], conditions.keepalive_s, span_s)
    return messages_ip_bytes(messages, conditions) + ByteCount(keepalive=probes * conditions.probe_bytes)


def _probe_count(times_s: Sequence[float], keepalive_s: float, span_s: float) -> int:
    """Probes in `span_s` from the first time on: one for each whole interval in which nothing is sent."""
    begin_s = times_s[0] if times_s else 0.0
    moments_s = [*times_s, max(begin_s + span_s, *times_s)] if times_s else [begin_s, begin_s + span_s]
    return sum(int((later - earlier) // keepalive_s) for earlier, later in pairwise(moments_s))


def _connections(conditions: Conditions, span_s: float) -> ByteCount:
    reconnects = conditions.reconnects_a_day * span_s / DAY_S
    handshakes = handshake_bytes(FULL_HANDSHAKE, conditions) + reconnects * handshake_bytes(conditions.reconnect, conditions)
    return ByteCount(handshake=handshakes + (1 + reconnects) * hello_ip_bytes(conditions))


def relayed_ip_bytes(conditions: Conditions) -> int:
    """The packets of one message that is relayed by itself and of its answer, which comes later than a delayed ACK; without the frames' own bytes."""
    head = len(write_parts([FramePart(0, 1, b"")]))
    exchange = [WireMessage(0.0, Direction.UP, 0, head), WireMessage(1.0, Direction.DOWN, 0, head)]
    return round(messages_ip_bytes(exchange, conditions).total)


def hello_ip_bytes(conditions: Conditions) -> float:
    """The hello of an edge with one station, and its answer."""
    return hello_cost(conditions).total


def hello_cost(conditions: Conditions) -> ByteCount:
    """The same by layer."""
    codecs = [(codec.value, print_) for codec, print_ in offers()]
    known = KnownStation(slot=0, identity="STATION-00000001", attachment=1, epoch=1, intact=True, sent=1000, received=1000)
    hello = Hello(protocol=PROTOCOL_VERSION, edge="", codecs=codecs, incarnation=bytes(INCARNATION_BYTES), stations=[known])
    welcome = Welcome(codec=codecs[0][0], stations=[StationWelcome(epoch=1, known=True, attached=True, received=1000)])
    exchange = [
        WireMessage(0.0, Direction.UP, 0, len(write_parts([hello]))),
        WireMessage(0.0, Direction.DOWN, 0, len(write_parts([welcome]))),
    ]
    return messages_ip_bytes(exchange, conditions)


def reconnect_times(conditions: Conditions, span_s: float) -> list[float]:
    """When the carrier breaks the connection: evenly, and not at once."""
    if not conditions.reconnects_a_day:
        return []
    every_s = DAY_S / conditions.reconnects_a_day
    return [every_s * (number + 0.5) for number in range(int(span_s / every_s + 0.5))]


def month_of(passed: ByteCount, span_s: float, breaks: int, conditions: Conditions, *, first: ByteCount, again: ByteCount) -> ByteCount:
    """A month of what has passed in `span_s`; `first` counts once, and there are as many reconnects as the month has."""
    missing = conditions.reconnects_a_day * MONTH_S / DAY_S - breaks * MONTH_S / span_s
    return (passed + first.scaled(-1)).scaled(MONTH_S / span_s) + first + again.scaled(missing)
