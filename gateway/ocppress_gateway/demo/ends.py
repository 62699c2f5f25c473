"""A station's or the CSMS's end of one OCPP-J WebSocket, with counters of its own."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

__all__ = ["End", "EndLost"]


class EndLost(Exception):
    """The WebSocket closed while something was still expected of it."""


class End:
    """One end."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse | web.WebSocketResponse) -> None:
        self._websocket = websocket
        self._arrived: asyncio.Queue[str | None] = asyncio.Queue()

    async def listen(self) -> None:
        """Keep what arrives until the WebSocket closes."""
        async for message in self._websocket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._arrived.put_nowait(message.data)
        self._arrived.put_nowait(None)

    async def send(self, text: str) -> None:
        """Send a message. Raises `EndLost`."""
        try:
            await self._websocket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise EndLost("the connection closed") from error

    async def receive(self) -> str:
        """The next message. Raises `EndLost`."""
        text = await self._arrived.get()
        if text is None:
            raise EndLost(f"the connection closed, code {self._websocket.close_code}")
        return text
