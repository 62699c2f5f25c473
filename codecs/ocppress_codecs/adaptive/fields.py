"""What is known of a field: its last value and how well each way to predict the next one has done.

A field is not changed but replaced by another, so that a frame can be undone.
"""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from ocppress_codecs.adaptive.skeletons import MANTISSA_MAX
from ocppress_codecs.scalars import SCALE_MAX, TENS

__all__ = [
    "CANDIDATES",
    "COST_MAX",
    "NO_COSTS",
    "NO_TIME_COSTS",
    "Field",
    "NumberField",
    "TextField",
    "TimeField",
    "best_of",
    "cost_of",
    "expected_length",
    "length_of",
    "measured",
    "updated_costs",
]

CANDIDATES: Final = 12
"""Ways to predict a number."""

TIME_CANDIDATES: Final = 7
"""Ways to predict a timestamp."""

COST_MAX: Final = 256
"""What one wrong prediction can cost at most, in 16ths of a bit."""


NO_COSTS: Final = vec[i64]([0] * CANDIDATES)
NO_TIME_COSTS: Final = vec[i64]([0] * TIME_CANDIDATES)
"""Of a new field; costs are never changed in place."""


@mypyc_attr(acyclic=True)
class Field:
    """The state of one field."""

    __slots__ = ()


@final
@mypyc_attr(acyclic=True)
class TextField(Field):
    """Values that are texts: the numbers of the remembered ones, the last one first."""

    __slots__ = ("recent",)

    def __init__(self, recent: list[int]) -> None:
        self.recent: list[int] = recent


