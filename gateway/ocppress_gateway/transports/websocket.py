"""The link over WebSocket (RFC 6455), plain or under TLS 1.3, with as little around it as aiohttp allows.

The upgrade has no header that isn't required: path `/`, no sub-protocol, no extension, no User-Agent, Accept, Server, Date. No pings: the
edge's TCP probes do that for half the bytes (`transports.tcp`). One link message is one binary WebSocket message in one frame.

`send` waits for the kernel, and the kernel for the network: asyncio's buffers are allowed to hold nothing, the kernel's one message. Under
TLS asyncio has a second buffer below, so that there up to one message more may be under way when `send` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs, web
from aiohttp.http import WebSocketWriter

from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX
from ocppress_gateway.core.told import Told
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import LinkLost, LinkRefused
from ocppress_gateway.http_client import ClientSocket, abort, client_session, unreachable
from ocppress_gateway.http_listener import HttpListener
from ocppress_gateway.http_requests import is_upgrade, request_logger
from ocppress_gateway.proxied_server import Network
from ocppress_gateway.transports.base import Connection, ConnectionHandler, Connector, Listener, check_message
from ocppress_gateway.transports.names import RememberedNames
from ocppress_gateway.transports.revoked import RevokedKeys
from ocppress_gateway.transports.tcp import (
    KEEPALIVE_IDLE_S,
    AckLimit,
    Wiretap,
    interface_of,
    set_cloud_options,
    set_edge_options,
    set_keepalive,
)
from ocppress_gateway.transports.tls import ResumingContext, ServerContext, certificate_of, keep_session, owner

__all__ = ["TLS_BUFFER_BYTES", "WebSocketConnection", "WebSocketConnector", "WebSocketListener"]

CONNECT_TIMEOUT_S: Final = 30.0
"""For DNS, TCP, TLS and the upgrade together: five round trips at the 3 s and more that a cell at its edge takes, and a repeated packet."""

TLS_BUFFER_BYTES: Final = 8 * 1024
"""What asyncio's TLS reads at a time of a connection: more than a link message usually has, and the largest takes several reads."""

CLOSE_TIMEOUT_S: Final = 2.0
"""How long a closing handshake may take; it is a courtesy, and who closes a dead link wants a new one."""

SHUTDOWN_S: Final = 0.1
"""What a request that is still being answered gets at the end, once the connections are closed."""

CONNECTIONS_MAX: Final = 10_000
"""Link connections of one cloud process, more than the thousands it is meant for; one more is answered 503."""

REQUEST_WITHIN_S: Final = CONNECT_TIMEOUT_S
"""How long a connection may take to ask for its upgrade, and its TLS handshake before; an edge gives up after as long."""

NEWCOMERS_MAX: Final = CONNECTIONS_MAX
"""Connections that haven't asked for anything yet: all edges come back at once when the cloud has restarted."""

HEADER_BYTES_MAX: Final = 1024
"""One line or field of the edge's upgrade request, whose longest is the 24 characters of its key; a host name has at most 253."""

HEADERS_MAX: Final = 32
"""Fields of the upgrade request; the edge sends 5, a load balancer adds its own."""

RECHECK_S: Final = 60.0
"""How long an edge that has been locked out may stay connected."""

_logger = logging.getLogger("ocppress.link")

_MESSAGE_BYTES_MAX: Final = LINK_MESSAGE_BYTES_MAX + 1  # aiohttp refuses what has as many bytes as its limit
_NOT_NEEDED: Final = (hdrs.SERVER, hdrs.DATE, hdrs.CONTENT_TYPE)


