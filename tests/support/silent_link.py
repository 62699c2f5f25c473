"""Both ends of a link in network namespaces, for `tests/integration/test_dead_links.py`: `python -m tests.support.silent_link END`.

The edge prints `up`, then why and after how many seconds of silence it has found the link dead; or `alive` after `ALIVE_S`.
"""

from __future__ import annotations

import asyncio
import sys
import time

from bench.namespaces import CLOUD_ADDRESS
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener

PORT = 8886
KEEPALIVE_S = 2
ALIVE_S = 14.0
"""A silence, four probes 2 s apart, and some more."""


async def cloud() -> None:
    async def handle(connection: Connection) -> None:
        try:
            while True:
                await connection.receive()
        except LinkLost:
            return

    listener = WebSocketListener(host=CLOUD_ADDRESS, port=PORT)
    await listener.serve(handle)
    print("up", flush=True)
    await asyncio.Event().wait()


async def edge() -> None:
    connection = await WebSocketConnector(f"ws://{CLOUD_ADDRESS}:{PORT}/", keepalive_s=KEEPALIVE_S).connect()
    await connection.send(b"x")
    # Not before the time for acknowledgements is over could a silence begin; here it is cut short.
    assert connection._ack_limit is not None
    connection._ack_limit._over()
    started = time.monotonic()
    print("up", flush=True)
    try:
        async with asyncio.timeout(ALIVE_S):
            await connection.receive()
    except LinkLost as error:
        print(f"{time.monotonic() - started:.1f} {error}", flush=True)
    except TimeoutError:
        print("alive", flush=True)


if __name__ == "__main__":
    asyncio.run(cloud() if sys.argv[1] == "cloud" else edge())
