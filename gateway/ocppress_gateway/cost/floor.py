"""What no design over TCP and TLS 1.3 could go under at the same freshness: the fewest packets, nothing in them but the entropy of the values.

    up    a packet when something is due, or can't wait, and all that waits in it; one record, no framing     and its bare ACK
    down  a packet for the answer to what was relayed, which carries the ACK of the question                  and its bare ACK
    idle  a TCP probe for each keepalive interval without a packet
    again SYN, SYN-ACK, and the smallest flights of RFC 8446 with a pre-shared key

To send as late as a deadline allows is the fewest sendings, for each takes along all that waits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.edge_station import URGENT_DELAY_S
from ocppress_gateway.core.policy import MessageClass
from ocppress_gateway.cost.wire import TLS_RECORD_BYTES, ByteCount, Conditions, tls_bytes

__all__ = ["FloorMessage", "floor"]

CLIENT_HELLO_BYTES: Final = 5 + 4 + (2 + 32 + 1 + 4 + 2) + 2 + (4 + 3) + (4 + 2) + (4 + 2 + 2 + 1 + 4 + 2 + 33)
"""RFC 8446 4.1.2 in a record: one suite; supported_versions, psk_key_exchange_modes (psk_ke: no key share), pre_shared_key with an identity of
one byte."""

SERVER_FLIGHT_BYTES: Final = 5 + 4 + (2 + 32 + 1 + 2 + 1 + 2) + (4 + 2) + (4 + 2) + TLS_RECORD_BYTES + (4 + 2) + (4 + 32)
"""ServerHello with supported_versions and pre_shared_key; EncryptedExtensions and Finished in one record."""

CLIENT_FINISHED_BYTES: Final = TLS_RECORD_BYTES + 4 + 32
"""The first message rides in its packet."""


@dataclass(frozen=True, slots=True)
class FloorMessage:
    """A CALL of the station: when it is made and answered (seconds), what it is, and how many bits of it are new."""

    at_s: float
    answered_s: float
    message_class: MessageClass
    urgent: bool
    bits: float


def again_bytes(conditions: Conditions) -> int:
    """One more connection: its last packet, the client's Finished, takes the first message along, whose headers count there."""
    return 2 * conditions.syn_bytes + 2 * conditions.segment_bytes + CLIENT_HELLO_BYTES + SERVER_FLIGHT_BYTES + CLIENT_FINISHED_BYTES


def floor(
    messages: Iterable[FloorMessage], conditions: Conditions, *, delay_s: float | None, span_s: float, breaks_s: Sequence[float]
) -> ByteCount:
    """Over `span_s` from 0 s on. `delay_s` is how long a message may wait that need not be relayed, None: all are relayed. `breaks_s` is when
    another connection is made."""
    segment = conditions.segment_bytes
    bits = 0.0
    sendings: list[float] = []
    relayed: list[float] = []
    due_s: float | None = None
    for message in messages:
        if message.message_class is MessageClass.HEARTBEAT:
            continue
        if due_s is not None and due_s < message.at_s:
            sendings.append(due_s)
            due_s = None
        bits += message.bits
        if delay_s is None or message.message_class is MessageClass.RELAY:
            sendings.append(message.at_s)
            relayed.append(message.answered_s)
            due_s = None
        else:
            latest_s = message.at_s + (min(URGENT_DELAY_S, delay_s) if message.urgent else delay_s)
            due_s = latest_s if due_s is None else min(due_s, latest_s)
    if due_s is not None:
        sendings.append(due_s)
    busy_s = sorted([0.0, *sendings, *relayed, *breaks_s, span_s])
    probes = sum(int((later - earlier) // conditions.keepalive_s) for earlier, later in itertools.pairwise(busy_s) if later > earlier)
    packets = 2 * len(sendings) + len(relayed)
    again = (1 + len(breaks_s)) * again_bytes(conditions)
    return ByteCount(
        payload=bits / 8,
        tls=tls_bytes(1) * (len(sendings) + len(relayed)),
        tcp_ip=packets * segment,
        keepalive=probes * conditions.probe_bytes,
        handshake=again,
    )
