"""What an edge takes of its machine, beside a relay with permessage-deflate: `bench/results/edge.json`, for the table in gateway/README.md.

Run from the project's root: python -m bench.edge [--folder FOLDER]

    station ──ws──► ocppress edge ──TLS 1.3, certificates at both ends──► ocppress cloud ──ws──► CSMS
    station ──ws──► bench.relay ────wss, permessage-deflate─────────────► bench.relay ────ws──► CSMS

Edge and cloud are real processes with the files of `ocppress ca`, the CSMS and the station are here. The station says a day's messages of a workload as
fast as the edge takes them, some of them at a time, which is harder on the edge than the day itself; all must reach the CSMS. Memory is the
edge's VmHWM, the most that it ever had resident, libraries that it shares with nobody included. Bytes are the kernel's count of pages that it has to
write, so FOLDER must be on a disk. Each is measured in both builds, pure Python and compiled; the relay has none of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import aiohttp

from bench import relay
from bench.cpu import ROOT, compiled_build, processor
from bench.processes import HOST, Started, changed, disk_bytes, free_port, kib, processor_s, started
from bench.relay import RELAY
from bench.timing import build
from ocppress_codecs.rpc import OcppVersion, parse
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.demo.csms import Csms
from ocppress_gateway.demo.deliveries import HEARTBEAT, Deliveries
from ocppress_gateway.demo.deliveries import Call as Delivery
from ocppress_gateway.demo.ends import End
from ocppress_gateway.demo.station import open_station
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction

__all__ = ["MEMORY_KIB_MAX", "RESULTS", "Measured", "main", "measured", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "edge.json"

MEMORY_KIB_MAX: Final = 64 * 1024
"""What an edge may take: half of the 128 MiB that a charger's board has to spare."""

SUBJECTS: Final = (("ac22", RELAY), ("ac22", PlanName.SAVER), ("ac22", PlanName.TRANSPARENT), ("home", PlanName.SAVER))

PIPELINE: Final = 16
"""CALLs that the station has open. OCPP wants one; then the outbox's pause between two commits would be most of what is measured."""

SEED: Final = 1
_STATION: Final = "STATION-1"
_VERSION: Final = OcppVersion.V201
_PATIENCE_S: Final = 120.0

_FLUSHING: Final = '[2,"flush","DataTransfer",{"vendorId":"ocppress"}]'
"""Relayed, so that what waits for company has it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One day in the life of an edge, faster."""

    workload: str
    plan: str
    """Or `RELAY`."""
    build: str
    messages: int
    """CALLs of the station; it has an answer to each."""
    stored: int
    """Those that the edge has answered itself, with the message on its disk."""
    wall_s: float
    """From the first to the last that has reached the CSMS."""
    memory_kib: int
    idle_memory_kib: int
    """Before the first station."""
    startup_s: float
    """From the start of the process until it listens."""
    processor_s: float
    """User and system, its start included."""
    startup_processor_s: float
    message_us: float
    """Processor time per message of the station, CALLs and answers, without the start."""
    disk_bytes: int
    """Written to the disk, as the kernel counts it (`write_bytes`); 0 on a file system without one."""


async def measured(workload: str, plan: str, *, days: int = 1, folder: Path | None = None) -> Measured:
    """Give an edge its days; its files are in `folder` meanwhile, by default the system's place for them. Fails if not everything arrived."""
    async with contextlib.AsyncExitStack() as stack:
        own = Path(stack.enter_context(TemporaryDirectory(prefix="ocppress-edge-", dir=folder)))
        csms = await stack.enter_async_context(Csms())
        begun = await stack.enter_async_context(_relays(own, csms.url) if plan == RELAY else _edge_and_cloud(own, csms.url, PlanName(plan)))
        edge = begun.edge
        idle_memory_kib, startup_processor_s = kib(edge.pid, "VmRSS"), processor_s(edge.pid)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        station = await stack.enter_async_context(open_station(session, f"ws://{HOST}:{begun.station_port}/{_STATION}", _VERSION))
        began_at = time.monotonic()
        messages, stored = await _play(workload, days, station, await csms.end(_STATION))
        wall_s, taken_s = time.monotonic() - began_at, processor_s(edge.pid)
        return Measured(
            workload=workload,
            plan=str(plan),
            build="" if plan == RELAY else build(),
            messages=messages,
            stored=stored,
            wall_s=round(wall_s, 2),
            memory_kib=kib(edge.pid, "VmHWM"),
            idle_memory_kib=idle_memory_kib,
            startup_s=round(edge.listens_at - begun.at, 2),
            processor_s=round(taken_s, 2),
            startup_processor_s=round(startup_processor_s, 2),
            message_us=round(1e6 * (taken_s - startup_processor_s) / (2 * messages), 1),
            disk_bytes=disk_bytes(edge.pid),
        )


