"""What an operator would write in an afternoon instead of this project: a relay between stations and CSMS that speaks permessage-deflate with the
stations. It forwards texts as they are and parses none.

Run from the project's root: python -m bench.relay PORT CERTIFICATE KEY CSMS_URL
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

__all__ = ["Relay", "main"]

_HOST: Final = "127.0.0.1"
_PING_S: Final = 60.0
_MESSAGE_BYTES_MAX: Final = 1 << 20

Socket = web.WebSocketResponse[bool] | aiohttp.ClientWebSocketResponse[bool]


class Relay:
    """Takes stations at `/IDENTITY`; `csms_url` has one `{identity}`."""

    def __init__(self, csms_url: str) -> None:
        self._csms_url = csms_url
        self._session: aiohttp.ClientSession | None = None

    async def serve(self, port: int, context: ssl.SSLContext) -> None:
        """Until it is cancelled."""
        application = web.Application()
        application.router.add_get("/{identity}", self._handle)
        runner = web.AppRunner(application, access_log=None)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self._session:
            await runner.setup()
            await web.TCPSite(runner, _HOST, port, ssl_context=context).start()
            print("listening for stations", file=sys.stderr, flush=True)
            try:
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None, "it is there while serving"
        protocols = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        url = self._csms_url.replace("{identity}", request.match_info["identity"])
        # Texts stay bytes: nobody here reads them.
        async with self._session.ws_connect(
            url, protocols=protocols, heartbeat=_PING_S, max_msg_size=_MESSAGE_BYTES_MAX, decode_text=False
        ) as csms:
            station = web.WebSocketResponse(protocols=protocols, compress=True, max_msg_size=_MESSAGE_BYTES_MAX, decode_text=False)
            await station.prepare(request)
            async with asyncio.TaskGroup() as group:
                group.create_task(_forward(station, csms))
                group.create_task(_forward(csms, station))
        return station


async def _forward(source: Socket, target: Socket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_frame(message.data, aiohttp.WSMsgType.TEXT)
    await target.close()


def main() -> int:
    """Serve until SIGTERM."""
    port, certificate, key, csms_url = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(certificate), Path(key))
    asyncio.run(Relay(csms_url).serve(int(port), context))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
