"""A charging station's connection, on a plain WebSocket as on a charger's own network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.demo.ends import End
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.text_socket import MESSAGE_BYTES_MAX

__all__ = ["open_station"]


@contextlib.asynccontextmanager
async def open_station(session: aiohttp.ClientSession, url: str, version: OcppVersion) -> AsyncIterator[End]:
    """Connect to `url`, whose last part is the station's identity. Raises `GatewayError` if that is refused."""
    try:
        websocket = await session.ws_connect(url, protocols=[version.subprotocol], max_msg_size=MESSAGE_BYTES_MAX)
    except (aiohttp.ClientError, OSError) as error:
        raise GatewayError(f"a station of the demo could not connect: {error}") from error
    async with websocket, asyncio.TaskGroup() as group:
        end = End(websocket)
        group.create_task(end.listen(), name=f"demo station {url}")
        yield end
        await websocket.close()
