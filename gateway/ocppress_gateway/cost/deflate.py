"""What permessage-deflate (RFC 7692) makes of the same messages: the baseline to beat.

The best it can do: level 9, the largest window, memory level 9, context takeover, one stream per direction, on the exact text of each message with its id.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from ocppress_gateway.workloads.traces import Direction

__all__ = ["DeflateStream", "deflate_payload_bytes"]

_SYNC_TAIL: Final = b"\x00\x00\xff\xff"
"""What Z_SYNC_FLUSH ends in and RFC 7692 7.2.1 leaves out."""


class DeflateStream:
    """One direction of one WebSocket connection."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(level=9, wbits=-15, memLevel=9)

    def compress(self, text: str) -> bytes:
        """The payload of the message's frame."""
        data = self._stream.compress(text.encode()) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(_SYNC_TAIL)
        return data.removesuffix(_SYNC_TAIL)


def deflate_payload_bytes(texts: Iterable[tuple[Direction, str]]) -> int:
    """The WebSocket payload of one station's messages, both directions."""
    streams = {direction: DeflateStream() for direction in Direction}
    return sum(len(streams[direction].compress(text)) for direction, text in texts)