class WebSocketConnection(Connection):
    """One end of a link connection."""

    def __init__(
        self,
        websocket: ClientSocket | web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        peer: str,
        certificate: Certificate | None,
        release: Callable[[], Awaitable[None]],
        probes: bool,
        address: str = "",
    ) -> None:
        """`address`: the far end's, where a load balancer is between.

        `release` is awaited once when the connection has ended, whoever ended it. `probes`: this end does."""
        self._tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        self.certificate = certificate
        self.peer = peer
        self.address = address or _address(transport)
        self.network = interface_of(transport.get_extra_info("sockname")[0])
        self._websocket = websocket
        self._transport = transport
        self._release = release
        self._lost: str | None = None
        self._sending = False
        self._wiretap = Wiretap(transport.get_extra_info("socket"))
        self._ack_limit = AckLimit(transport.get_extra_info("socket")) if probes else None
        for layer in (transport, _below_tls(transport)):
            if layer is not None:
                layer.set_write_buffer_limits(high=1, low=0)  # with high=0 asyncio's TLS pauses on an empty buffer, and never resumes
        _shrink_tls_buffer(transport)

    @property
    def resumed(self) -> bool | None:
        """Whether TLS resumed an earlier session; None without TLS."""
        return None if self._tls is None else bool(self._tls.session_reused)

    async def send(self, data: bytes) -> None:
        check_message(data)
        if self._lost is None:
            self._sending = True
            if self._ack_limit is not None:
                self._ack_limit.sending()
            try:
                await self._websocket.send_bytes(data)
            except (OSError, aiohttp.ClientError) as error:
                await self._end(_reason(error))
            self._sending = False  # not if it is cancelled: then the message waits on, and a close behind it would, too
        if self._lost is not None:
            raise LinkLost(self._lost)

    async def receive(self) -> bytes:
        if self._lost is None:
            try:
                message = await self._websocket.receive()
            except (OSError, aiohttp.ClientError) as error:  # in answering a ping
                await self._end(_reason(error))
            else:
                if self._lost is None and message.type is aiohttp.WSMsgType.BINARY and message.data:
                    return bytes(message.data)
                await self._end(self._why(message))
        raise LinkLost(self._lost or "closed")

    async def close(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = f"closed here: {reason}"
        try:
            if not self._sending:  # otherwise a close frame would only wait behind the message that waits already
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_TIMEOUT_S):
                        await self._websocket.close()
        finally:
            await self._let_go()

    def set_keepalive(self, keepalive_s: int) -> None:
        with contextlib.suppress(OSError):  # it has just been closed
            set_keepalive(self._transport.get_extra_info("socket"), keepalive_s)

    def wire_count(self) -> WireCount | None:
        return self._wiretap.read()

    async def _end(self, reason: str) -> None:
        """Note the loss, unless another task has just noted one, and let go of everything."""
        if self._lost is None:
            self._lost = reason
            await self._let_go()

    async def _let_go(self) -> None:
        abort(self._transport)
        keep_session(self._tls)
        self._wiretap.close()
        if self._ack_limit is not None:
            self._ack_limit.close()
        await self._release()

    def _why(self, message: aiohttp.WSMessage) -> str:
        if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            return "the far end broke the transport's rules: an empty or a text message"
        if isinstance(message.data, Exception):
            return _reason(message.data)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return f"closed by the far end, code {message.data}"
        return _reason(self._websocket.exception() or ConnectionResetError("the far end has gone"))


class _LinkSocket(ClientSocket):
    """A client WebSocket whose sends wait for the transport each time, not only once in 64 KiB."""

    def __init__(self, reader: Any, writer: WebSocketWriter, *arguments: Any, **named_arguments: Any) -> None:
        waiting_writer = WebSocketWriter(writer.protocol, writer.transport, use_mask=True, limit=0)
        super().__init__(reader, waiting_writer, *arguments, **named_arguments)


class WebSocketConnector(Connector):
    """The edge's side. `ssl_context` as `transports.tls.link_client_context` makes it, for `wss://`."""

    def __init__(self, url: str, ssl_context: ResumingContext | None = None, *, keepalive_s: int = KEEPALIVE_IDLE_S) -> None:
        """`keepalive_s`: silence after which the edge probes."""
        if (urlsplit(url).scheme == "wss") is (ssl_context is None):
            raise ValueError("a wss:// link needs a TLS context of its own, a ws:// link has none")
        self.address = url
        self._ssl_context = ssl_context
        self._keepalive_s = keepalive_s
        self._names = RememberedNames()

    @property
    def looks_up(self) -> bool:
        return self._names.looks_up(urlsplit(self.address).hostname or "")

    async def connect(self) -> WebSocketConnection:
        session = client_session(
            ssl_context=self._ssl_context,
            socket_class=_LinkSocket,
            socket_factory=self._socket,
            skip_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING),
            resolver=self._names,
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                websocket = await session.ws_connect(
                    self.address, max_msg_size=_MESSAGE_BYTES_MAX, timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S)
                )
            assert isinstance(websocket, ClientSocket), "the session makes its own class of sockets"

            async def release() -> None:
                websocket.abort()
                await session.close()

            self._names.worked()
            transport = websocket.transport
            tls = transport.get_extra_info("ssl_object")
            if self._ssl_context is not None:
                self._ssl_context.remember(tls)
            certificate = certificate_of(tls)
            return WebSocketConnection(
                websocket, transport, peer=owner(tls, certificate), certificate=certificate, release=release, probes=True
            )
        except BaseException as error:
            await session.close()
            if isinstance(error, aiohttp.ClientError | OSError):  # TimeoutError is one
                if not isinstance(error, aiohttp.WSServerHandshakeError):
                    self._names.failed()
                raised = _connect_error(error)
                if isinstance(raised, LinkRefused) and self._ssl_context is not None:
                    self._ssl_context.forget()  # a full handshake says what is wrong, and may mend it
                raise raised from error
            raise

    def _socket(self, address: Any) -> socket.socket:
        """A socket for one of the addresses that the cloud's name resolves to."""
        family, kind, protocol, _, _ = address
        connection = socket.socket(family, kind, protocol)
        set_edge_options(connection, self._keepalive_s)
        return connection


