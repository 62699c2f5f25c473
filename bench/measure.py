"""What the codec makes of the shipped recordings and of one day of each generated workload: `bench/results/measure.json`, for the README.

Run from the project's root: python -m bench.measure

A recording is measured with a dictionary that has never seen its station program, as `ocppress measure` does it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.tools.dictionaries import NOTHING, left_out_for
from ocppress_gateway.tools.measure import Measured, measure_trace
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate

__all__ = ["NAMES", "RESULTS", "main", "measured", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "measure.json"

WAYS: Final = tuple((codec, delay_s) for codec in (CodecName.ADAPTIVE, CodecName.CBOR_ZSTD) for delay_s in (0.0, 900.0))
"""No delay, and the 15 minutes of plan `saver`."""

SEED: Final = 1
_DAY: Final = ", a day"
NAMES: Final = (*recordings.names(), *(f"{name}{_DAY}" for name in WORKLOADS))


def measured(name: str) -> Measured:
    """One of `NAMES`; the sizes are the same each time."""
    if name.endswith(_DAY):
        records = list(generate(WORKLOADS[name.removesuffix(_DAY)], days=1, seed=SEED))
        return measure_trace(name, records, OcppVersion.V201, WAYS, left_out=NOTHING, advance=_nobody_watches)
    left_out = left_out_for(Path(f"{name}.jsonl"))
    return measure_trace(name, recordings.load(name), recordings.version(name), WAYS, left_out=left_out, advance=_nobody_watches)


def table(results: Iterable[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    return "\n".join(_rows(results))


def main() -> int:
    """Measure all, write the file and print the table; 1 if anything didn't come back as it was."""
    results: list[dict[str, Any]] = []
    for name in NAMES:
        results.append(asdict(measured(name)))
        print(f"{name}: {results[-1]['json_bytes']:,} bytes of JSON, done")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    return 0 if all(way["exact"] for one in results for way in one["coded"]) else 1


def _rows(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    ways_named = [f"{codec.value}, {'within 15 min' if delay_s else 'at once'}" for codec, delay_s in WAYS]
    yield f"| traffic | OCPP | messages | JSON text | permessage-deflate | {' | '.join(ways_named)} |"
    yield f"|---|---|--:|--:|--:|{'--:|' * len(WAYS)}"
    for one in results:
        ways = [f"{way['frame_bytes']:,} ({one['deflate_bytes'] / way['frame_bytes']:.1f} ×)" for way in one["coded"]]
        cells = one["name"], one["version"], f"{one['messages']:,}", f"{one['json_bytes']:,}", f"{one['deflate_bytes']:,}", *ways
        yield f"| {' | '.join(cells)} |"


def _nobody_watches(_: int) -> None:
    """The commands show progress; this takes seconds."""


if __name__ == "__main__":
    raise SystemExit(main())
