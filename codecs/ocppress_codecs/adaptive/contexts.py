"""Where statistics are kept: a table of fixed size, addressed by hashed contexts; two contexts may meet in one place, which costs bits and nothing else.

    SHARED_BASE …     what is alike for all stations: kinds of values, names; begins with what the prior knows
    GRAMMAR_BASE …    skeletons at first sight; begins so, too
    OWN_BASE …        the station's own fields and shapes; begins empty
    TEXT_BASE …       characters; begins empty

A place holds `probability << COUNT_BITS | count`: of a bit being 1, in 65536ths, and how often it was met, up to COUNT_MAX.

Compiled, an `i64` is a machine's integer of 64 bits; otherwise it is a name in annotations, which nobody evaluates.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_extensions import i64

__all__ = [
    "COUNT_BITS",
    "COUNT_MAX",
    "GRAMMAR_BASE",
    "GRAMMAR_SIZE",
    "KNOWN_SIZE",
    "OWN_BASE",
    "OWN_SIZE",
    "SHARED_SIZE",
    "STATE_BITS",
    "STATE_MASK",
    "TABLE_SIZE",
    "TEXT_BASE",
    "TEXT_MASK",
    "UNKNOWN",
    "mixed",
    "text_hash",
]

SHARED_SIZE: Final = 6144
GRAMMAR_SIZE: Final = 2048
OWN_SIZE: Final = 6144
TEXT_SIZE: Final = 4096

TEXT_MASK: Final = TEXT_SIZE - 1

GRAMMAR_BASE: Final = SHARED_SIZE
OWN_BASE: Final = GRAMMAR_BASE + GRAMMAR_SIZE
KNOWN_SIZE: Final = OWN_BASE
"""The places before this one begin with what the prior knows."""
TEXT_BASE: Final = OWN_BASE + OWN_SIZE
TABLE_SIZE: Final = TEXT_BASE + TEXT_SIZE

COUNT_BITS: Final = 6
COUNT_MAX: Final = 63

STATE_BITS: Final = 22
STATE_MASK: Final = (1 << STATE_BITS) - 1

UNKNOWN: Final = 0x8000 << COUNT_BITS
"""A place never met: even odds."""

_FACTOR: Final = 0x2F0B4C47
_OFFSET: Final = 0x2545F491


def mixed(context: i64, value: i64) -> i64:
    """A context of 32 bits refined by a value of at most 32 bits: another of 32 bits. All sums fit in 63 bits."""
    context = context * _FACTOR + value + _OFFSET & 0xFFFFFFFF
    return context ^ context >> 15


def text_hash(text: str) -> int:
    """CRC-32 of the UTF-8 text."""
    return zlib.crc32(text.encode())
