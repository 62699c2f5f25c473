"""Edge, cloud and CSMS killed at random, the link between them and the stations' sockets cut all the time, under the traffic of busy stations.

The programs are processes with the files of `ocppress ca`; a kill is a SIGKILL. The CSMS is in the test, which has its record, and goes as
a killed process goes: all its sockets break at once. A failure names its seed: traffic, kills and cuts are drawn from it, though not what the
operating system makes of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tests.support.background import background
from tests.support.busy_peers import BusyCsms, BusyStation
from tests.support.cutting_proxy import CuttingProxy, Faults, cutting_proxy
from tests.support.hasty import CLOUD_CHANGES, COMMAND_TIMEOUT_S, EDGE_CHANGES, STATION_TIMEOUT_S
from tests.support.kept_promises import check_kept, is_missing
from tests.support.mosquitto import Mosquitto, made_mosquitto, needs_mosquitto
from tests.support.processes import Files, Lives, change, make_files, until

KILLS = 12
SOAK_KILLS = 120
CUTS = 30
SOAK_CUTS = 150

PATIENCE_S = 1.0
"""After which a station repeats or gives up, and the CSMS sends the next command."""

SLOW_S = 0.5
"""The longest that the CSMS takes to answer, so that a kill finds what it has heard and not answered."""

GAP_S = 0.1
"""The longest that a station takes to think of something new."""

SLACK_S = 1.0
"""What a busy machine may take from the gateway's decision to the peer that sees it."""

UP_S = (0.2, 1.5)
"""How long all live before the next is killed; a program takes as long to begin."""

DOWN_S = (0.0, 0.5)
"""How long one stays away."""

HANG_UP_S = (0.1, 0.8)
"""Between two moments at which one of the stations loses its socket, and with it answers to what it will repeat."""

EARLY_EACH = 10
"""What each station has got from the edge before anything breaks, on average."""


class _World:
    """Stations, edge, a link through a proxy that breaks it, cloud and CSMS, all of them busy."""

    def __init__(
        self,
        random: Random,
        edge: Lives,
        cloud: Lives,
        csms: BusyCsms,
        proxy: CuttingProxy,
        stations: list[BusyStation],
        broker: Mosquitto | None,
    ) -> None:
        self.random = random
        self.edge = edge
        self.cloud = cloud
        self.csms = csms
        self.proxy = proxy
        self.stations = stations
        self.broker = broker
        self.victims = ("edge", "cloud", "csms") if broker is None else ("edge", "cloud", "broker", "csms")

    async def kill(self, victim: str) -> None:
        """Kill one and let it come back after a while."""
        end: Lives | Mosquitto | BusyCsms | None = getattr(self, victim)
        assert end is not None, "only who is there is killed"
        down_s = self.random.uniform(*DOWN_S)
        if isinstance(end, Lives | Mosquitto):
            await end.kill()
            await asyncio.sleep(down_s)
            await end.start()
        else:
            await end.crash()
            await asyncio.sleep(down_s)
            await end.come_back()

    async def hang_up(self) -> None:
        """Cut stations' sockets, until nothing breaks any more."""
        while True:
            await asyncio.sleep(self.random.uniform(*HANG_UP_S))
            if self.proxy.calm:
                return
            self.random.choice(self.stations).hang_up()

    @property
    def answered_early(self) -> int:
        return sum(answer.endswith(",{}]") for station in self.stations for sent in station.made for answer in sent.answers)


@contextlib.asynccontextmanager
async def _open_world(random: Random, folder: Path, faults: Faults, *, over_mqtt: bool) -> AsyncIterator[_World]:
    csms = BusyCsms(random, patience_s=PATIENCE_S, slow_s=SLOW_S)
    async with csms.open(), contextlib.AsyncExitStack() as stack:
        files = await make_files(folder, csms.url, edge_changes=EDGE_CHANGES, cloud_changes=CLOUD_CHANGES, broker=over_mqtt)
        broker = await stack.enter_async_context(made_mosquitto(files.broker, files.cloud_port)) if over_mqtt else None
        cloud = await stack.enter_async_context(Lives("cloud", "--config", files.cloud, ready="listening for edges"))
        proxy = await stack.enter_async_context(cutting_proxy(random, faults, files.cloud_port))
        change(files.edge, (f":{files.cloud_port}/", f":{proxy.port}/"))
        edge = await stack.enter_async_context(Lives("edge", "--config", files.edge, ready="listening for stations"))
        stations = _stations(files, random)
        for station in stations:
            await stack.enter_async_context(background(station.run(), station.identity))
            await stack.enter_async_context(background(csms.command(station.identity), f"commands to {station.identity}"))
        world = _World(random, edge, cloud, csms, proxy, stations, broker)
        await stack.enter_async_context(background(world.hang_up(), "hang up"))
        yield world


def _stations(files: Files, random: Random) -> list[BusyStation]:
    return [
        BusyStation(files.url, f"CP{number}", random, patience_s=PATIENCE_S, pipeline=pipeline, boots=True, gap_s=GAP_S)
        for number, pipeline in enumerate((1, 1, 3))
    ]


