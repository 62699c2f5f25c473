"""Three clouds at one broker that share a Redis or Valkey, each with a prefix of its own, and the edges placed among them by their names.

A cluster of brokers is one broker to its clients. Each cloud is killed and started again, and stopped in order; an edge is moved to another cloud.
Nothing is lost or overtaken, and what the CSMS hears twice has the same id and payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from ocppress_gateway.core.broker_topics import Topics
from ocppress_gateway.core.identity import CLOUD_NAME
from ocppress_gateway.provisioning.mosquitto import access_list
from tests.support.background import background
from tests.support.busy_peers import BusyCsms, BusyStation
from tests.support.hasty import CLOUD_CHANGES, COMMAND_TIMEOUT_S, EDGE_CHANGES, STATION_TIMEOUT_S
from tests.support.kept_promises import check_kept, is_missing
from tests.support.mosquitto import made_mosquitto, needs_mosquitto, steady_port
from tests.support.processes import Lives, change, ocppress, until
from tests.support.redis_server import needs_redis, running_redis

CLOUDS = 3
EDGES = ("site-0", "site-1", "site-2", "site-10")
"""By their hashes at clouds 0, 2, 2 and 1."""
STATIONS_EACH = 2
PATIENCE_S = 1.0
SLOW_S = 0.5
GAP_S = 0.25
SLACK_S = 5.0
"""What a busy machine may take from the gateway's decision to the peer that sees it."""


@dataclass
class _World:
    clouds: list[Lives]
    edges: list[Lives]
    edge_files: list[Path]
    stations: list[BusyStation]
    csms: BusyCsms

    @property
    def lines(self) -> list[str]:
        ends = (*self.clouds, *self.edges)
        return [line for end in ends for line in (*end.lines, *(end.process.lines if end.process.is_running else ()))]

    @property
    def answered_early(self) -> int:
        return sum(answer.endswith(",{}]") for station in self.stations for sent in station.made for answer in sent.answers)

    async def talk(self) -> None:
        wanted = self.answered_early + 2 * len(self.stations)
        await until(lambda: self.answered_early >= wanted)

    def links(self, cloud: int) -> list[str]:
        """What a cloud has said of links that came up, in all its lives."""
        lives = self.clouds[cloud]
        return [line for line in (*lives.lines, *lives.process.lines) if "ocppress.cloud link up" in line]


def _place(edge: str) -> int:
    """The cloud of an edge: a hash of its name, which never changes."""
    return zlib.crc32(edge.encode()) % CLOUDS


def _url(port: int, cloud: int) -> str:
    return f"mqtts://127.0.0.1:{port}/cloud-{cloud}/"


@contextlib.asynccontextmanager
async def _open_world(random: Random, folder: Path) -> AsyncIterator[_World]:
    authority, port = folder / "ca", steady_port()
    csms = BusyCsms(random, patience_s=PATIENCE_S, slow_s=SLOW_S)
    async with csms.open(), contextlib.AsyncExitStack() as stack:
        ocppress("ca", "init", "--dir", authority, "--host", "127.0.0.1", "--csms-url", csms.url, "--broker")
        change(authority / "broker" / "mosquitto.conf", ("listener 8883", f"listener {port} 127.0.0.1"))
        rules = [access_list(Topics(f"cloud-{cloud}/")).replace(f"user {CLOUD_NAME}\n", f"user cloud-{cloud}\n") for cloud in range(CLOUDS)]
        (authority / "broker" / "acl").write_text("\n".join(rules))
        store = stack.enter_context(running_redis(folder / "store", "--appendonly", "yes", "--appendfsync", "always"))
        await stack.enter_async_context(made_mosquitto(authority / "broker", port))
        edge_files = []
        edge_ports = [steady_port() for _ in EDGES]
        for name, edge_port in zip(EDGES, edge_ports, strict=True):
            ocppress("ca", "issue", name, "--dir", authority, "--stations", "*")
            edge_files.append(authority / "edges" / name / "edge.toml")
            ours = ("mqtts://127.0.0.1:8883/", _url(port, _place(name)))
            change(
                edge_files[-1], ours, ("#port = 8887", f"port = {edge_port}"), ('#host = "0.0.0.0"', 'host = "127.0.0.1"'), *EDGE_CHANGES
            )
        clouds = []
        for cloud in range(CLOUDS):
            shutil.copytree(authority / "cloud", folder / f"cloud-{cloud}")
            fleet = ("#[fleet]", "[fleet]"), ("#store =", f'store = "redis://127.0.0.1:{store.port}/0"')
            ours = ("mqtts://127.0.0.1:8883/", _url(port, cloud))
            # A certificate of its own, for the broker knows its clients by their names.
            ocppress("ca", "issue", f"cloud-{cloud}", "--dir", authority, "--stations", f"none-of-{cloud}")
            for suffix in "pem", "key":
                shutil.copy(authority / "edges" / f"cloud-{cloud}" / f"edge.{suffix}", folder / f"cloud-{cloud}" / f"cloud.{suffix}")
            file = change(folder / f"cloud-{cloud}" / "cloud.toml", ours, *fleet, *CLOUD_CHANGES)
            clouds.append(await stack.enter_async_context(Lives("cloud", "--config", file, ready="listening for edges")))
        edges = [await stack.enter_async_context(Lives("edge", "--config", file, ready="listening for stations")) for file in edge_files]
        stations = [
            BusyStation(f"ws://127.0.0.1:{edge_port}", f"CP{edge}{number}", random, patience_s=PATIENCE_S, boots=True, gap_s=GAP_S)
            for edge, edge_port in enumerate(edge_ports)
            for number in range(STATIONS_EACH)
        ]
        for station in stations:
            await stack.enter_async_context(background(station.run(), station.identity))
            await stack.enter_async_context(background(csms.command(station.identity), f"commands to {station.identity}"))
        world = _World(clouds, edges, edge_files, stations, csms)
        try:
            yield world
        finally:
            print("\n".join(sorted(world.lines)))


