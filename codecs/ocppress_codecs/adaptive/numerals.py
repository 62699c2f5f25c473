"""Integers as decisions of the coder."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from ocppress_codecs.adaptive.coder import Coder
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.fields import length_of
from ocppress_codecs.errors import Malformed

__all__ = ["GAMMA_BITS_MAX", "RESIDUAL_BITS_MAX", "code_choice", "code_gamma", "code_residual"]

GAMMA_BITS_MAX: Final = 49
RESIDUAL_BITS_MAX: Final = 62
"""Bits of the longest: what is longer can't come from an encoder, and ends decoding."""

_LEARNED_BITS: Final = 3
"""Bits behind the first one that have statistics; those after them have even odds."""


def code_choice(coder: Coder, context: i64, bits: i64, value: i64) -> i64:
    """A number of `bits` bits, each by the bits before it."""
    node: i64 = 1
    shift = bits
    while shift:
        shift -= 1
        node = node << 1 | coder.bit(context + node * 0x61, value >> shift & 1)
    return node - (1 << bits)


def code_gamma(coder: Coder, context: i64, value: i64) -> i64:
    """A number of 0 or more, small ones best: the length of value + 1 in unary, then its bits. Raises `Malformed`."""
    number = value + 1
    wanted = length_of(number) - 1
    length: i64 = 0
    while coder.bit(context + length * 0x47, 1 if length < wanted else 0):
        length += 1
        if length >= GAMMA_BITS_MAX:
            raise Malformed("a number without end")
    result: i64 = 1
    context = mixed(context, length)
    rest = length
    while rest and length - rest < _LEARNED_BITS:
        rest -= 1
        result = result << 1 | coder.bit(context + result * 0x61, number >> rest & 1)
    if rest:
        result = result << rest | coder.raw(rest, number)
    return result - 1


def code_residual(coder: Coder, own: i64, shared: i64, expected: i64, lean: i64, value: i64) -> i64:
    """What a prediction was wrong by, by the field's `own` context and one `shared` by fields of its kind. Raises `Malformed`.

    `expected` is the bit length to start at, so that few decisions are needed: is it longer? is it that long? and so on upwards or downwards. `lean`, 0 to 7,
    says between which whole numbers the prediction lies: what is rounded away makes one sign likelier.
    """
    magnitude = value if value >= 0 else -value
    wanted = length_of(magnitude)
    own_lengths = own + expected * 0x3B5
    shared_lengths = shared + expected * 0x3B5
    if expected <= 1:
        own_lengths += lean * 0x1D3
        shared_lengths += lean * 0x1D3
    length = expected
    if coder.pair(own_lengths, shared_lengths, 1 if wanted > expected else 0):
        length += 1
        while coder.pair(own_lengths + length * 0x25, shared_lengths + length * 0x25, 1 if wanted > length else 0):
            length += 1
            if length > RESIDUAL_BITS_MAX:
                raise Malformed("a number without end")
    else:
        while length and not coder.pair(own_lengths + length * 0x25, shared_lengths + length * 0x25, 1 if wanted == length else 0):
            length -= 1
    if length == 0:
        return 0
    own_signs = own + 0x1F1 + (lean * 0x1D3 if length <= 2 else length * 0x95)
    shared_signs = shared + 0x1F1 + (lean * 0x1D3 if length <= 2 else 0)
    negative = coder.pair(own_signs, shared_signs, 1 if value < 0 else 0)
    result: i64 = 1
    if length > 1:
        own = mixed(own, length)
        shared = mixed(shared, length)
        rest = length - 1
        while rest and length - 1 - rest < _LEARNED_BITS:
            rest -= 1
            step = result * 0x61
            result = result << 1 | coder.pair(own + step, shared + step, magnitude >> rest & 1)
        if rest:
            result = result << rest | coder.raw(rest, magnitude)
    return -result if negative else result
