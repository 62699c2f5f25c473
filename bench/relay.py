"""What an operator would write in an afternoon instead of this project: a relay between stations and CSMS that speaks permessage-deflate on the cellular
side. It forwards texts as they are and parses none.

Run from the project's root, in the cloud's place and in the edge's:

    python -m bench.relay PORT CSMS_URL --certificate FILE --key FILE       stations ──wss, permessage-deflate──► relay ──ws──► CSMS
    python -m bench.relay PORT WSS_URL --ca FILE                            stations ──ws──► relay ──wss, permessage-deflate──► relay
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

__all__ = ["READY", "RELAY", "Relay", "main"]

READY: Final = "listening for stations"

RELAY: Final = "relay"
"""What it is called where a plan stands else."""

_HOST: Final = "127.0.0.1"
_PING_S: Final = 60.0
_MESSAGE_BYTES_MAX: Final = 1 << 20
_WINDOW_BITS: Final = 15

Socket = web.WebSocketResponse[bool] | aiohttp.ClientWebSocketResponse[bool]


class Relay:
    """Takes stations at `/IDENTITY`; `csms_url` has one `{identity}`. The side that has a context of TLS is the cellular one."""

    def __init__(self, csms_url: str, *, station_side: ssl.SSLContext | None, csms_side: ssl.SSLContext | None) -> None:
        self._csms_url = csms_url
        self._station_side = station_side
        self._csms_side = csms_side
        self._session: aiohttp.ClientSession | None = None

    async def serve(self, port: int) -> None:
        """Until it is cancelled."""
        application = web.Application()
        application.router.add_get("/{identity}", self._handle)
        runner = web.AppRunner(application, access_log=None)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self._session:
            await runner.setup()
            await web.TCPSite(runner, _HOST, port, ssl_context=self._station_side).start()
            print(READY, file=sys.stderr, flush=True)
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
            url,
            protocols=protocols,
            heartbeat=_PING_S,
            max_msg_size=_MESSAGE_BYTES_MAX,
            decode_text=False,
            ssl=self._csms_side or True,
            compress=0 if self._csms_side is None else _WINDOW_BITS,
        ) as csms:
            station = web.WebSocketResponse(
                protocols=protocols, compress=self._station_side is not None, max_msg_size=_MESSAGE_BYTES_MAX, decode_text=False
            )
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
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description="A relay that speaks permessage-deflate.")
    parser.add_argument("port", type=int)
    parser.add_argument("url", help="of the CSMS or of another relay, with {identity} in it")
    parser.add_argument("--certificate", type=Path, help="for stations that come by the cellular side")
    parser.add_argument("--key", type=Path, help="of that certificate")
    parser.add_argument("--ca", type=Path, help="of the other relay, which is reached by the cellular side")
    chosen = parser.parse_args()
    station_side = csms_side = None
    if chosen.certificate is not None:
        station_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        station_side.load_cert_chain(chosen.certificate, chosen.key)
    if chosen.ca is not None:
        csms_side = ssl.create_default_context(cafile=chosen.ca)
    asyncio.run(Relay(chosen.url, station_side=station_side, csms_side=csms_side).serve(chosen.port))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
