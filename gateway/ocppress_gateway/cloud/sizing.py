"""How large a file is that a station is to fetch: asks its server, fetches nothing.

    HEAD ──► 2xx with Content-Length: that is it
       └──► not allowed, or no length ──► GET with Range: bytes=0-0 ──► Content-Range or Content-Length; its body isn't read

Which URL this is the CSMS decides, and where a redirect leads the server that is asked: so no address is connected to that isn't a public one, whatever a
name resolves to (RFC 6890), but for hosts that the operator has named. It is the address of the socket that counts, not one that was looked up before.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

import aiohttp
from aiohttp import hdrs
from yarl import URL

from ocppress_gateway.cloud.csms import Spawn
from ocppress_gateway.core.events import SizeTransfer, TransferSized
from ocppress_gateway.http_client import unreachable

__all__ = ["REDIRECTS_MAX", "SIZE_S", "TransferSizing", "is_public"]

SIZE_S: Final = 5.0
"""How long all of it may take: a CALL may be waiting."""

REDIRECTS_MAX: Final = 3

ASKED_AT_ONCE_MAX: Final = 16
"""Servers that are asked at once; who comes on top waits, of the same 5 s. An update of all stations has one URL, which is asked once."""

KNOWN_S: Final = 600.0
"""How long an answer holds."""

KNOWN_MAX: Final = 64
"""URLs whose answers are remembered, the one asked first forgotten first."""

_BYTES: Final = re.compile(r"[0-9]{1,15}\Z")
"""Of a file: a petabyte is as good as no length."""

_CONTENT_RANGE: Final = re.compile(r"bytes 0-0/([0-9]{1,15})\Z")
_GONE: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""After which a GET would say no more."""

_NAT64: Final = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""RFC 6052, RFC 8215: an IPv4 address in the last 32 bits, which may be any."""

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""Family, type, protocol, canonical name, address: as `socket.getaddrinfo` has it."""


@dataclass(frozen=True, slots=True)
class _Found:
    size_bytes: int | None
    reason: str = ""


class TransferSizing:
    """Carries `SizeTransfer` out."""

    def __init__(
        self,
        post: Callable[[TransferSized], None],
        spawn: Spawn,
        *,
        private_hosts: Iterable[str] = (),
    ) -> None:
        """`private_hosts` may be connected to whatever their addresses are."""
        self._post = post
        self._spawn = spawn
        self._private_hosts = frozenset(_host_name(host) for host in private_hosts)
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        self._known: OrderedDict[str, tuple[float, asyncio.Future[_Found]]] = OrderedDict()

    def size(self, effect: SizeTransfer) -> None:
        """Ask, unless that has been asked lately, and report."""
        self._spawn(self._size(effect), f"size of transfer {effect.ticket}")

    async def _size(self, effect: SizeTransfer) -> None:
        found = await self._asked(effect.url)
        self._post(TransferSized(effect.identity, effect.ticket, found.size_bytes, found.reason))

    async def _asked(self, url: str) -> _Found:
        loop = asyncio.get_running_loop()
        known = self._known.get(url)
        if known is not None and loop.time() < known[0] + KNOWN_S:
            return await asyncio.shield(known[1])
        answer: asyncio.Future[_Found] = loop.create_future()
        self._known.pop(url, None)
        self._known[url] = loop.time(), answer
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        found = _Found(None, "the program ends")
        try:
            found = await self._ask(url)
        finally:
            answer.set_result(found)
        if found.size_bytes is None:
            self._known.pop(url, None)  # it may be there the next time
        return found

    async def _ask(self, text: str) -> _Found:
        try:
            async with asyncio.timeout(SIZE_S), self._asking:
                return await self._follow(URL(text))
        except TimeoutError:
            return _Found(None, f"its server didn't answer within {SIZE_S:g} s")
        except aiohttp.ClientConnectorError as error:
            return _Found(None, unreachable(error))
        except (aiohttp.ClientError, OSError, ValueError):  # their texts may quote what was received, or the URL
            return _Found(None, "its server answers something that is not HTTP, or the URL is none")

    async def _follow(self, url: URL) -> _Found:
        for _ in range(REDIRECTS_MAX + 1):
            if url.scheme not in ("http", "https") or not url.host:
                return _Found(None, "it leads to another kind of server")
            found = await self._at(url)
            if isinstance(found, _Found):
                return found
            url = found
        return _Found(None, f"more than {REDIRECTS_MAX} redirects")

    async def _at(self, url: URL) -> _Found | URL:
        """What this server says, or where it sends us."""
        connector = aiohttp.TCPConnector(force_close=True, socket_factory=None if self._is_named(url) else _public_socket)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=SIZE_S), auto_decompress=False
        ) as session:
            found: _Found | URL | None = None
            for method, headers in ((hdrs.METH_HEAD, {}), (hdrs.METH_GET, {hdrs.RANGE: "bytes=0-0"})):
                whole = {**headers, hdrs.ACCEPT_ENCODING: "identity"}  # else a server may tell the length of what it packs
                async with session.request(method, url, headers=whole, allow_redirects=False) as response:
                    found = _said(response)
                    response.close()  # unread, whatever it is
                if found is not None:
                    return found
        return _Found(None, "its server doesn't say")

    def _is_named(self, url: URL) -> bool:
        return url.host is not None and _host_name(url.host) in self._private_hosts


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody in the Internet has, also where it holds another one's."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        inner = _inner(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local)


def _inner(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets for an IPv6 address end up at."""
    if any(ip in network for network in _NAT64):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo is not None else None)


def _public_socket(info: AddressInfo) -> socket.socket:
    """A socket for this address, if it may be connected to."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise OSError("it has no public address, and isn't in `hosts`")
    return socket.socket(family=family, type=kind, proto=protocol)


def _said(response: aiohttp.ClientResponse) -> _Found | URL | None:
    """What an answer says; None if another request may say more."""
    status, headers = response.status, response.headers
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST and hdrs.LOCATION in headers:
        return response.url.join(URL(headers[hdrs.LOCATION]))
    if status in _GONE:
        return _Found(None, f"its server answers {status}")
    if status == HTTPStatus.PARTIAL_CONTENT:
        ranged = _CONTENT_RANGE.match(headers.get(hdrs.CONTENT_RANGE, "").strip())
        return None if ranged is None else _Found(int(ranged[1]))
    length = headers.get(hdrs.CONTENT_LENGTH, "").strip()
    if status == HTTPStatus.OK and _BYTES.match(length) and int(length) > 0:
        return _Found(int(length))
    return None


def _host_name(host: str) -> str:
    """As two spellings of it compare equal."""
    return host.lower().rstrip(".").strip("[]")
