"""What the two outgoing WebSockets, to the cloud and to the CSMS, share: an HTTP session that does nothing of its own accord.

aiohttp would follow redirects, with whatever headers were meant for the first host; carry one station's cookies to the next; and open at
most 100 connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

__all__ = ["ClientSocket", "abort", "client_session", "unreachable"]


class ClientSocket(aiohttp.ClientWebSocketResponse):
    """aiohttp's client WebSocket that also shows its transport, and can be ended without a closing handshake."""

    @property
    def transport(self) -> asyncio.Transport:
        return self._writer.transport

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the answer to the upgrade."""
        return self._response.headers

    def abort(self) -> None:
        """End the connection now, whatever state it is in; safe to call twice."""
        abort(self.transport)
        self._response.close()


def abort(transport: asyncio.WriteTransport) -> None:
    """End a connection now, whatever state it is in; safe to call twice."""
    # The TLS of Python 3.11.2's asyncio, which is Debian 12's, raises once it has been closed twice; then its closing is under way, within its time limit.
    with contextlib.suppress(AttributeError):
        transport.abort()


def client_session(
    *,
    ssl_context: ssl.SSLContext | None,
    socket_class: type[ClientSocket] = ClientSocket,
    socket_factory: Callable[[Any], Any] | None = None,
    skip_headers: Iterable[str] = (),
    resolver: AbstractResolver | None = None,
) -> aiohttp.ClientSession:
    """A session without redirects, cookies, proxies, and time-outs of its own; without `ssl_context` the system's certificates count."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, force_close=True, ssl=ssl_context or True, socket_factory=socket_factory, resolver=resolver
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        middlewares=(_refuse_redirects,),
        ws_response_class=socket_class,
        skip_auto_headers=skip_headers,
    )


def unreachable(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, for people; aiohttp's own text is about the insides of asyncio."""
    match error.os_error:
        case ssl.SSLCertVerificationError() as cause:
            why = f"certificate not accepted: {cause.verify_message}"
        case OSError(errno=int(number)) as cause if number > 0 and not isinstance(cause, ssl.SSLError):
            why = os.strerror(number)
        case cause:  # name resolution and TLS have numbers of their own
            why = cause.strerror or str(cause)
    return f"{error.host}:{error.port} cannot be reached: {why}"


async def _refuse_redirects(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    response = await handler(request)
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        response.close()
        raise aiohttp.WSServerHandshakeError(
            response.request_info, response.history, message="redirects aren't followed", status=response.status, headers=response.headers
        )
    return response
