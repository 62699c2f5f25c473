"""What is known of a field: its last value and how well each way to predict the next one has done.

A field is not changed but replaced by another, so that a frame can be undone.
"""

from __future__ import annotations

from typing import Final, final

from ocppress_codecs.adaptive.skeletons import MANTISSA_MAX
from ocppress_codecs.scalars import SCALE_MAX, TENS

__all__ = [
    "CANDIDATES",
    "COST_MAX",
    "Field",
    "NumberField",
    "TextField",
    "TimeField",
    "best_of",
    "cost_of",
    "expected_length",
    "measured",
    "updated_costs",
]

CANDIDATES: Final = 12
"""Ways to predict a number."""

TIME_CANDIDATES: Final = 7
"""Ways to predict a timestamp."""

COST_MAX: Final = 256
"""What one wrong prediction can cost at most, in 16ths of a bit."""


class Field:
    """The state of one field."""

    __slots__ = ()


@final
class TextField(Field):
    """Values that are texts: the numbers of the remembered ones, the last one first."""

    __slots__ = ("recent",)

    def __init__(self, recent: list[int]) -> None:
        self.recent: list[int] = recent


@final
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

    def __init__(self, quoted: bool, scale: int, last: int) -> None:
        self.quoted: bool = quoted
        self.scale: int = scale
        self.last: int = last
        """The mantissa at `scale`."""
        self.delta: int = 0
        self.fast: int = last << 8
        self.slow: int = last << 8
        """Running means, in 256ths."""
        self.trend: int = last << 8
        self.slope: int = 0
        """Where a line through the values is, and how much it rises from one to the next, in 256ths."""
        self.run: int = 1
        """Values that the line goes through, up to a bound."""
        self.steps: int = 1
        """Values that `slow` is the mean of, up to a bound."""
        self.costs: list[int] = [0] * CANDIDATES
        self.best: int = 0
        """The candidate that predicts."""
        self.size: int = 24
        """Running bit length of the residual, in 8ths."""
        self.load: int = 0
        """For power, voltage times current when it was read last, in milliwatts."""
        self.part: int = 0
        """For energy, what it is estimated to be beyond its last value, in milliwatt milliseconds."""
        self.power: int = 0
        """For energy, the power when it was read last, in milliwatts."""
        self.when: int = 0
        """For energy, when that was, in milliseconds."""
        self.mark: int = 0
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

    def fits(self, digits: int) -> bool:
        """Whether the last value can have `digits` more digits behind the point."""
        return self.scale + digits <= SCALE_MAX and abs(self.last) <= MANTISSA_MAX // TENS[digits]

    def finer(self, digits: int) -> NumberField:
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
class TimeField(Field):
    """Values that are timestamps, in 10**-digits seconds. What is in 64ths has 6 bits behind the point."""

    __slots__ = ("anchor", "best", "costs", "delta", "digits", "ending", "last", "lead", "pace", "period", "runner", "size", "steps")

    def __init__(self, digits: int, ending: str, last: int, lead: int) -> None:
        self.digits: int = digits
        self.ending: str = ending
        self.last: int = last
        self.delta: int = 0
        self.lead: int = lead
        """From the clock to the last value."""
        self.anchor: int = last << 6
        """Where the last tick of a periodic series was, jitter aside, in 64ths."""
        self.period: int = 0
        """In 64ths; 0 where none is known."""
        self.runner: int = last << 6
        self.pace: int = 0
        """The same of a series whose period is not a whole number of seconds, or drifts."""
        self.steps: int = 1
        """Ticks since the series began, up to a bound."""
        self.costs: list[int] = [0] * TIME_CANDIDATES
        self.best: int = 0
        self.size: int = 64

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


def _costs() -> list[int]:
    """16 times the logarithm to base 2 of 1 + error, rounded down, found by squaring: (1 + error)^16 has that many bits and one."""
    return [((1 + error) ** 16).bit_length() - 1 for error in range(256)]


_COSTS: Final[list[int]] = _costs()


def cost_of(error: int) -> int:
    """About 16 times the bits that an error takes, at most `COST_MAX`."""
    if error < 0:
        error = -error
    if error < 256:
        return _COSTS[error]
    more = error.bit_length() - 8
    cost = _COSTS[error >> more] + 16 * more
    return cost if cost < COST_MAX else COST_MAX


_MEMORY: Final = 6
"""With each value a running cost forgets a 64th of itself."""


def updated_costs(costs: list[int], candidates: list[int], value: int) -> list[int]:
    """The running costs of the candidates after `value`; none can lose much to the best one by a single value."""
    found: list[int] = []
    limit = COST_MAX
    for candidate in candidates:
        error = value - candidate
        if error < 0:
            error = -error
        new = _COSTS[error] if error < 256 else cost_of(error)
        found.append(new)
        if new < limit:
            limit = new
    limit += _LEAD_MAX
    for place, cost in enumerate(costs):
        new = found[place]
        found[place] = cost - (cost >> _MEMORY) + (new if new < limit else limit)
    return found


def best_of(best: int, costs: list[int]) -> int:
    """The candidate that predicts from now on: another than `best` only if it is clearly better, as those of about the same cost take turns."""
    least = costs[best]
    found = best
    for place, cost in enumerate(costs):
        if cost < least:
            least = cost
            found = place
    return best if costs[best] <= least + _MARGIN else found


def measured(size: int, residual: int) -> int:
    """The running bit length after another residual; a single large one moves it by little."""
    length = residual.bit_length()
    limit = (size >> 3) + 4
    return size - (size >> 3) + (length if length < limit else limit)


def expected_length(size: int) -> int:
    """The bit length to expect, 0 to 24."""
    length = size + 4 >> 3
    return length if length < 24 else 24
