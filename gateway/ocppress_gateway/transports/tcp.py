"""The TCP socket under a link: its options, and what the kernel has counted.

struct tcp_info of Linux (include/uapi/linux/tcp.h), the fields read here, offsets in bytes, host byte order:

  5   u8   options            bit 0: timestamps, 12 bytes in every segment
100   u32  total_retrans      segments sent again
128   u64  bytes_received     payload that arrived, each byte once
136   u32  segs_out           segments sent: SYN, data, bare ACKs, retransmissions
140   u32  segs_in            segments received, likewise
152   u32  data_segs_in       segments with payload received
156   u32  data_segs_out      segments with payload sent, retransmissions included
200   u64  bytes_sent         payload sent, retransmissions included (since Linux 4.19, as the next)
208   u64  bytes_retrans      payload sent again
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import Any, Final

from ocppress_gateway.core.wire_count import WireCount

__all__ = ["KEEPALIVE_IDLE_S", "NOT_SENT_BYTES", "Wiretap", "set_edge_options", "set_link_options"]

KEEPALIVE_IDLE_S: Final = 240
"""Silence after which the edge sends a probe: under the 5 minutes after which short-tempered carriers forget an idle mapping. 80 to 104
bytes each."""

KEEPALIVE_INTERVAL_S: Final = 60
"""Wait for the answer to a probe. With a user time-out Linux gives up at the first unanswered one, so it is as long as that."""

USER_TIMEOUT_S: Final = 60
"""How long sent data may stay unacknowledged. Linux' own limit is about 15 minutes of silence, too long for a station that waits."""

NOT_SENT_BYTES: Final = 16 * 1024
"""Bytes that the kernel takes beyond what the network does: one link message. What waits in the kernel can be neither joined nor
overtaken."""

_TCP_INFO_BYTES: Final = 216
_OPTION_TIMESTAMPS: Final = 1
_IPV4_AND_TCP_BYTES: Final = 40
_IPV6_AND_TCP_BYTES: Final = 60
_TIMESTAMPS_BYTES: Final = 12


def set_link_options(connection: socket.socket) -> None:
    """What both ends of a link want: no more unsent bytes in the kernel than one message."""
    with contextlib.suppress(OSError):  # an old kernel without it works, with more delay
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_BYTES)


def set_edge_options(connection: socket.socket, keepalive_s: int) -> None:
    """What the edge's end wants besides: it alone probes, after `keepalive_s` of silence, since every probe costs the SIM."""
    set_link_options(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_S * 1000)


class Wiretap:
    """Reads a connection's counters, also after the event loop has closed its socket.

    It holds a duplicate of the socket for that, which keeps the connection open: call `close` as soon as the connection isn't wanted any
    more.
    """

    def __init__(self, connection: Any) -> None:
        """`connection` is a socket or asyncio's stand-in for one."""
        self._socket: socket.socket | None = socket.socket(fileno=os.dup(connection.fileno()))
        self._last: WireCount | None = None

    def read(self) -> WireCount | None:
        """The counters now, the last ones after `close`; None where there is no TCP_INFO."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._last = _wire_count(self._socket)
        return self._last

    def close(self) -> None:
        """Read a last time, and let go of the connection. Safe to call twice."""
        self.read()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _wire_count(connection: socket.socket) -> WireCount | None:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(info) < _TCP_INFO_BYTES:
        return None
    (options,) = struct.unpack_from("=B", info, 5)
    (retransmitted_segments,) = struct.unpack_from("=I", info, 100)
    received_bytes, sent_segments, received_segments = struct.unpack_from("=QII", info, 128)
    received_data_segments, sent_data_segments = struct.unpack_from("=II", info, 152)
    sent_bytes, retransmitted_bytes = struct.unpack_from("=QQ", info, 200)
    return WireCount(
        sent_segments=sent_segments,
        received_segments=received_segments,
        sent_data_segments=sent_data_segments,
        received_data_segments=received_data_segments,
        sent_bytes=sent_bytes,
        received_bytes=received_bytes,
        retransmitted_segments=retransmitted_segments,
        retransmitted_bytes=retransmitted_bytes,
        header_bytes=(_IPV6_AND_TCP_BYTES if _is_ipv6(connection) else _IPV4_AND_TCP_BYTES)
        + (_TIMESTAMPS_BYTES if options & _OPTION_TIMESTAMPS else 0),
    )


def _is_ipv6(connection: socket.socket) -> bool:
    """Whether the packets are IPv6: an IPv6 socket may carry IPv4."""
    return connection.family == socket.AF_INET6 and not str(connection.getsockname()[0]).startswith("::ffff:")
