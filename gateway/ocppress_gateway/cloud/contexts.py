"""The file that contexts are in while no cloud runs: written whole when one has stopped, and gone before the next one uses what was in it.

It lies beside the positions, whose lock guards the folder. It isn't in their database: what is worth some bytes on the link must not be in the
way of what is promised, and texts of stations would stay in a database's free pages.

    ocppress contexts 1\\n  time: f64, Unix seconds  { u32 length, 16 bytes BLAKE2s of the record, record: SavedContext as MessagePack } …
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.errors import StoreFailed
from ocppress_gateway.storage.files import remove_private_file, write_private_file

__all__ = ["AGE_S_MAX", "CONTEXTS_FILE", "FILE_BYTES_MAX", "ContextsFile", "Found", "Kept"]

CONTEXTS_FILE: Final = "contexts.bin"

FILE_BYTES_MAX: Final = 128 * 1024 * 1024
"""Some ten thousand stations; further ones begin new epochs."""

AGE_S_MAX: Final = 24 * 3600.0
"""A cloud that was away for longer begins anew: what stations have said shouldn't lie about for bytes that hardly count any more."""

_MAGIC: Final = b"ocppress contexts 1\n"
_TIME: Final = struct.Struct(">d")
_HEAD: Final = struct.Struct(">I16s")


@dataclass(frozen=True, slots=True)
class Found:
    """What the last cloud left; `fault`, for people, is why it isn't used, or not all of it."""

    contexts: tuple[SavedContext, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in the file now."""

    contexts: int
    file_bytes: int
    left_out: int
    """Those for which there was no time or room."""


class ContextsFile:
    """Blocking calls; after `take` nothing is there."""

    def __init__(self, folder: Path, *, wall_s: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = folder / CONTEXTS_FILE
        self._wall_s = wall_s
        self._clock = clock

    def take(self) -> Found:
        """Read what was saved, and have it gone from the disk for good before anybody uses it."""
        try:
            data = remove_private_file(self._file, FILE_BYTES_MAX)
        except StoreFailed as error:
            return Found(fault=error.reason)
        if data is None:
            return Found()
        start = len(_MAGIC) + _TIME.size
        if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
            return Found(fault="of another release, or damaged")
        (saved_at_s,) = _TIME.unpack_from(data, len(_MAGIC))
        # A clock that was set back makes it younger than it is, at worst by as much.
        if not -AGE_S_MAX <= self._wall_s() - saved_at_s <= AGE_S_MAX:
            return Found(fault="too old")
        return _records(data, start)

    def save(self, contexts: Iterable[LeavingContext | SavedContext], within_s: float) -> Kept:
        """Save what there is time and room for. Raises `StoreFailed`: then nothing is saved."""
        ends_at = self._clock() + within_s
        parts = [_MAGIC, _TIME.pack(self._wall_s())]
        size = sum(map(len, parts))
        count = left_out = 0
        for context in contexts:
            saved = None if self._clock() >= ends_at else context.saved() if isinstance(context, LeavingContext) else context
            if saved is None:
                left_out += 1
                continue
            record = msgspec.msgpack.encode(saved)
            if size + _HEAD.size + len(record) > FILE_BYTES_MAX:
                left_out += 1
                continue
            parts += [_HEAD.pack(len(record), _checksum(record)), record]
            size += _HEAD.size + len(record)
            count += 1
        if count:
            write_private_file(self._file, b"".join(parts))
        return Kept(count, size if count else 0, left_out)


def _records(data: bytes, start: int) -> Found:
    contexts: list[SavedContext] = []
    while start < len(data):
        record = b""
        checksum = b""
        if start + _HEAD.size <= len(data):
            length, checksum = _HEAD.unpack_from(data, start)
            record = data[start + _HEAD.size : start + _HEAD.size + length]
        if _checksum(record) != checksum:
            return Found(tuple(contexts), "damaged")
        try:
            contexts.append(msgspec.msgpack.decode(record, type=SavedContext))
        except msgspec.DecodeError as error:
            return Found(tuple(contexts), f"not what a cloud saves: {error}")
        start += _HEAD.size + len(record)
    return Found(tuple(contexts))


def _checksum(record: bytes) -> bytes:
    return hashlib.blake2s(record, digest_size=16).digest()
