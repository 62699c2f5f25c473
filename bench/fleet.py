"""One subject of `bench.cloud` with its fleet: the subject and the CSMS are processes of their own, stations and edges are here. One line of JSON.

    stations ──ws──► edges ──TLS 1.3, certificates at both ends──► ocppress cloud ──ws──► CSMS
    stations ──wss, permessage-deflate────────────────────────────► bench.relay ────ws──► CSMS

Each station has an edge of its own, as a charger with its own SIM has. All say the same day of a workload, each one CALL at a time: the first ones as fast
as they are answered, the others at a pace, for the stations of a fleet aren't answered in bursts. What an edge stores is sent on whenever so much of the day
is over as plan `saver` lets pass. What counts is the subject's processor time and memory, not how long this process takes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import os
import random
import ssl
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import aiohttp
import msgspec

from bench import relay
from bench.fleet_csms import READY, SEED, VERSION
from bench.processes import HOST, changed, free_port, kib, processor_s, started
from bench.relay import RELAY
from bench.timing import build
from ocppress_codecs.rpc import parse
from ocppress_gateway.config import load_edge
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.plan import Plan, PlanName, PlanSettings
from ocppress_gateway.demo.ends import End
from ocppress_gateway.demo.station import open_station
from ocppress_gateway.edge.program import EdgeProgram, edge_settings
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.outbox.base import OutboxLimits
from ocppress_gateway.outbox.memory import MemoryOutboxStore
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder
from ocppress_gateway.storage.memory import MemoryDisk
from ocppress_gateway.transports.tls import link_client_context
from ocppress_gateway.transports.websocket import WebSocketConnector
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction

__all__ = ["RELAY", "Measured", "main", "measured"]

BATCH_S: Final = 900.0
"""What plan `saver` lets a message wait."""

_PATIENCE_S: Final = 300.0
_SETTLED_S: Final = 2.0
_STAGGERED_S: Final = 10.0
"""So long it takes until the last station begins, where they pause: stations of a fleet don't flush together."""
_AGAIN_S: Final = 0.1
_BUDGET_BYTES: Final = 100_000_000
_KEEPALIVE_S: Final = 1500
_ASKING: Final = '[2,"{}","DataTransfer",{{"vendorId":"ocppress"}}]'
"""Relayed in any plan."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One subject."""

    subject: str
    """A plan, or `RELAY`."""
    build: str
    stations: int
    calls: int
    """That each station has said."""
    messages: int
    """Of the stations that pause: their CALLs and the answers, those of an edge among them."""
    csms_messages: int
    """What of these the subject has handed to the CSMS or taken from it; an edge answers Heartbeats alone."""
    messages_a_second: int
    """So many, by the clock."""
    processor_us: float
    """User and system time of the subject per message of a station."""
    hasty_processor_us: float
    """The same while the first stations say all as fast as they are answered."""
    memory_kib: float
    """What a further station makes of it: the memory of its own pages with all stations, less that with some of them, each time when all there have said
    everything."""
    base_kib: float
    """The rest of it."""
    latency_ms: tuple[float, float]
    """Median and 99th percentile of a relayed CALL, from the station until its answer, each station one a second."""


class Saying(NamedTuple):
    """One CALL of the day; `batch` numbers what is sent on together."""

    batch: int
    text: str


