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

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
from typing import Any, Final

from ocppress_gateway.core.wire_count import WireCount

__all__ = [
    "KEEPALIVE_IDLE_S",
    "NOT_SENT_BYTES",
    "AckLimit",
    "Wiretap",
    "interface_of",
    "set_cloud_options",
    "set_edge_options",
    "set_keepalive",
]

KEEPALIVE_IDLE_S: Final = 240
"""Silence after which the edge sends a probe: under the 5 minutes after which short-tempered carriers forget an idle mapping. 80 to 104
bytes each."""

PROBE_AGAIN_S: Final = 15
"""Wait for the answer to a probe: five round trips of a slow cell."""

PROBES_MAX: Final = 4
"""Probes in a row without an answer that end the connection, a minute after the first."""

USER_TIMEOUT_S: Final = 60
"""How long sent data may stay unacknowledged. Linux' own limit is about 15 minutes of silence, too long for a station that waits."""

NOT_SENT_BYTES: Final = 16 * 1024
"""Bytes that the kernel takes beyond what the network does: one link message. What waits in the kernel can be neither joined nor
overtaken."""

_TIMEOUT_MARGIN: Final = 1.1
"""The kernel's timers are late by some per cent."""

_SIOCGIFADDR: Final = 0x8915
"""struct ifreq of linux/if.h: 16 bytes of name, then the address as a struct sockaddr_in."""

_TCP_INFO_BYTES: Final = 216
_OPTION_TIMESTAMPS: Final = 1
_IPV4_AND_TCP_BYTES: Final = 40
_IPV6_AND_TCP_BYTES: Final = 60
_TIMESTAMPS_BYTES: Final = 12


def set_cloud_options(connection: socket.socket) -> None:
    """The cloud's end never probes; what it has sent is acknowledged in time, or the link is dead."""
    _set_link_options(connection)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_S * 1000)


def set_edge_options(connection: socket.socket, keepalive_s: int) -> None:
    """The edge's end: it alone probes, after `keepalive_s` of silence, since every probe costs the SIM. `AckLimit` besides."""
    _set_link_options(connection)
    # A new connection acknowledges each segment at once. So the acknowledgements of the SYN and of the handshakes wait for what is sent anyway, which
    # is what follows within milliseconds: two or three packets less each time.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, min(PROBE_AGAIN_S, keepalive_s))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES_MAX)
    set_keepalive(connection, keepalive_s)


def set_keepalive(connection: Any, keepalive_s: int) -> None:
    """From the next silence on probe after so long. `connection` is a socket or asyncio's stand-in for one."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)


def _set_link_options(connection: socket.socket) -> None:
    """What both ends of a link want: no more unsent bytes in the kernel than one message."""
    with contextlib.suppress(OSError):  # an old kernel without it works, with more delay
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_BYTES)


class AckLimit:
    """Ends a connection that probes when sent data stays unacknowledged for `USER_TIMEOUT_S`.

    TCP_USER_TIMEOUT says that to Linux, but while it is set a silence that is longer ends with the first unanswered probe (tcp_keepalive_timer in
    net/ipv4/tcp_timer.c). So it is set only while data may be under way.
    """

    def __init__(self, connection: Any, timeout_s: float = USER_TIMEOUT_S) -> None:
        """`connection` is a socket or asyncio's stand-in for one."""
        self._connection = connection
        self._timeout_s = timeout_s
        self._timer: asyncio.TimerHandle | None = None

    def sending(self) -> None:
        """Data is about to be sent."""
        if self._timer is None:
            self._set(self._timeout_s)
        else:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._timeout_s * _TIMEOUT_MARGIN, self._over)

    def close(self) -> None:
        """Let go of the connection. Safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()

    def _over(self) -> None:
        # Whatever was sent is acknowledged, or the connection has ended.
        self._timer = None
        self._set(0)

    def _set(self, timeout_s: float) -> None:
        with contextlib.suppress(OSError):  # it has just been closed
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1000))


def interface_of(address: str) -> str:
    """The name of the network interface that has this IPv4 address, "" if none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has no IPv4 address
                answer = fcntl.ioctl(asker, _SIOCGIFADDR, struct.pack("256s", name.encode()))
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return ""


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
