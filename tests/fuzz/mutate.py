"""Tells decoders millions of changed frames, at random places of sessions, and looks that nothing breaks.

    python -m tests.fuzz.mutate --count 10_000_000 --seed 1 --jobs 2 --codec adaptive

Ends with a summary, also where a signal stops it early, and with 1 if a promise was broken: any error but a `DecodeError`, a frame that takes too long, a
state changed by a refusal, a session that can't go on, memory that grows. Each finding becomes a file in the folder that `--out` names; `tests/fuzz/corpus` is
where it belongs once it is mended.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from typing import Any, Final

import ocppress_codecs.adaptive.coder
from ocppress_codecs.interface import CodecName
from tests.fuzz.mutations import MUTATED_BYTES_MAX
from tests.fuzz.reproducers import Reproducer, save, smallest
from tests.fuzz.rounds import Found, Tally, play_round
from tests.fuzz.sessions import COMMON_NAMES, NAMES, session

__all__ = ["Report", "main", "run"]

HANG_S: Final = 300
"""Without a word from a worker for so long, the frame it is at counts as one that never ends."""

MEMORY_GROWTH_BYTES_MAX: Final = 256 * 1024 * 1024
"""By how much a worker may grow after its first rounds. The largest text is 2 MiB, and a few times that as tokens."""

ADDRESS_SPACE_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
"""What a worker may ask the system for at all: a frame that asks for more ends in a MemoryError, which is a finding."""

CHOSEN_FROM: Final = (*NAMES, *COMMON_NAMES * 11)
"""Seven in ten rounds play what most frames are like; the others are slower."""

WARM_UP_ROUNDS: Final = 20
FOUND_MAX: Final = 10
"""Findings after which a worker gives up."""

REPORT_EVERY_S: Final = 1.0
PROGRESS_EVERY_S: Final = 10.0


@dataclass
class Report:
    """What one worker has done so far."""

    tally: Tally = field(default_factory=Tally)
    found: list[Reproducer] = field(default_factory=list)
    first_bytes: int = 0
    """Resident memory after the first rounds."""
    peak_bytes: int = 0
    done: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000, help="frames for each codec (default: %(default)s)")
    parser.add_argument("--seed", default="1", help="what the frames follow from (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--codec", action="append", choices=list(CodecName), help="this codec, may be repeated (default: all)")
    parser.add_argument("--out", type=Path, default=Path("found"), help="folder for what breaks a codec (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the summary as one line of JSON, too")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    handlers = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _run_all(options, stopped)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _run_all(options: argparse.Namespace, stopped: threading.Event) -> int:
    summaries = []
    failed = False
    print(f"codec from {Path(ocppress_codecs.adaptive.coder.__file__).name}", file=sys.stderr)
    for codec in map(CodecName, options.codec or list(CodecName)):
        begun = time.monotonic()
        reports = run(codec, options.count, options.seed, options.jobs, stopped)
        summary = summary_of(codec, reports, time.monotonic() - begun)
        print(summary_text(summary))
        summaries.append(summary)
        for report in reports:
            for reproducer in report.found:
                failed = True
                print(f"{reproducer.problem}\n    {save(smallest(reproducer), options.out)}", file=sys.stderr)
        if summary["memory_growth_mib"] > MEMORY_GROWTH_BYTES_MAX >> 20:
            failed = True
            print("memory grows", file=sys.stderr)
        if stopped.is_set():
            break
    if options.json:
        print(json.dumps(summaries))
    return 1 if failed else 130 if stopped.is_set() else 0


def run(codec: CodecName, count: int, seed: str, jobs: int, stopped: threading.Event) -> list[Report]:
    """The reports of all workers, at least `count` frames between them, or as far as they are when `stopped` is set."""
    context = multiprocessing.get_context("spawn")
    workers = [_Worker(context, codec, CHOSEN_FROM, -(-count // jobs), f"{seed} {job}") for job in range(jobs)]
    begun = printed = time.monotonic()
    while any(worker.runs for worker in workers) and not stopped.is_set():
        ready = wait([worker.pipe for worker in workers if worker.runs], timeout=REPORT_EVERY_S)
        for worker in workers:
            if worker.runs:
                worker.look(worker.pipe in ready)
        if time.monotonic() - printed >= PROGRESS_EVERY_S:
            printed = time.monotonic()
            frames = sum(worker.report.tally.frames for worker in workers)
            found = sum(len(worker.report.found) for worker in workers)
            print(f"{codec}: {frames:,} of {count:,} frames, {frames / (printed - begun):,.0f} a second, {found} found", file=sys.stderr)
    for worker in workers:
        worker.end()
    return [worker.report for worker in workers]


class _Worker:
    """A process that plays rounds, as seen from outside."""

    def __init__(self, context: Any, codec: CodecName, names: tuple[str, ...], count: int, seed: str) -> None:
        self.report = Report()
        self.runs = True
        self._heard = time.monotonic()
        self._codec = codec
        # The frame that is being decoded, for when the worker says no more.
        self._frame = RawArray("c", MUTATED_BYTES_MAX + 1024)
        self._size = RawValue("q", 0)
        self.pipe, theirs = context.Pipe(duplex=False)
        arguments = (theirs, codec, names, count, seed, self._frame, self._size)
        self._process: BaseProcess = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def look(self, ready: bool) -> None:
        """Take what the worker says; give it up where it says nothing for too long, or has died."""
        try:
            while ready and self.pipe.poll():
                self.report = self.pipe.recv()
                self._heard = time.monotonic()
        except EOFError:
            self._ended(f"the process ended with {self._exit_code()}")
            return
        if self.report.done:
            self._process.join()
            self.runs = False
        elif time.monotonic() - self._heard > HANG_S:
            self._ended(f"no end after {HANG_S} s")

    def end(self) -> None:
        """The process is to end, whatever it does; what it has said counts."""
        self._process.kill()
        self._process.join()

    def _exit_code(self) -> int | None:
        self._process.join(10)
        return self._process.exitcode

    def _ended(self, problem: str) -> None:
        self.end()
        self.runs = False
        size = self._size.value
        frame = bytes(memoryview(self._frame)[:size]).hex()
        self.report.found.append(Reproducer(problem, self._codec, NAMES[0], 0, (frame,)))


def _work(pipe: Connection, codec: CodecName, names: tuple[str, ...], count: int, seed: str, frame: Any, size: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that began it ends it
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES_MAX, ADDRESS_SPACE_BYTES_MAX))
    view = memoryview(frame).cast("B")

    def watch(data: bytes) -> None:
        size.value = 0
        view[: len(data)] = data
        size.value = len(data)

    for name in NAMES:
        session(name, codec)
        pipe.send(Report())
    report = Report()
    sent = 0.0
    number = 0
    while report.tally.frames < count and len(report.found) < FOUND_MAX:
        try:
            play_round(codec, names, seed, number, report.tally, watch)
        except Found as found:
            report.found.append(found.reproducer)
        number += 1
        report.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if number == WARM_UP_ROUNDS:
            report.first_bytes = report.peak_bytes
        if time.monotonic() - sent >= REPORT_EVERY_S:
            sent = time.monotonic()
            pipe.send(report)
    report.done = True
    pipe.send(report)


def summary_of(codec: CodecName, reports: Sequence[Report], elapsed_s: float) -> dict[str, Any]:
    """What is worth knowing of a run."""
    tally = Tally()
    for report in reports:
        tally.merge(report.tally)
    return {
        "codec": codec.value,
        "frames": tally.frames,
        "found": sum(len(report.found) for report in reports),
        "elapsed_s": round(elapsed_s, 1),
        "outcomes": dict(sorted(tally.outcomes.items())),
        "slowest": [{"bytes": slow.size, "ms": round(slow.spent_ms, 2), "where": slow.where} for _, slow in sorted(tally.slowest.items())],
        "peak_memory_mib": max(report.peak_bytes for report in reports) >> 20,
        "memory_growth_mib": max(report.peak_bytes - report.first_bytes if report.first_bytes else 0 for report in reports) >> 20,
        "digest": tally.digest.hex()[:16],
    }


def summary_text(summary: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"{summary['codec']}: {summary['frames']:,} frames in {summary['elapsed_s']:,} s, {summary['found']} found, digest {summary['digest']}",
        f"    peak memory {summary['peak_memory_mib']} MiB, {summary['memory_growth_mib']} MiB more than after the first rounds",
        *(f"    {count:>12,}  {outcome}" for outcome, count in summary["outcomes"].items()),
        "    slowest by size:",
        *(f"    {slow['ms']:>10,.2f} ms  {slow['bytes']:>9,} bytes  {slow['where']}" for slow in summary["slowest"]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
