"""The edge's OCPP-J server: stations' upgrades and messages as events, effects to their sockets. It knows HTTP and WebSocket, nothing of
OCPP.

A station's way: request ─► checks here (path, upgrade, limits) ─► `StationArrived` ─► the machine decides ─► `AdmitStation` or
`RefuseStation` ─► texts both ways ─► `StationGone`.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import hdrs, web

from ocppress_gateway.core.bucket import Bucket
from ocppress_gateway.core.events import AdmitStation, RefuseStation, StationArrived, StationGone, StationText
from ocppress_gateway.core.identity import IDENTITY_PATTERN
from ocppress_gateway.driver import Driver
from ocppress_gateway.http_listener import HttpListener
from ocppress_gateway.http_requests import is_upgrade, request_logger
from ocppress_gateway.text_socket import CLOSE_TIMEOUT_S, MESSAGE_BYTES_MAX, PING_S, TextSocket
from ocppress_gateway.workloads.traces import Direction

__all__ = ["SocketWatch", "StationServer"]

SOCKETS_MAX: Final = 256
"""Stations' connections, those that wait for admission included: four for each of `STATIONS_PER_EDGE_MAX`, old ones that aren't known lost
among them."""

WAITING_MAX: Final = 128
"""Upgrades that wait for a decision; each costs the link a question to the CSMS."""

REQUEST_WITHIN_S: Final = 20.0
"""How long a connection may take to ask for its upgrade, and its TLS handshake before: stations are on the local network, but the slowest
take seconds for a handshake."""

NEWCOMERS_MAX: Final = 128
"""Connections that haven't asked for anything yet: two for each of `STATIONS_PER_EDGE_MAX`, should all come back at once."""

TEXTS_PER_S: Final = 100
"""Texts of one station that are read in a second. One has a CALL under way, so even a CSMS that answers within 10 ms hears no more of it; whatever
comes faster waits in TCP, and leaves the others their share of a small board."""

TEXTS_BURST: Final = 1000
"""Texts that may come at once: what a station has gathered while it was offline."""

HEADER_BYTES_MAX: Final = 4096
"""One line or field of a station's request. OCPP's URLs have at most 2,000 characters, a password of 64 in Basic authorization makes
160."""

HEADERS_MAX: Final = 64
"""Fields of a station's request; stations send about ten."""

GONE_CHECK_S: Final = 1.0
"""How often to look whether a station that waits for admission is still there: aiohttp tells nobody who isn't reading."""

SHUTDOWN_S: Final = 0.1
"""What a request that is still being answered gets at the end; sockets have been closed by then, or had their time."""

_IDENTITY: Final = re.compile(IDENTITY_PATTERN)
_WRONG_PATH: Final = "This is an OCPP-J server. Connect a charging station's WebSocket to a path that ends in the station's identity.\n"
_NOT_AN_UPGRADE: Final = "This is an OCPP-J server: it speaks WebSocket only, with a charging station.\n"
_NO_SUBPROTOCOL: Final = 1002
"""OCPP 2.1 Part 4, 3.3: without a common sub-protocol the handshake is completed without one, and the connection closed."""


class SocketWatch(Protocol):
    """Who wants to know what passes the stations' sockets."""

    def station_connected(self, socket: int) -> None:
        """A station's WebSocket is open."""

    def station_said(self, socket: int, direction: Direction, text: str) -> None:
        """A text has come from a station, or goes to it."""

    def station_gone(self, socket: int) -> None:
        """It is closed."""


class _Station:
    """One station's connection: first its decision, then its socket."""

    def __init__(self, text_socket: TextSocket) -> None:
        self.decision: asyncio.Future[AdmitStation | RefuseStation | None] = asyncio.get_running_loop().create_future()
        self.text_socket = text_socket

    def decide(self, decision: AdmitStation | RefuseStation | None) -> None:
        """Admit, refuse, or None: the machine has closed it before it decided."""
        if not self.decision.done():
            self.decision.set_result(decision)


