"""A listening socket behind load balancers: each connection begins with their header, read whole before anybody else sees a byte.

asyncio's own server reads what there is, and what it reads too much of TLS can't be given back to it. So connections are accepted here.

    accepted ─► from a balancer? ─► header ─► asyncio, which does TLS
                     └── no, too late, one too many, or no header ──► closed
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from ocppress_gateway.core.told import Told
from ocppress_gateway.proxy_header import ProxyHeaderError, missing, source

__all__ = ["Network", "ProxiedServer", "networks"]

BACKLOG: Final = 1024
"""Connections that the kernel has accepted and we haven't: all edges come back at once when the balancer has restarted."""

ACCEPT_AGAIN_S: Final = 1.0
"""Wait after an accept that failed, for want of file descriptors mostly."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_logger: Final = logging.getLogger("ocppress.link")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks from their texts, `10.1.0.0/24`. Raises `ValueError`."""
    return tuple(map(ipaddress.ip_network, texts))


class ProxiedServer:
    """Gives each connection a protocol of its own, made with the address of who is behind the balancer, "" if that is the balancer itself."""

    def __init__(
        self,
        make_protocol: Callable[[str], asyncio.Protocol],
        *,
        balancers: Sequence[Network],
        header_within_s: float,
        newcomers_max: int,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        """`header_within_s`: for the header, and again for the TLS handshake. `newcomers_max`: connections that are at either."""
        self._make_protocol = make_protocol
        self._balancers = balancers
        self._header_within_s = header_within_s
        self._newcomers_max = newcomers_max
        self._ssl_context = ssl_context
        self._accepting: list[asyncio.Task[None]] = []
        self._newcomers: set[asyncio.Task[None]] = set()
        self._told = Told()
        self.sockets: list[socket.socket] = []

    async def listen(self, host: str, port: int) -> None:
        """Raises `OSError` where the address can't be had."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            listening = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            listening.setblocking(False)
            self.sockets.append(listening)
        for listening in self.sockets:
            self._accepting.append(loop.create_task(self._accept(listening), name="accept"))
        await asyncio.sleep(0)  # they have begun, so that each closes its socket in the end

    def close(self) -> None:
        """Accept no more; those there stay."""
        for task in self._accepting:
            task.cancel()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    self._accepted(*await loop.sock_accept(listening))
                except OSError as error:
                    self._tell("connections can't be accepted", reason=error.strerror or str(error))
                    await asyncio.sleep(ACCEPT_AGAIN_S)
        finally:
            loop.remove_reader(listening)  # asyncio itself does that too late for a socket that is closed at once
            listening.close()

    def _accepted(self, connection: socket.socket, address: tuple[str, int]) -> None:
        if len(self._newcomers) >= self._newcomers_max or not self._is_balancer(address[0]):
            connection.close()
            return
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._let_in(connection, address[0]), name="newcomer")
        self._newcomers.add(task)
        task.add_done_callback(self._newcomers.discard)

    def _is_balancer(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        known = any((inner or address) in network for network in self._balancers)
        if not known:
            self._tell("a connection from nobody's load balancer is not accepted", address=host)
        return known

    async def _let_in(self, connection: socket.socket, balancer: str) -> None:
        try:
            try:
                async with asyncio.timeout(self._header_within_s):
                    header = await _read_header(connection)
                behind = source(header)
            except ProxyHeaderError as error:
                self._tell("a load balancer doesn't say who is behind it", address=balancer, reason=str(error))
                connection.close()
                return
            address = "" if behind is None else f"[{behind[0]}]:{behind[1]}" if ":" in behind[0] else f"{behind[0]}:{behind[1]}"
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._make_protocol(address),
                connection,
                ssl=self._ssl_context,
                ssl_handshake_timeout=None if self._ssl_context is None else self._header_within_s,
            )
        except OSError:  # gone, too late, or no TLS: what is to be said of that the context says
            connection.close()
        except BaseException:
            connection.close()
            raise

    def _tell(self, words: str, **fields: str) -> None:
        """Once for each matter: anybody can cause it any number of times."""
        if self._told.first(words, *fields.values()):
            _logger.warning(words, extra={"fields": fields})


async def _read_header(connection: socket.socket) -> bytes:
    """All of the header and nothing behind it. Raises `ProxyHeaderError`, `OSError`."""
    loop = asyncio.get_running_loop()
    data = b""
    while wanted := missing(data):
        read = await loop.sock_recv(connection, wanted)
        if not read:
            raise ConnectionResetError("closed before its header was whole")
        data += read
    return data
