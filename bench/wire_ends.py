"""The two ends of `bench.wire`, a process each in its own network namespace: the edge with a station, the cloud with a CSMS.

    ┌ namespace of the edge ───────────┐  wire   ┌ namespace of the cloud ───┐
    │ station ─loopback─ ocppress edge ─┼────────┼─ ocppress cloud ─loopback─ CSMS │
    │ Master: whose clocks skip when    │        │                           │
    └───────────────┬──────────────────┘         └──────────┬────────────────┘
                    └────────── Unix socket ────────────────┘

Both programs are started by their own command line. Whatever crosses the wire takes its real time, until the wire has been quiet for `SETTLE_S`,
longer than any timer of the kernel that decides about packets; only then both clocks skip to the next timer of either process. Two things that the
kernel times in minutes or hours are brought about at their moments: a keepalive probe, by shortening TCP_KEEPIDLE for a second, and a carrier's
break, by cutting the wire while both ends let go of the connection.

`main` must run under `bench.skipping`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from bench.namespaces import Namespaces, Traffic, cut, mend, traffic
from bench.skipping import Clocks, FarClocks, real_monotonic
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse, render
from ocppress_gateway import cli
from ocppress_gateway.cost.month import reconnect_times
from ocppress_gateway.cost.wire import DAY_S, Conditions, LinkTransport
from ocppress_gateway.transports.mqtt.connection import MqttConnection
from ocppress_gateway.transports.websocket import WebSocketConnection
from ocppress_gateway.workloads.exchanges import Exchange, exchanges, with_boot
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import iso_time

__all__ = ["CLOCKS_SOCKET", "CSMS_PORT", "SEED", "STATION", "STATION_PORT", "begins_s", "main", "said"]

STATION: Final = "STATION-00000001"
STATION_PORT: Final = 8887
CSMS_PORT: Final = 8180
CLOCKS_SOCKET: Final = "clocks"
SEED: Final = 1

SETTLE_S: Final = 0.25
"""Without a packet before time may skip: six times the longest delayed acknowledgement."""

IDLE_S: Final = 0.003
"""Without anything to do in any loop before time may skip."""

ANSWER_S: Final = 0.15
"""The same while the station waits for an answer, which the edge gives once its disk has the message."""

PROBE_S: Final = 4.0
"""How long the kernel may take with a probe that is to be sent after one second."""

PATIENCE_S: Final = 30.0
"""Real time after which something must have happened, or it is a mistake."""

AFTER_S: Final = 900.0 + 120.0
"""After the end, for what still waits under the slowest plan, as in the simulated month."""

_VERSION: Final = OcppVersion.V201
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


def said(workload: str, days: float) -> Iterator[Exchange]:
    """What the station says, as the simulated month has it."""
    records = generate(WORKLOADS[workload], days=-int(-days // 1), seed=SEED)
    begin_s = begins_s(workload)
    for exchange in exchanges(with_boot(records)):
        if exchange.at_s - begin_s > days * DAY_S:
            return
        yield exchange


def begins_s(workload: str) -> float:
    """The Unix time at which it begins."""
    first = next(generate(WORKLOADS[workload], days=1, seed=SEED)).ts
    assert first is not None, "generated messages have times"
    return first - 1.0


class Heard:
    """How many messages, and a sum over their texts that any order leaves as it is."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0

    def add(self, message: Message) -> None:
        """One more; Heartbeats aren't counted, as each end has its own."""
        if message.action != "Heartbeat":
            self.count += 1
            digest = hashlib.blake2b(message.body.encode(), digest_size=8).digest()
            self.sum = (self.sum + int.from_bytes(digest, "big")) % 2**64

    def state(self) -> list[int]:
        """Both."""
        return [self.count, self.sum]


