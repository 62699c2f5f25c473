"""The link's listener behind a load balancer: whose connection it is, TLS behind the header, and what doesn't get in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ocppress_gateway.errors import LinkLost
from ocppress_gateway.proxied_server import networks
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.support.link_ends import WAIT_S, TlsFiles, make_tls_files
from tests.unit.test_proxy_header import FOUR, SIX, binary

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await work()

    asyncio.run(main())


@contextlib.asynccontextmanager
async def _listening(*balancers: str, files: TlsFiles | None = None, within_s: float = WAIT_S) -> AsyncIterator[tuple[int, list[str]]]:
    """The port, and the addresses of those who got in."""
    addresses: list[str] = []

    async def handle(connection: Connection) -> None:
        addresses.append(connection.address)
        with contextlib.suppress(LinkLost):
            await connection.send(await connection.receive())
            await connection.receive()

    context = None
    if files is not None:
        context = link_server_context(**files.arguments())
    listener = WebSocketListener(host="127.0.0.1", port=0, ssl_context=context, balancers=networks(balancers), request_within_s=within_s)
    await listener.serve(handle)
    try:
        yield listener.port, addresses
    finally:
        await listener.close()


async def _answer(port: int, *pieces: bytes) -> bytes:
    """What is answered to these, sent one by one; nothing if the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        try:
            return await reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return b""
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (FOUR, "192.0.2.7:40000"),
        (SIX, "[2001:db8::7]:1"),
        (b"PROXY TCP4 198.51.100.9 10.0.0.1 5 8886\r\n", "198.51.100.9:5"),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 20])
def test_whose_connection_it_is(header: bytes, address: str, cut: int) -> None:
    async def work() -> None:
        async with _listening("127.0.0.0/8") as (port, addresses):
            pieces = (header[:cut], header[cut:], UPGRADE) if cut else (header + UPGRADE,)
            assert b" 101 " in await _answer(port, *pieces)
            assert addresses == [address]

    _run(work)


@pytest.mark.parametrize("header", [binary(0x20, 0, b""), b"PROXY UNKNOWN\r\n"])
def test_the_balancers_own_connection(header: bytes) -> None:
    async def work() -> None:
        async with _listening("127.0.0.0/8") as (port, addresses):
            assert b" 101 " in await _answer(port, header, UPGRADE)
            assert addresses[0].startswith("127.0.0.1:")

    _run(work)


def test_tls_begins_behind_the_header(tmp_path: Path) -> None:
    edge, cloud = make_tls_files(tmp_path)

    async def work() -> None:
        async with _listening("127.0.0.1/32", files=cloud) as (port, addresses):

            async def balance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                """Header and the edge's first bytes in one packet."""
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                far_writer.write(FOUR + await reader.read(65536))

                async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                    with contextlib.suppress(OSError):
                        while data := await source.read(65536):
                            target.write(data)
                            await target.drain()
                    target.close()

                await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

            async with await asyncio.start_server(balance, "127.0.0.1", 0) as balancer:
                context = link_client_context(**edge.arguments())
                connector = WebSocketConnector(f"wss://127.0.0.1:{balancer.sockets[0].getsockname()[1]}/", context)
                for resumed in (False, True):
                    connection = await connector.connect()
                    await connection.send(b"x" * 10_000)
                    assert await connection.receive() == b"x" * 10_000
                    assert connection.resumed is resumed
                    await connection.close("enough")
            assert addresses == ["192.0.2.7:40000"] * 2

    _run(work)


@pytest.mark.parametrize(
    ("balancers", "data"),
    [
        ("10.0.0.0/8", FOUR + UPGRADE),
        ("127.0.0.0/8", UPGRADE),
        ("127.0.0.0/8", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n" + UPGRADE),
        ("127.0.0.0/8", FOUR + b"\x16\x03\x01 no HTTP"),
    ],
)
def test_what_does_not_get_in(balancers: str, data: bytes) -> None:
    async def work() -> None:
        async with _listening(balancers) as (port, addresses):
            assert b"101" not in await _answer(port, data)
            assert addresses == []

    _run(work)


@pytest.mark.parametrize("data", [b"", b"PROXY TCP4 1.2", FOUR[:-1], FOUR])
def test_who_says_nothing_is_shown_out(data: bytes) -> None:
    async def work() -> None:
        async with _listening("127.0.0.0/8", within_s=0.1) as (port, addresses):
            assert await _answer(port, data) == b""
            assert addresses == []

    _run(work)


def test_nobody_is_let_in_after_refuse() -> None:
    async def work() -> None:
        listener = WebSocketListener(host="127.0.0.1", port=0, balancers=networks(["127.0.0.0/8"]))

        async def handle(connection: Connection) -> None:
            with contextlib.suppress(LinkLost):
                await connection.receive()

        await listener.serve(handle)
        port = listener.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(FOUR + UPGRADE)
        assert b" 101 " in await reader.readuntil(b"\r\n")
        listener.refuse()
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not writer.is_closing()
        writer.transport.abort()
        await listener.close()

    _run(work)


def test_networks() -> None:
    with pytest.raises(ValueError, match="host bits"):
        networks(["10.0.0.1/8"])
