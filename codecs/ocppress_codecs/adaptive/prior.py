"""What both ends know from the start: `data/prior-1.bin`, made by `bench/training/prior.py`.

One zstd frame (RFC 8878), whose content has all integers big-endian:

    ┌───────┬──────────────────┬───────┬──────┬─────────────────────┬────────────────────┬──────────────────────────┬─────────────────────┐
    │ u32   │ words, each ended│ u32   │ text │ table               │ character table    │ weights                  │ u32 n, n successors │
    │ bytes │ by a line feed   │ bytes │      │ 8192 × (u16 p, u8 n)│ 32768 × u16        │ 144 × i32                │ u32 context, u8 k,  │
    │       │                  │       │      │ p in 65536ths, count│ p in 4096ths, 0 new│ 65536ths                 │ k × u16 word        │
    └───────┴──────────────────┴───────┴──────┴─────────────────────┴────────────────────┴──────────────────────────┴─────────────────────┘
"""

from __future__ import annotations

import functools
import hashlib
import struct
from typing import Final

import zstandard
from librt.vecs import vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.characters import INPUTS, SETS, STATIC_SIZE, known_as
from ocppress_codecs.adaptive.contexts import COUNT_BITS, COUNT_MAX, KNOWN_SIZE, TABLE_SIZE, UNKNOWN
from ocppress_codecs.adaptive.history import PRIOR_INDEX_SIZE
from ocppress_codecs.adaptive.model import Knowledge
from ocppress_codecs.adaptive.successors import candidates, moved_to_front
from ocppress_codecs.names import packaged

__all__ = ["content_of", "knowledge_of", "packed", "prior_bytes", "shipped", "unpacked"]

_FILE: Final = "prior-1.bin"
_CONTENT_BYTES_MAX: Final = 4 * 1024 * 1024


def knowledge_of(content: bytes) -> Knowledge:
    """The prior with this content, which must be well-formed: it comes with the program."""
    position = 0

    def block() -> bytes:
        nonlocal position
        size = int.from_bytes(content[position : position + 4], "big")
        position += 4 + size
        return content[position - size : position]

    words = block().decode().split("\n")[:-1]
    text = block()
    states: list[int] = []
    for _ in range(KNOWN_SIZE):
        probability, count = struct.unpack_from(">HB", content, position)
        states.append(probability << COUNT_BITS | count)
        position += 3
    states += [UNKNOWN] * (TABLE_SIZE - KNOWN_SIZE)
    known = [0, *(known_as(probability) for probability in range(1, 4096))]
    static = vec[i64](known[probability] for probability in struct.unpack_from(f">{STATIC_SIZE}H", content, position))
    position += 2 * STATIC_SIZE
    weights = struct.unpack_from(f">{SETS * INPUTS}i", content, position)
    position += 4 * SETS * INPUTS
    (count,) = struct.unpack_from(">I", content, position)
    position += 4
    following: dict[int, int] = {}
    for _ in range(count):
        context, length = struct.unpack_from(">IB", content, position)
        position += 5
        packed = 0
        for number in reversed(struct.unpack_from(f">{length}H", content, position)):
            packed = moved_to_front(packed, number)
        position += 2 * length
        following[context] = packed
    assert position == len(content), "not a prior"
    fingerprint = hashlib.blake2s(content, digest_size=16).digest()
    return Knowledge(vec[i64](states), static, vec[i64](weights), words, following, text, PRIOR_INDEX_SIZE, fingerprint)


def content_of(
    states: list[int],
    trained: list[int],
    weights: vec[i64],
    words: list[str],
    following: dict[int, int],
    text: bytes,
    count_max: int,
) -> bytes:
    """The reverse of `knowledge_of`; counts above `count_max` are written as that, so that what is known gives way to what is seen."""
    lines = "".join(word + "\n" for word in words).encode()
    parts = [struct.pack(">I", len(lines)), lines, struct.pack(">I", len(text)), text]
    for state in states[:KNOWN_SIZE]:
        parts.append(struct.pack(">HB", state >> COUNT_BITS, min(state & COUNT_MAX, count_max)))
    for state in trained:
        parts.append(struct.pack(">H", 0 if state == UNKNOWN else max(1, state >> COUNT_BITS + 4)))
    parts.append(struct.pack(f">{SETS * INPUTS}i", *weights))
    parts.append(struct.pack(">I", len(following)))
    for context in sorted(following):
        numbers = candidates(following[context])
        parts.append(struct.pack(f">IB{len(numbers)}H", context, len(numbers), *numbers))
    return b"".join(parts)


def packed(content: bytes) -> bytes:
    """The file with this content."""
    return zstandard.ZstdCompressor(level=22).compress(content)


def unpacked(data: bytes) -> bytes:
    """The content of a file."""
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=_CONTENT_BYTES_MAX)


def prior_bytes() -> bytes:
    """The content of the shipped prior, for the fingerprint."""
    return unpacked(packaged(_FILE))


@functools.cache
def shipped() -> Knowledge:
    """The prior that comes with this package."""
    return knowledge_of(prior_bytes())
