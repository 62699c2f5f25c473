"""Three clouds behind HAProxy that share a Redis or Valkey, three edges with two busy stations each, and everything stopped and killed in turn.

Nothing is lost or overtaken, and what the CSMS hears twice has the same id and payload (`kept_promises`), whichever cloud it heard it from. After an
orderly stop the edges' contexts go on at another cloud.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from random import Random

import pytest

from tests.support.background import background
from tests.support.busy_peers import BusyCsms, BusyStation
from tests.support.fleet import Fleet, open_fleet
from tests.support.haproxy import needs_haproxy
from tests.support.hasty import CLOUD_CHANGES, COMMAND_TIMEOUT_S, EDGE_CHANGES, STATION_TIMEOUT_S
from tests.support.kept_promises import check_kept, is_missing
from tests.support.processes import Lives, until
from tests.support.redis_server import needs_redis

CLOUDS = 3
EDGES = 3
STATIONS_EACH = 2

PATIENCE_S = 1.0
SLOW_S = 0.5
GAP_S = 0.25
SLACK_S = 5.0
"""What a busy machine may take from the gateway's decision to the peer that sees it: here are nine processes."""

EARLY_EACH = 2
"""What each station has got from the edge before anything breaks, and again between two breaks, on average."""

TAKEN = "another cloud has this edge now"

STORE_IS_AWAY = ("the store of positions is in trouble", "a position can't be saved yet")


