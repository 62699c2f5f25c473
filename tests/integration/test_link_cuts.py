"""The real programs on real sockets, and a link between them that is cut all the time, under traffic in both directions.

A failure names its seed: traffic and cuts are drawn from it, though not what the operating system makes of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.cloud.program import CloudProgram
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine, CloudSettings
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.edge.program import EdgeProgram
from ocppress_gateway.transports.base import Connector, Listener
from ocppress_gateway.transports.memory import FaultPlan, MemoryNetwork
from ocppress_gateway.transports.mqtt.connector import MqttConnector
from ocppress_gateway.transports.mqtt.listener import MqttListener
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.support.background import background
from tests.support.busy_peers import BusyCsms, BusyStation
from tests.support.cutting_proxy import Faults, cutting_proxy
from tests.support.link_ends import make_tls_files
from tests.support.link_promises import check_promises
from tests.support.mosquitto import free_port, needs_mosquitto, running_mosquitto
from tests.support.watched_machine import WatchedMachine

CUTS = 200
SOAK_CUTS = 5000
SOAK_CUTS_EACH = 500

STATION_TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 2.0
STALLS = 2
STALL_S = 3.0
"""Longer than the time-outs, so that what waited in the network's buffers is over time when it gets through."""

PATIENCE_S = 0.15
"""After which a station repeats or gives up, and the CSMS sends the next command."""

SLACK_S = 0.5
"""What a busy machine may take from the gateway's decision to the peer that sees it."""

EDGE = "edge-1"


class _MemoryLink:
    """The transport in memory with the faults of its plan."""

    def __init__(self, random: Random, _: Path) -> None:
        self._network = MemoryNetwork(
            FaultPlan(
                seed=random.randrange(2**32), refuse_share=0.2, messages_until_cut=(1, 20), notice_s=(0.0, 0.1), delay_s=(0.0, 0.002)
            ),
            peer=EDGE,
        )
        self.listener: Listener = self._network.listener

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Connector]:
        yield self._network.connector

    def calm(self) -> None:
        self._network.faults = FaultPlan()
        self._network.cut()

    def check(self, edge: WatchedMachine) -> None:
        """Nothing: this link doesn't stall."""


class _TcpLink:
    """WebSockets through a proxy that cuts."""

    def __init__(self, random: Random, folder: Path, *, tls: bool) -> None:
        self._random = random
        edge, cloud = make_tls_files(folder, edge=EDGE) if tls else (None, None)
        self._faults = Faults(bytes_until_cut=(600 if tls else 200, 40_000), stalls=STALLS, stall_s=STALL_S)
        self._client_context = None if edge is None else link_client_context(**edge.arguments())
        self._listener = WebSocketListener(
            host="127.0.0.1", port=0, ssl_context=None if cloud is None else link_server_context(**cloud.arguments())
        )
        self.listener: Listener = self._listener

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Connector]:
        async with cutting_proxy(self._random, self._faults, self._listener.port) as self._proxy:
            scheme = "ws" if self._client_context is None else "wss"
            yield WebSocketConnector(f"{scheme}://127.0.0.1:{self._proxy.port}/", self._client_context)

    def calm(self) -> None:
        self._proxy.calm = True
        self._proxy.cut()

    def check(self, edge: WatchedMachine) -> None:
        assert self._proxy.stalls == STALLS
        assert edge.counts["CALL dropped, its time is over"], "a stall makes commands stale"


class _MqttLink:
    """A broker, with a proxy that cuts on the edge's way to it."""

    def __init__(self, random: Random, folder: Path) -> None:
        self._random = random
        self._folder = folder
        self._port = free_port()
        self.listener: Listener = MqttListener(f"mqtt://127.0.0.1:{self._port}/")

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Connector]:
        faults = Faults(bytes_until_cut=(200, 40_000))
        async with (
            running_mosquitto(self._folder, tls=False, port=self._port),
            cutting_proxy(self._random, faults, self._port) as self._proxy,
        ):
            yield MqttConnector(f"mqtt://127.0.0.1:{self._proxy.port}/", EDGE)

    def calm(self) -> None:
        self._proxy.calm = True
        self._proxy.cut()

    def check(self, edge: WatchedMachine) -> None:
        """Nothing: this link doesn't stall."""