class StationServer:
    """Listens for stations. Between `start` and `close`, run the machine's effects on it; effects for sockets that have gone do nothing."""

    def __init__(
        self,
        driver: Driver,
        *,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None = None,
        ping_s: float = PING_S,
        request_within_s: float = REQUEST_WITHIN_S,
        watch: SocketWatch | None = None,
    ) -> None:
        """`watch` is told of sockets that were admitted; what it is told of others means nothing."""
        self._driver = driver
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._ping_s = ping_s
        self._watch = watch
        self._stations: dict[int, _Station] = {}
        self._numbers = itertools.count(1)
        self._runner: web.ServerRunner | None = None
        self._listener = HttpListener(request_within_s=request_within_s, newcomers_max=NEWCOMERS_MAX)

    def __len__(self) -> int:
        return len(self._stations)

    @property
    def port(self) -> int:
        """The port listened on, also if 0 was asked for. Only once started."""
        return self._listener.port

    async def start(self) -> None:
        """Listen. Raises `OSError` where the address can't be had."""
        server = web.Server(
            self._listener.handler(self._handle),
            access_log=None,  # the machine's notes have what matters, and no header
            logger=request_logger("ocppress.edge"),
            lingering_time=0,  # no request of a station has a body to wait for
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await self._listener.listen(server, self._host, self._port, self._ssl_context)

    async def stop_listening(self) -> None:
        """Accept no more connections; those there stay."""
        self._listener.stop()

    async def close(self) -> None:
        """Close everything."""
        self._listener.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- effects

    def decide(self, decision: AdmitStation | RefuseStation) -> None:
        if (station := self._stations.get(decision.socket)) is not None:
            station.decide(decision)

    def send(self, socket: int, text: str) -> None:
        if (station := self._stations.get(socket)) is not None:
            if self._watch is not None:
                self._watch.station_said(socket, Direction.DOWN, text)
            station.text_socket.send(text)

    def close_station(self, socket: int, code: int, reason: str) -> None:
        if (station := self._stations.get(socket)) is not None:
            station.decide(None)
            station.text_socket.close(code, reason)

    def pause(self, socket: int) -> None:
        if (station := self._stations.get(socket)) is not None:
            station.text_socket.pause()

    def resume(self, socket: int) -> None:
        if (station := self._stations.get(socket)) is not None:
            station.text_socket.resume()

    # --- requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        identity = request.rel_url.name
        if _IDENTITY.fullmatch(identity) is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text=_WRONG_PATH)
        if request.headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
            return web.Response(status=HTTPStatus.UPGRADE_REQUIRED, headers={hdrs.UPGRADE: "websocket"}, text=_NOT_AN_UPGRADE)
        offered = _subprotocols(request)
        if not is_upgrade(web.WebSocketResponse(protocols=offered), request):
            return web.Response(status=HTTPStatus.BAD_REQUEST, text=_NOT_AN_UPGRADE)
        waiting_count = sum(not station.decision.done() for station in self._stations.values())
        if len(self._stations) >= SOCKETS_MAX or waiting_count >= WAITING_MAX:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="Too many connections.\n")
        socket = next(self._numbers)

        pace = Bucket(TEXTS_BURST, TEXTS_PER_S)
        clock = asyncio.get_running_loop().time

        async def on_text(text: str) -> None:
            if self._watch is not None:
                self._watch.station_said(socket, Direction.UP, text)
            await self._driver.post(StationText(socket, text))
            if pace.spend(1, clock()) < 0:
                await asyncio.sleep(pace.wait_s(clock()))

        station = self._stations[socket] = _Station(TextSocket(f"station {socket} writer", on_text))
        gone = "the program ends"
        try:
            await self._driver.post(StationArrived(socket, identity, offered, request.headers.get(hdrs.AUTHORIZATION)))
            decision = await _decided(station, request)
            if isinstance(decision, RefuseStation):
                gone = f"refused with status {decision.status}"
                return _refusal(decision)
            transport = request.transport
            if decision is None or transport is None:
                gone = "it went before its upgrade"
                return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
            websocket = web.WebSocketResponse(
                protocols=(decision.subprotocol,) if decision.subprotocol else (),
                heartbeat=self._ping_s,
                max_msg_size=MESSAGE_BYTES_MAX,
                timeout=CLOSE_TIMEOUT_S,
            )
            if not decision.subprotocol:
                station.text_socket.close(_NO_SUBPROTOCOL, "no common sub-protocol")
            try:
                await websocket.prepare(request)
            except OSError as error:
                gone = str(error)
                return web.Response()  # nobody will see it
            if self._watch is not None:
                self._watch.station_connected(socket)
            gone = await station.text_socket.run(websocket, transport.abort)
            return websocket
        finally:
            del self._stations[socket]
            if self._watch is not None:
                self._watch.station_gone(socket)
            self._driver.post_now(StationGone(socket, gone))


async def _decided(station: _Station, request: web.BaseRequest) -> AdmitStation | RefuseStation | None:
    """The machine's decision; None if it closed the socket instead, or the station went first."""
    while not station.decision.done():
        await asyncio.wait((station.decision,), timeout=GONE_CHECK_S)
        if request.transport is None or request.transport.is_closing():
            return None
    return station.decision.result()


def _refusal(decision: RefuseStation) -> web.Response:
    response = web.Response(status=decision.status, text=decision.reason + "\n")
    if decision.status == HTTPStatus.UNAUTHORIZED:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Basic realm="OCPP"'  # RFC 9110 11.6.1 requires one
    return response


def _subprotocols(request: web.BaseRequest) -> tuple[str, ...]:
    """What the station offers, in its order; the header may stand several times (RFC 6455 11.3.4)."""
    lists = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return tuple(name for names in lists for part in names.split(",") if (name := part.strip()))
