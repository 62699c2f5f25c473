"""What a station takes of a cloud, beside a relay with permessage-deflate: `bench/results/cloud.json`, for the table in gateway/README.md.

Run from the project's root: python -m bench.cloud

Each subject is measured by `bench.fleet`, in the compiled build: the installed one, or one that is made in a temporary folder for this. Latency
contains what the stations' side takes, which for a cloud is an edge more.

What counts is what a message takes while the stations keep a pace, as those of a fleet do; at full speed, messages share a turn of the event loop, which
makes everything cheaper, and the relay most of all.

Memory differs by a hundred KiB from run to run and processor time by a fifth, with what else the machine does; so the subjects take turns for some
rounds, and what counts is the median.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.cpu import ROOT, compiled_build, processor
from bench.fleet import BATCH_S, RELAY
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.workloads.generator import WORKLOADS

__all__ = ["MEMORY_MAX", "PROCESSOR_MAX", "RESULTS", "SUBJECTS", "main", "median", "over", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "cloud.json"

SUBJECTS: Final = (RELAY, PlanName.TRANSPARENT, PlanName.SAVER)

PROCESSOR_MAX: Final = 1.0
"""What a message may take of the processor, of what it takes of the relay's."""

MEMORY_MAX: Final = 0.5
"""What a station may take of memory, of what it takes of the relay's."""

STATIONS: Final = 8
FURTHER: Final = 48
"""So many that what the allocator keeps for later, some MiB, is little for each."""

CALLS: Final = 400
"""Enough that what codec and deflate remember of a station is as large as it becomes."""

PAUSE_S: Final = 0.125
"""Between a station's CALLs. With `FURTHER` stations it makes a busy cloud's load, some hundred CALLs a second, and leaves both processors air."""

ASKING_S: Final = 10

ROUNDS: Final = 3
"""Times that each subject is measured, one after the other."""

_VARYING: Final = ("processor_us", "hasty_processor_us", "memory_kib", "base_kib")
"""What differs from run to run of a subject."""

_WORDS: Final = {
    RELAY: "relay",
    PlanName.TRANSPARENT: "`ocppress cloud`, `transparent`",
    PlanName.SAVER: "`ocppress cloud`, `saver`",
}