class Csms:
    """`bench.fleet_csms`, from here."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.port = port
        self.url = f"ws://{HOST}:{port}/{{identity}}"
        self._session = session

    async def asked(self) -> Counter[str]:
        """How often it has been asked what, by action."""
        async with self._session.get(f"http://{HOST}:{self.port}/") as response:
            return Counter(await response.json())


class Ours:
    """`ocppress cloud`, and an edge for each station."""

    def __init__(self, plan: PlanName, folder: Path, stack: contextlib.AsyncExitStack, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._folder = folder / "ca"
        self._stack = stack
        self._session = session
        self._edges: dict[str, EdgeProgram] = {}

    async def begin(self, names: list[str], csms_url: str) -> int:
        """Start the subject for these stations; its process."""
        port, now = await free_port(), datetime.now(UTC)
        make_authority_folder(self._folder, name="ocppress bench", hosts=[HOST], csms_url=csms_url, now=now)
        cloud_file = self._folder / "cloud" / "cloud.toml"
        changed(cloud_file, "#port = 8886", f"port = {port}")
        for name in names:
            make_edge_folder(self._folder, name, stations=[name], cloud_url=None, now=now)
        command = ["ocppress_gateway", "cloud", "--config", str(cloud_file)]
        return (await self._stack.enter_async_context(started("cloud", command, "listening for edges"))).pid

    async def station(self, name: str) -> End:
        """Connect one."""
        config = load_edge(self._folder / "edges" / name / "edge.toml")
        config = msgspec.structs.replace(config, plan=self._plan)
        url, tls = config.link.url, config.link.tls
        assert url is not None, "the authority's configurations have one"
        assert tls is not None, "the authority's configurations have it"
        # No edge waits on purpose: it isn't what is measured.
        settings = replace(edge_settings(config), linger_s=0.0, urgent_s=0.0, keeps_credentials=False)
        plan = Plan(PlanSettings(self._plan, _BUDGET_BYTES), keepalive_s=_KEEPALIVE_S, now=time.monotonic())
        machine = EdgeMachine(settings, random=random.random, random_bytes=os.urandom, freshness=plan, wall_s=time.time)
        context = link_client_context(ca_file=tls.ca_file, certificate_file=tls.certificate_file, key_file=tls.key_file)
        connector = WebSocketConnector(url, context, keepalive_s=_KEEPALIVE_S)
        outbox = MemoryOutboxStore(MemoryDisk(), time.monotonic, limits=OutboxLimits(commit_pause_s=0.0)) if settings.outbox else None
        edge = self._edges[name] = EdgeProgram(machine, connector, host=HOST, port=0, outbox=outbox, shutdown_s=0.5)
        await self._stack.enter_async_context(edge)
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                with contextlib.suppress(GatewayError):  # until the link is up, the edge refuses it
                    return await self._stack.enter_async_context(open_station(self._session, f"{edge.station_url}/{name}", VERSION))
                await asyncio.sleep(_AGAIN_S)

    def flush(self, name: str) -> None:
        """What waits of this station is to be sent on."""
        self._edges[name].flush(name)


class Relayed:
    """`bench.relay`, and stations that compress."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack, session: aiohttp.ClientSession) -> None:
        self._folder = folder / "ca"
        self._stack = stack
        self._session = session
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._listening = asyncio.TaskGroup()
        self._port = 0

    async def begin(self, names: list[str], csms_url: str) -> int:
        """Start the subject; its process."""
        self._port = await free_port()
        make_authority_folder(self._folder, name="ocppress bench", hosts=[HOST], csms_url=csms_url, now=datetime.now(UTC))
        cloud = self._folder / "cloud"
        self._context.load_verify_locations(cloud / "ca.pem")
        certificate = ["--certificate", str(cloud / "cloud.pem"), "--key", str(cloud / "cloud.key")]
        command = ["bench.relay", str(self._port), csms_url, *certificate]
        pid = (await self._stack.enter_async_context(started("relay", command, relay.READY))).pid
        await self._stack.enter_async_context(self._listening)  # left after the stations
        return pid

    async def station(self, name: str) -> End:
        """Connect one."""
        websocket = await self._session.ws_connect(
            f"wss://{HOST}:{self._port}/{name}", protocols=[VERSION.subprotocol], compress=15, ssl=self._context
        )
        if not websocket.compress:
            raise RuntimeError("the relay doesn't compress")
        await self._stack.enter_async_context(websocket)
        end = End(websocket)
        self._listening.create_task(end.listen(), name=f"station {name}")
        return end

    def flush(self, name: str) -> None:
        """Nothing waits."""


