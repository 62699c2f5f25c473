"""What a timestamp may be, and what a field learns from what it was.

    0  as much later as last time      2  the clock: the last timestamp of the direction     4  as last time
    1  the next tick of a series       3  the clock and as much as last time beyond it       5  the next tick of a series with its own pace
                                                                                             6  the clock and the period

A series has a period and jitter. Two loops follow it: one trusts the period, a whole number of seconds if it is near one, and finds only where in it the
ticks are, as a mean over ever more of them; the other fits a line through the last ticks.
"""

from __future__ import annotations

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.fields import TimeField, best_of, measured, updated_costs
from ocppress_codecs.scalars import CLOCK_DIGITS, TENS

__all__ = ["WAYS", "candidates_of", "clock_of", "in_digits", "learn"]

WAYS: Final = (
    "as much later as last time",
    "next of a series",
    "by the clock",
    "by the clock, as far as last time",
    "as last time",
    "next of a series with its own pace",
    "by the clock and the period",
)
"""The candidates for people."""

_STEPS_MAX: Final = 96
_RUNNER_STEPS_MAX: Final = 16
"""Ticks after which the loops don't get slower."""

_PERIOD_MAX: Final = 1 << 46
"""In 64ths of the smallest unit: 30 hours at seven digits."""


def in_digits(clock: i64, digits: i64) -> i64:
    """`clock`, in 10**-CLOCK_DIGITS seconds, in 10**-digits seconds, rounded down."""
    unit: i64 = TENS[CLOCK_DIGITS - digits]
    return clock // unit


def clock_of(value: i64, digits: i64) -> i64:
    """The reverse of `in_digits`."""
    unit: i64 = TENS[CLOCK_DIGITS - digits]
    return value * unit


def candidates_of(field: TimeField, clock: i64) -> vec[i64]:
    """The candidates for the next value, where `clock` is in its digits."""
    return vec[i64](
        [
            field.last + field.delta,
            field.anchor + field.period + 32 >> 6,
            clock,
            clock + field.lead,
            field.last,
            field.runner + field.pace + 32 >> 6,
            clock + (field.period + 32 >> 6),
        ]
    )


def learn(field: TimeField, clock: i64, candidates: vec[i64], predicted: i64, value: i64) -> TimeField:
    """The field after `value`, for which `candidates` were found, of which `predicted` was taken."""
    after = field.copy()
    after.costs = updated_costs(field.costs, candidates, value)
    after.best = best_of(field.best, after.costs)
    difference = value - field.last
    after.last = value
    after.delta = difference
    after.lead = value - clock
    after.size = measured(field.size, value - predicted)
    _follow(after, field, difference, value)
    return after


def _follow(after: TimeField, field: TimeField, difference: i64, value: i64) -> None:
    """Move both loops on by one tick, or begin a new series."""
    period = field.period
    error = (value << 6) - field.anchor - period
    tolerance: i64 = max(period >> 3, 64)
    if period > 0 and -tolerance <= error <= tolerance:
        steps = field.steps + 1
        after.anchor = field.anchor + period + error // (steps if steps < _STEPS_MAX else _STEPS_MAX)
        after.steps = steps if steps < _STEPS_MAX else _STEPS_MAX
        error = (value << 6) - field.runner - field.pace
        if not -4 * tolerance <= error <= 4 * tolerance:
            after.runner = value << 6
            after.pace = period
            return
        count = steps if steps < _RUNNER_STEPS_MAX else _RUNNER_STEPS_MAX
        # Least squares: what the last `count` ticks say of place and pace.
        after.runner = field.runner + field.pace + error * 2 * (2 * count - 1) // (count * (count + 1))
        after.pace = field.pace + error * 6 // (count * (count + 1))
        return
    if difference == 0:
        return
    after.anchor = after.runner = value << 6
    after.steps = 1
    span = difference << 6
    nearly: i64 = max(span >> 4, 64)
    if 0 < span < _PERIOD_MAX and (period <= 0 or -nearly <= span - (field.delta << 6) <= nearly):
        # Twice about the same: a new series, most likely of whole seconds.
        unit: i64 = 64 * TENS[field.digits]
        whole = (span + unit // 2) // unit * unit
        after.period = whole if whole and -span < (span - whole) * 20 < span else span
        after.pace = span
