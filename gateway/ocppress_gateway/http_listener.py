"""The listening socket of an aiohttp server, which shows those out who connect and ask for nothing.

aiohttp waits forever for the first request of a connection, and an hour for the next. Here a newcomer has a while for its one request,
only so many newcomers may be there at once, and a connection is closed with its answer.

    accepted ─► newcomer ──request──► aiohttp alone, to which the transport then belongs
                   └────too late, or one too many──► aborted
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from aiohttp import web

from ocppress_gateway.proxied_server import Network, ProxiedServer

__all__ = ["HttpListener"]

Request = TypeVar("Request", bound=web.BaseRequest)
Response = TypeVar("Response", bound=web.StreamResponse)


class HttpListener:
    """Give `handler(…)` to the aiohttp server, and the server's protocols to `listen`."""

    def __init__(self, *, request_within_s: float, newcomers_max: int, balancers: Sequence[Network] = ()) -> None:
        """`request_within_s`: for the TLS handshake, and again for the request, its headers complete. `balancers`: where those are whose
        header each connection begins with, if there are any."""
        self._balancers = balancers
        self._request_within_s = request_within_s
        self._newcomers_max = newcomers_max
        self._newcomers: dict[asyncio.BaseProtocol, _Newcomer] = {}
        self._addresses: dict[asyncio.BaseProtocol, str] = {}
        self._server: asyncio.Server | ProxiedServer | None = None

    @property
    def port(self) -> int:
        """The port listened on, also if 0 was asked for. Only while listening."""
        assert self._server is not None, "not listening"
        return int(self._server.sockets[0].getsockname()[1])

    def address_of(self, request: web.BaseRequest) -> str:
        """Where a request that is being handled comes from, as the load balancer says; "" if there is none, or it doesn't."""
        return self._addresses.get(request.protocol, "")

    def handler(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """`handle` for the one request of a connection."""

        async def once(request: Request) -> Response:
            if (newcomer := self._newcomers.get(request.protocol)) is not None:
                newcomer.come_in()
                self._addresses[request.protocol] = newcomer.address
            try:
                response = await handle(request)
            finally:
                self._addresses.pop(request.protocol, None)
            response.force_close()
            return response

        return once

    async def listen(self, make_protocol: Callable[[], asyncio.Protocol], host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        """Listen, each connection with a protocol of its own. Raises `OSError` where the address can't be had."""
        if self._balancers:
            self._server = ProxiedServer(
                lambda address: self._newcomer(make_protocol, address),
                balancers=self._balancers,
                header_within_s=self._request_within_s,
                newcomers_max=self._newcomers_max,
                ssl_context=ssl_context,
            )
            await self._server.listen(host, port)
            return
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self._newcomer(make_protocol),
            host,
            port,
            ssl=ssl_context,
            ssl_handshake_timeout=None if ssl_context is None else self._request_within_s,
        )

    async def listen_at(self, make_protocol: Callable[[], asyncio.Protocol], listener: socket.socket) -> None:
        """The same on a Unix socket that is bound already."""
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: self._newcomer(make_protocol), sock=listener)

    def _newcomer(self, make_protocol: Callable[[], asyncio.Protocol], address: str = "") -> _Newcomer:
        return _Newcomer(make_protocol(), self._newcomers, self._request_within_s, self._newcomers_max, address)

    def stop(self) -> None:
        """Accept no more connections; those there stay."""
        if self._server is not None:
            self._server.close()


class _Newcomer(asyncio.Protocol):
    """Stands before aiohttp's protocol until that has a whole request."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        newcomers: dict[asyncio.BaseProtocol, _Newcomer],
        request_within_s: float,
        newcomers_max: int,
        address: str,
    ) -> None:
        self.address = address
        self._inner = inner
        self._newcomers = newcomers
        self._request_within_s = request_within_s
        self._newcomers_max = newcomers_max
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def come_in(self) -> None:
        """It has asked for something: from here on it is aiohttp's."""
        assert self._transport is not None, "requests come from a connection"
        self._leave()
        self._transport.set_protocol(self._inner)

    def _leave(self) -> None:
        self._newcomers.pop(self._inner, None)
        if self._timer is not None:
            self._timer.cancel()

    # --- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "streams have one"
        self._transport = transport
        if len(self._newcomers) >= self._newcomers_max:
            transport.abort()
            return
        self._newcomers[self._inner] = self
        self._timer = asyncio.get_running_loop().call_later(self._request_within_s, transport.abort)
        self._inner.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._inner in self._newcomers:  # otherwise it never was let in
            self._leave()
            self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
