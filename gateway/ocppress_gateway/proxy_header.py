"""What a load balancer says before it passes a connection's bytes on: the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt).

    1   PROXY TCP4 192.0.2.7 10.0.0.1 40000 8886 CR LF       TCP6, or UNKNOWN and anything; 107 bytes at most

    2    0  0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a              signature
        12  21                                               version 2, command 1 (0: the balancer's own, a health check)
        13  11                                               TCP over IPv4 (21: over IPv6; 00: unknown)
        14  00 0c                                            how much follows
        16  c0 00 02 07  0a 00 00 01  9c 40  22 b6           source, destination, their ports; fields of the balancer's may follow

Here is no I/O: `missing` says how many bytes to read next, never one of what comes behind the header, which is TLS's.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final

__all__ = ["HEADER_BYTES_MAX", "ProxyHeaderError", "missing", "source"]

HEADER_BYTES_MAX: Final = 536
"""Version 2 with the longest addresses, 216 bytes, and some fields; what a balancer has to say of TLS that it doesn't end isn't much."""

_LINE_BYTES_MAX: Final = 107
_LINE_BYTES_MIN: Final = 15
_LINE_START: Final = b"PROXY "
_LINE: Final = re.compile(rb"PROXY (TCP[46]) (\S+) (\S+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n")
_SIGNATURE: Final = bytes.fromhex("0d0a0d0a000d0a515549540a")
_HEAD_BYTES: Final = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNKNOWN, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_ADDRESS_BYTES: Final = {_TCP4: 4, _TCP6: 16}
_PORTS: Final = struct.Struct(">HH")


class ProxyHeaderError(ValueError):
    """It isn't the PROXY protocol, or nothing that a balancer says of a TCP connection."""


def missing(data: bytes) -> int:
    """How many bytes to read behind these; 0 if the header is whole. Raises `ProxyHeaderError`."""
    if data[: len(_LINE_START)] == _LINE_START[: len(data)]:
        return _missing_of_line(data)
    if data[: len(_SIGNATURE)] == _SIGNATURE[: len(data)]:
        return _missing_of_binary(data)
    raise ProxyHeaderError("no PROXY protocol")


def source(header: bytes) -> tuple[str, int] | None:
    """Address and port of who has connected to the balancer; None if that is the balancer itself, or unknown. Raises `ProxyHeaderError`."""
    if missing(header):
        raise ProxyHeaderError("cut off")
    return _source_of_line(header) if header.startswith(_LINE_START) else _source_of_binary(header)


def _missing_of_line(data: bytes) -> int:
    line, end, behind = data.partition(b"\r")
    if b"\n" in line or len(line) > _LINE_BYTES_MAX - 2 or behind not in (b"", b"\n"):
        raise ProxyHeaderError("a line of version 1 that doesn't end as it should")
    if behind:
        return 0
    return max(_LINE_BYTES_MIN - len(data), 1 if end else 2)


def _source_of_line(header: bytes) -> tuple[str, int] | None:
    if re.match(rb"PROXY UNKNOWN[ \r]", header):
        return None
    fields = _LINE.fullmatch(header)
    if fields is None:
        raise ProxyHeaderError("a line of version 1 with other fields than it has")
    kind = ipaddress.IPv4Address if fields[1] == b"TCP4" else ipaddress.IPv6Address
    try:
        address, _ = (kind(text.decode("ascii")) for text in fields.group(2, 3))
        ports = [int(text) for text in fields.group(4, 5)]
    except ValueError as error:
        raise ProxyHeaderError(f"a line of version 1 with a wrong address: {error}") from None
    if max(ports) > 0xFFFF:
        raise ProxyHeaderError("a line of version 1 with a wrong port")
    return str(address), ports[0]


def _missing_of_binary(data: bytes) -> int:
    if len(data) < _HEAD_BYTES:
        return _HEAD_BYTES - len(data)
    command, kind = data[12], data[13]
    length = int.from_bytes(data[14:_HEAD_BYTES], "big")
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"version and command 0x{command:02x}")
    if _HEAD_BYTES + length > HEADER_BYTES_MAX:
        raise ProxyHeaderError(f"{length} bytes of addresses and fields")
    if command == _PROXY and kind != _UNKNOWN:
        size = _ADDRESS_BYTES.get(kind)
        if size is None:
            raise ProxyHeaderError(f"family and protocol 0x{kind:02x}, which is no TCP over IP")
        if length < 2 * size + _PORTS.size:
            raise ProxyHeaderError(f"{length} bytes are no two addresses and ports")
    if len(data) > _HEAD_BYTES + length:
        raise ProxyHeaderError("more than the header")
    return _HEAD_BYTES + length - len(data)


def _source_of_binary(header: bytes) -> tuple[str, int] | None:
    command, kind = header[12], header[13]
    if command == _LOCAL or kind == _UNKNOWN:
        return None
    size = _ADDRESS_BYTES[kind]
    port, _ = _PORTS.unpack_from(header, _HEAD_BYTES + 2 * size)
    return str(ipaddress.ip_address(header[_HEAD_BYTES : _HEAD_BYTES + size])), port
