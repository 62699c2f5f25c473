"""Recorded traffic through the codecs: exact, and smaller than permessage-deflate."""

from __future__ import annotations

import pytest

from bench.training.dictionary import train_dictionary
from ocppress_codecs.interface import CodecName
from tests.support.traces import CodecPair, deflated_bytes, frames_of, station_program, trace_files, version_of

POOLED_RATIO_MIN = 3.6
"""cbor-zstd under permessage-deflate over all traces, one message a frame, header and checksum counted."""


@pytest.mark.parametrize("codec", CodecName)
def test_every_message_of_every_trace_comes_back(codec: CodecName) -> None:
    carried = 0
    for file in trace_files():
        pair = CodecPair(codec, version_of(file))
        carried += sum(1 for _ in pair.carry_all(frames_of(file)))
    assert carried > 0


def test_cbor_zstd_is_smaller_than_permessage_deflate() -> None:
    """Each recorded program with a dictionary that has none of its recordings, real chargers with the shipped one."""
    deflated = coded = 0
    for file in trace_files():
        frames = frames_of(file)
        pair = CodecPair(CodecName.CBOR_ZSTD, version_of(file), train_dictionary(station_program(file)))
        assert all(pair.carry_all(frames))
        baseline = deflated_bytes(frames)
        assert pair.frame_bytes < baseline, file.name
        deflated += baseline
        coded += pair.frame_bytes
    assert coded * POOLED_RATIO_MIN <= deflated


def test_verbatim_is_no_longer_than_the_text() -> None:
    for file in trace_files():
        frames = frames_of(file)
        pair = CodecPair(CodecName.VERBATIM, version_of(file))
        assert all(pair.carry_all(frames))
        assert pair.frame_bytes < sum(len(text.encode()) for _, text in frames), file.name