def over(results: dict[str, Any]) -> list[str]:
    """What takes more than it may."""
    relay = next(one for one in results["subjects"] if one["subject"] == RELAY)
    limits = {"processor_us": ("processor time per message", PROCESSOR_MAX), "memory_kib": ("memory per station", MEMORY_MAX)}
    return [
        f"{one['subject']}: {words} is {one[name] / relay[name]:.2f} of the relay's, {limit:g} is allowed"
        for one in results["subjects"]
        for name, (words, limit) in limits.items()
        if one is not relay and one[name] > limit * relay[name]
    ]


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table with what it says."""
    return "\n".join(_rows(results))


def _rows(results: dict[str, Any]) -> Iterator[str]:
    relay, *_ = results["subjects"]
    yield (
        f"{relay['stations']} stations, each with an edge of its own, that say the first {relay['calls']:,} CALLs of a day of `{results['workload']}`"
        f" (Python {results['python']}, {results['processor']}, {relay['build']}; `saver` sends every {BATCH_S / 60:g} minutes of that day), the median"
        f" of {relay['rounds']} runs of each in turn, least and most behind it:"
        f" the cloud's processor time per OCPP message of a station in microseconds, at {relay['messages_a_second']:,} messages a second all together,"
        " and while a few stations say all as fast as they are answered, with how many of these a second would take a whole processor;"
        " what a further station takes of the cloud's memory, and the cloud without stations; and how long a relayed CALL takes from the"
        " station until its answer, an edge on the same machine included, in milliseconds."
    )
    yield ""
    yield "| subject | messages | processor | of the relay's | at full speed | a second | memory, KiB | of the relay's | without stations | p50 | p99 |"
    yield f"|---|{'--:|' * 10}"
    for one in results["subjects"]:
        cells = (
            _WORDS[one["subject"]],
            f"{one['messages']:,}",
            _with_spread(one, "processor_us"),
            f"{one['processor_us'] / relay['processor_us']:.2f}",
            _with_spread(one, "hasty_processor_us"),
            f"{1e6 / one['hasty_processor_us']:,.0f}" if one["hasty_processor_us"] else "—",
            _with_spread(one, "memory_kib"),
            f"{one['memory_kib'] / relay['memory_kib']:.2f}",
            f"{one['base_kib']:,.0f}",
            *(f"{value:.1f}" for value in one["latency_ms"]),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    excess = over(results)
    yield f"Over the aim: {'; '.join(excess)}." if excess else "The aim is reached."


def _with_spread(one: dict[str, Any], name: str) -> str:
    least, most = one["spread"][name]
    return f"{one[name]:,.0f} ({least:,.0f}–{most:,.0f})"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the file, print the table; 1 if a cloud takes more than it may, or if there is no compiled build."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cloud", description="Processor time, memory and latency of a cloud, beside a relay with permessage-deflate."
    )
    parser.add_argument("--workload", choices=list(WORKLOADS), default="ac22", help="what the stations say (default: %(default)s)")
    parser.add_argument("--stations", type=_count, default=STATIONS, help="before memory is first looked at (default: %(default)s)")
    parser.add_argument("--further", type=_count, default=FURTHER, help="stations after that (default: %(default)s)")
    parser.add_argument("--calls", type=_count, default=CALLS, help="of each station (default: %(default)s)")
    parser.add_argument("--pause-s", type=float, default=PAUSE_S, help="between two CALLs of a further station (default: %(default)s)")
    parser.add_argument("--asking-s", type=_count, default=ASKING_S, help="how long latency is measured (default: %(default)s)")
    parser.add_argument("--rounds", type=_count, default=ROUNDS, help="of all subjects in turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file to write (default: %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="take the build that is installed, whatever it is")
    parser.add_argument("--json", action="store_true", help="end with the results as one line of JSON")
    chosen = parser.parse_args(arguments)
    results: dict[str, Any] = {
        "workload": chosen.workload,
        "python": platform.python_version(),
        "processor": processor(),
        "subjects": [],
    }
    with compiled_build(may_compile=not chosen.no_compile) as (compiled, reason):
        if compiled is None and not chosen.no_compile:
            print(f"there is no compiled build to measure: {reason}", file=sys.stderr)
            return 1
        results["subjects"] = _in_turn(compiled or [ROOT / "codecs", ROOT / "gateway"], chosen)
    chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    excess = over(results)
    print(table(results), file=sys.stderr if chosen.json else sys.stdout)
    if chosen.json:
        print(json.dumps(results))
    return int(bool(excess))


def _in_turn(paths: list[Path], chosen: argparse.Namespace) -> list[dict[str, Any]]:
    runs: dict[str, list[dict[str, Any]]] = {subject: [] for subject in SUBJECTS}
    for number in range(1, chosen.rounds + 1):
        for subject in SUBJECTS:
            begun = time.monotonic()
            print(f"{subject}, {number} of {chosen.rounds} …", end=" ", file=sys.stderr, flush=True)
            run = _measured(subject, paths, chosen)
            runs[subject].append(run)
            took_s = time.monotonic() - begun
            print(
                f"{run['processor_us']:.0f} us, {run['hasty_processor_us']:.0f} at full speed, {run['memory_kib']:.0f} KiB, in {took_s:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return [median(of_one) for of_one in runs.values()]


def median(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One of the runs of a subject with the medians of all in it, and how far they are apart."""
    found = dict(runs[0])
    for name in _VARYING:
        found[name] = round(statistics.median(run[name] for run in runs), 1)
    found["latency_ms"] = [round(statistics.median(times), 2) for times in zip(*(run["latency_ms"] for run in runs), strict=True)]
    found["rounds"] = len(runs)
    found["spread"] = {name: [min(run[name] for run in runs), max(run[name] for run in runs)] for name in _VARYING}
    return found


def _measured(subject: str, paths: list[Path], chosen: argparse.Namespace) -> dict[str, Any]:
    sizes = [f"--{name}={getattr(chosen, name.replace('-', '_'))}" for name in ("stations", "further", "calls", "pause-s", "asking-s")]
    run = subprocess.run(
        [sys.executable, "-m", "bench.fleet", str(subject), chosen.workload, *sizes],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(path) for path in [*paths, ROOT])},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


if __name__ == "__main__":
    raise SystemExit(main())
