"""What the codecs make of the shipped recordings and of one day of each generated workload, and where the bytes go: `bench/results/measure.json`, for
the documents.

Run from the project's root: python -m bench.measure

A recording is measured with a dictionary that has never seen its station program, as `ocppress measure` does it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from ocppress_codecs.account import Part
from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.tools.breakdown import PART_WORDS
from ocppress_gateway.tools.dictionaries import NOTHING, left_out_for
from ocppress_gateway.tools.measure import Measured, measure_trace
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate

__all__ = ["NAMES", "RESULTS", "main", "measured", "parts_table", "result", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "measure.json"

_DELAYS_S: Final = (0.0, 900.0)
"""No delay, and the 15 minutes of plan `saver`."""

WAYS: Final = tuple((codec, delay_s) for codec in (CodecName.ADAPTIVE, CodecName.CBOR_ZSTD) for delay_s in _DELAYS_S)

SEED: Final = 1
_DAY: Final = ", a day"
NAMES: Final = (*recordings.names(), *(f"{name}{_DAY}" for name in WORKLOADS))


@cache
def measured(name: str) -> Measured:
    """One of `NAMES`; the sizes are the same each time."""
    if name.endswith(_DAY):
        records = list(generate(WORKLOADS[name.removesuffix(_DAY)], days=1, seed=SEED))
        return measure_trace(name, records, OcppVersion.V201, WAYS, left_out=NOTHING, advance=_nobody_watches)
    left_out = left_out_for(Path(f"{name}.jsonl"))
    return measure_trace(name, recordings.load(name), recordings.version(name), WAYS, left_out=left_out, advance=_nobody_watches)


def result(name: str) -> dict[str, Any]:
    """What the file has of one of `NAMES`: all but the actions."""
    found = asdict(measured(name))
    for way in found["coded"]:
        del way["actions"]
    return found


def table(results: Iterable[dict[str, Any]]) -> str:
    """The sizes as a Markdown table."""
    return "\n".join(_rows(results))


def parts_table(results: Sequence[dict[str, Any]], codec: CodecName) -> str:
    """Where the bytes go in this codec, as a Markdown table: the recordings together, and each workload."""
    return "\n".join(_part_rows(results, codec))


def main() -> int:
    """Measure all, write the file and print the table; 1 if anything didn't come back as it was."""
    results: list[dict[str, Any]] = []
    for name in NAMES:
        results.append(result(name))
        print(f"{name}: {results[-1]['json_bytes']:,} bytes of JSON, done")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    return 0 if all(way["exact"] for one in results for way in one["coded"]) else 1


def _rows(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    ways_named = [f"{codec.value}, {_delay(delay_s)}" for codec, delay_s in WAYS]
    yield f"| traffic | OCPP | messages | JSON text | permessage-deflate | {' | '.join(ways_named)} |"
    yield f"|---|---|--:|--:|--:|{'--:|' * len(WAYS)}"
    for one in results:
        ways = [f"{way['frame_bytes']:,} ({one['deflate_bytes'] / way['frame_bytes']:.1f} ×)" for way in one["coded"]]
        cells = one["name"], one["version"], f"{one['messages']:,}", f"{one['json_bytes']:,}", f"{one['deflate_bytes']:,}", *ways
        yield f"| {' | '.join(cells)} |"


def _part_rows(results: Sequence[dict[str, Any]], codec: CodecName) -> Iterator[str]:
    recorded = [one for one in results if one["name"] in recordings.names()]
    days = [one for one in results if one not in recorded]
    groups = [*(("recordings", delay_s, recorded) for delay_s in _DELAYS_S), *((one["name"], _DELAYS_S[-1], [one]) for one in days)]
    columns: list[tuple[str, dict[str, float]]] = []
    for name, delay_s, group in groups:
        ways = [way for one in group for way in one["coded"] if (way["codec"], way["max_delay_s"]) == (codec, delay_s)]
        columns.append((f"{name}, {_delay(delay_s)}", {part: sum(way["parts"][part] for way in ways) for part in Part}))
    yield f"| {' | '.join(['bytes for', *(heading for heading, _ in columns)])} |"
    yield f"|---|{'--:|' * len(columns)}"
    for part, words in PART_WORDS.items():
        if any(parts[part] for _, parts in columns):
            cells = [f"{parts[part]:,.0f} ({100 * parts[part] / sum(parts.values()):.0f} %)" for _, parts in columns]
            yield f"| {' | '.join([words, *cells])} |"
    yield f"| {' | '.join(['all', *(f'{sum(parts.values()):,.0f}' for _, parts in columns)])} |"


def _delay(delay_s: float) -> str:
    return "within 15 min" if delay_s else "at once"


def _nobody_watches(_: int) -> None:
    """The commands show progress; this takes seconds."""


if __name__ == "__main__":
    raise SystemExit(main())