async def measured(
    subject: str, workload: str, *, stations: int, further: int, calls: int, pause_s: float, asking_s: int, folder: Path
) -> Measured:
    """Let `stations` say the first `calls` of a day as fast as they are answered, then `further` ones, a CALL each `pause_s`. Fails if not everything
    arrived."""
    sayings = _day(workload, calls)
    async with contextlib.AsyncExitStack() as stack:
        own = Path(stack.enter_context(TemporaryDirectory(prefix="ocppress-cloud-", dir=folder)))
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        csms = Csms(await free_port(), session)
        await stack.enter_async_context(started("CSMS", ["bench.fleet_csms", str(csms.port), workload], READY))
        way = Relayed(own, stack, session) if subject == RELAY else Ours(PlanName(subject), own, stack, session)
        names = [f"S{number}" for number in range(stations + further)]
        pid = await way.begin(names, csms.url)
        ends: dict[str, End] = {}
        memory, processor = [], []
        for group, pace_s in (names[:stations], 0.0), (names[stations:], pause_s):
            for name in group:
                ends[name] = await way.station(name)
            before, begun = processor_s(pid), time.monotonic()
            asked_before = (await csms.asked()).total()
            async with asyncio.timeout(_PATIENCE_S), asyncio.TaskGroup() as playing:
                for number, name in enumerate(group):
                    later_s = number / len(group) * min(_STAGGERED_S, pace_s * calls)
                    playing.create_task(_say(ends[name], sayings, later_s, pace_s, lambda name=name: way.flush(name)))  # type: ignore[misc]
            await _all_there(csms, sayings, len(ends))
            messages, wall_s = 2 * calls * len(group), time.monotonic() - begun
            processor.append(1e6 * (processor_s(pid) - before) / messages)
            asked = (await csms.asked()).total() - asked_before
            await asyncio.sleep(_SETTLED_S)
            memory.append(kib(pid, "Pss", of="smaps_rollup"))
        latencies = sorted(itertools.chain.from_iterable(await _asked(list(ends.values()), asking_s)))
        each = (memory[1] - memory[0]) / further
        return Measured(
            subject=subject,
            build=build(),
            stations=len(ends),
            calls=calls,
            messages=messages,
            csms_messages=2 * asked,
            messages_a_second=round(messages / wall_s),
            processor_us=round(processor[1], 1),
            hasty_processor_us=round(processor[0], 1),
            memory_kib=round(each, 1),
            base_kib=round(memory[1] - each * len(ends), 1),
            latency_ms=(round(statistics.median(latencies), 2), round(latencies[len(latencies) * 99 // 100], 2)),
        )


def _day(workload: str, calls: int) -> list[Saying]:
    """The first CALLs of a day."""
    day = generate(WORKLOADS[workload], days=1, seed=SEED)
    up = (record for record in day if record.direction is Direction.UP)
    return [Saying(int((record.ts or 0.0) // BATCH_S), record.text) for record in itertools.islice(up, calls)]


async def _say(station: End, sayings: list[Saying], later_s: float, pause_s: float, flush: Callable[[], None]) -> None:
    await asyncio.sleep(later_s)
    at = time.monotonic()
    for before, saying in itertools.pairwise([sayings[0], *sayings]):
        if before.batch != saying.batch:
            flush()
        await station.send(saying.text)
        await station.receive()
        at += pause_s
        if pause_s:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
    flush()


async def _all_there(csms: Csms, sayings: list[Saying], stations: int) -> None:
    """Until the CSMS has every CALL, but for Heartbeats, which an edge may answer alone."""
    said = Counter(parse(saying.text)[1].action for saying in sayings)
    del said["Heartbeat"]
    expected = Counter({action: count * stations for action, count in said.items()})
    async with asyncio.timeout(_PATIENCE_S):
        while expected - await csms.asked():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(_AGAIN_S)


async def _asked(stations: list[End], rounds: int) -> list[list[float]]:
    """Milliseconds that each CALL took."""

    async def ask(station: End, offset_s: float) -> list[float]:
        found = []
        begun = time.monotonic() + offset_s
        for number in range(rounds):
            await asyncio.sleep(max(0.0, begun + number - time.monotonic()))
            at = time.monotonic()
            await station.send(_ASKING.format(number))
            await station.receive()
            found.append((time.monotonic() - at) * 1000)
        return found

    return await asyncio.gather(*(ask(station, number / len(stations)) for number, station in enumerate(stations)))


def main(arguments: list[str] | None = None) -> int:
    """Measure one subject, print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description="One subject of bench.cloud.")
    parser.add_argument("subject", choices=[RELAY, *PlanName])
    parser.add_argument("workload", choices=list(WORKLOADS))
    for name in "stations", "further", "calls", "asking-s":
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--pause-s", type=float, required=True)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args(arguments)
    logging.getLogger("ocppress").setLevel(logging.ERROR)  # until their links are up, edges refuse stations, and say so
    print(json.dumps(asdict(asyncio.run(measured(**vars(chosen))))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
