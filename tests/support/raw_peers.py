"""A station and a CSMS of bare texts, on `websockets`: they know no OCPP, record what they receive, and say what a test tells them to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

__all__ = ["WAIT_S", "RawCsms", "RawStation", "answer_upgrade"]

WAIT_S = 10.0
"""How long to wait for anything; reached only when something is broken."""

Admit = Callable[[str, str | None, Sequence[str]], int | str]
"""Identity, Authorization header and offered sub-protocols; the answer is a status, or the sub-protocol to choose, "" for none."""

Handler = Callable[[str], Sequence[str]]
"""The texts to send back for a text."""

Talk = Callable[[str, ServerConnection], Awaitable[None]]
"""What to do with an identity's socket instead of recording and answering; may end with `ConnectionClosed`."""


def _first_offered(_identity: str, _authorization: str | None, subprotocols: Sequence[str]) -> int | str:
    return subprotocols[0] if subprotocols else ""


class RawCsms:
    """A CSMS at `url`, which has `{identity}` in it; an asynchronous context. `texts` has what each identity said."""

    def __init__(
        self,
        *,
        admit: Admit = _first_offered,
        handler: Handler | None = None,
        talk: Talk | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._ssl_context = ssl_context
        self._admit = admit
        self._handler = handler
        self._talk = talk or self._record
        self._changed = asyncio.Condition()
        self._server: Server | None = None
        self._port = 0
        self.texts: defaultdict[str, list[str]] = defaultdict(list)
        self.authorizations: defaultdict[str, list[str | None]] = defaultdict(list)
        self.sockets: dict[str, ServerConnection] = {}
        """The open socket of each identity."""
        self.close_codes: defaultdict[str, list[int | None]] = defaultdict(list)
        self.overlaps_s: list[float] = []
        """How long sockets have lived on beside a newer one of their identity."""
        self._replaced_at: dict[ServerConnection, float] = {}

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def _listen(self) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self._port,
            ssl=self._ssl_context,
            process_request=self._process_request,
            select_subprotocol=self._select,
            max_size=None,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is None:
            return
        self._server.close()
        await self._server.wait_closed()

    async def crash(self) -> None:
        """Go as a killed process goes: its sockets break, what it was about to say is never said. `come_back` on the same port."""
        assert self._server is not None, "it is running"
        server, self._server = self._server, None
        for connection in server.connections:
            connection.transport.abort()
        server.close()
        await server.wait_closed()

    async def come_back(self) -> None:
        await self._listen()

    @property
    def url(self) -> str:
        assert self._port, "only inside the context"
        scheme = "ws" if self._ssl_context is None else "wss"
        return f"{scheme}://127.0.0.1:{self._port}/ocpp/{{identity}}"

    async def send(self, identity: str, text: str) -> None:
        await self.sockets[identity].send(text)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition about this object holds."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(condition)

    async def received(self, identity: str, count: int) -> list[str]:
        """The texts of this identity, once there are as many."""
        await self.until(lambda: len(self.texts[identity]) >= count)
        return self.texts[identity]

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        identity = request.path.rpartition("/")[2]
        authorization = request.headers.get("Authorization")
        offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]
        self.authorizations[identity].append(authorization)
        answer = self._admit(identity, authorization, offered)
        if isinstance(answer, int):
            return connection.respond(http.HTTPStatus(answer), "as the test has it\n")
        connection.chosen_subprotocol = answer  # type: ignore[attr-defined]
        return None

    def _select(self, connection: ServerConnection, _offered: Sequence[Subprotocol]) -> Subprotocol | None:
        chosen: str = connection.chosen_subprotocol  # type: ignore[attr-defined]
        return Subprotocol(chosen) if chosen else None

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        identity = connection.request.path.rpartition("/")[2]
        now = asyncio.get_running_loop().time
        if identity in self.sockets:
            self._replaced_at[self.sockets[identity]] = now()
        self.sockets[identity] = connection
        await self._notify()
        try:
            with contextlib.suppress(ConnectionClosed):
                await self._talk(identity, connection)
        finally:
            if self.sockets.get(identity) is connection:
                del self.sockets[identity]
            if connection in self._replaced_at:
                self.overlaps_s.append(now() - self._replaced_at.pop(connection))
            self.close_codes[identity].append(connection.close_code)
            await self._notify()

    async def _record(self, identity: str, connection: ServerConnection) -> None:
        async for text in connection:
            assert isinstance(text, str), "OCPP-J has text messages only"
            self.texts[identity].append(text)
            await self._notify()
            for answer in self._handler(text) if self._handler is not None else ():
                await connection.send(answer)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class RawStation:
    """A station connected to `url`, its identity included; an asynchronous context. Entering raises what `websockets.connect` does."""

    def __init__(
        self,
        url: str,
        *,
        subprotocols: Sequence[str] = ("ocpp2.0.1",),
        authorization: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._connecting = connect(
            url,
            ssl=ssl_context,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            additional_headers={} if authorization is None else {"Authorization": authorization},
            max_size=None,
        )
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(WAIT_S):
            self._socket = await self._connecting
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.socket.close()

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None, "only inside the context"
        return self._socket

    async def send(self, text: str) -> None:
        await self.socket.send(text)

    async def receive(self, timeout_s: float = WAIT_S) -> str:
        """The next text. Raises `TimeoutError`, and `ConnectionClosed` with the code."""
        async with asyncio.timeout(timeout_s):
            text = await self.socket.recv()
        assert isinstance(text, str), "OCPP-J has text messages only"
        return text

    async def closed(self) -> int | None:
        """The code that the connection is closed with, once it is."""
        async with asyncio.timeout(WAIT_S):
            await self.socket.wait_closed()
        return self.socket.close_code


async def answer_upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> None:
    """Answer a WebSocket upgrade (RFC 6455 4.2.2) by hand, with `rest` in the same segment."""
    request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    key = next(line.partition(b": ")[2] for line in request if line.lower().startswith(b"sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept
    writer.write(head + b"\r\n\r\n" + rest)
