"""A socket to a broker, up to TLS, that can be given up at any time; paho's own way blocks."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from ocppress_gateway.core.broker_topics import BrokerPlace
from ocppress_gateway.transports.names import RememberedNames
from ocppress_gateway.transports.tcp import set_edge_options
from ocppress_gateway.transports.tls import ResumingContext

__all__ = ["dial"]


async def dial(place: BrokerPlace, ssl_context: ResumingContext | None, *, probe_s: int, names: RememberedNames) -> socket.socket:
    """A non-blocking socket, an `ssl.SSLSocket` with a context: corked then, so that the first data goes with the end of the handshake.

    Tries each address of the name. Raises `OSError`, of which `ssl.SSLError` is one.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("no address")
    for found in await names.resolve(place.host, place.port, socket.AF_UNSPEC):
        connection = socket.socket(found["family"], socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            set_edge_options(connection, probe_s)
            await loop.sock_connect(connection, (found["host"], found["port"]))
            return connection if ssl_context is None else await _handshake(connection, ssl_context, place.host)
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError) or isinstance(error, ssl.SSLError):
                raise
            failure = error
    raise failure


async def _handshake(connection: socket.socket, ssl_context: ResumingContext, host: str) -> ssl.SSLSocket:
    loop = asyncio.get_running_loop()
    secure = ssl_context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                secure.do_handshake()
                return secure
            except ssl.SSLWantReadError:
                # The hello has gone; what ends the handshake goes with the CONNECT.
                secure.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                await _ready(secure, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(secure, loop.add_writer, loop.remove_writer)
    except BaseException:
        secure.close()
        raise


async def _ready(connection: socket.socket, add: Callable[..., None], remove: Callable[[int], object]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add(connection.fileno(), wake)
    try:
        await ready
    finally:
        remove(connection.fileno())
