"""Probabilities on the logistic scale, where evidence adds up: in integers, by a stated table.

squash(x) = 4096 / (1 + e^(-x / 256))       x from -2047 to 2047, result 1 to 4095
stretch(p)                                  the least x with squash(x) >= p, for p from 0 to 4095
"""

from __future__ import annotations

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

__all__ = ["SQUASHED", "STRETCHED", "squash"]

_KNOTS: Final = (
    *(1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546),
    *(2047, 2549, 2994, 3348, 3607, 3785, 3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094),
)
"""squash at -2048, -1920, …, 2048; between them it is linear."""


def _squashed() -> list[int]:
    result: list[int] = []
    for x in range(-2048, 2048):
        knot, part = divmod(x + 2048, 128)
        result.append((_KNOTS[knot] * (128 - part) + _KNOTS[knot + 1] * part + 64) >> 7)
    return result


def _stretched() -> list[int]:
    result: list[int] = []
    x = 0
    for probability in range(4096):
        while x < 4095 and SQUASHED[x] < probability:
            x += 1
        result.append(max(-2047, x - 2048))
    return result


SQUASHED: Final = vec[i64](_squashed())
"""squash(x) at place x + 2048."""

STRETCHED: Final = vec[i64](_stretched())


def squash(x: i64) -> i64:
    """The probability, in 4096ths, at `x`, which is clipped."""
    if x > 2047:
        return SQUASHED[4095]
    if x < -2047:
        return SQUASHED[1]
    return SQUASHED[x + 2048]
