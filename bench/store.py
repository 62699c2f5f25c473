"""What the server that clouds share takes for positions, claims and contexts: `bench/results/store.json`, for deploy/SIZING.md.

Run from the project's root: python -m bench.store        needs valkey-server or redis-server

A real server on loopback, with each command in its append-only file, and the store that a cloud has, from one thread: positions of stations are saved in
groups as a busy cloud saves them, and one by one; edges are claimed with contexts that wait for them. Processor time is what the kernel counts
for the server's process and for the store's thread; times are of the machine that is named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench.cpu import processor
from bench.processes import processor_s
from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.saved_contexts import SavedContext
from ocppress_gateway.core.stored import Claim, Lane
from ocppress_gateway.errors import StoreFailed
from ocppress_gateway.positions.server import ServerPlace
from ocppress_gateway.positions.shared import SharedPositionsStore
from ocppress_gateway.storage.desk import GROUP_WRITES_MAX

__all__ = ["RESULTS", "main", "measured", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "store.json"

STATIONS: Final = 20_000
EDGES: Final = 4_000
ROUNDS: Final = 5
"""Saves of each station after the first."""
ONE_BY_ONE: Final = 5_000
CONTEXT_BYTES: Final = 2_000
"""Packed, a direction: what `contexts.bin` has of a station is some 4 kB."""
START_S: Final = 10.0


def measured(folder: Path, *, stations: int = STATIONS, edges: int = EDGES) -> dict[str, Any]:
    """All figures, of a server whose files are in `folder`."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise SystemExit("there is no valkey-server or redis-server here")
    port = _free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    command += ["--auto-aof-rewrite-percentage", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            store = SharedPositionsStore(ServerPlace(url=f"redis://127.0.0.1:{port}/0"), "bench")
            _open(store)
            return {
                "server": subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split(" sha=")[0],
                "python": platform.python_version(),
                "processor": processor(),
                **_positions(store, server.pid, stations),
                **_claims(store, server.pid, edges),
            }
        finally:
            server.kill()


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table with what it says."""
    return "\n".join(_rows(results))


def _rows(results: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{results['server']}, `appendonly yes`, `appendfsync everysec`, on the same machine (Python {results['python']}, {results['processor']}),"
        " in microseconds of processor time, and in bytes:"
    )
    yield ""
    yield "| what | server | the cloud's thread | written to its file | kept in memory |"
    yield "|---|--:|--:|--:|--:|"
    for name, words in _WORDS.items():
        cells = (results[name].get(figure) for figure in ("server_us", "cloud_us", "written_bytes", "memory_bytes"))
        yield f"| {words} | {' | '.join('' if cell is None else f'{cell:,.0f}' for cell in cells)} |"


_WORDS: Final = {
    "first": "a station's first position",
    "grouped": f"a position, {GROUP_WRITES_MAX} in a round trip",
    "single": "a position alone in its round trip",
    "kept": f"a station's contexts of {2 * CONTEXT_BYTES:,} bytes",
    "claimed": "an edge claimed, with these",
}


def _positions(store: SharedPositionsStore, pid: int, stations: int) -> dict[str, Any]:
    claim = Claim("bench", 1)
    with store.transaction():
        store.claim(claim, "")
    incarnation = random.Random(1).randbytes(8)

    def save(numbers: range, position: int) -> None:
        with store.transaction():
            for number in numbers:
                store.save(f"station-{number:08}", incarnation, Lane.ORDERED, position, claim)

    def save_all(position: int) -> None:
        for start in range(0, stations, GROUP_WRITES_MAX):
            save(range(start, min(stations, start + GROUP_WRITES_MAX)), position)

    def save_each() -> None:
        for number in range(ONE_BY_ONE):
            save(range(number % stations, number % stations + 1), ROUNDS + 2 + number)

    def save_again() -> None:
        for position in range(2, ROUNDS + 2):
            save_all(position)

    return {
        "first": _of_each(store, pid, stations, lambda: save_all(1)),
        "grouped": _of_each(store, pid, stations * ROUNDS, save_again, with_memory=False),
        "single": _of_each(store, pid, ONE_BY_ONE, save_each, with_memory=False),
    }


def _claims(store: SharedPositionsStore, pid: int, edges: int) -> dict[str, Any]:
    names = [f"edge-{number:06}" for number in range(edges)]

    def claim_all(number: int) -> None:
        for start in range(0, edges, GROUP_WRITES_MAX):
            with store.transaction():
                for name in names[start : start + GROUP_WRITES_MAX]:
                    store.claim(Claim(name, number), "a" * 64)

    def keep() -> None:
        for name in names:
            with store.transaction():
                store.keep_contexts(name, [_context(name)])

    claim_all(1)
    return {
        "kept": _of_each(store, pid, edges, keep),
        "claimed": _of_each(store, pid, edges, lambda: claim_all(2), with_memory=False),
    }


def _context(edge: str) -> SavedContext:
    return SavedContext(
        edge=edge,
        identity=edge,
        codec=CodecName.ADAPTIVE,
        fingerprint=fingerprint(CodecName.ADAPTIVE),
        version=OcppVersion.V201,
        epoch=1,
        sent=1,
        received=1,
        encoder=os.urandom(CONTEXT_BYTES),
        decoder=os.urandom(CONTEXT_BYTES),
    )


def _of_each(store: SharedPositionsStore, pid: int, count: int, work: Callable[[], None], *, with_memory: bool = True) -> dict[str, float]:
    """What one of `count` things takes that `work` does."""
    before = store.info()
    server_s, cloud_s = processor_s(pid), time.thread_time()
    work()
    server_s, cloud_s = processor_s(pid) - server_s, time.thread_time() - cloud_s
    after = store.info()
    figures = {
        "server_us": round(server_s / count * 1e6, 1),
        "cloud_us": round(cloud_s / count * 1e6, 1),
        "written_bytes": round((after["aof_current_size"] - before["aof_current_size"]) / count, 1),
    }
    if with_memory:
        figures["memory_bytes"] = round((after["used_memory_dataset"] - before["used_memory_dataset"]) / count, 1)
    return figures


def _open(store: SharedPositionsStore) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            store.open()
            return
        except StoreFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the file, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.store", description="What a fleet's server takes for positions, claims and contexts."
    )
    parser.add_argument("--stations", type=int, default=STATIONS, help="default: %(default)s")
    parser.add_argument("--edges", type=int, default=EDGES, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file to write (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="end with the results as one line of JSON")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = measured(Path(folder), stations=chosen.stations, edges=chosen.edges)
    chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results), file=sys.stderr if chosen.json else sys.stdout)
    if chosen.json:
        print(json.dumps(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
