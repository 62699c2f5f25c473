"""What the codecs take of the processor and of memory, beside zlib: `bench/results/cpu.json`, for the table in codecs/README.md.

Run from the project's root: python -m bench.cpu

Each codec is measured in both builds, pure Python and compiled, each in a process of its own (`bench.timing`). A compiled build is the installed one, or is
made in a temporary folder, which takes most of a minute and a C compiler; without one the table goes without.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import timing
from bench.timing import COMPILED, PURE, VALUES, WORKLOAD, ZLIB
from ocppress_codecs import rpc
from ocppress_codecs.interface import CodecName

__all__ = ["RESULTS", "ROOT", "SUBJECTS", "compiled_build", "main", "processor", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "cpu.json"
ROOT: Final = Path(__file__).parents[1]

SUBJECTS: Final = (
    (CodecName.ADAPTIVE, COMPILED),
    (CodecName.ADAPTIVE, PURE),
    (CodecName.CBOR_ZSTD, COMPILED),
    (CodecName.CBOR_ZSTD, PURE),
    (ZLIB, PURE),
)
"""Codec and build, in the order of the table. zlib is C in either."""

MESSAGES: Final = 500


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table with what it says."""
    return "\n".join(_rows(results))


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the file, print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.cpu", description="Processor time and memory of the codecs, beside zlib.")
    parser.add_argument("--messages", type=_count, default=MESSAGES, help="readings timed, after as many to warm up (default: %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="measure a compiled build only if one is installed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file to write (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="end with the results as one line of JSON")
    chosen = parser.parse_args(arguments)
    results: dict[str, Any] = {
        "workload": WORKLOAD,
        "python": platform.python_version(),
        "processor": processor(),
        "messages": chosen.messages,
        "not_compiled": "",
        "timings": [],
    }
    pure = [ROOT / "codecs", ROOT / "gateway"]
    with compiled_build(may_compile=not chosen.no_compile) as (compiled, reason):
        results["not_compiled"] = reason
        for codec, build in SUBJECTS:
            if build == COMPILED and compiled is None:
                continue
            _progress(f"{codec}, {build} …")
            results["timings"].append(
                _timing(str(codec), build, compiled if build == COMPILED and compiled is not None else pure, chosen.messages)
            )
    chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if chosen.json:
        print(json.dumps(results))
    else:
        print(table(results))
    return 0


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _timing(codec: str, build: str, paths: list[Path], messages: int) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(path) for path in [*paths, ROOT])}
    run = subprocess.run(
        [sys.executable, "-m", "bench.timing", codec, str(messages)],
        env=environment,
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    if found["build"] != build:
        raise SystemExit(f"{codec} was to be measured {build}, but was imported {found['build']}")
    return found


@contextmanager
def compiled_build(*, may_compile: bool) -> Iterator[tuple[list[Path] | None, str]]:
    """Folders to import a compiled build from; or None, and why there is none."""
    if timing.build() == COMPILED:
        yield [Path(str(rpc.__file__)).parents[1]], ""
        return
    if not may_compile:
        yield None, "none is installed"
        return
    with tempfile.TemporaryDirectory(prefix="ocppress-cpu-") as folder:
        _progress("compiling …")
        build = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--wheel-dir",
            folder,
            str(ROOT),
        ]
        run = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if run.returncode != 0 or not wheels:
            said = run.stdout.strip().splitlines()
            yield None, f"building a wheel ended with {run.returncode}{f', {said[-1]}' if said else ''}"
        elif wheels[0].name.endswith("-any.whl"):
            yield None, "the wheel is pure: is there a C compiler, and are Python's headers installed?"
        else:
            with zipfile.ZipFile(wheels[0]) as wheel:
                wheel.extractall(Path(folder, "wheel"))
            yield [Path(folder, "wheel")], ""


def processor() -> str:
    """The processor's name, or its kind where Linux doesn't tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _rows(results: dict[str, Any]) -> Iterator[str]:
    shared = {one["codec"]: _kib(one["shared_bytes"]) for one in results["timings"] if one["build"] == PURE}
    yield (
        f"Processor time for a meter reading of {VALUES} values, median and 99th percentile in microseconds (Python {results['python']}, "
        f"{results['processor']}), and memory of one end of one station, both directions, in KiB: fresh, after {2 * results['messages']:,} readings, "
        f"and as saved. Encoding includes decoding each frame again; parsing is that of the WebSocket message before it. `{ZLIB}` is permessage-deflate at "
        f"its best, level 9 and the context kept, with `json.loads`. What both ends know from the start is held once per process: "
        f"{shared[CodecName.ADAPTIVE]} KiB for `{CodecName.ADAPTIVE}`, {shared[CodecName.CBOR_ZSTD]} KiB for `{CodecName.CBOR_ZSTD}`."
    )
    if results["not_compiled"]:
        yield f"No compiled build was measured: {results['not_compiled']}."
    yield ""
    yield "| codec | build | parse | encode | decode | frame | fresh | used | saved |"
    yield f"|---|---|{'--:|' * 7}"
    for one in results["timings"]:
        build = "C" if one["codec"] == ZLIB else one["build"]
        spreads = [f"{one[name]['median']:,.0f} / {one[name]['p99']:,.0f}" for name in ("parse_us", "encode_us", "decode_us")]
        saved = "—" if one["saved_bytes"] is None else _kib(one["saved_bytes"])
        cells = one["codec"], build, *spreads, f"{one['frame_bytes']} B", _kib(one["fresh_bytes"]), _kib(one["used_bytes"]), saved
        yield f"| {' | '.join(cells)} |"


def _kib(size: int) -> str:
    return f"{size / 1024:,.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
