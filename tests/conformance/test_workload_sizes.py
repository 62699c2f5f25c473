"""What a month of each generated workload may take in `adaptive` within 15 minutes: heartbeats carried, openings and checksums counted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bench.measure import SEED
from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.tools.dictionaries import NOTHING
from ocppress_gateway.tools.frames import RECORD_HEAD
from ocppress_gateway.tools.measure import measure_trace
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from tests.support.commands import there_and_back, write_trace

MONTH_DAYS: Final = 30
MONTH_BYTES_MAX: Final = {"home": 50_000, "lev": 74_000, "ac22": 255_000, "dc10": 190_000}

LEARNING_BYTES_MAX: Final = 500
"""What the first day may take beyond its part of the month: first sight of everything, and numbers and times whose ways are not known yet."""

DELAY_S: Final = 900.0
MONTH_TIMEOUT_S: Final = 3600.0


def test_every_workload_has_its_bound() -> None:
    assert MONTH_BYTES_MAX.keys() == WORKLOADS.keys()


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_day_stays_in_proportion(name: str) -> None:
    records = generate(WORKLOADS[name], days=1, seed=SEED)
    ways = [(CodecName.ADAPTIVE, DELAY_S)]
    (way,) = measure_trace(name, records, OcppVersion.V201, ways, left_out=NOTHING, advance=lambda _: None).coded
    assert way.exact
    assert way.frame_bytes <= MONTH_BYTES_MAX[name] / MONTH_DAYS + LEARNING_BYTES_MAX


@pytest.mark.soak
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_month_stays_below_its_bound(name: str, tmp_path: Path) -> None:
    """Encoded by one process, decoded by another."""
    trace = write_trace(tmp_path / f"{name}.jsonl", generate(WORKLOADS[name], days=MONTH_DAYS, seed=SEED))
    options = "--codec", CodecName.ADAPTIVE, "--max-delay-s", f"{DELAY_S:g}", "--ocpp", OcppVersion.V201
    frames = there_and_back(trace, tmp_path, *options, timeout_s=MONTH_TIMEOUT_S)
    size = count = 0
    with frames.open("rb") as file:
        while head := file.read(RECORD_HEAD.size):
            length = int.from_bytes(head[:4], "big")
            file.seek(length, 1)
            size, count = size + length, count + 1
    print(f"{name}: {size:,} bytes in {count:,} frames")
    assert size <= MONTH_BYTES_MAX[name]