class _World:
    """A fleet and who talks through it."""

    def __init__(self, fleet: Fleet, csms: BusyCsms, stations: list[BusyStation], random: Random) -> None:
        self.fleet = fleet
        self.csms = csms
        self.stations = stations
        self.random = random

    @property
    def answered_early(self) -> int:
        return sum(answer.endswith(",{}]") for station in self.stations for sent in station.made for answer in sent.answers)

    async def talk(self) -> None:
        """Let all talk for a while."""
        wanted = self.answered_early + EARLY_EACH * len(self.stations)
        await until(lambda: self.answered_early >= wanted)

    async def elsewhere(self, edges: Collection[str]) -> None:
        """Wait until each of these edges has another link than now."""
        before = {edge: self.links_of(edge) for edge in edges}
        await until(lambda: all(self.links_of(edge) > count for edge, count in before.items()))

    def links_of(self, edge: str) -> int:
        """How many links it has had."""
        return sum(f" edge={edge} " in line for line in self.links)

    @property
    def links(self) -> list[str]:
        return [line for line in self.fleet.lines if "ocppress.cloud link up" in line]

    def _edges_at(self, cloud: Lives) -> set[str]:
        """Those that are linked to it now."""
        edges: set[str] = set()
        for line in cloud.process.lines:
            if found := re.search(r"ocppress\.cloud link (up|closed|lost) edge=(\S+)", line):
                (edges.add if found[1] == "up" else edges.discard)(found[2])
        return edges

    def busiest(self) -> Lives:
        """The cloud with the most edges."""
        return max(self.fleet.clouds, key=lambda cloud: len(self._edges_at(cloud)))

    def resumed(self) -> int:
        """Links that have come up with contexts of a cloud that has stopped."""
        return sum("contexts_resumed=0" not in line for line in self.links)

    async def kill(self, cloud: Lives) -> None:
        await cloud.kill()
        await asyncio.sleep(self.random.uniform(0.0, 1.0))
        await cloud.start()
        await self.talk()

    async def stop(self, cloud: Lives) -> int:
        """Stop a cloud in order; how many edges it had, of which each comes back to another."""
        edges = self._edges_at(cloud)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.elsewhere(edges))
            await asyncio.sleep(0)
            await cloud.stop()
        await cloud.start()
        await self.talk()
        return len(edges)

    async def lose_balancer(self, edges: Collection[str]) -> None:
        """Kill the balancer and start it again; all edges come back."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.elsewhere(edges))
            await asyncio.sleep(0)
            await self.fleet.balancer.kill()
            await asyncio.sleep(self.random.uniform(0.0, 1.0))
            await self.fleet.balancer.start()

    async def pause(self, cloud: Lives) -> None:
        """Let a cloud hang until its edges are at others, with whatever it has under way; then it goes on, as if nothing had been."""
        edges = self._edges_at(cloud)
        os.kill(cloud.process.pid, signal.SIGSTOP)
        try:
            await self.elsewhere(edges)
            await self.talk()
        finally:
            os.kill(cloud.process.pid, signal.SIGCONT)
        for edge in edges:
            await cloud.process.said(f"{TAKEN} edge={edge}")
        await self.talk()

    async def settle(self) -> None:
        for station in self.stations:
            await station.finish()
        with contextlib.suppress(TimeoutError):  # the check says what is missing
            await until(lambda: not is_missing(self.stations, self.csms))

    def check_contexts(self) -> None:
        """Whoever has been told that its cloud stops goes on with its contexts at the next, unless that one hangs, as it does on a busy machine."""
        moved = 0
        for edge in self.fleet.edges:
            told = False
            for line in edge.process.lines:
                if " link up " in line:
                    assert not told or "contexts_resumed=0" not in line, edge.process.lines
                    moved += told
                told = "the cloud says goodbye" in line or (told and not re.search(" link (up|lost|not made) ", line))
        print(f"{moved} times an edge has gone to another cloud with its contexts")
        assert moved

    def check(self) -> None:
        said = [line for line in self.fleet.lines if " ERROR " in line or "Traceback" in line]
        assert not [line for line in said if not any(words in line for words in STORE_IS_AWAY)], said
        heard = Counter((identity, item.message_id) for identity, items in self.csms.heard.items() for item in items)
        print(f"{len(self.links)} links, {self.resumed()} of them with contexts; {sum(heard.values())} CALLs at the CSMS,")
        print(f"{self.answered_early} answered early, {sum(heard.values()) - len(heard)} repeated under their id;")
        overlaps = self.csms.overlaps_s
        print(f"{len(overlaps)} CSMS sockets beside a newer one, for {max(overlaps, default=0.0):.3f} s at most")
        check_kept(
            self.stations,
            self.csms,
            station_timeout_s=STATION_TIMEOUT_S + SLACK_S,
            command_timeout_s=COMMAND_TIMEOUT_S + SLACK_S,
            outboxes=EDGES,
        )


@contextlib.asynccontextmanager
async def _open_world(random: Random, folder: Path) -> AsyncIterator[_World]:
    csms = BusyCsms(random, patience_s=PATIENCE_S, slow_s=SLOW_S)
    async with (
        csms.open(),
        open_fleet(folder, csms.url, clouds=CLOUDS, edges=EDGES, edge_changes=EDGE_CHANGES, cloud_changes=CLOUD_CHANGES) as fleet,
        contextlib.AsyncExitStack() as stack,
    ):
        stations = [
            BusyStation(url, f"CP{edge}{number}", random, patience_s=PATIENCE_S, boots=True, gap_s=GAP_S)
            for edge, url in enumerate(fleet.urls)
            for number in range(STATIONS_EACH)
        ]
        for station in stations:
            await stack.enter_async_context(background(station.run(), station.identity))
            await stack.enter_async_context(background(csms.command(station.identity), f"commands to {station.identity}"))
        try:
            yield _World(fleet, csms, stations, random)
        finally:
            print("\n".join(sorted(fleet.lines)))  # by their times; pytest shows it if the test has failed


def _run(seed: int, folder: Path, *, rounds: int, limit_s: float) -> None:
    async def main() -> None:
        random = Random(seed)
        async with asyncio.timeout(limit_s), _open_world(random, folder) as world:
            await world.talk()
            for _ in range(rounds):
                for cloud in world.fleet.clouds:
                    await world.kill(cloud)
                assert sum([await world.stop(cloud) for cloud in world.fleet.clouds]) >= EDGES, "each edge was at one of them"
                await world.pause(world.busiest())
                await world.lose_balancer([f"site-{number + 1}" for number in range(EDGES)])
                await world.talk()
                world.fleet.store.kill()
                await asyncio.sleep(random.uniform(0.5, 3.0))
                await asyncio.to_thread(world.fleet.store.start)
                await world.talk()
            await world.settle()
            world.check_contexts()
            world.check()

    print(f"seed {seed}")
    asyncio.run(main())


@needs_redis
@needs_haproxy
def test_three_clouds(tmp_path: Path) -> None:
    _run(1, tmp_path, rounds=1, limit_s=300.0)


@pytest.mark.soak
@needs_redis
@needs_haproxy
@pytest.mark.parametrize("seed", range(3))
def test_three_clouds_again_and_again(seed: int, tmp_path: Path) -> None:
    _run(100 + seed, tmp_path, rounds=6, limit_s=1500.0)
