"""Counters of a TCP connection for tests: zero but for what is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ocppress_gateway.core.wire_count import WireCount

__all__ = ["wire_count"]

_NOTHING: Final = WireCount(
    sent_segments=0,
    received_segments=0,
    sent_data_segments=0,
    received_data_segments=0,
    sent_bytes=0,
    received_bytes=0,
    retransmitted_segments=0,
    retransmitted_bytes=0,
    header_bytes=40,
)


def wire_count(**counters: int) -> WireCount:
    """A count with these counters."""
    return replace(_NOTHING, **counters)
