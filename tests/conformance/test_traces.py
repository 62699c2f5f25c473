"""Recorded traffic through the codecs, a message a frame: exact, and in verbatim no longer than the text."""

from __future__ import annotations

import pytest

from ocppress_codecs.interface import CodecName
from tests.support.traces import CodecPair, frames_of, trace_files, version_of


@pytest.mark.parametrize("codec", CodecName)
def test_every_message_of_every_trace_comes_back(codec: CodecName) -> None:
    carried = 0
    for file in trace_files():
        pair = CodecPair(codec, version_of(file))
        carried += sum(1 for _ in pair.carry_all(frames_of(file)))
    assert carried > 0


def test_verbatim_is_no_longer_than_the_text() -> None:
    for file in trace_files():
        frames = frames_of(file)
        pair = CodecPair(CodecName.VERBATIM, version_of(file))
        assert all(pair.carry_all(frames))
        assert pair.frame_bytes < sum(len(text.encode()) for _, text in frames), file.name
