"""The cloud's OCPP-J client: one WebSocket to the CSMS per station. It knows HTTP and WebSocket, nothing of OCPP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs
from yarl import URL

from ocppress_gateway.core.events import CsmsClosed, CsmsOpened, CsmsRefused, CsmsText, OpenCsms, Tick
from ocppress_gateway.driver import Driver
from ocppress_gateway.http_client import ClientSocket, client_session, unreachable
from ocppress_gateway.text_socket import CLOSE_TIMEOUT_S, MESSAGE_BYTES_MAX, PING_S, TextSocket

__all__ = ["CsmsClient", "Spawn"]

_DEFLATE_WINDOW_BITS: Final = 15
"""RFC 7692: what permessage-deflate is offered with; the CSMS may take it or leave it."""

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a task of this name in the program's task group."""


@dataclass(frozen=True, slots=True)
class _Csms:
    """One connection, or an attempt at one (`is_open` not set)."""

    text_socket: TextSocket
    task: asyncio.Task[None]
    is_open: asyncio.Event


class CsmsClient:
    """Connects to the CSMS. Between `start` and `close`, run the machine's effects on it; effects for sockets that have gone do nothing."""

    def __init__(
        self,
        driver: Driver,
        spawn: Spawn,
        *,
        url: str,
        connect_timeout_s: float,
        ssl_context: ssl.SSLContext | None = None,
        ping_s: float = PING_S,
    ) -> None:
        """`url` has one `{identity}`; `ssl_context` is for `wss://`, None for the system's certificates."""
        self._driver = driver
        self._spawn = spawn
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._ssl_context = ssl_context
        self._ping_s = ping_s
        self._session: aiohttp.ClientSession | None = None
        self._connections: dict[int, _Csms] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def start(self) -> None:
        self._session = client_session(ssl_context=self._ssl_context)

    async def close(self) -> None:
        """Close everything."""
        if self._session is not None:
            await self._session.close()

    # --- effects

    def open(self, effect: OpenCsms) -> None:
        socket = effect.socket

        async def on_text(text: str) -> None:
            await self._driver.post(CsmsText(socket, text))

        text_socket = TextSocket(f"csms {socket} writer", on_text)
        is_open = asyncio.Event()
        task = self._spawn(self._run(effect, text_socket, is_open), f"csms {socket}")
        self._connections[socket] = _Csms(text_socket, task, is_open)
        task.add_done_callback(lambda _: self._forget(socket))  # also if it is cancelled before it has begun

    def send(self, socket: int, text: str) -> None:
        if (csms := self._connections.get(socket)) is not None:
            csms.text_socket.send(text)

    def close_csms(self, socket: int, code: int, reason: str) -> None:
        if (csms := self._connections.get(socket)) is not None:
            if csms.is_open.is_set():
                csms.text_socket.close(code, reason)
            else:
                csms.task.cancel()

    # --- one connection

    async def _run(self, effect: OpenCsms, text_socket: TextSocket, is_open: asyncio.Event) -> None:
        websocket = await self._connect(effect)
        if isinstance(websocket, CsmsRefused):
            self._driver.post_now(websocket)
            return
        is_open.set()
        self._driver.post_now(CsmsOpened(effect.socket, websocket.protocol or ""))
        reason = "the program ends"
        try:
            reason = await text_socket.run(websocket, websocket.abort)
        finally:
            self._driver.post_now(CsmsClosed(effect.socket, reason))

    def _forget(self, socket: int) -> None:
        del self._connections[socket]
        self._driver.post_now(Tick())  # whoever waits for the last one to go must look again

    async def _connect(self, effect: OpenCsms) -> ClientSocket | CsmsRefused:
        assert self._session is not None, "start comes first"
        url = URL(self._url.replace("{identity}", quote(effect.identity, safe="")), encoded=True)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                websocket = await self._session.ws_connect(
                    url,
                    protocols=effect.subprotocols,
                    headers={} if effect.authorization is None else {hdrs.AUTHORIZATION: effect.authorization},
                    compress=_DEFLATE_WINDOW_BITS,
                    heartbeat=self._ping_s,
                    max_msg_size=MESSAGE_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                )
        except aiohttp.WSServerHandshakeError as error:
            # A 101 here is an upgrade that broke RFC 6455: nothing that the CSMS decided.
            if error.status == HTTPStatus.SWITCHING_PROTOCOLS:
                return CsmsRefused(effect.socket, None, f"the CSMS's upgrade breaks the rules: {error.message}")
            return CsmsRefused(effect.socket, error.status, f"the CSMS answered {_status(error.status)}")
        except TimeoutError:
            return CsmsRefused(effect.socket, None, f"the CSMS did not answer within {self._connect_timeout_s:g} s")
        except aiohttp.ClientConnectorError as error:
            return CsmsRefused(effect.socket, None, f"the CSMS at {unreachable(error)}")
        except aiohttp.ClientResponseError:  # its text quotes what was received
            return CsmsRefused(effect.socket, None, "the CSMS answered something that is not HTTP")
        except (aiohttp.ClientError, OSError):
            return CsmsRefused(effect.socket, None, "the CSMS closed the connection without an answer")
        except ValueError:  # line ends in what the edge has sent for a header; the text could have the password
            return CsmsRefused(effect.socket, None, "sub-protocols or credentials that no header can hold")
        assert isinstance(websocket, ClientSocket), "the session makes its own class of sockets"
        return websocket


def _status(status: int) -> str:
    """A status with its name, if it has one: `401 Unauthorized`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
