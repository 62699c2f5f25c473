"""Values, as their fields foresee them (SPEC.md, 5.10 to 5.13)."""

from __future__ import annotations

import copy
import datetime
import re
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.second_adaptive.coder import Reader, Refused, bits_of, mix
from tests.conformance.second_adaptive.skeletons import CURRENT, ENERGY, FACTOR, POWER, SOC, VOLTAGE, Hole, Shape

MAX = 2**48 - 1
DAY_MS = 86_400_000
ENDING = re.compile(r"(?:\.0{1,7})?(?:Z|[+-][0-9]{2}:[0-9]{2}|)", re.ASCII)


def cost(error: int) -> int:
    error = abs(error)
    if error < 256:
        return bits_of((error + 1) ** 16) - 1
    m = bits_of(error) - 8
    return min(256, cost(error >> m) + 16 * m)


class Predicting:
    """Costs, and the number of bits that residuals have."""

    costs: list[int]
    best: int
    size: int

    @property
    def expected(self) -> int:
        return min((self.size + 4) >> 3, 24)

    def judge(self, candidates: list[int], value: int) -> None:
        new = [cost(value - candidate) for candidate in candidates]
        limit = min(new) + 64
        residual = value - candidates[self.best]
        self.costs = [old - (old >> 6) + min(one, limit) for old, one in zip(self.costs, new, strict=True)]
        least = min(self.costs)
        if self.costs[self.best] > least + 32:
            self.best = self.costs.index(least)
        self.size = self.size - (self.size >> 3) + min(bits_of(residual), (self.size >> 3) + 4)


class NumberField(Predicting):
    def __init__(self, quoted: int, scale: int, v: int) -> None:
        self.quoted, self.scale, self.last, self.delta = quoted, scale, v, 0
        self.fast = self.slow = self.trend = 256 * v
        self.steps = self.run = 1
        self.slope = 0
        self.costs, self.best, self.size = [0] * 12, 0, 24
        self.load = self.part = self.power = self.when = self.mark = 0

    def finer(self, d: int) -> NumberField:
        if self.scale + d > 18 or abs(self.last) > MAX // 10**d:
            raise Refused("malformed", "finer")
        other = copy.copy(self)
        other.scale += d
        other.last *= 10**d
        other.delta = other.slope = 0
        other.fast = other.slow = other.trend = 256 * other.last
        other.size = min(self.size + 24 * d, 192)
        return other


