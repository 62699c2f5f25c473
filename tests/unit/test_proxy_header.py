"""The PROXY protocol's header: what is read of it, never a byte of what follows, and what isn't taken for one."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_gateway.proxy_header import HEADER_BYTES_MAX, ProxyHeaderError, missing, source

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def binary(command: int, kind: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, kind]) + struct.pack(">H", len(body)) + body


def addresses(source: str, destination: str, *ports: int) -> bytes:
    packed = b"".join(ipaddress.ip_address(text).packed for text in (source, destination))
    return packed + struct.pack(">HH", *ports)


def read(stream: bytes) -> tuple[bytes, bytes]:
    """The header at the front of a stream, as it would be read from a socket, and what is left."""
    header = b""
    while wanted := missing(header):
        assert len(stream) >= wanted, "cut off"
        header, stream = header + stream[:wanted], stream[wanted:]
    return header, stream


FOUR = binary(0x21, 0x11, addresses("192.0.2.7", "10.0.0.1", 40000, 8886))
SIX = binary(0x21, 0x21, addresses("2001:db8::7", "2001:db8::1", 1, 65535))


def test_the_picture_in_the_module() -> None:
    assert bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c c0000207 0a000001 9c40 22b6") == FOUR


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (FOUR, ("192.0.2.7", 40000)),
        (SIX, ("2001:db8::7", 1)),
        (binary(0x21, 0x11, addresses("192.0.2.7", "10.0.0.1", 1, 2) + b"\x04\x00\x04\0\0\0\0"), ("192.0.2.7", 1)),
        (binary(0x20, 0x00, b""), None),
        (binary(0x20, 0x11, b"whatever it is"), None),
        (binary(0x21, 0x00, b"unknown"), None),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 8886\r\n", ("192.0.2.7", 40000)),
        (b"PROXY TCP6 2001:db8::7 ::1 0 65535\r\n", ("2001:db8::7", 0)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    ],
)
@pytest.mark.parametrize("behind", [b"", TLS, b"\r\n", b"\n"])
def test_headers(header: bytes, expected: tuple[str, int] | None, behind: bytes) -> None:
    assert read(header + behind) == (header, behind)
    assert source(header) == expected
    for length in range(len(header)):
        assert 0 < missing(header[:length]) <= len(header) - length
        with pytest.raises(ProxyHeaderError):
            source(header[:length])


@pytest.mark.parametrize(
    "data",
    [
        TLS,
        b"GET / HTTP/1.1\r\n",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.999 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
        b"PROXY TCP4 \xff.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY UNKNOWN" + b" " * 93 + b"\r\n",
        b"PROXY UNKNOWN" + b" " * 200,
        binary(0x11, 0x11, addresses("1.2.3.4", "1.2.3.4", 1, 2)),
        binary(0x22, 0x11, addresses("1.2.3.4", "1.2.3.4", 1, 2)),
        binary(0x21, 0x12, addresses("1.2.3.4", "1.2.3.4", 1, 2)),
        binary(0x21, 0x31, bytes(216)),
        binary(0x21, 0x11, addresses("1.2.3.4", "1.2.3.4", 1, 2)[:-1]),
        binary(0x21, 0x21, addresses("1.2.3.4", "1.2.3.4", 1, 2)),
        binary(0x20, 0x00, bytes(HEADER_BYTES_MAX - 15)),
        SIGNATURE[:-1] + b"\r",
    ],
)
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        source(read(data + bytes(HEADER_BYTES_MAX))[0])


def test_the_longest() -> None:
    header = binary(0x20, 0x00, bytes(HEADER_BYTES_MAX - 16))
    assert read(header) == (header, b"")
    line = b"PROXY UNKNOWN" + b" " * 92 + b"\r\n"
    assert len(line) == 107
    assert read(line) == (line, b"")


@given(st.binary(max_size=64), st.sampled_from([b"", SIGNATURE, b"PROXY ", FOUR[:14], b"PROXY TCP4 "]))
def test_nothing_that_comes_does_any_harm(data: bytes, start: bytes) -> None:
    stream = start + data + bytes(1000)
    header = b""
    try:
        while wanted := missing(header):
            assert wanted > 0
            assert len(header) + wanted <= HEADER_BYTES_MAX
            header += stream[len(header) : len(header) + wanted]
        found = source(header)
    except ProxyHeaderError:
        return
    assert found is None or ipaddress.ip_address(found[0])


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(0, 65535), st.booleans(), st.binary(max_size=40))
def test_every_address_comes_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, as_line: bool, behind: bytes) -> None:
    if as_line:
        header = f"PROXY TCP{address.version} {address} {address} {port} 8886\r\n".encode()
    else:
        header = binary(0x21, 0x11 if address.version == 4 else 0x21, addresses(str(address), str(address), port, 8886))
    assert read(header + behind) == (header, behind)
    assert source(header) == (str(address), port)
