"""The CSMS of `bench.fleet`, a process of its own: it answers at once, and counts.

Run from the project's root: python -m bench.fleet_csms PORT WORKLOAD
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import Final

from aiohttp import web

from bench.processes import HOST
from ocppress_codecs.rpc import OcppVersion, parse
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction

__all__ = ["READY", "SEED", "VERSION", "main"]

READY: Final = "listening for the subject"
SEED: Final = 1
VERSION: Final = OcppVersion.V201


class Csms:
    """Takes stations at `/IDENTITY`, and tells at `/` how often it has been asked what: JSON, by action."""

    def __init__(self, answers: dict[str, str]) -> None:
        """`answers` by what is asked, texts both."""
        self._actions: Counter[str] = Counter()
        self._answers = answers

    async def serve(self, port: int) -> None:
        """Until it is cancelled."""
        application = web.Application()
        application.router.add_get("/", self._count)
        application.router.add_get("/{identity}", self._serve)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        print(READY, file=sys.stderr, flush=True)
        await asyncio.Event().wait()

    async def _count(self, _: web.Request) -> web.Response:
        return web.json_response(self._actions)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=[VERSION.subprotocol], compress=False)
        await websocket.prepare(request)
        async for message in websocket:
            message_id, call = parse(message.data)
            self._actions[call.action] += 1
            await websocket.send_str(f'[3,"{message_id}",{self._answers.get(call.body, "{}")}]')
        return websocket


def _answers(workload: str) -> dict[str, str]:
    """The answers' bodies of a day, by those of the CALLs."""
    answers: dict[str, str] = {}
    bodies: dict[str, str] = {}
    for record in generate(WORKLOADS[workload], days=1, seed=SEED):
        message_id, message = parse(record.text)
        if record.direction is Direction.UP:
            bodies[message_id] = message.body
        else:
            answers[bodies.pop(message_id)] = message.body
    return answers


def main() -> int:
    """Serve until SIGTERM."""
    port, workload = sys.argv[1:]
    asyncio.run(Csms(_answers(workload)).serve(int(port)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