# --- station and CSMS


async def _play(workload: str, days: int, station: End, csms: End) -> tuple[int, int]:
    """Say everything, and wait until the CSMS has it; how many CALLs that was, and how many of them the edge has stored and answered."""
    deliveries = Deliveries(_VERSION)
    answers: dict[str, str] = {}
    calls: dict[str, Delivery] = {}
    room = asyncio.Semaphore(PIPELINE)
    changed = asyncio.Event()

    async def hear_station() -> None:
        while True:
            message_id, _ = parse(await station.receive())
            call = calls.pop(message_id)
            if call.far_id is None and call.message.action == HEARTBEAT:
                deliveries.answered_at_the_edge(call)
            room.release()
            changed.set()

    stored = 0

    async def hear_csms() -> None:
        nonlocal stored
        while True:
            message_id, message = parse(await csms.receive())
            call = deliveries.arrived(message_id, message)
            stored += call is not None and call.is_early
            changed.set()
            await csms.send(f'[3,"{message_id}",{answers.get(message.body, "{}")}]')

    async def say(text: str) -> None:
        message_id, message = parse(text)
        call = calls[message_id] = Delivery(message, 0.0)
        deliveries.said(call)
        await station.send(text)

    async def until_empty(what: Any) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while len(what):
                changed.clear()
                await changed.wait()

    said = 0
    async with asyncio.TaskGroup() as group:
        hearing = [group.create_task(hear_station(), name="station"), group.create_task(hear_csms(), name="CSMS")]
        records = list(Conversation(_VERSION).follow(generate(WORKLOADS[workload], days=days, seed=SEED)))
        bodies = {parse(one.text)[0]: one.message.body for one in records if one.direction is Direction.UP}
        answers.update({bodies[parse(one.text)[0]]: one.message.body for one in records if one.direction is Direction.DOWN})
        for one in records:
            if one.direction is Direction.DOWN:
                continue
            await room.acquire()
            await say(one.text)
            said += 1
            if said == 1:
                await until_empty(calls)  # the BootNotification: before its answer nothing else is said
        await until_empty(calls)
        await say(_FLUSHING)
        await until_empty(deliveries)
        for task in hearing:
            task.cancel()
    return said, stored


# --- processes


@dataclass(frozen=True, slots=True)
class _Begun:
    edge: Started
    at: float
    """When its process was started, by the monotonic clock."""
    station_port: int


@contextlib.asynccontextmanager
async def _edge_and_cloud(own: Path, csms_url: str, plan: PlanName) -> AsyncIterator[_Begun]:
    edge_file, cloud_file, station_port = await _files(own, csms_url, plan)
    async with started("cloud", ["ocppress_gateway", "cloud", "--config", str(cloud_file)], "listening for edges"):
        at = time.monotonic()
        async with started("edge", ["ocppress_gateway", "edge", "--config", str(edge_file)], "link up") as edge:
            yield _Begun(edge, at, station_port)


@contextlib.asynccontextmanager
async def _relays(own: Path, csms_url: str) -> AsyncIterator[_Begun]:
    make_authority_folder(own / "ca", name="ocppress bench", hosts=[HOST], csms_url=csms_url, now=datetime.now(UTC))
    files = own / "ca" / "cloud"
    station_port, port = await free_port(), await free_port()
    far = ["bench.relay", str(port), csms_url, "--certificate", str(files / "cloud.pem"), "--key", str(files / "cloud.key")]
    near = ["bench.relay", str(station_port), f"wss://{HOST}:{port}/{{identity}}", "--ca", str(files / "ca.pem")]
    async with started("far relay", far, relay.READY):
        at = time.monotonic()
        async with started("near relay", near, relay.READY) as edge:
            yield _Begun(edge, at, station_port)


