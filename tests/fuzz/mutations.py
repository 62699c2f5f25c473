"""Bytes made of other bytes, by a seeded source: most are nearly valid, which is where a reader goes furthest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

__all__ = ["MUTATED_BYTES_MAX", "mutated"]

MUTATED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Twice what a decoder takes, so that what is too long is tried, too."""

_ZEROS_MAX: Final = 160
"""More than a reader takes in past the end of a frame."""

_INTERESTING: Final = (
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xfd",
    b"\xfe",
    b"\xff\xff\xff\xff",
    bytes(8),
    b"\x1b" + b"\xff" * 8,
    b"\x9f",
    b"\xa0",
)


def mutated(data: bytes, others: Sequence[bytes], source: Random) -> bytes:
    """`data` changed in one to four ways; `others` are frames that pieces may come from."""
    for _ in range(source.choice((1, 1, 1, 2, 3, 4))):
        data = source.choice(_WAYS)(data, others, source)
    return data[:MUTATED_BYTES_MAX]


def _flip(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 8)) if changed else 0):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def _add(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    """Arithmetic on one byte, carried into those before it."""
    if not data:
        return data
    place = source.randrange(len(data)) + 1
    modulus = 1 << 8 * place
    number = (int.from_bytes(data[:place], "big") + source.choice((-35, -16, -2, -1, 1, 2, 16, 35))) % modulus
    return number.to_bytes(place, "big") + data[place:]


def _replace(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    place = source.randrange(len(data) + 1)
    piece = source.choice((source.randbytes(source.choice((1, 1, 2, 4, 16))), source.choice(_INTERESTING)))
    return data[:place] + piece + data[place + len(piece) :]


def _insert(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    place = source.randrange(len(data) + 1)
    return data[:place] + source.choice((source.randbytes(source.choice((1, 1, 3))), source.choice(_INTERESTING))) + data[place:]


def _delete(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    place = source.randrange(len(data) + 1)
    return data[:place] + data[place + source.choice((1, 1, 2, 5)) :]


def _cut(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    return data[: source.randrange(len(data) + 1)]


def _behead(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    return data[source.randrange(len(data) + 1) :]


def _splice(data: bytes, others: Sequence[bytes], source: Random) -> bytes:
    other = source.choice(others)
    return data[: source.randrange(len(data) + 1)] + other[source.randrange(len(other) + 1) :]


def _swap(_data: bytes, others: Sequence[bytes], source: Random) -> bytes:
    """Another frame in the place of this one: repeated, early, or of somebody else."""
    return source.choice(others)


def _repeat(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    begin = source.randrange(len(data) + 1)
    end = source.randrange(begin, len(data) + 1)
    return data[:end] + data[begin:end] * source.choice((1, 2, 3, 20)) + data[end:]


def _zeros(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    """Zeros before the checksum, or anywhere: an arithmetic decoder reads on in them."""
    place = source.choice((max(len(data) - 2, 0), source.randrange(len(data) + 1)))
    return data[:place] + bytes(source.randrange(_ZEROS_MAX)) + data[place:]


def _noise(data: bytes, _others: Sequence[bytes], source: Random) -> bytes:
    """A valid beginning, and then anything."""
    return data[: source.randrange(len(data) + 1)] + source.randbytes(source.choice((2, 8, 30, 200)))


_WAYS: Final[tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...]] = (
    *(_flip, _flip, _add, _replace, _insert, _delete, _cut, _behead, _splice, _swap, _repeat, _zeros, _noise),
)
