"""What the kernel has counted of one TCP connection: the ledger's raw material."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WireCount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireCount:
    """Bytes of one connection as the kernel counted them (TCP_INFO), at this end, both ways, since it began.

    `*_segments` count TCP segments, bare ACKs, SYN and retransmissions included, `*_data_segments` those of them with payload. `*_bytes`
    count TCP payload, which for TLS is records and handshake: `sent_bytes` also what was sent again, `received_bytes` each byte once.
    """

    sent_segments: int
    received_segments: int
    sent_data_segments: int
    received_data_segments: int
    sent_bytes: int
    received_bytes: int
    retransmitted_segments: int
    retransmitted_bytes: int
    header_bytes: int
    """IP and TCP header of one segment without SYN options: 40 for IPv4, 60 for IPv6, 12 more with TCP timestamps."""