async def _files(folder: Path, csms_url: str, plan: PlanName) -> tuple[Path, Path, int]:
    """Configurations of edge and cloud, and the port for stations."""
    authority = folder / "ca"
    now = datetime.now(UTC)
    station_port, link_port = await free_port(), await free_port()
    make_authority_folder(authority, name="ocppress bench", hosts=[HOST], csms_url=csms_url, now=now)
    cloud_file = authority / "cloud" / "cloud.toml"
    changed(cloud_file, "#port = 8886", f"port = {link_port}")
    make_edge_folder(authority, "bench", stations=[_STATION], cloud_url=None, now=now)
    edge_file = authority / "edges" / "bench" / "edge.toml"
    changed(edge_file, "#port = 8887", f"port = {station_port}")
    changed(edge_file, '#host = "0.0.0.0"', f'host = "{HOST}"')
    changed(edge_file, '#plan = "auto"', f'plan = "{plan}"')
    changed(edge_file, "#keepalive_s =", "keepalive_s = 1500")
    return edge_file, cloud_file, station_port


# --- results


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table with what it says."""
    head = (
        f"An edge with one station that says a day's CALLs of a workload as fast as it takes them, {PIPELINE} at a time (Python {results['python']},"
        f" {results['processor']}), in pure Python and compiled, and a relay with permessage-deflate in its place: its resident memory at the most (VmHWM) and"
        " before the first station, in MiB; seconds from its start until it listens; seconds of processor time in all and for the start; microseconds for"
        " each message, CALLs and answers; and what it has written to its disk. Stored are those CALLs that it has answered itself."
    )
    rows = [
        "| workload | plan | build | CALLs | stored | memory | idle | start | processor | its start | a message | disk |",
        f"|---|---|---|{'--:|' * 9}",
    ]
    for one in results["edges"]:
        cells = (
            one["workload"],
            "relay" if one["plan"] == RELAY else f"`{one['plan']}`",
            one["build"],
            f"{one['messages']:,}",
            f"{one['stored']:,}",
            f"{one['memory_kib'] / 1024:.1f}",
            f"{one['idle_memory_kib'] / 1024:.1f}",
            f"{one['startup_s']:.1f}",
            f"{one['processor_s']:.1f}",
            f"{one['startup_processor_s']:.1f}",
            f"{one['message_us']:,.0f}",
            f"{one['disk_bytes'] / 1e6:.1f} MB" if one["disk_bytes"] else "—",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([head, "", *rows])


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the file, print the table; 1 if an edge took more memory than it may."""
    parser = argparse.ArgumentParser(prog="python -m bench.edge", description="Memory, start, processor time and disk writes of an edge.")
    parser.add_argument("--workload", choices=list(WORKLOADS), help="only this workload, and print without writing the file")
    parser.add_argument("--plan", choices=[*PlanName, RELAY], default=PlanName.SAVER, help="with --workload (default: %(default)s)")
    parser.add_argument("--days", type=int, default=1, help="with --workload (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to put its files, on a disk; the system's place for temporary files by default")
    parser.add_argument("--json", action="store_true", help="end with the results as one line of JSON")
    chosen = parser.parse_args(arguments)
    results: dict[str, Any] = {"python": platform.python_version(), "processor": processor(), "edges": []}
    if chosen.workload is not None:
        results["edges"].append(asdict(asyncio.run(measured(chosen.workload, chosen.plan, days=chosen.days, folder=chosen.folder))))
    else:
        with compiled_build(may_compile=True) as (compiled, reason):
            if compiled is None:
                print(f"without a compiled build: {reason}", file=sys.stderr)
            results["edges"] += _all(compiled, chosen.folder)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results) if chosen.json else table(results))
    return int(any(one["memory_kib"] > MEMORY_KIB_MAX for one in results["edges"]))


def _all(compiled: list[Path] | None, folder: Path | None) -> list[dict[str, Any]]:
    """Each subject in each build, in a process that has imported it."""
    pure = [ROOT / "codecs", ROOT / "gateway"]
    found: list[dict[str, Any]] = []
    for workload, plan in SUBJECTS:
        for paths in [pure] if plan == RELAY or compiled is None else [pure, compiled]:
            print(f"{workload}, {plan}, {'pure' if paths is pure else 'compiled'} …", file=sys.stderr, flush=True)
            run = subprocess.run(
                [
                    *(sys.executable, "-m", "bench.edge", "--json", "--workload", workload, "--plan", str(plan)),
                    *([] if folder is None else ["--folder", str(folder)]),
                ],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(str(path) for path in [*paths, ROOT])},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            found += json.loads(run.stdout)["edges"]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