async def _see_cuts(proxy: CuttingProxy, count: int) -> None:
    """Wait for so many: how long that takes depends on the machine, but the next one always comes."""
    while proxy.cuts < count:
        seen = proxy.cuts
        await until(lambda: proxy.cuts > seen)  # noqa: B023 - awaited in the same round


async def _settle(world: _World) -> None:
    """Nothing breaks any more, nothing new is said, and what is under way arrives: answers to the CSMS's commands take along what waits."""
    world.proxy.calm = True
    for station in world.stations:
        await station.finish()
    with contextlib.suppress(TimeoutError):  # the check says what is missing
        await until(lambda: not is_missing(world.stations, world.csms))


def _check(world: _World) -> None:
    for end in (world.edge, world.cloud):
        said = [line for line in end.lines + end.process.lines if " ERROR " in line or "Traceback" in line]
        assert not said, said
    heard = [(identity, item.message_id) for identity, items in world.csms.heard.items() for item in items]
    connections = sum(station.connections for station in world.stations)
    print(f"{world.edge.kills} and {world.cloud.kills} kills of edge and cloud, {world.proxy.cuts} cuts, {connections} station sockets,")
    print(f"{len(heard)} CALLs at the CSMS, {world.answered_early} answered early, {len(heard) - len(set(heard))} repeated under their id")
    check_kept(world.stations, world.csms, station_timeout_s=STATION_TIMEOUT_S + SLACK_S, command_timeout_s=COMMAND_TIMEOUT_S + SLACK_S)


def _run(seed: int, folder: Path, *, kills: int, cuts: int, faults: Faults, limit_s: float, over_mqtt: bool = False) -> None:
    async def main() -> None:
        random = Random(seed)
        async with asyncio.timeout(limit_s), _open_world(random, folder, faults, over_mqtt=over_mqtt) as world:
            await until(lambda: world.answered_early >= EARLY_EACH * len(world.stations))
            for number in range(kills):
                await asyncio.sleep(random.uniform(*UP_S))
                await world.kill(world.victims[number] if number < len(world.victims) else random.choice(world.victims))
            await _see_cuts(world.proxy, cuts)
            await _settle(world)
        _check(world)

    print(f"seed {seed}")
    asyncio.run(main())


RARE = Faults(bytes_until_cut=(4_000, 400_000))
NEVER = Faults(bytes_until_cut=(10**9, 10**9))
OFTEN = Faults(bytes_until_cut=(3_000, 20_000))


def test_kills(tmp_path: Path) -> None:
    _run(1, tmp_path, kills=KILLS, cuts=0, faults=RARE, limit_s=180.0)


def _stop_again_and_again(seed: int, folder: Path, *, stops: int, limit_s: float, over_mqtt: bool = False) -> None:
    async def main() -> None:
        random = Random(seed)
        async with asyncio.timeout(limit_s), _open_world(random, folder, NEVER, over_mqtt=over_mqtt) as world:
            await until(lambda: world.answered_early >= EARLY_EACH * len(world.stations))
            for _ in range(stops):
                await world.cloud.process.said("CSMS socket open", len(world.stations))  # or there is no context yet
                await asyncio.sleep(random.uniform(*UP_S))
                await world.cloud.stop()
                await world.cloud.start()
                resumed.append(await world.cloud.process.said("link up"))
                await asyncio.sleep(random.uniform(*UP_S))
                await world.cloud.kill()
                await world.cloud.start()
                killed.append(await world.cloud.process.said("link up"))
            await _settle(world)
        _check(world)
        sockets = [line for line in world.cloud.lines if "CSMS socket open" in line]
        print(f"{sum('new_epoch=false' in line for line in sockets)} of {len(sockets)} CSMS sockets in the same epoch")
        assert any("new_epoch=false" in line for line in sockets)

    resumed: list[str] = []
    killed: list[str] = []
    asyncio.run(main())
    assert all("contexts_resumed=0" not in line for line in resumed), resumed
    assert all("contexts_resumed=0" in line for line in killed), killed


def test_orderly_restarts_of_the_cloud_and_kills_after_them(tmp_path: Path) -> None:
    _stop_again_and_again(4, tmp_path, stops=3, limit_s=180.0)


@needs_mosquitto
def test_orderly_restarts_over_mqtt(tmp_path: Path) -> None:
    _stop_again_and_again(5, tmp_path, stops=2, limit_s=180.0, over_mqtt=True)


@needs_mosquitto
def test_kills_over_mqtt(tmp_path: Path) -> None:
    _run(3, tmp_path, kills=KILLS, cuts=0, faults=RARE, limit_s=180.0, over_mqtt=True)


def test_cuts(tmp_path: Path) -> None:
    _run(2, tmp_path, kills=0, cuts=CUTS, faults=OFTEN, limit_s=180.0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_kills(seed: int, tmp_path: Path) -> None:
    _run(100 + seed, tmp_path, kills=SOAK_KILLS, cuts=0, faults=RARE, limit_s=1500.0)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_cuts(seed: int, tmp_path: Path) -> None:
    _run(200 + seed, tmp_path, kills=5, cuts=SOAK_CUTS, faults=OFTEN, limit_s=900.0)
