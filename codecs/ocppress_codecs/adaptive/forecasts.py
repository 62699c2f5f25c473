"""What a number may be, by several ways at once, and what a field learns from what it was.

    0  as last time                        6   last time's, changed as much as its neighbour in this message differs from its mean
    1  changed by as much as last time     7   power: voltage times current, in proportion to last time's
    2  the mean of the last few            8   power: voltage times current; energy: power times time
    3  the mean of many                    9   power: the sum of the phases; energy: the mean of two powers times time
    4  changed as its neighbour            10  power factor: power by apparent power; state of charge: by energy; register: as the last energy
    5  as its neighbour                    11  on a line through the last ones

The neighbour is the value of the same measurand before it in the message: the phase before. Units inside are thousandths: millivolts, milliamperes, milliwatts,
milliseconds; energies beyond the register's last digit are milliwatt milliseconds. Everything fits in 63 bits.
"""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from ocppress_codecs.adaptive.fields import CANDIDATES, NumberField, best_of, expected_length, length_of, measured, updated_costs
from ocppress_codecs.adaptive.plans import CURRENT, ENERGY, FACTOR, POWER, SOC, VOLTAGE, Hole
from ocppress_codecs.adaptive.skeletons import MANTISSA_MAX
from ocppress_codecs.scalars import TENS

__all__ = ["EVEN", "WAYS", "Forecast", "Readings", "forecast", "learn"]

EVEN: Final = 4
"""A prediction that leans to neither side."""

WAYS: Final = (
    "as last time",
    "changed as last time",
    "mean of the last few",
    "mean of many",
    "changed as its neighbour",
    "as its neighbour",
    "its neighbour differs from its mean",
    "voltage by current, as last time",
    "voltage by current, power by time",
    "sum of phases, mean power by time",
    "power by apparent power, by energy",
    "on a line",
)
"""The candidates for people."""

_MILLI_MAX: Final = (1 << 30) - 1
_LOAD_MAX: Final = 1 << 33
_RATIO_MAX: Final = 1 << 29
_SCALE_MAX: Final = 9
_RISE_MAX: Final = 1 << 20
_ERROR_BITS_MAX: Final = 50
"""Bounds above which a way to predict isn't tried, or begins anew, so that everything fits in 63 bits."""

_ELAPSED_MAX_MS: Final = 86_400_000
_MWMS_PER_WH: Final = 3_600_000_000
_ENERGY_SCALE_MAX: Final = 6
_FACTOR_SCALE_MAX: Final = 4

_FAST: Final = 4
_SLOW: Final = 64
_RUN: Final = 28