async def _move(world: _World, edge: int, to: int) -> None:
    """An edge goes to another cloud, and takes what it has stored along."""
    links = len(world.links(to))
    await world.edges[edge].stop()
    before = _place(EDGES[edge])
    change(world.edge_files[edge], (f"/cloud-{before}/", f"/cloud-{to}/"))
    await world.edges[edge].start()
    await until(lambda: len(world.links(to)) > links)
    await world.talk()


@needs_mosquitto
def test_two_clouds_with_one_prefix_say_so_and_slow_down(tmp_path: Path) -> None:
    """They take the session at the broker from each other, and each time all edges are told that a cloud has begun."""

    async def main() -> None:
        authority, port = tmp_path / "ca", steady_port()
        ocppress("ca", "init", "--dir", authority, "--host", "127.0.0.1", "--csms-url", "ws://127.0.0.1:9/{identity}", "--broker")
        change(authority / "broker" / "mosquitto.conf", ("listener 8883", f"listener {port} 127.0.0.1"))
        files = []
        for number in range(2):
            shutil.copytree(authority / "cloud", tmp_path / f"cloud-{number}")
            files.append(change(tmp_path / f"cloud-{number}" / "cloud.toml", (":8883/", f":{port}/")))
        async with made_mosquitto(authority / "broker", port), contextlib.AsyncExitStack() as stack:
            clouds = [await stack.enter_async_context(Lives("cloud", "--config", file, ready="listening for edges")) for file in files]
            for cloud in clouds:
                await cloud.process.said("ends each connection as soon as it is made")
            before = sum("connected to the broker" in line for cloud in clouds for line in cloud.process.lines)
            await asyncio.sleep(10.0)
            after = sum("connected to the broker" in line for cloud in clouds for line in cloud.process.lines)
            assert after - before <= 4, "not every second"
            await clouds[0].stop()
            await until(lambda: "connected to the broker" in clouds[1].process.lines[-1])

    asyncio.run(main())


@pytest.mark.soak
@needs_redis
@needs_mosquitto
def test_three_clouds_at_a_broker(tmp_path: Path) -> None:
    async def main() -> None:
        random = Random(1)
        async with asyncio.timeout(240.0), _open_world(random, tmp_path) as world:
            await world.talk()
            assert {_place(edge) for edge in EDGES} == set(range(CLOUDS)), "each cloud has an edge"
            for cloud in range(CLOUDS):
                links = len(world.links(cloud))
                await world.clouds[cloud].kill()
                await world.clouds[cloud].start()
                await until(lambda: len(world.links(cloud)) > links)  # noqa: B023 - awaited in the same round
                await world.talk()
            for cloud in range(CLOUDS):
                links = len(world.links(cloud))
                await world.clouds[cloud].stop()
                await world.clouds[cloud].start()
                await until(lambda: len(world.links(cloud)) > links)  # noqa: B023 - awaited in the same round
                assert "contexts_resumed=0" not in world.links(cloud)[links], "the server has kept them"
                await world.talk()
            await _move(world, 0, (_place(EDGES[0]) + 1) % CLOUDS)
            for station in world.stations:
                await station.finish()
            with contextlib.suppress(TimeoutError):  # the check says what is missing
                await until(lambda: not is_missing(world.stations, world.csms))
            said = [line for line in world.lines if " ERROR " in line or "Traceback" in line]
            assert not said, said
            heard = Counter((identity, item.message_id) for identity, items in world.csms.heard.items() for item in items)
            print(
                f"{sum(heard.values())} CALLs at the CSMS, {world.answered_early} answered early, {sum(heard.values()) - len(heard)} repeated"
            )
            check_kept(
                world.stations,
                world.csms,
                station_timeout_s=STATION_TIMEOUT_S + SLACK_S,
                command_timeout_s=COMMAND_TIMEOUT_S + SLACK_S,
                outboxes=len(EDGES),
            )

    asyncio.run(main())
