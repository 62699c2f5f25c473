"""The `.frames` file: its bytes, and what is refused."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.errors import UsageError
from ocppress_gateway.tools.frames import (
    AGREEMENT_BYTES,
    RECORD_FRAME_BYTES_MAX,
    Agreement,
    FramesError,
    SentFrame,
    read_frames,
    write_frames,
)
from ocppress_gateway.workloads.traces import Direction

UP, DOWN = Direction.UP, Direction.DOWN
AGREEMENT = Agreement(CodecName.VERBATIM, OcppVersion.V201)
OPENING = b"\x01" + fingerprint(CodecName.VERBATIM)
FRAMES = [SentFrame(1.5, UP, b"one"), SentFrame(2.0, DOWN, b"two"), SentFrame(2.0, UP, b""), SentFrame(3.25, DOWN, b"four")]


def written(frames: list[SentFrame], agreement: Agreement = AGREEMENT) -> bytes:
    file = io.BytesIO()
    write_frames(file, agreement, frames)
    return file.getvalue()


def read(data: bytes) -> tuple[Agreement | None, list[SentFrame]]:
    agreement, frames = read_frames(io.BytesIO(data))
    return agreement, list(frames)


def raw(frame: bytes, direction: int = 0, at_s: float = 0.0, length: int | None = None) -> bytes:
    return struct.pack(">IBd", len(frame) if length is None else length, direction, at_s) + frame


def test_the_bytes_are_as_drawn() -> None:
    expected = raw(OPENING + b"one", 0, 1.5) + raw(OPENING + b"two", 1, 2.0) + raw(b"", 0, 2.0) + raw(b"four", 1, 3.25)
    assert written(FRAMES) == expected
    assert read(expected) == (AGREEMENT, FRAMES)


def test_the_example_of_the_module_is_right() -> None:
    example = bytes.fromhex("00000017 00 41d9550000000000 00") + fingerprint(CodecName.VERBATIM) + bytes(18)
    assert read(example) == (Agreement(CodecName.VERBATIM, OcppVersion.V16), [SentFrame(1700003840.0, UP, bytes(18))])


def test_the_count_is_of_frames_with_their_opening() -> None:
    assert write_frames(io.BytesIO(), AGREEMENT, FRAMES) == len(b"onetwofour") + 2 * AGREEMENT_BYTES


def test_every_agreement_comes_back() -> None:
    for codec in CodecName:
        for version in OcppVersion:
            agreement = Agreement(codec, version)
            assert read(written(FRAMES, agreement)) == (agreement, FRAMES)


def test_an_empty_file_has_no_agreement() -> None:
    assert read(b"") == (None, [])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "13 bytes of head needed, 1 left"),
        (raw(OPENING)[:-1], "5 announced, 4 left|announced"),
        (raw(OPENING, direction=2), "direction 2"),
        (raw(OPENING, at_s=float("nan")), "send time"),
        (raw(OPENING, at_s=float("inf")), "send time"),
        (raw(OPENING, length=RECORD_FRAME_BYTES_MAX + 1), "at most"),
        (raw(OPENING[:4]), "agreement needed"),
        (raw(b"\xf0" + OPENING[1:]), "unknown codec"),
        (raw(b"\x0f" + OPENING[1:]), "unknown codec or OCPP version"),
        (raw(b"\x01" + bytes(4)), "another release"),
        (raw(OPENING + b"x") + raw(b"\x02" + OPENING[1:], direction=1), "in the other direction"),
        (raw(OPENING + b"x") + b"\x00\x00", "at byte 19"),
    ],
)
def test_what_is_no_frames_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(FramesError, match=reason) as caught:
        read(data)
    assert isinstance(caught.value, UsageError)


def test_a_large_length_is_refused_before_anything_is_read() -> None:
    class Counting(io.BytesIO):
        asked = 0

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            self.asked = max(self.asked, size)
            return super().read(size)

    file = Counting(raw(b"", length=2**32 - 1))
    with pytest.raises(FramesError):
        read_frames(file)
    assert file.asked < 100


@given(st.binary(max_size=60) | st.builds(lambda tail: written(FRAMES)[: len(tail)] + tail, st.binary(max_size=60)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        agreement, frames = read(data)
    except FramesError:
        return
    assert (agreement is None) == (data == b"")
    assert not frames or agreement is not None