@final
@mypyc_attr(acyclic=True)
class Readings:
    """What the message being coded has said so far, by reading and phase."""

    __slots__ = ("current", "energy", "neighbours", "power", "voltage")

    def __init__(self) -> None:
        self.voltage: dict[int, int] = {}
        self.current: dict[int, int] = {}
        self.power: dict[int, int] = {}
        self.energy: dict[int, int] = {}
        """By reading, in Wh."""
        self.neighbours: dict[int, NumberField] = {}
        """By measurand the field coded last, as it is after that."""

    def load(self, group: i64, phase: i64) -> i64:
        """Voltage times current, of all phases together if `phase` is 0, in milliwatts; 0 if unknown."""
        if phase:
            place = group * 8 + phase
            current: i64 = self.current.get(place, 0)
            voltage: i64 = self.voltage.get(place, 0) or self.voltage.get(group * 8, 0)
            return _bounded((voltage * current + 500) // 1000)
        total: i64 = 0
        for place in range(group * 8, group * 8 + 4):
            current = self.current.get(place, 0)
            if current:
                voltage = self.voltage.get(place, 0) or self.voltage.get(group * 8, 0)
                total += voltage * current
        return _bounded((total + 500) // 1000)

    def power_of(self, group: i64, phase: i64) -> i64:
        """Power of a phase, or of all together, in milliwatts; -1 if unknown."""
        power: i64 = self.power.get(group * 8 + phase, -1)
        if power < 0 and not phase:
            total: i64 = -1
            for place in range(group * 8 + 1, group * 8 + 4):
                part: i64 = self.power.get(place, -1)
                if part >= 0:
                    total = part if total < 0 else total + part
            return total
        return power


@final
@mypyc_attr(acyclic=True)
class Forecast:
    """The candidates for one value, and which of them predicts."""

    __slots__ = ("best", "candidates", "lean", "predicted")

    def __init__(self, candidates: vec[i64], best: i64, lean: i64) -> None:
        self.candidates: vec[i64] = candidates
        self.best: i64 = best
        self.predicted: i64 = candidates[best]
        self.lean: i64 = lean


def _bounded(load: i64) -> i64:
    return load if load < _LOAD_MAX else 0


def scaled(mantissa: i64, scale: i64, wanted: i64) -> i64:
    """A decimal at another scale, rounded half up."""
    unit: i64
    if wanted >= scale:
        unit = TENS[wanted - scale]
        return mantissa * unit
    unit = TENS[scale - wanted]
    return (mantissa + unit // 2) // unit


def forecast(field: NumberField, hole: Hole, readings: Readings, clock_ms: i64, register_wh: i64) -> Forecast:
    """The candidates for the next value."""
    last = field.last
    neighbour = readings.neighbours.get(hole.measure) if hole.measure else None
    role = hole.role
    candidates = vec[i64]([last] * CANDIDATES)
    candidates[1] = last + field.delta
    candidates[2] = field.fast + 128 >> 8
    candidates[3] = field.slow + 128 >> 8
    candidates[11] = field.trend + field.slope + 128 >> 8
    lean: i64 = EVEN
    lean_of: i64 = -1
    if neighbour is not None and neighbour.scale == field.scale:
        candidates[4] = last + neighbour.delta
        candidates[5] = neighbour.last
        candidates[6] = (field.slow + (neighbour.last << 8) - neighbour.slow + 128) >> 8
    if field.scale > _SCALE_MAX:
        pass
    elif role == POWER:
        load = readings.load(hole.group, hole.phase)
        if load:
            if field.load and -_RATIO_MAX < last < _RATIO_MAX:
                candidates[7] = (last * load + field.load // 2) // field.load
            candidates[8] = scaled(load, 6 if hole.kilo else 3, field.scale)
        if not hole.phase:
            total = readings.power_of(hole.group, 0)
            if total >= 0:
                candidates[9] = scaled(total, 6 if hole.kilo else 3, field.scale)
    elif role == ENERGY:
        power = readings.power_of(hole.group, hole.phase)
        elapsed = clock_ms - field.when
        if power >= 0 and field.when and 0 <= elapsed <= _ELAPSED_MAX_MS and field.scale <= _ENERGY_SCALE_MAX:
            step = _step(field.scale, hole.kilo)
            rect = field.part + power * elapsed
            trapezoid = field.part + (power + field.power) * elapsed // 2
            candidates[8] = last + rect // step
            candidates[9] = last + trapezoid // step
            lean_of = 8 if field.costs[8] <= field.costs[9] else 9
            lean = (rect if lean_of == 8 else trapezoid) % step * 8 // step
    elif role == FACTOR:
        load = readings.load(hole.group, hole.phase)
        power = readings.power_of(hole.group, hole.phase)
        if load and power >= 0 and field.scale <= _FACTOR_SCALE_MAX:
            whole: i64 = 100 * TENS[field.scale]
            candidates[10] = min(whole, (power * whole + load // 2) // load)
    elif role == SOC:
        energy: i64 = readings.energy.get(hole.group, -1)
        if energy >= 0 and field.load > 0:
            beyond = (energy << 8) - field.mark
            candidates[10] = last + beyond // field.load
            lean_of = 10
            lean = beyond % field.load * 8 // field.load
    elif not hole.measure and register_wh and field.scale == 0:
        candidates[10] = register_wh
    best = field.best
    if best != lean_of:
        lean = EVEN
        if best == 2:
            lean = (field.fast + 128 & 255) >> 5
        elif best == 3:
            lean = (field.slow + 128 & 255) >> 5
    return Forecast(candidates, best, lean)


def learn(field: NumberField, hole: Hole, readings: Readings, clock_ms: i64, made: Forecast, value: i64) -> NumberField:
    """The field after `value`, for which `made` was the forecast."""
    after = field.copy()
    residual = value - made.predicted
    after.costs = updated_costs(field.costs, made.candidates, value)
    after.best = best_of(field.best, after.costs)
    after.delta = value - field.last
    after.last = value
    exact = value << 8
    if length_of(residual) <= expected_length(field.size) + 2:
        steps = field.steps + 1
        after.steps = steps if steps < _SLOW else _SLOW
        after.slow = field.slow + (exact - field.slow) // after.steps
        after.fast = field.fast + (exact - field.fast) // (steps if steps < _FAST else _FAST)
    else:
        after.steps = 1
        after.slow = exact
        after.fast = exact
    error = exact - field.trend - field.slope
    length = length_of(error)
    if length > _ERROR_BITS_MAX or (field.run > 1 and length > expected_length(field.size) + 10):
        after.run = 1
        after.trend = exact
        after.slope = 0
    else:
        # Least squares: what the last values say of place and slope; the second value alone gives the slope.
        run = field.run + 1 if field.run < _RUN else _RUN
        after.run = run
        after.trend = field.trend + field.slope + error * 2 * (2 * run - 1) // (run * (run + 1))
        after.slope = field.slope + error * 6 // (run * (run + 1))
    after.size = measured(field.size, residual)
    note(after, hole, readings, clock_ms, field)
    return after


def note(field: NumberField, hole: Hole, readings: Readings, clock_ms: i64, before: NumberField | None) -> None:
    """Tell the rest of the message of a field that has a new value, and the field of the message; `before` is the field before that value."""
    if not hole.measure:
        return
    readings.neighbours[hole.measure] = field
    role = hole.role
    place = hole.group * 8 + hole.phase
    if role in (VOLTAGE, CURRENT, POWER):
        milli = scaled(field.last, field.scale, 3)
        unit: i64 = 1000 if role == POWER and hole.kilo else 1
        if 0 <= milli <= _MILLI_MAX // unit:
            milli *= unit
            if role == VOLTAGE:
                readings.voltage[place] = milli
            elif role == CURRENT:
                readings.current[place] = milli
            else:
                readings.power[place] = milli
        if role == POWER:
            field.load = readings.load(hole.group, hole.phase)
    elif role == ENERGY:
        energy = scaled(field.last, field.scale, 3) if hole.kilo else scaled(field.last, field.scale, 0)
        if 0 <= energy <= MANTISSA_MAX and not hole.phase:
            readings.energy[hole.group] = energy
        _note_energy(field, hole, readings, clock_ms, before)
    elif role == SOC:
        _note_charge(field, readings.energy.get(hole.group, -1), before)


def _step(scale: i64, kilo: bool) -> i64:
    """The last digit of an energy register in milliwatt milliseconds."""
    step: i64 = _MWMS_PER_WH * (1000 if kilo else 1) // TENS[scale]
    return step


def _note_energy(field: NumberField, hole: Hole, readings: Readings, clock_ms: i64, before: NumberField | None) -> None:
    power = readings.power_of(hole.group, hole.phase)
    if power < 0 or field.scale > _ENERGY_SCALE_MAX:
        field.when = 0
        return
    step = _step(field.scale, hole.kilo)
    part = step // 2
    if before is not None and before.when and before.scale == field.scale:
        elapsed = clock_ms - before.when
        rise = field.last - before.last
        if 0 <= elapsed <= _ELAPSED_MAX_MS and -_RISE_MAX < rise < _RISE_MAX:
            by_power = power if before.costs[8] <= before.costs[9] else (power + before.power) // 2
            part = before.part + by_power * elapsed - rise * step
            # The register says in which step it is; an estimate outside is brought to its edge, one far outside is given up.
            if part < 0:
                part = 0 if part > -4 * step else step // 2
            elif part >= step:
                part = step - 1 if part < 5 * step else step // 2
    field.part = part
    field.power = power
    field.when = clock_ms


def _note_charge(field: NumberField, energy_wh: i64, before: NumberField | None) -> None:
    """Follow the state of charge by the energy since it rose last; `mark` and `load` (the energy of one step) in 256ths of a Wh."""
    if energy_wh < 0:
        field.mark = 0
        field.load = 0
        return
    energy = energy_wh << 8
    if before is None or field.last < before.last or energy < before.mark:
        field.mark = energy
        return
    rise = field.last - before.last
    step = before.load
    if rise == 0:
        if step and energy - before.mark > step:
            field.mark = energy - step
        return
    if not step:
        field.load = (energy - before.mark) // rise
        field.mark = energy
        return
    if rise > (energy - before.mark) // step:
        field.mark = energy
        field.load = step + ((energy - before.mark) // rise - step) // 8
    else:
        field.mark = before.mark + rise * step
