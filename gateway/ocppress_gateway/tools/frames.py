"""The file format `.frames`: the frames of one station's trace, both directions, as they would leave.

    ┌────────────┬───────────┬───────────┬──────────────┐
    │ length     │ direction │ send time │ frame        │  repeated; all numbers big-endian
    │ u32        │ u8        │ f64       │ length bytes │
    └────────────┴───────────┴───────────┴──────────────┘
      bytes of     0 up        Unix
      the frame    1 down      seconds

The first frame of each direction has five bytes before it, counted in its length: what two ends would agree on in their hello.

    ┌─────────────────┬─────────────────┐
    │ codec << 4 |    │ fingerprint of  │      codec    0 verbatim, 1 cbor-zstd, 2 adaptive
    │ OCPP version u8 │ the codec, 4 B  │      version  0 1.6, 1 2.0.1, 2 2.1
    └─────────────────┴─────────────────┘

    00000017 00 41d9550000000000 00 ffffffff …     a verbatim frame of 18 bytes, OCPP 1.6, up, 2023-11-14T23:17:20Z; ff… the fingerprint
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, Final

from ocppress_codecs.interface import FRAME_BYTES_MAX, CodecName
from ocppress_codecs.registry import FINGERPRINT_BYTES, fingerprint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.errors import UsageError
from ocppress_gateway.workloads.traces import Direction

__all__ = ["AGREEMENT_BYTES", "Agreement", "FramesError", "Opening", "Record", "SentFrame", "read_frames", "read_records", "write_frames"]

RECORD_HEAD: Final = struct.Struct(">IBd")

AGREEMENT_BYTES: Final = 1 + FINGERPRINT_BYTES

RECORD_FRAME_BYTES_MAX: Final = FRAME_BYTES_MAX + AGREEMENT_BYTES
"""A larger length is refused before anything of that size is read."""

_DIRECTIONS: Final = (Direction.UP, Direction.DOWN)
_CODECS: Final = (CodecName.VERBATIM, CodecName.CBOR_ZSTD, CodecName.ADAPTIVE)
_VERSIONS: Final = (OcppVersion.V16, OcppVersion.V201, OcppVersion.V21)


class FramesError(UsageError):
    """A file that is not `.frames`, or one that this release cannot decode; `position` is that of the record in the file, in bytes."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"frame record at byte {position}: {reason}")
        self.position = position
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both ends know before the first frame."""

    codec: CodecName
    version: OcppVersion

    def to_bytes(self) -> bytes:
        """The five bytes before the first frame of a direction."""
        return bytes([_CODECS.index(self.codec) << 4 | _VERSIONS.index(self.version)]) + fingerprint(self.codec)


@dataclass(frozen=True, slots=True)
class SentFrame:
    """One frame, without the agreement; `at_s` in Unix seconds."""

    at_s: float
    direction: Direction
    frame: bytes


@dataclass(frozen=True, slots=True)
class Opening:
    """What stands before the first frame of a direction."""

    agreement: Agreement
    fingerprint: bytes

    @property
    def usable(self) -> bool:
        """Whether this release has the codec that made the frames."""
        return self.fingerprint == fingerprint(self.agreement.codec)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the file, at `position` bytes; `opening` is that of its direction."""

    position: int
    opening: Opening
    first: bool
    """Whether the opening stands in this record."""
    sent: SentFrame


def write_frames(file: BinaryIO, agreement: Agreement, frames: Iterable[SentFrame]) -> int:
    """Write the records; returns how many bytes of frames they hold, agreements included and record heads not."""
    greeted: set[Direction] = set()
    total = 0
    for sent in frames:
        frame = sent.frame if sent.direction in greeted else agreement.to_bytes() + sent.frame
        greeted.add(sent.direction)
        file.write(RECORD_HEAD.pack(len(frame), _DIRECTIONS.index(sent.direction), sent.at_s) + frame)
        total += len(frame)
    return total


def read_frames(file: BinaryIO) -> tuple[Agreement | None, Iterator[SentFrame]]:
    """The agreement, None if the file is empty, and the frames, lazily. Both raise `FramesError`, what comes first at once."""
    records = _usable(read_records(file))
    first = next(records, None)
    if first is None:
        return None, iter(())
    return first.opening.agreement, (record.sent for record in chain([first], records))


def _usable(records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        if record.first and not record.opening.usable:
            codec = record.opening.agreement.codec
            raise FramesError(record.position, f"made by another release of the codec {codec}: the fingerprints differ")
        yield record


def read_records(file: BinaryIO) -> Iterator[Record]:
    """The records as they stand, lazily, also those that this release can't decode. Raises `FramesError`."""
    openings: dict[Direction, Opening] = {}
    position = 0
    while head := file.read(RECORD_HEAD.size):
        if len(head) < RECORD_HEAD.size:
            raise FramesError(position, f"{RECORD_HEAD.size} bytes of head needed, {len(head)} left")
        length, direction_number, at_s = RECORD_HEAD.unpack(head)
        if length > RECORD_FRAME_BYTES_MAX:
            raise FramesError(position, f"a frame of {length} bytes, at most {RECORD_FRAME_BYTES_MAX}")
        if direction_number >= len(_DIRECTIONS):
            raise FramesError(position, f"direction {direction_number}")
        if not math.isfinite(at_s):
            raise FramesError(position, "a send time that is not a number")
        frame = file.read(length)
        if len(frame) < length:
            raise FramesError(position, f"a frame of {length} bytes announced, {len(frame)} left")
        direction = _DIRECTIONS[direction_number]
        first = direction not in openings
        if first:
            openings[direction], frame = _split_opening(frame, position)
            _check_same(openings, direction, position)
        yield Record(position, openings[direction], first, SentFrame(at_s, direction, frame))
        position += RECORD_HEAD.size + length


def _check_same(openings: dict[Direction, Opening], direction: Direction, position: int) -> None:
    own = openings[direction].agreement
    other = openings.get(direction.opposite, openings[direction]).agreement
    if own != other:
        raise FramesError(position, f"{own.codec} {own.version} here, {other.codec} {other.version} in the other direction")


def _split_opening(data: bytes, position: int) -> tuple[Opening, bytes]:
    if len(data) < AGREEMENT_BYTES:
        raise FramesError(position, f"{AGREEMENT_BYTES} bytes of agreement needed, {len(data)} there")
    codec_number, version_number = divmod(data[0], 16)
    if codec_number >= len(_CODECS) or version_number >= len(_VERSIONS):
        raise FramesError(position, f"unknown codec or OCPP version {data[0]:#04x}")
    agreement = Agreement(_CODECS[codec_number], _VERSIONS[version_number])
    return Opening(agreement, data[1:AGREEMENT_BYTES]), data[AGREEMENT_BYTES:]
