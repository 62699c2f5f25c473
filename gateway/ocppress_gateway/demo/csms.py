"""A small CSMS: it takes every station in any version of OCPP, and leaves what to say to the replay."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.demo.ends import End
from ocppress_gateway.text_socket import MESSAGE_BYTES_MAX

__all__ = ["Csms"]

_HOST: Final = "127.0.0.1"


class Csms:
    """An asynchronous context in which it listens at `url`, which has `{identity}` in it."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[End]] = {}
        application = web.Application()
        application.router.add_get("/ocpp/{identity}", self._serve)
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, 0).start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"ws://{_HOST}:{self._runner.addresses[0][1]}/ocpp/{{identity}}"

    async def end(self, identity: str) -> End:
        """The end towards a station, once that has connected."""
        return await self._end(identity)

    def _end(self, identity: str) -> asyncio.Future[End]:
        return self._ends.setdefault(identity, asyncio.get_running_loop().create_future())

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        arrival = self._end(request.match_info["identity"])
        if arrival.done():
            raise web.HTTPConflict(reason="each station of the demo connects once")
        websocket = web.WebSocketResponse(protocols=[version.subprotocol for version in OcppVersion], max_msg_size=MESSAGE_BYTES_MAX)
        await websocket.prepare(request)
        end = End(websocket)
        arrival.set_result(end)
        await end.listen()
        return websocket
