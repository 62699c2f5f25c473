"""What the link over WebSocket promises beyond the contract: a slim upgrade, strict TLS, and no trust in the far end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX
from ocppress_gateway.errors import ConfigError, LinkLost, LinkRefused
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.tls import ResumingContext, ServerContext, link_client_context, link_server_context
from ocppress_gateway.transports.websocket import TLS_BUFFER_BYTES, WebSocketConnector, WebSocketListener
from tests.support.link_ends import WAIT_S, TlsFiles, make_tls_files, open_ends
from tests.support.raw_peers import answer_upgrade

REQUEST_FIELDS = {"host", "upgrade", "connection", "sec-websocket-version", "sec-websocket-key"}
RESPONSE_FIELDS = {"upgrade", "connection", "sec-websocket-accept"}


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await work()

    asyncio.run(main())


async def _receive_once(connection: Connection) -> None:
    """A handler that waits for the first message or the end."""
    try:
        await connection.receive()
    except LinkLost:
        return


def _fields(head: bytes) -> tuple[str, set[str]]:
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    return first, {line.partition(":")[0].lower() for line in lines}


# --- bytes of the upgrade


def test_the_request_has_only_what_a_websocket_needs() -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def work() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            with pytest.raises(LinkRefused, match="404"):
                await WebSocketConnector(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/").connect()

    _run(work)
    first, fields = _fields(heads[0])
    assert first == "GET / HTTP/1.1"
    assert fields == REQUEST_FIELDS


def test_the_response_has_only_what_a_websocket_needs() -> None:
    async def work() -> None:
        listener = WebSocketListener(host="127.0.0.1", port=0)
        await listener.serve(_receive_once)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(
                b"GET / HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            )
            first, fields = _fields(await reader.readuntil(b"\r\n\r\n"))
            writer.close()
            await writer.wait_closed()
        finally:
            await listener.close()
        assert first == "HTTP/1.1 101 Switching Protocols"
        assert fields == RESPONSE_FIELDS

    _run(work)


@pytest.mark.parametrize(
    ("request_line", "upgrade", "status"), [("/other", True, 404), ("/", False, 426)], ids=["another path", "no upgrade"]
)
def test_what_is_no_link_is_refused(request_line: str, upgrade: bool, status: int) -> None:
    async def work() -> None:
        listener = WebSocketListener(host="127.0.0.1", port=0)
        await listener.serve(_receive_once)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            fields = (
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            )
            writer.write(f"GET {request_line} HTTP/1.1\r\nHost: g\r\n{fields if upgrade else ''}\r\n".encode())
            assert (await reader.readuntil(b"\r\n")).split()[1] == str(status).encode()
            writer.close()
            await writer.wait_closed()
        finally:
            await listener.close()

    _run(work)


# --- a far end that breaks the rules


@pytest.mark.parametrize("message", [b"", "text", bytes(LINK_MESSAGE_BYTES_MAX + 1)], ids=["empty", "text", "too large"])
def test_an_edge_that_breaks_the_rules_loses_the_connection(message: bytes | str) -> None:
    async def work() -> None:
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def handler(connection: Connection) -> None:
            try:
                await connection.receive()
            except LinkLost as error:
                outcome.set_result(str(error))

        listener = WebSocketListener(host="127.0.0.1", port=0)
        await listener.serve(handler)
        try:
            async with connect(listener.address, compression=None) as rogue:
                await rogue.send(message)
                assert await outcome
                await rogue.wait_closed()
        finally:
            await listener.close()

    _run(work)


@pytest.mark.parametrize("message", [b"", "text", bytes(LINK_MESSAGE_BYTES_MAX + 1)], ids=["empty", "text", "too large"])
def test_a_cloud_that_breaks_the_rules_loses_the_connection(message: bytes | str) -> None:
    async def rogue(connection: ServerConnection) -> None:
        await connection.send(message)
        await connection.wait_closed()

    async def work() -> None:
        async with serve(rogue, "127.0.0.1", 0, compression=None) as server:
            connection = await WebSocketConnector(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/").connect()
            with pytest.raises(LinkLost):
                await connection.receive()
            await connection.close("done")

    _run(work)


def test_a_cloud_that_pings_and_vanishes_is_a_lost_link() -> None:
    """The ping is read when it can't be answered any more."""

    async def ping_and_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer, b"\x89\x00" * 3)
        writer.transport.abort()

    async def work() -> None:
        async with await asyncio.start_server(ping_and_go, "127.0.0.1", 0) as server:
            connector = WebSocketConnector(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            for _ in range(50):
                with pytest.raises(LinkLost):
                    await (await connector.connect()).receive()

    _run(work)


@pytest.mark.parametrize(
    ("status", "error"), [(302, LinkRefused), (401, LinkRefused), (404, LinkRefused), (502, LinkLost), (503, LinkLost)]
)
def test_answers_are_refusals_or_passing_trouble(status: int, error: type[Exception]) -> None:
    """A redirect is among them: followed, it would take the link wherever somebody in between wants it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} Whatever\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def work() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            with pytest.raises(error, match=str(status)):
                await WebSocketConnector(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/").connect()

    _run(work)


def test_nobody_there_is_a_lost_link() -> None:
    async def work() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkLost):
            await WebSocketConnector(f"ws://127.0.0.1:{port}/").connect()

    _run(work)


# --- TLS


def test_the_certificate_names_the_peer(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_ends("websocket-tls", tmp_path) as ends:
            assert ends.far.peer == "edge-1"
            tls = ends.far._transport.get_extra_info("ssl_object")  # type: ignore[attr-defined]
            assert tls.version() == "TLSv1.3"

    asyncio.run(run())


def test_the_buffer_below_tls_is_kept_empty_too(tmp_path: Path) -> None:
    """asyncio hides the transport that carries its TLS records; this says when it does so in another way."""

    async def run() -> None:
        async with open_ends("websocket-tls", tmp_path) as ends:
            for end in (ends.near, ends.far):
                below = end._transport._ssl_protocol._transport  # type: ignore[attr-defined]
                assert below.get_write_buffer_limits() == (0, 1)

    asyncio.run(run())


def test_the_buffer_of_tls_is_small_and_the_largest_message_comes_through(tmp_path: Path) -> None:
    """asyncio hides its buffer; this says when it does so in another way."""

    async def run() -> None:
        async with open_ends("websocket-tls", tmp_path) as ends:
            for end in (ends.near, ends.far):
                protocol = end._transport._ssl_protocol  # type: ignore[attr-defined]
                assert len(protocol._ssl_buffer) == len(protocol.get_buffer(-1)) == TLS_BUFFER_BYTES
            data = bytes(number % 251 for number in range(LINK_MESSAGE_BYTES_MAX))
            for sender, receiver in ((ends.near, ends.far), (ends.far, ends.near)):
                await sender.send(data)
                assert await receiver.receive() == data

    _run(run)


def test_an_edge_of_another_ca_or_without_certificate_does_not_get_through(tmp_path: Path) -> None:
    edge, cloud = make_tls_files(tmp_path / "ours")
    stranger, _ = make_tls_files(tmp_path / "theirs")
    of_another_ca = link_client_context(ca_file=edge.ca_file, certificate_file=stranger.certificate_file, key_file=stranger.key_file)
    without = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    without.load_verify_locations(edge.ca_file)
    old = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.load_verify_locations(edge.ca_file)
    old.load_cert_chain(edge.certificate_file, edge.key_file)
    accepted: list[Connection] = []

    async def handler(connection: Connection) -> None:
        accepted.append(connection)

    async def work() -> None:
        listener = WebSocketListener(host="127.0.0.1", port=0, ssl_context=link_server_context(**cloud.arguments()))
        await listener.serve(handler)
        try:
            for context in (of_another_ca, without, old):
                with pytest.raises((LinkLost, LinkRefused)):
                    await WebSocketConnector(listener.address, context).connect()
        finally:
            await listener.close()

    _run(work)
    assert accepted == []


@pytest.mark.parametrize("wrong", ["ca", "host"])
def test_an_edge_refuses_a_cloud_that_is_not_its_own(wrong: str, tmp_path: Path) -> None:
    edge, _ = make_tls_files(tmp_path / "ours")
    if wrong == "ca":
        _, cloud = make_tls_files(tmp_path / "theirs")
    else:
        edge, cloud = make_tls_files(tmp_path / "elsewhere", hosts=("cloud.example.com",))

    async def work() -> None:
        context = link_server_context(**cloud.arguments())
        context.verify_mode = ssl.CERT_NONE  # an impostor asks nobody for a certificate
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context) as server:
            connector = WebSocketConnector(
                f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/", link_client_context(**edge.arguments())
            )
            with pytest.raises(LinkRefused, match=r"(?i)certificate"):
                await connector.connect()

    _run(work)


def test_tls_and_url_belong_together(tmp_path: Path) -> None:
    edge, _ = make_tls_files(tmp_path)
    with pytest.raises(ValueError, match="TLS context"):
        WebSocketConnector("wss://127.0.0.1:1/")
    with pytest.raises(ValueError, match="TLS context"):
        WebSocketConnector("ws://127.0.0.1:1/", link_client_context(**edge.arguments()))
    with pytest.raises(ValueError, match="client certificates"):
        WebSocketListener(host="127.0.0.1", port=0, ssl_context=ServerContext(ssl.PROTOCOL_TLS_SERVER))


def test_files_that_are_no_certificates_are_a_configuration_error(tmp_path: Path) -> None:
    edge, cloud = make_tls_files(tmp_path)
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for files in (
        TlsFiles(empty, edge.certificate_file, edge.key_file),
        TlsFiles(edge.ca_file, empty, edge.key_file),
        TlsFiles(edge.ca_file, edge.certificate_file, cloud.key_file),
    ):
        with pytest.raises(ConfigError):
            link_client_context(**files.arguments())
        with pytest.raises(ConfigError):
            link_server_context(**files.arguments())


def test_a_reconnect_looks_up_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = ThreadedResolver.resolve

    async def resolve(self: ThreadedResolver, host: str, *arguments: Any) -> list[ResolveResult]:
        asked.append(host)
        return await real(self, "localhost", *arguments)

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)

    async def work() -> None:
        listener = WebSocketListener(host="127.0.0.1", port=0)
        await listener.serve(_receive_once)
        try:
            connector = WebSocketConnector(f"ws://cloud.example.com:{listener.port}/")
            for first in (True, False, False):
                assert connector.looks_up is first
                connection = await connector.connect()
                await connection.close("once more")
        finally:
            await listener.close()

    _run(work)
    assert asked == ["cloud.example.com"]
