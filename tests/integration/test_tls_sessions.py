"""What a reconnect costs, and that saving on it lets nobody in: sessions of the link's TLS, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX
from ocppress_gateway.errors import LinkLost, LinkRefused
from ocppress_gateway.provisioning.certificates import LEAF_DAYS, issue_edge, read_credentials
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnection, WebSocketConnector, WebSocketListener
from tests.support.link_ends import WAIT_S, TlsFiles, make_tls_files

FULL_BYTES_MAX = 1950
RESUMED_BYTES_MAX = 950
"""TCP payload of TLS and upgrade both ways, without headers of packets: what a full handshake has besides is the certificates."""


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await work()

    asyncio.run(main())


class Cloud:
    """A listener, and the connections that it has accepted."""

    def __init__(self, files: TlsFiles, port: int = 0) -> None:
        self.listener = WebSocketListener(host="127.0.0.1", port=port, ssl_context=link_server_context(**files.arguments()))
        self.accepted: asyncio.Queue[Connection] = asyncio.Queue()
        self._done = asyncio.Event()

    async def _handle(self, connection: Connection) -> None:
        self.accepted.put_nowait(connection)
        await self._done.wait()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Cloud]:
        await self.listener.serve(self._handle)
        try:
            yield self
        finally:
            self._done.set()
            await self.listener.close()


def tls(connection: Connection) -> ssl.SSLObject:
    assert isinstance(connection, WebSocketConnection)
    found = connection._transport.get_extra_info("ssl_object")
    assert isinstance(found, ssl.SSLObject)
    return found


async def connected(cloud: Cloud, connector: WebSocketConnector) -> tuple[Connection, Connection]:
    return await connector.connect(), await cloud.accepted.get()


async def cut(*ends: Connection) -> None:
    """As a link goes that is lost: no close frame, no close_notify, nothing."""
    for end in ends:
        assert isinstance(end, WebSocketConnection)
        end._transport.abort()
    for end in ends:
        with pytest.raises(LinkLost):
            await end.receive()


def payload_bytes(connection: Connection) -> int:
    count = connection.wire_count()
    assert count is not None
    return count.sent_bytes + count.received_bytes


def test_sessions_are_resumed_after_unclean_losses(tmp_path: Path) -> None:
    edge, files = make_tls_files(tmp_path)

    async def work() -> None:
        async with Cloud(files).serving() as cloud:
            connector = WebSocketConnector(cloud.listener.address, link_client_context(**edge.arguments()))
            costs = []
            for number in range(12):
                near, far = await connected(cloud, connector)
                assert (tls(near).session_reused, tls(far).session_reused) == (number > 0, number > 0)
                assert (near.peer, far.peer) == ("cloud", "edge-1")
                assert tls(near).cipher() == ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128)
                await near.send(b"x")
                assert await far.receive() == b"x"
                costs.append(payload_bytes(near))
                await cut(near, far)
            assert RESUMED_BYTES_MAX < costs[0] < FULL_BYTES_MAX
            assert max(costs[1:]) < RESUMED_BYTES_MAX

    run(work)


def test_sessions_last_for_a_week(tmp_path: Path) -> None:
    edge, files = make_tls_files(tmp_path)

    async def work() -> None:
        async with Cloud(files).serving() as cloud:
            near, far = await connected(cloud, WebSocketConnector(cloud.listener.address, link_client_context(**edge.arguments())))
            session = tls(near).session
            assert session is not None
            assert session.ticket_lifetime_hint == 7 * 24 * 3600
            kept = tls(far).session
            assert kept is not None
            assert kept.timeout == 7 * 24 * 3600
            await cut(near, far)

    run(work)


def test_a_cloud_that_has_restarted_gets_a_full_handshake(tmp_path: Path) -> None:
    edge, files = make_tls_files(tmp_path)

    async def work() -> None:
        async with Cloud(files).serving() as cloud:
            connector = WebSocketConnector(cloud.listener.address, link_client_context(**edge.arguments()))
            await cut(*await connected(cloud, connector))
            port = cloud.listener.port
        async with Cloud(files, port).serving() as cloud:
            for reused in (False, True):
                near, far = await connected(cloud, connector)
                assert tls(far).session_reused is reused
                await cut(near, far)

    run(work)


def test_an_impostor_is_refused_by_an_edge_that_remembers_a_session(tmp_path: Path) -> None:
    edge, files = make_tls_files(tmp_path / "ours")
    _, theirs = make_tls_files(tmp_path / "theirs")

    async def work() -> None:
        async with Cloud(files).serving() as cloud:
            connector = WebSocketConnector(cloud.listener.address, link_client_context(**edge.arguments()))
            await cut(*await connected(cloud, connector))
            port = cloud.listener.port
        context = link_server_context(**theirs.arguments())
        context.verify_mode = ssl.CERT_NONE
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", port, ssl=context):
            with pytest.raises(LinkRefused, match=r"(?i)certificate"):
                await connector.connect()

    run(work)


def test_a_certificate_that_is_over_cannot_resume_either(tmp_path: Path) -> None:
    edge, files = make_tls_files(tmp_path)
    authority = read_credentials((tmp_path / "ca.key").read_bytes(), (tmp_path / "ca.pem").read_bytes())
    lasts_s = 2
    short = issue_edge(authority, "edge-1", datetime.now(UTC) + timedelta(days=1, seconds=lasts_s) - timedelta(days=LEAF_DAYS))
    edge.certificate_file.write_bytes(short.certificate_pem)
    edge.key_file.write_bytes(short.key_pem)

    async def work() -> None:
        async with Cloud(files).serving() as cloud:
            connector = WebSocketConnector(cloud.listener.address, link_client_context(**edge.arguments()))
            for reused in (False, True):
                near, far = await connected(cloud, connector)
                assert tls(far).session_reused is reused
                await cut(near, far)
            await asyncio.sleep(lasts_s + 1)
            with pytest.raises(LinkRefused, match="status 403"):
                await connector.connect()  # resumed, and refused above TLS
            with pytest.raises((LinkLost, LinkRefused)):
                await connector.connect()
            assert cloud.accepted.empty()

    run(work)


def test_a_message_is_no_larger_under_a_resumed_session(tmp_path: Path) -> None:
    edge, files = make_tls_files(tmp_path)

    async def work() -> None:
        async with Cloud(files).serving() as cloud:
            connector = WebSocketConnector(cloud.listener.address, link_client_context(**edge.arguments()))
            costs = set()
            for _ in range(2):
                near, far = await connected(cloud, connector)
                before = payload_bytes(near)
                await near.send(bytes(60))
                assert len(await far.receive()) == 60 < LINK_MESSAGE_BYTES_MAX
                costs.add(payload_bytes(near) - before)
                await cut(near, far)
            assert costs == {60 + 6 + 22}, "a masked header, a record"

    run(work)
