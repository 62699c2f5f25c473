"""One OCPP-J WebSocket, of a station or of the CSMS: a reader that hands texts on, a writer with a bounded queue.

The machine never waits for a peer: what can't be written at once waits in the queue. A peer that doesn't read is found by what piles up, and cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

from ocppress_gateway.begun import begun
from ocppress_gateway.core.limits import MESSAGE_TEXT_BYTES_MAX
from ocppress_gateway.deadline import Deadline
from ocppress_gateway.http_client import ClientSocket

__all__ = ["CLOSE_TIMEOUT_S", "MESSAGE_BYTES_MAX", "PING_S", "TextSocket"]

PING_S: Final = 60.0
"""Silence after which a peer is pinged; a peer that doesn't answer within half of it is closed. None of it crosses the cellular link."""

MESSAGE_BYTES_MAX: Final = MESSAGE_TEXT_BYTES_MAX + 1
"""What aiohttp is told: it refuses, with 1009, what has as many bytes as its limit, or more than it if they came compressed."""

WAITING_CHARACTERS_MAX: Final = 4 * MESSAGE_TEXT_BYTES_MAX
"""Text that may wait for a peer to read it: four of the largest messages. OCPP has one CALL and one answer under way, so a peer that lets
this much pile up has stopped reading."""

WAITING_TEXTS_MAX: Final = 256
"""Texts that may wait, however short; a peer with more doesn't read them."""

SEND_TIMEOUT_S: Final = 60.0
"""How long one text may wait until the peer's TCP takes it; OCPP's own time-outs are shorter."""

CLOSE_TIMEOUT_S: Final = 5.0
"""How long the last texts and the closing handshake together may take."""

_CLOSE_REASON_BYTES_MAX: Final = 123
"""RFC 6455 5.5: a control frame has 125 bytes of payload, the close code takes two."""

_DOES_NOT_READ: Final = "it doesn't read what it is sent"

Websocket = ClientSocket | web.WebSocketResponse

_UNSUPPORTED_DATA: Final = 1003
"""RFC 6455 7.4.1; OCPP-J has text messages only."""


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class TextSocket:
    """One WebSocket; it may be sent to before it is open. `run` is the reader's task."""

    def __init__(self, name: str, on_text: Callable[[str], Awaitable[None]]) -> None:
        """`name` is the writer task's; `on_text` takes each text message and may wait, which makes the peer wait."""
        self._name = name
        self._on_text = on_text
        self._queue: asyncio.Queue[str | _Close | Awaitable[None]] = asyncio.Queue()
        """For the writer; also the rest of a sending that couldn't be done at once."""
        self._waiting_characters = 0
        self._writable: Websocket | None = None
        """Set while the writer has nothing to do."""
        self._reading = asyncio.Event()
        self._reading.set()
        self._deadline = Deadline()
        self._end_reason: str | None = None

    def send(self, text: str) -> None:
        """Send a text message, now or when the peer has read more; dropped once `close` was called, or the connection has gone."""
        if self._end_reason is not None:
            return
        if self._writable is not None and not self._queue.qsize():
            try:
                rest = begun(self._writable.send_str(text))
            except (OSError, aiohttp.ClientError):
                return  # the reader sees the loss, too, and has the reason
            if rest is not None:
                self._queue.put_nowait(rest)
            return
        self._queue.put_nowait(text)
        self._waiting_characters += len(text)
        if self._waiting_characters > WAITING_CHARACTERS_MAX or self._queue.qsize() > WAITING_TEXTS_MAX:
            self._end(_DOES_NOT_READ, within_s=0)

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent before."""
        if self._end_reason is None:
            self._queue.put_nowait(_Close(code, reason))
            self._end(f"closed here with code {code}: {reason}", within_s=CLOSE_TIMEOUT_S)

    def pause(self) -> None:
        """Hand on no more texts, but for one that may be under way; then the peer's sends fill TCP's window."""
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    async def run(self, websocket: Websocket, abort: Callable[[], None]) -> str:
        """Read and write until the socket has closed; returns the reason, for people. `abort` ends the connection without more ado."""
        reason = "the program ends"
        try:
            async with self._deadline.limit(), asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(websocket), name=self._name)
                reason = await self._read(websocket)
                if self._end_reason is None:  # otherwise the writer closes, within the deadline
                    writer.cancel()
        except TimeoutError:
            pass  # `_end_reason` has why
        finally:
            abort()
        return self._end_reason or reason

    async def _read(self, websocket: Websocket) -> str:
        while True:
            await self._reading.wait()
            try:
                message = await websocket.receive()
            except (OSError, aiohttp.ClientError) as error:  # in answering a ping
                return str(error) or type(error).__name__
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._on_text(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                reason = "OCPP-J has no binary messages"
                await websocket.close(code=_UNSUPPORTED_DATA, message=reason.encode())
                return reason
            else:
                return _why(message, websocket)

    async def _write(self, websocket: Websocket) -> None:
        try:
            while True:
                self._writable = websocket
                item = await self._queue.get()
                self._writable = None
                if isinstance(item, _Close):
                    await websocket.close(code=item.code, message=_cut(item.reason))
                    break
                if isinstance(item, str):
                    self._waiting_characters -= len(item)
                    item = websocket.send_str(item)
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await item
        except TimeoutError:
            self._end(_DOES_NOT_READ, within_s=0)
        except (OSError, aiohttp.ClientError):
            pass  # the reader sees the loss, too, and has the reason
        self._reading.set()

    def _end(self, reason: str, *, within_s: float) -> None:
        self._end_reason = reason
        self._deadline.end_within(within_s)


def _cut(reason: str) -> bytes:
    """As much of a reason as a close frame holds, whole characters."""
    return reason.encode()[:_CLOSE_REASON_BYTES_MAX].decode(errors="ignore").encode()


def _why(message: aiohttp.WSMessage, websocket: Websocket) -> str:
    if isinstance(message.data, Exception):
        return str(message.data) or type(message.data).__name__
    if message.type is aiohttp.WSMsgType.CLOSE:
        return f"closed by the peer, code {message.data}" + (f": {message.extra}" if message.extra else "")
    error = websocket.exception()
    return (str(error) or type(error).__name__) if error is not None else "the connection has gone"
