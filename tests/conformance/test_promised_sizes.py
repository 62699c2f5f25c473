"""The sizes that are promised for recordings: how many times smaller than permessage-deflate, and smaller than xz with all of the recording before it.

Each recorded station program is measured with what was trained without it, real chargers with what is shipped; openings and checksums are counted.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from typing import Final

import pytest

from bench.measure import WAYS, measured
from ocppress_codecs.interface import CodecName
from ocppress_gateway.tools.dictionaries import left_out_for
from ocppress_gateway.tools.measure import Measured, measure_trace
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import Direction, TraceRecord, infer_version, read_trace
from tests.support.chargers import charger_traces

AT_ONCE: Final = 0.0
WITHIN_15_MIN: Final = 900.0

POOLED_MIN: Final = {AT_ONCE: 4.0, WITHIN_15_MIN: 5.5}
EACH_MIN: Final = {AT_ONCE: 2.5, WITHIN_15_MIN: 4.5}
"""How many times smaller than permessage-deflate `adaptive` is at least, by delay: of all recordings together, of each long one."""

PLAIN_POOLED_MIN: Final = 3.6
"""The same of `cbor-zstd` at once."""

LONG_MESSAGES_MIN: Final = 100


@dataclass(frozen=True, slots=True)
class Sizes:
    """One recording, with what `xz -9e` makes of the texts of each direction, one a line."""

    measured: Measured
    xz_bytes: int

    def frame_bytes(self, codec: CodecName, delay_s: float) -> int:
        (way,) = (way for way in self.measured.coded if (way.codec, way.max_delay_s) == (codec, delay_s))
        assert way.exact, self.measured.name
        return way.frame_bytes


def sizes(found: Measured, records: list[TraceRecord]) -> Sizes:
    texts = {direction: [record.text for record in records if record.direction is direction] for direction in Direction}
    lines = ["".join(f"{text}\n" for text in texts[direction]).encode() for direction in Direction]
    return Sizes(found, sum(len(lzma.compress(data, lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)) for data in lines))


@pytest.fixture(scope="session")
def shipped() -> list[Sizes]:
    """The recordings that ship with the gateway."""
    return [sizes(measured(name), recordings.load(name)) for name in recordings.names()]


@pytest.fixture(scope="session")
def everything(shipped: list[Sizes]) -> list[Sizes]:
    """Those and the traces of real chargers; skips where there are none."""
    found = list(shipped)
    for path in charger_traces():
        records = list(read_trace(path))
        one = measure_trace(path.stem, records, infer_version(records), WAYS, left_out=left_out_for(path), advance=lambda _: None)
        found.append(sizes(one, records))
    return found


@pytest.fixture(params=["shipped", "everything"])
def traces(request: pytest.FixtureRequest) -> list[Sizes]:
    """What is measured once for all tests."""
    found: list[Sizes] = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("delay_s", POOLED_MIN)
def test_together_they_are_as_many_times_smaller_than_permessage_deflate(delay_s: float, traces: list[Sizes]) -> None:
    deflate_bytes = sum(one.measured.deflate_bytes for one in traces)
    assert deflate_bytes >= POOLED_MIN[delay_s] * sum(one.frame_bytes(CodecName.ADAPTIVE, delay_s) for one in traces)


@pytest.mark.parametrize("delay_s", EACH_MIN)
def test_each_long_one_is_as_many_times_smaller_than_permessage_deflate(delay_s: float, traces: list[Sizes]) -> None:
    for one in long_ones(traces):
        assert one.measured.deflate_bytes >= EACH_MIN[delay_s] * one.frame_bytes(CodecName.ADAPTIVE, delay_s), one.measured.name


def test_each_long_one_is_smaller_than_xz_of_the_whole(traces: list[Sizes]) -> None:
    for one in long_ones(traces):
        assert one.frame_bytes(CodecName.ADAPTIVE, WITHIN_15_MIN) < one.xz_bytes, one.measured.name


def test_the_plain_codec_is_smaller_than_permessage_deflate_too(traces: list[Sizes]) -> None:
    for one in traces:
        assert one.frame_bytes(CodecName.CBOR_ZSTD, AT_ONCE) < one.measured.deflate_bytes, one.measured.name
    frame_bytes = sum(one.frame_bytes(CodecName.CBOR_ZSTD, AT_ONCE) for one in traces)
    assert sum(one.measured.deflate_bytes for one in traces) >= PLAIN_POOLED_MIN * frame_bytes


def long_ones(traces: list[Sizes]) -> list[Sizes]:
    found = [one for one in traces if one.measured.messages >= LONG_MESSAGES_MIN]
    assert found
    return found