class TimeField(Predicting):
    def __init__(self, digits: int, ending: str, v: int, lead: int) -> None:
        self.digits, self.ending, self.last, self.delta, self.lead = digits, ending, v, 0, lead
        self.anchor = self.runner = 64 * v
        self.period = self.pace = 0
        self.steps = 1
        self.costs, self.best, self.size = [0] * 7, 0, 64

    def candidates(self, t: int) -> list[int]:
        return [
            self.last + self.delta,
            (self.anchor + self.period + 32) >> 6,
            t,
            t + self.lead,
            self.last,
            (self.runner + self.pace + 32) >> 6,
            t + ((self.period + 32) >> 6),
        ]

    def learned(self, t: int, v: int) -> TimeField:
        was, now = self, copy.copy(self)
        now.judge(was.candidates(t), v)
        now.last, now.delta, now.lead = v, v - was.last, v - t
        e = 64 * v - was.anchor - was.period
        tolerance = max(was.period >> 3, 64)
        if was.period > 0 and abs(e) <= tolerance:
            now.steps = min(was.steps + 1, 96)
            now.anchor = was.anchor + was.period + e // now.steps
            e = 64 * v - was.runner - was.pace
            if abs(e) > 4 * tolerance:
                now.runner, now.pace = 64 * v, was.period
            else:
                n = min(now.steps, 16)
                now.runner = was.runner + was.pace + (e * 2 * (2 * n - 1)) // (n * (n + 1))
                now.pace = was.pace + (e * 6) // (n * (n + 1))
        elif now.delta != 0:
            now.anchor = now.runner = 64 * v
            now.steps = 1
            span = 64 * now.delta
            nearly = max(span >> 4, 64)
            if 0 < span < 2**46 and (was.period <= 0 or abs(span - 64 * was.delta) <= nearly):
                unit = 64 * 10**was.digits
                whole = (span + unit // 2) // unit * unit
                now.period = whole if whole != 0 and 20 * abs(span - whole) < span else span
                now.pace = span
        return now


@dataclass
class TextField:
    recent: list[int] = field(default_factory=list)


def scaled(m: int, have: int, want: int) -> int:
    if want >= have:
        return int(m * 10 ** (want - have))
    u = int(10 ** (have - want))
    return (m + u // 2) // u


class Readings:
    """What the message has said so far."""

    def __init__(self) -> None:
        self.voltage: dict[tuple[int, int], int] = {}
        self.current: dict[tuple[int, int], int] = {}
        self.power: dict[tuple[int, int], int] = {}
        self.energy: dict[int, int] = {}
        self.neighbour: dict[int, NumberField] = {}

    def load(self, g: int, f: int) -> int:
        total = 0
        for i in range(4) if f == 0 else [f]:
            voltage = self.voltage.get((g, i), 0) or self.voltage.get((g, 0), 0)
            total += voltage * self.current.get((g, i), 0)
        load = (total + 500) // 1000
        return load if load < 2**33 else 0

    def power_of(self, g: int, f: int) -> int | None:
        if (g, f) in self.power:
            return self.power[g, f]
        parts = [self.power[g, i] for i in (1, 2, 3) if (g, i) in self.power] if f == 0 else []
        return sum(parts) if parts else None


class Values:
    """Codes the values of one message. `state` is the direction's."""

    def __init__(self, reader: Reader, state: Any) -> None:
        self.reader = reader
        self.state = state
        self.readings = Readings()

    @property
    def clock_ms(self) -> int:
        return int(self.state.clock // 10_000)

    def value(self, shape: Shape, hole: Hole, limit: int) -> str:
        """The JSON token."""
        self.reader.check_work()
        number = self.state.fields.number_of(hole.field)
        known = None if number is None else self.state.fields.slots[number][2]
        if isinstance(known, NumberField):
            return self.number(hole, known, limit)
        if isinstance(known, TimeField):
            return self.time(hole, known, limit)
        strings = self.state.strings
        last = known.recent[0] if isinstance(known, TextField) and known.recent else None
        if last in strings.slots and self.reader.pair(mix(hole.field, shape.context), mix(hole.field, 53)):
            strings.use(last)
            return str(strings.slots[last][1])
        return self.new(hole, known, limit)

    def set(self, hole: Hole, content: Any) -> None:
        number = self.state.fields.number_of(hole.field)
        if number is None:
            self.state.fields.insert(hole.field, content, 1)
        else:
            self.state.fields.replace(number, content)

    def new(self, hole: Hole, known: TextField | None, limit: int) -> str:
        c = mix(hole.name, 70)
        if self.reader.pair(c, 54):
            return self.text(hole, known.recent if known else [], limit)
        if self.reader.pair(c + 1, 55):
            return self.new_time(hole)
        return self.new_number(hole)

    # Numbers (5.11)

    def number(self, hole: Hole, known: NumberField, limit: int) -> str:
        c = mix(hole.field, 40)
        if not self.reader.pair(c, 41):
            if not self.reader.pair(c + 1, 64):
                return self.new(hole, None, limit)
            known = known.finer(self.reader.gamma(mix(65, 0)) + 1)
        candidates, lean = self.foreseen(hole, known)
        best = known.best
        v = candidates[best] + self.reader.residual(mix(hole.field, 46), mix(42 + hole.role, best), known.expected, lean)
        if abs(v) > MAX:
            raise Refused("malformed", "a number of more than 48 bits")
        z, m = 0, v
        while z < known.scale and m % 10 == 0 and self.reader.pair(c + 0x11 + min(z, 3), 43):
            m //= 10
            z += 1
        self.learn(hole, known, candidates, v)
        return number_token(known.quoted, known.scale - z, m)

    def foreseen(self, hole: Hole, known: NumberField) -> tuple[list[int], int]:
        """The candidates, and the lean of the best one."""
        last, scale, readings = known.last, known.scale, self.readings
        g, f = hole.group, hole.phase
        found = [last] * 12
        leans = {2: ((known.fast + 128) & 255) >> 5, 3: ((known.slow + 128) & 255) >> 5}
        found[1] = last + known.delta
        found[2] = (known.fast + 128) >> 8
        found[3] = (known.slow + 128) >> 8
        found[11] = (known.trend + known.slope + 128) >> 8
        neighbour = readings.neighbour.get(hole.measure) if hole.measure else None
        if neighbour and neighbour.scale == scale:
            found[4] = last + neighbour.delta
            found[5] = neighbour.last
            found[6] = (known.slow + 256 * neighbour.last - neighbour.slow + 128) >> 8
        if scale <= 9:
            power, load = readings.power_of(g, f), readings.load(g, f)
            if hole.role == POWER:
                if load:
                    if known.load and abs(last) < 2**29:
                        found[7] = (last * load + known.load // 2) // known.load
                    found[8] = scaled(load, 6 if hole.kilo else 3, scale)
                total = readings.power_of(g, 0)
                if f == 0 and total is not None:
                    found[9] = scaled(total, 6 if hole.kilo else 3, scale)
            elif hole.role == ENERGY:
                elapsed = self.clock_ms - known.when
                if power is not None and known.when and 0 <= elapsed <= DAY_MS and scale <= 6:
                    step = energy_step(scale, hole.kilo)
                    rect = known.part + power * elapsed
                    trapezoid = known.part + (power + known.power) * elapsed // 2
                    found[8] = last + rect // step
                    found[9] = last + trapezoid // step
                    if known.costs[8] <= known.costs[9]:
                        leans[8] = (rect % step) * 8 // step
                    else:
                        leans[9] = (trapezoid % step) * 8 // step
            elif hole.role == FACTOR:
                if load and power is not None and scale <= 4:
                    found[10] = min(100 * 10**scale, (power * 100 * 10**scale + load // 2) // load)
            elif hole.role == SOC:
                if g in readings.energy and known.load > 0:
                    beyond = 256 * readings.energy[g] - known.mark
                    found[10] = last + beyond // known.load
                    leans[10] = (beyond % known.load) * 8 // known.load
            elif not hole.measure and self.state.register and scale == 0:
                found[10] = self.state.register
        return found, leans.get(known.best, 4)

    def learn(self, hole: Hole, was: NumberField, candidates: list[int], v: int) -> None:
        now = copy.copy(was)
        now.judge(candidates, v)
        now.delta, now.last = v - was.last, v
        if bits_of(v - candidates[was.best]) <= was.expected + 2:
            now.steps = min(was.steps + 1, 64)
            now.slow = was.slow + (256 * v - was.slow) // now.steps
            now.fast = was.fast + (256 * v - was.fast) // min(now.steps, 4)
        else:
            now.steps = 1
            now.slow = now.fast = 256 * v
        e = 256 * v - was.trend - was.slope
        if bits_of(e) > 50 or (was.run > 1 and bits_of(e) > was.expected + 10):
            now.run, now.trend, now.slope = 1, 256 * v, 0
        else:
            run = now.run = min(was.run + 1, 28)
            now.trend = was.trend + was.slope + (e * 2 * (2 * run - 1)) // (run * (run + 1))
            now.slope = was.slope + (e * 6) // (run * (run + 1))
        self.note(hole, now, was)
        self.set(hole, now)

    def note(self, hole: Hole, now: NumberField, before: NumberField | None) -> None:
        if not hole.measure:
            return
        g, f, readings = hole.group, hole.phase, self.readings
        readings.neighbour[hole.measure] = now
        if hole.role in (VOLTAGE, CURRENT, POWER):
            m = scaled(now.last, now.scale, 3)
            if hole.role == POWER and hole.kilo:
                m *= 1000
            if 0 <= m < 2**30:
                {VOLTAGE: readings.voltage, CURRENT: readings.current, POWER: readings.power}[hole.role][g, f] = m
            if hole.role == POWER:
                now.load = readings.load(g, f)
        elif hole.role == ENERGY:
            m = scaled(now.last, now.scale, 3 if hole.kilo else 0)
            if f == 0 and 0 <= m <= MAX:
                readings.energy[g] = m
            self.note_energy(hole, now, before)
            self.state.register = readings.energy.get(g, self.state.register)
        elif hole.role == SOC:
            self.note_charge(now, before, readings.energy.get(g))

    def note_energy(self, hole: Hole, now: NumberField, before: NumberField | None) -> None:
        p = self.readings.power_of(hole.group, hole.phase)
        if p is None or now.scale > 6:
            now.when = 0
            return
        step = energy_step(now.scale, hole.kilo)
        part = step // 2
        if before and before.when != 0 and before.scale == now.scale:
            elapsed = self.clock_ms - before.when
            rise = now.last - before.last
            if 0 <= elapsed <= DAY_MS and abs(rise) < 2**20:
                q = p if before.costs[8] <= before.costs[9] else (p + before.power) // 2
                part = before.part + q * elapsed - rise * step
                if part < 0:
                    part = 0 if part > -4 * step else step // 2
                elif part >= step:
                    part = step - 1 if part < 5 * step else step // 2
        now.part, now.power, now.when = part, p, self.clock_ms

    @staticmethod
    def note_charge(now: NumberField, before: NumberField | None, energy: int | None) -> None:
        if energy is None:
            now.mark = now.load = 0
            return
        e = 256 * energy
        if before is None or now.last < before.last or e < before.mark:
            now.mark = e
            return
        rise, step = now.last - before.last, before.load
        if rise == 0:
            if step and e - before.mark > step:
                now.mark = e - step
        elif step == 0:
            now.load = (e - before.mark) // rise
            now.mark = e
        else:
            now.mark = before.mark + rise * step
            if now.mark > e:
                now.mark = e
                now.load = step + ((e - before.mark) // rise - step) // 8

    def new_number(self, hole: Hole) -> str:
        h, reader = hole.name, self.reader
        neighbour = self.readings.neighbour.get(hole.measure) if hole.measure else None
        if neighbour and reader.bit(mix(h, 71)):
            quoted, scale = neighbour.quoted, neighbour.scale
            v = neighbour.last + reader.residual(mix(72, hole.role), mix(73, 0), 5, 4)
        else:
            quoted = reader.pair(mix(h, 74), 62)
            scale = reader.gamma(mix(h, 76))
            register = self.state.register
            if not hole.measure and scale == 0 and register and reader.bit(mix(h, 75)):
                v = register + reader.residual(mix(77, 0), mix(77, 1), 4, 4)
            else:
                negative = reader.bit(63)
                v = reader.gamma(mix(h, 78))
                v = -v if negative else v
        if scale > 18 or abs(v) > MAX:
            raise Refused("malformed", "a number that no text stands for")
        made = NumberField(quoted, scale, v)
        self.note(hole, made, None)
        self.set(hole, made)
        return number_token(quoted, scale, v)

    # Timestamps (5.12)

    def clock_in(self, digits: int) -> int:
        return int(self.state.clock // 10 ** (7 - digits))

    def time(self, hole: Hole, known: TimeField, limit: int) -> str:
        if not self.reader.pair(mix(hole.field, 40), 44):
            return self.new(hole, None, limit)
        t = self.clock_in(known.digits)
        predicted = known.candidates(t)[known.best]
        v = predicted + self.reader.residual(mix(hole.field, 46), mix(45 + known.digits, known.best), known.expected, 4)
        token = self.time_token(known.digits, known.ending, v)
        self.set(hole, known.learned(t, v))
        return token

    def new_time(self, hole: Hole) -> str:
        digits = self.reader.choice(3, mix(80, 0))
        ending = "Z"
        if not self.reader.bit(mix(81, digits)):
            ending = self.state.texts.characters(self.reader, 82, 16).decode("latin-1")
        t = self.clock_in(digits)
        lead = self.reader.residual(mix(83, digits), mix(84, 0), 24 if self.state.clock == 0 else 6, 4)
        token = self.time_token(digits, ending, t + lead)
        self.set(hole, TimeField(digits, ending, t + lead, lead))
        return token

    def time_token(self, digits: int, ending: str, v: int) -> str:
        """The token of a timestamp, which becomes the clock."""
        unit = 10**digits
        if not ENDING.fullmatch(ending) or not 0 <= v < 2**32 * unit or (digits and (ending.startswith(".") or v % unit == 0)):
            raise Refused("malformed", "a timestamp that no text stands for")
        self.state.clock = v * 10 ** (7 - digits)
        seconds, fraction = divmod(v, unit)
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
        dot = f".{fraction:0{digits}}" if digits else ""
        return f'"{moment:%Y-%m-%dT%H:%M:%S}{dot}{ending}"'

    # Texts (5.13)

    def text(self, hole: Hole, recent: list[int], limit: int) -> str:
        h, reader, strings = hole.name, self.reader, self.state.strings
        if len(recent) > 1 and reader.pair(mix(hole.field, 66), 56):
            i = reader.gamma(mix(67, 0)) + 1
            if i >= len(recent) or recent[i] not in strings.slots:
                raise Refused("malformed", "one of the recent that isn't there")
            token = strings.slots[recent[i]][1]
        elif reader.pair(mix(h, 57), 58):
            token = '""'
        elif strings.slots and reader.pair(mix(h, 59), 60):
            token = strings.slots[strings.of_rank(reader.gamma(mix(61, 0)))][1]
        else:
            hint = strings.slots[recent[0]][1] if recent and recent[0] in strings.slots else ""
            token = self.state.texts.literal(reader, h, hint, limit)
        number = strings.number_of(token)
        size = len(token.encode())
        if number is not None:
            strings.use(number)
        elif size <= 512:
            number = strings.insert(token, token, size)
        kept = [] if number is None else [number]
        kept += [other for other in recent if other != number]
        self.set(hole, TextField(kept[:6]))
        return str(token)


def energy_step(scale: int, kilo: bool) -> int:
    return 3_600_000_000 * (1000 if kilo else 1) // int(10**scale)


def number_token(quoted: int, scale: int, mantissa: int) -> str:
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    text = ("-" if mantissa < 0 else "") + digits[: len(digits) - scale] + ("." + digits[-scale:] if scale else "")
    return f'"{text}"' if quoted else text