class WebSocketListener(Listener):
    """The cloud's side. `ssl_context` as `transports.tls.link_server_context` makes it; without one the link is plain and `peer` is
    empty."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        ssl_context: ServerContext | None = None,
        revoked: RevokedKeys | None = None,
        balancers: Sequence[Network] = (),
        request_within_s: float = REQUEST_WITHIN_S,
        recheck_s: float = RECHECK_S,
    ) -> None:
        """`balancers`: those that connections come from, none if edges connect here.

        `revoked`: edges that are locked out. `recheck_s`: how often the certificates of open connections are looked at again."""
        if ssl_context is not None and ssl_context.verify_mode is not ssl.CERT_REQUIRED:
            raise ValueError("a link with TLS requires client certificates")
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        if ssl_context is not None:
            ssl_context.not_accepted = self._not_accepted
        self._revoked = revoked
        self._recheck_s = recheck_s
        self._rechecking: asyncio.Task[None] | None = None
        self._told = Told()
        self._runner: web.AppRunner | None = None
        self._listener = HttpListener(request_within_s=request_within_s, newcomers_max=NEWCOMERS_MAX, balancers=balancers)
        self._connections: set[WebSocketConnection] = set()

    @property
    def port(self) -> int:
        """The port listened on, also if 0 was asked for. Only while serving."""
        return self._listener.port

    @property
    def address(self) -> str:
        return f"{'ws' if self._ssl_context is None else 'wss'}://{self._host}:{self.port}/"

    async def serve(self, handler: ConnectionHandler) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, handler)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._listener.handler(handle), expect_handler=_ignore_expectations)
        application.on_response_prepare.append(_drop_headers)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=request_logger("ocppress.link"),
            lingering_time=0,  # no request of an edge has a body to wait for
            tcp_keepalive=False,  # the edge alone probes
            shutdown_timeout=SHUTDOWN_S,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )
        await self._runner.setup()
        assert self._runner.server is not None, "it is there after the set-up"
        await self._listener.listen(self._runner.server, self._host, self._port, self._ssl_context)
        self._rechecking = asyncio.get_running_loop().create_task(self._recheck(), name="link certificates")

    def refuse(self) -> None:
        self._listener.stop()

    async def close(self) -> None:
        if self._rechecking is not None:
            self._rechecking.cancel()
            await asyncio.wait((self._rechecking,))
            self._rechecking = None
        if self._runner is not None:
            self._listener.stop()
            await asyncio.gather(*(connection.close("the cloud ends") for connection in self._connections))
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request, handler: ConnectionHandler) -> web.StreamResponse:
        websocket = web.WebSocketResponse(timeout=CLOSE_TIMEOUT_S, compress=False, max_msg_size=_MESSAGE_BYTES_MAX, writer_limit=0)
        if request.path != "/":
            return web.Response(status=HTTPStatus.NOT_FOUND)
        if not is_upgrade(websocket, request):
            return web.Response(status=HTTPStatus.UPGRADE_REQUIRED, headers={hdrs.UPGRADE: "websocket"})
        if len(self._connections) >= CONNECTIONS_MAX:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        transport = request.transport
        if transport is None:
            return _gone_already()
        tls = transport.get_extra_info("ssl_object")
        try:
            certificate = certificate_of(tls)
        except ssl.SSLError as error:
            self._not_accepted(str(error))
            return web.Response(status=HTTPStatus.FORBIDDEN)
        if self._refusal(certificate) is not None:
            return web.Response(status=HTTPStatus.FORBIDDEN)
        peer = owner(tls, certificate)
        if self._ssl_context is not None and not peer:
            return web.Response(status=HTTPStatus.FORBIDDEN)  # a certificate that names nobody
        set_cloud_options(transport.get_extra_info("socket"))
        try:
            await websocket.prepare(request)
            connection = WebSocketConnection(
                websocket,
                transport,
                peer=peer,
                certificate=certificate,
                release=_nothing,
                probes=False,
                address=self._listener.address_of(request),
            )
        except OSError:
            return _gone_already()
        self._connections.add(connection)
        try:
            await handler(connection)
        finally:
            await connection.close("the handler has returned")
            self._connections.discard(connection)
        return websocket

    # --- certificates: what TLS doesn't look at when a session is resumed, or while a connection lasts

    def _refusal(self, certificate: Certificate | None) -> str | None:
        """Why the owner of a certificate isn't let in, or no longer; reported once."""
        if certificate is None:
            return None
        reason = "its certificate has expired" if certificate.is_over(time.time()) else None
        if self._revoked is not None and certificate in self._revoked:
            reason = "its certificate is revoked"
        if reason is not None and self._told.first(certificate.serial, reason):
            fields = {"edge": certificate.name, "serial": certificate.serial_hex, "reason": reason}
            _logger.warning("edge locked out", extra={"fields": fields})
        return reason

    def _not_accepted(self, reason: str) -> None:
        """TLS says no more than why, so that is reported once a day, whoever it was."""
        if self._told.first(reason, int(time.time() // 86_400)):
            _logger.warning("an edge's certificate is not accepted", extra={"fields": {"reason": reason}})

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(self._recheck_s)
            refused = [(connection, self._refusal(connection.certificate)) for connection in self._connections]
            await asyncio.gather(*(connection.close(reason) for connection, reason in refused if reason is not None))


async def _ignore_expectations(_: web.Request) -> None:
    """An edge sends no `Expect`; aiohttp stumbles over some."""


def _gone_already() -> web.Response:
    """aiohttp wants an answer even where nobody will see it."""
    return web.Response()


async def _nothing() -> None:
    """The server's connections own nothing besides the transport."""


async def _drop_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name in _NOT_NEEDED:
        response.headers.popall(name, None)


def _below_tls(transport: asyncio.Transport) -> asyncio.WriteTransport | None:
    """The transport that carries asyncio's TLS records, None for a plain one. asyncio doesn't show it; where it's called otherwise,
    buffers stay larger."""
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return below if isinstance(below, asyncio.WriteTransport) else None


def _shrink_tls_buffer(transport: asyncio.Transport) -> None:
    """asyncio's TLS takes 256 KiB for each connection to read into, far more than a link message has; a cloud has thousands of connections.
    Where asyncio's insides are called otherwise, they keep it."""
    protocol: Any = getattr(transport, "_ssl_protocol", None)
    if isinstance(getattr(protocol, "_ssl_buffer", None), bytearray) and isinstance(getattr(protocol, "max_size", None), int):
        buffer = bytearray(TLS_BUFFER_BYTES)
        protocol.max_size = TLS_BUFFER_BYTES
        protocol._ssl_buffer = buffer
        protocol._ssl_buffer_view = memoryview(buffer)


def _address(transport: asyncio.Transport) -> str:
    host, port, *_ = transport.get_extra_info("peername") or ("?", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _connect_error(error: Exception) -> LinkLost | LinkRefused:
    """A refusal is what stays the same until someone acts: TLS, or an answer that isn't the server's temporary trouble."""
    if isinstance(error, aiohttp.WSServerHandshakeError):
        refused = error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return (LinkRefused if refused else LinkLost)(f"the upgrade was answered with status {error.status}")
    if isinstance(error, TimeoutError):
        return LinkLost(f"no connection within {CONNECT_TIMEOUT_S:g} s")
    refused = isinstance(error, aiohttp.ClientSSLError | ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)
    reason = unreachable(error) if isinstance(error, aiohttp.ClientConnectorError) else _reason(error)
    return (LinkRefused if refused else LinkLost)(reason)


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectionResetError):
        return "the connection was lost"  # aiohttp's own words are about what it couldn't write then
    return str(error) or type(error).__name__