class _Connections:
    """The newest link connection of this process."""

    def __init__(self, transport: LinkTransport) -> None:
        self._newest: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        kind = MqttConnection if transport is LinkTransport.MQTT else WebSocketConnection
        begin = kind.__init__
        own = self

        def begun(self: Any, *arguments: Any, **named: Any) -> None:
            begin(self, *arguments, **named)
            own._newest = self
            own._loop = asyncio.get_running_loop()

        kind.__init__ = begun  # type: ignore[method-assign]

    def set_keepalive(self, keepalive_s: int) -> None:
        """Probe after such a silence."""
        self._newest.set_keepalive(keepalive_s)

    def abort(self) -> None:
        """Let go of it, and not a word to the far end."""
        if self._newest is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        if isinstance(self._newest, WebSocketConnection):
            with contextlib.suppress(OSError):  # it has just been closed
                self._newest._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._newest._transport.abort()
        elif (
            broker := getattr(self._newest._carrier, "_broker", None)
        ) is not None:  # the cloud's stays: it is the broker that loses the edge
            broker._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            broker.abort()


# --- the station, and who decides about time


class _Station:
    """Says everything at its time, one CALL after the other."""

    def __init__(self, clocks: Clocks, workload: str, days: float) -> None:
        self.waits = False
        """For an answer."""
        self.heard = Heard()
        self.failed: str | None = None
        self._clocks = clocks
        self._said = said(workload, days)
        threading.Thread(target=self._run, name="station", daemon=True).start()

    def _run(self) -> None:
        try:
            asyncio.run(self._play())
        except Exception as error:  # told by the master
            self.failed = repr(error)

    async def _play(self) -> None:
        async with aiohttp.ClientSession() as session, await self._connected(session) as websocket, asyncio.TaskGroup() as group:
            answered: asyncio.Queue[str] = asyncio.Queue()

            async def listen() -> None:  # all the time, for pings are answered in reading
                async for received in websocket:
                    answered.put_nowait(parse(received.data)[0])
                raise ConnectionError(f"the edge closed it, code {websocket.close_code}")

            group.create_task(listen(), name="listener")
            for exchange in self._said:
                await asyncio.sleep(exchange.at_s - self._clocks.unix())
                self.waits = True
                await websocket.send_str(exchange.text)
                self.heard.add(exchange.message)
                while await answered.get() != parse(exchange.text)[0]:
                    pass
                self.waits = False

    async def _connected(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        url = f"ws://127.0.0.1:{STATION_PORT}/{STATION}"
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                return await session.ws_connect(url, protocols=[_VERSION.subprotocol])
            await asyncio.sleep(1.0)


class _Master:
    """Lets time skip, and breaks the connection when the carrier would."""

    def __init__(self, clocks: Clocks, connections: _Connections, station: _Station, options: argparse.Namespace) -> None:
        self._clocks = clocks
        self._connections = connections
        self._station = station
        self._names = Namespaces(*options.names)
        self._keepalive_s: float = options.keepalive_s
        begin_s = clocks.monotonic()
        self._end_s = begin_s + options.days * DAY_S
        self._breaks_s = deque(begin_s + at_s for at_s in reconnect_times(Conditions(), options.days * DAY_S))
        self._place: Path = options.folder / CLOCKS_SOCKET
        self._traffic = Traffic(0, 0)
        self._passed_at = real_monotonic()
        self._active_s = begin_s
        self.probes = 0
        self.breaks = 0
        threading.Thread(target=self._run, name="master", daemon=True).start()

    def _run(self) -> None:
        try:
            result = self._rule()
        except Exception as error:
            result = {"failed": repr(error)}
        print(json.dumps(result), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    def _rule(self) -> dict[str, Any]:
        far = self._far = FarClocks(self._place)
        while (now := self._clocks.monotonic()) < self._end_s + AFTER_S:
            self._quiet()
            now = self._clocks.monotonic()
            probe_s = self._active_s + self._keepalive_s
            due_s = min([probe_s, self._end_s + AFTER_S, *list(self._breaks_s)[:1]])
            wait_s = min(self._clocks.next_s(), far.ask("look")[1], due_s - now)
            if wait_s > 0:
                self._clocks.skip(wait_s)
                far.ask("skip", wait_s)
                now += wait_s
            if self._breaks_s and now >= self._breaks_s[0]:
                self._breaks_s.popleft()
                self._break()
            elif now >= probe_s:
                self._probe()
        self._quiet()
        passed = self._look()
        return {
            "ip_bytes": passed.ip_bytes,
            "packets": passed.packets,
            "probes": self.probes,
            "breaks": self.breaks,
            "said": self._station.heard.state(),
            "heard": far.ask("heard"),
        }

    def _look(self) -> Traffic:
        passed = traffic()
        if passed != self._traffic:
            self._traffic = passed
            self._passed_at = real_monotonic()
            self._active_s = self._clocks.monotonic()
        return passed

    def _quiet(self) -> None:
        """Wait until nothing is under way."""
        began = real_monotonic()
        while True:
            if self._station.failed is not None:
                raise RuntimeError(f"the station: {self._station.failed}")
            self._look()
            idle_s = ANSWER_S if self._station.waits else IDLE_S
            if real_monotonic() - self._passed_at >= SETTLE_S and self._clocks.idle_s() >= idle_s and self._far.ask("look")[0] >= idle_s:
                return
            if real_monotonic() - began > PATIENCE_S:
                raise RuntimeError("the programs don't come to rest")
            time.sleep(0.001)

    def _probe(self) -> None:
        """What the kernel does by itself after a real silence that long."""
        before = self._look()
        self._connections.set_keepalive(1)
        began = real_monotonic()
        while self._look() == before:
            if real_monotonic() - began > PROBE_S:
                raise RuntimeError("no probe has come")
            time.sleep(0.01)
        self._connections.set_keepalive(round(self._keepalive_s))
        self.probes += 1

    def _break(self) -> None:
        cut(self._names)
        self._connections.abort()
        self._far.ask("abort")
        time.sleep(SETTLE_S)
        mend(self._names)
        self.breaks += 1


# --- the CSMS


class _Csms:
    """Gives each CALL the answer that it got in the recording; a Heartbeat its own time."""

    def __init__(self, clocks: Clocks, workload: str, days: float) -> None:
        self.heard = Heard()
        self._clocks = clocks
        self._answers: dict[str, deque[tuple[Message, float]]] = defaultdict(deque)
        for exchange in said(workload, days):
            assert exchange.answer is not None, "workloads are made so"
            self._answers[exchange.message.body].append((exchange.answer, exchange.answer_s))
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="CSMS", daemon=True).start()
        ready.wait(PATIENCE_S)

    async def _serve(self, ready: threading.Event) -> None:
        application = web.Application()
        application.router.add_get("/{identity}", self._station)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", CSMS_PORT).start()
        ready.set()
        await asyncio.Event().wait()

    async def _station(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(protocols=[_VERSION.subprotocol], max_msg_size=0)
        await websocket.prepare(request)
        async for received in websocket:
            message_id, message = parse(received.data)
            if message.type is not MessageType.CALL:
                continue
            self.heard.add(message)
            if message.action == "Heartbeat":
                answer, after_s = Message(MessageType.CALLRESULT, "", f'{{"currentTime":"{iso_time(self._clocks.unix())}"}}'), 0.05
            else:
                answer, after_s = self._answers[message.body].popleft()
            await asyncio.sleep(after_s)
            await websocket.send_str(render(message_id, answer))
        return websocket


# --- processes


def main(clocks: Clocks, arguments: list[str]) -> int:
    """An end, until its program has stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--end", choices=("edge", "cloud"), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--transport", type=LinkTransport, required=True)
    parser.add_argument("--days", type=float, required=True)
    parser.add_argument("--keepalive-s", type=float)
    parser.add_argument("--names", nargs=2)
    options = parser.parse_args(arguments)
    connections = _Connections(options.transport)
    if options.end == "cloud":
        csms = _Csms(clocks, options.workload, options.days)
        clocks.serve(options.folder / CLOCKS_SOCKET, {"abort": connections.abort, "heard": csms.heard.state})
    else:
        _Master(clocks, connections, _Station(clocks, options.workload, options.days), options)
    return cli.main([options.end, "--config", str(options.config)])