LINKS: dict[str, Callable[[Random, Path], _MemoryLink | _TcpLink | _MqttLink]] = {
    "memory": _MemoryLink,
    "tcp": lambda random, folder: _TcpLink(random, folder, tls=False),
    "tls": lambda random, folder: _TcpLink(random, folder, tls=True),
    "mqtt": _MqttLink,
}
KINDS = [pytest.param(kind, marks=needs_mosquitto if kind == "mqtt" else ()) for kind in LINKS]


def _edge(random: Random, codec: CodecName) -> EdgeMachine:
    settings = EdgeSettings(
        edge=EDGE,
        codec=codec,
        linger_s=0.002,
        station_timeout_s=STATION_TIMEOUT_S,
        command_timeout_s=30.0,
        upgrade_wait_s=8.0,
        link_grace_s=60.0,
        reconnect_min_s=0.01,
        reconnect_max_s=0.05,
    )
    return EdgeMachine(settings, random.random, random.randbytes)


def _cloud(random: Random) -> CloudMachine:
    settings = CloudSettings(
        edges={EDGE: frozenset({ANY_STATION})},
        linger_s=0.0,
        command_timeout_s=COMMAND_TIMEOUT_S,
        call_timeout_s=30.0,
        link_grace_s=60.0,
        retry_wait_min_s=0.05,
        retry_random_s=0.05,
        retry_repeat_times=2,
    )
    return CloudMachine(settings, random.random, random.randbytes)


async def _cut(random: Random, kind: str, codec: CodecName, folder: Path, cuts: int) -> None:
    link = LINKS[kind](random, folder)
    edge, cloud = WatchedMachine(_edge(random, codec)), WatchedMachine(_cloud(random))
    csms = BusyCsms(random, patience_s=PATIENCE_S)
    async with (
        csms.open(),
        CloudProgram(cloud, link.listener, csms_url=csms.url),
        link.open() as connector,
        EdgeProgram(edge, connector, host="127.0.0.1", port=0) as program,
        contextlib.AsyncExitStack() as stack,
    ):
        stations = [
            BusyStation(program.station_url, f"CP{number}", random, patience_s=PATIENCE_S, pipeline=pipeline)
            for number, pipeline in enumerate((1, 1, 3))
        ]
        for station in stations:
            await stack.enter_async_context(background(station.run(), station.identity))
        async with contextlib.AsyncExitStack() as commands:
            for station in stations:
                await commands.enter_async_context(background(csms.command(station.identity), f"commands to {station.identity}"))
            await edge.noted("link lost", cuts)
        link.calm()
        for station in stations:
            await station.finish()
    assert not edge.errors + cloud.errors
    link.check(edge)
    assert cloud.counts["repeat not sent twice"], "stations repeat what the CSMS has already"
    assert all(station.heard for station in stations)
    check_promises(stations, csms, station_timeout_s=STATION_TIMEOUT_S, command_timeout_s=COMMAND_TIMEOUT_S, slack_s=SLACK_S)


def _run(seed: int, kind: str, codec: CodecName, folder: Path, cuts: int, limit_s: float) -> None:
    async def main() -> None:
        async with asyncio.timeout(limit_s):
            await _cut(Random(seed), kind, codec, folder, cuts)

    print(f"seed {seed}")
    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_cuts(kind: str, tmp_path: Path) -> None:
    _run(1, kind, CodecName.CBOR_ZSTD, tmp_path, CUTS, 120.0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SOAK_CUTS // SOAK_CUTS_EACH))
@pytest.mark.parametrize("codec", CodecName)
@pytest.mark.parametrize("kind", KINDS)
def test_five_thousand_cuts(kind: str, codec: CodecName, seed: int, tmp_path: Path) -> None:
    _run(100 + seed, kind, codec, tmp_path, SOAK_CUTS_EACH, 600.0)