@final
@mypyc_attr(acyclic=True)
class NumberField(Field):
    """Values that are numbers. What is in 256ths has 8 bits behind the point."""

    __slots__ = (
        "best",
        "costs",
        "delta",
        "fast",
        "last",
        "load",
        "mark",
        "part",
        "power",
        "quoted",
        "run",
        "scale",
        "size",
        "slope",
        "slow",
        "steps",
        "trend",
        "when",
    )

    def __init__(self, quoted: bool, scale: i64, last: i64) -> None:
        self.quoted: bool = quoted
        self.scale: i64 = scale
        self.last: i64 = last
        """The mantissa at `scale`."""
        self.delta: i64 = 0
        self.fast: i64 = last << 8
        self.slow: i64 = last << 8
        """Running means, in 256ths."""
        self.trend: i64 = last << 8
        self.slope: i64 = 0
        """Where a line through the values is, and how much it rises from one to the next, in 256ths."""
        self.run: i64 = 1
        """Values that the line goes through, up to a bound."""
        self.steps: i64 = 1
        """Values that `slow` is the mean of, up to a bound."""
        self.costs: vec[i64] = NO_COSTS
        self.best: i64 = 0
        """The candidate that predicts."""
        self.size: i64 = 24
        """Running bit length of the residual, in 8ths."""
        self.load: i64 = 0
        """For power, voltage times current when it was read last, in milliwatts."""
        self.part: i64 = 0
        """For energy, what it is estimated to be beyond its last value, in milliwatt milliseconds."""
        self.power: i64 = 0
        """For energy, the power when it was read last, in milliwatts."""
        self.when: i64 = 0
        """For energy, when that was, in milliseconds."""
        self.mark: i64 = 0
        """For what energy makes rise, the energy at its last rise."""

    def copy(self) -> NumberField:
        """The same, to be changed."""
        other = NumberField(self.quoted, self.scale, self.last)
        other.delta = self.delta
        other.fast = self.fast
        other.slow = self.slow
        other.trend = self.trend
        other.slope = self.slope
        other.run = self.run
        other.steps = self.steps
        other.costs = self.costs
        other.best = self.best
        other.size = self.size
        other.load = self.load
        other.part = self.part
        other.power = self.power
        other.when = self.when
        other.mark = self.mark
        return other

    def fits(self, digits: i64) -> bool:
        """Whether the last value can have `digits` more digits behind the point."""
        return self.scale + digits <= SCALE_MAX and -(MANTISSA_MAX // TENS[digits]) <= self.last <= MANTISSA_MAX // TENS[digits]

    def finer(self, digits: i64) -> NumberField:
        """The same with `digits` more digits behind the point."""
        other = self.copy()
        other.scale = self.scale + digits
        other.last = self.last * TENS[digits]
        other.delta = 0
        other.fast = other.slow = other.trend = other.last << 8
        other.slope = 0
        other.size = min(self.size + 24 * digits, 192)
        return other


@final
@mypyc_attr(acyclic=True)
class TimeField(Field):
    """Values that are timestamps, in 10**-digits seconds. What is in 64ths has 6 bits behind the point."""

    __slots__ = ("anchor", "best", "costs", "delta", "digits", "ending", "last", "lead", "pace", "period", "runner", "size", "steps")

    def __init__(self, digits: i64, ending: str, last: i64, lead: i64) -> None:
        self.digits: i64 = digits
        self.ending: str = ending
        self.last: i64 = last
        self.delta: i64 = 0
        self.lead: i64 = lead
        """From the clock to the last value."""
        self.anchor: i64 = last << 6
        """Where the last tick of a periodic series was, jitter aside, in 64ths."""
        self.period: i64 = 0
        """In 64ths; 0 where none is known."""
        self.runner: i64 = last << 6
        self.pace: i64 = 0
        """The same of a series whose period is not a whole number of seconds, or drifts."""
        self.steps: i64 = 1
        """Ticks since the series began, up to a bound."""
        self.costs: vec[i64] = NO_TIME_COSTS
        self.best: i64 = 0
        self.size: i64 = 64

    def copy(self) -> TimeField:
        """The same, to be changed."""
        other = TimeField(self.digits, self.ending, self.last, self.lead)
        other.delta = self.delta
        other.anchor = self.anchor
        other.period = self.period
        other.runner = self.runner
        other.pace = self.pace
        other.steps = self.steps
        other.costs = self.costs
        other.best = self.best
        other.size = self.size
        return other


_LEAD_MAX: Final = 64
"""By how much, in 16ths of a bit, one candidate can lose to the best one at a time."""


_MARGIN: Final = 32
"""By how much the running cost of the candidate that predicts may be above the least."""


def length_of(number: int) -> i64:
    """The bit length of a number, whatever its sign."""
    return number.bit_length()


def _costs() -> list[int]:
    """16 times the logarithm to base 2 of 1 + error, rounded down, found by squaring: (1 + error)^16 has that many bits and one."""
    return [((1 + error) ** 16).bit_length() - 1 for error in range(256)]


_COSTS: Final = vec[i64](_costs())


def cost_of(error: i64) -> i64:
    """About 16 times the bits that an error takes, at most `COST_MAX`."""
    if error < 0:
        error = -error
    if error < 256:
        return _COSTS[error]
    more: i64 = length_of(error) - 8
    cost = _COSTS[error >> more] + 16 * more
    return cost if cost < COST_MAX else COST_MAX


_MEMORY: Final = 6
"""With each value a running cost forgets a 64th of itself."""


def updated_costs(costs: vec[i64], candidates: vec[i64], value: i64) -> vec[i64]:
    """The running costs of the candidates after `value`; none can lose much to the best one by a single value."""
    count: i64 = len(costs)
    found = vec[i64]([0] * count)
    limit: i64 = COST_MAX
    place: i64
    for place in range(count):
        error = value - candidates[place]
        if error < 0:
            error = -error
        new = _COSTS[error] if error < 256 else cost_of(error)
        found[place] = new
        if new < limit:
            limit = new
    limit += _LEAD_MAX
    for place in range(count):
        new = found[place]
        cost = costs[place]
        found[place] = cost - (cost >> _MEMORY) + (new if new < limit else limit)
    return found


def best_of(best: i64, costs: vec[i64]) -> i64:
    """The candidate that predicts from now on: another than `best` only if it is clearly better, as those of about the same cost take turns."""
    count: i64 = len(costs)
    enough = costs[best] - _MARGIN
    least = costs[best]
    found = best
    place: i64
    for place in range(count):
        if costs[place] < least:
            least = costs[place]
            found = place
    return found if least < enough else best


def measured(size: i64, residual: i64) -> i64:
    """The running bit length after another residual; a single large one moves it by little."""
    length: i64 = length_of(residual)
    limit = (size >> 3) + 4
    return size - (size >> 3) + (length if length < limit else limit)


def expected_length(size: i64) -> i64:
    """The bit length to expect, 0 to 24."""
    length = size + 4 >> 3
    return length if length < 24 else 24
