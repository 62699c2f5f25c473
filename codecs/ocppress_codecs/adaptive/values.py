"""One value of a message: as its field foresees it, or as it stands."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from ocppress_codecs.account import Part
from ocppress_codecs.adaptive import clocks, forecasts
from ocppress_codecs.adaptive.coder import Coder
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.fields import NumberField, TextField, TimeField, expected_length
from ocppress_codecs.adaptive.forecasts import EVEN, Readings
from ocppress_codecs.adaptive.literals import code_literal
from ocppress_codecs.adaptive.model import Model, Shape
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma, code_residual
from ocppress_codecs.adaptive.plans import ENERGY, Hole
from ocppress_codecs.adaptive.skeletons import MANTISSA_MAX
from ocppress_codecs.errors import Malformed
from ocppress_codecs.jsontext import JsonError, tokens
from ocppress_codecs.scalars import TENS, Number, Scalar, Text, Time, valid_number, valid_time

__all__ = ["code_value"]

_NUMBER: Final = 0
_TIME: Final = 1
_TEXT: Final = 2

_RECENT_MAX: Final = 6
"""Strings that a field remembers to have had."""


def code_value(coder: Coder, model: Model, shape: Shape, place: int, value: Scalar | None, readings: Readings, limit: int) -> Scalar:
    """The value in hole `place` of `shape`; `value` is None for a reader. Raises `DecodeError`."""
    coder.check_work()
    hole = shape.plan.holes[place]
    number = model.fields.find(hole.field)
    field = model.fields.items[number] if number >= 0 else None
    if isinstance(field, NumberField):
        found = _number(coder, model, hole, number, field, value, readings, limit)
    elif isinstance(field, TimeField):
        found = _time(coder, model, hole, number, field, value, readings, limit)
    else:
        found = _text(coder, model, shape, hole, field if isinstance(field, TextField) else None, value, readings, limit)
    if isinstance(found, Time):
        model.clock = clocks.clock_of(found.value, found.digits)
    return found


def _number(
    coder: Coder, model: Model, hole: Hole, number: int, field: NumberField, value: Scalar | None, readings: Readings, limit: int
) -> Scalar:
    scale = field.scale
    mantissa: i64 = 0
    stripped: i64 = 0
    regular: i64 = 0
    finer: i64 = 0
    if isinstance(value, Number) and value.quoted == field.quoted:
        if value.scale <= scale:
            stripped = scale - value.scale
            whole = value.mantissa * TENS[stripped]
            if -MANTISSA_MAX <= whole <= MANTISSA_MAX:
                regular = 1
                mantissa = whole
        else:
            mantissa = value.mantissa
            finer = value.scale - scale
            if not field.fits(finer):
                finer = 0
    own = mixed(hole.field, 40)
    if not coder.pair(own, 41, regular):
        if not coder.pair(own + 1, 64, 1 if finer else 0):
            return _other(coder, model, hole, None, value, readings, limit)
        finer = code_gamma(coder, mixed(65, 0), finer - 1) + 1
        if not field.fits(finer):
            raise Malformed("a number with more digits than fit")
        field = field.finer(finer)
        scale = field.scale
    clock_ms = model.clock // 10_000
    made = forecasts.forecast(field, hole, readings, clock_ms, model.register_wh)
    expected = expected_length(field.size)
    residual = code_residual(
        coder,
        mixed(hole.field, 46),
        mixed(42 + hole.role, made.best),
        expected,
        made.lean,
        mantissa - made.predicted,
    )
    if coder.account is not None:
        coder.account.tell(Part.NUMBERS, forecasts.WAYS[made.best], residual)
    mantissa = made.predicted + residual
    if not -MANTISSA_MAX <= mantissa <= MANTISSA_MAX:
        raise Malformed("a number of more than 48 bits")
    # A number that ends in zeros may be written without them.
    shorter = mantissa
    zeros: i64 = 0
    while zeros < scale and shorter % 10 == 0:
        if not coder.pair(own + 0x11 + (zeros if zeros < 3 else 3), 43, 1 if stripped > zeros else 0):
            break
        shorter //= 10
        zeros += 1
    after = forecasts.learn(field, hole, readings, clock_ms, made, mantissa)
    model.fields.replace(number, after)
    if hole.role == ENERGY:
        model.register_wh = readings.energy.get(hole.group, model.register_wh)
    return Number(field.quoted, scale - zeros, shorter)


def _time(
    coder: Coder, model: Model, hole: Hole, number: int, field: TimeField, value: Scalar | None, readings: Readings, limit: int
) -> Scalar:
    digits = field.digits
    regular = 1 if isinstance(value, Time) and value.digits == digits and value.ending == field.ending else 0
    if not coder.pair(mixed(hole.field, 40), 44, regular):
        return _other(coder, model, hole, None, value, readings, limit)
    clock = clocks.in_digits(model.clock, digits)
    candidates = clocks.candidates_of(field, clock)
    best = field.best
    predicted = candidates[best]
    residual = code_residual(
        coder,
        mixed(hole.field, 46),
        mixed(45 + digits, best),
        expected_length(field.size),
        EVEN,
        value.value - predicted if isinstance(value, Time) else 0,
    )
    if coder.account is not None:
        coder.account.tell(Part.TIMES, clocks.WAYS[best], residual)
    found = Time(digits, field.ending, predicted + residual)
    if not valid_time(found):
        raise Malformed("a timestamp that no text stands for")
    model.fields.replace(number, clocks.learn(field, clock, candidates, predicted, found.value))
    return found


def _text(
    coder: Coder, model: Model, shape: Shape, hole: Hole, field: TextField | None, value: Scalar | None, readings: Readings, limit: int
) -> Scalar:
    if field is None:
        return _other(coder, model, hole, None, value, readings, limit)
    token = model.string(field.recent[0]) if field.recent else None
    if token is not None:
        same = 1 if isinstance(value, Text) and value.token == token else 0
        own = mixed(hole.field, shape.context)
        if coder.pair(own, mixed(hole.field, 53), same):
            model.strings.touch(field.recent[0])
            if coder.account is not None:
                coder.account.tell(Part.REFERENCES, "as last time")
            return Text(token)
    return _other(coder, model, hole, field, value, readings, limit)


def _other(coder: Coder, model: Model, hole: Hole, field: TextField | None, value: Scalar | None, readings: Readings, limit: int) -> Scalar:
    """A value that its field, if it has one, doesn't foresee."""
    name = hole.name
    kind = _NUMBER if isinstance(value, Number) else _TIME if isinstance(value, Time) else _TEXT
    own = mixed(name, 70)
    if coder.pair(own, 54, 1 if kind == _TEXT else 0):
        found = _string(coder, model, hole, field, value.token if isinstance(value, Text) else "", limit)
        return found
    if coder.pair(own + 1, 55, 1 if kind == _TIME else 0):
        return _first_time(coder, model, hole, value)
    return _first_number(coder, model, hole, value, readings)


def _string(coder: Coder, model: Model, hole: Hole, field: TextField | None, token: str, limit: int) -> Text:
    recent = field.recent if field is not None else []
    found = ""
    # The last one is known not to be it.
    place = -1
    if len(recent) > 1:
        for rank in range(1, len(recent)):
            if coder.writing and model.string(recent[rank]) == token:
                place = rank - 1
                break
        if coder.pair(mixed(hole.field, 66), 56, 1 if place >= 0 else 0):
            place = code_gamma(coder, mixed(67, 0), max(place, 0)) + 1
            if place >= len(recent):
                raise Malformed("a string of a field that isn't there")
            found = model.string(recent[place]) or ""
            if not found:
                raise Malformed("a string that is forgotten")
            if coder.account is not None:
                coder.account.tell(Part.REFERENCES, "as some time before")
    if not found:
        found = _any_string(coder, model, hole, token, (model.string(recent[0]) if recent else None) or "", limit)
    number = model.remember_string(found)
    kept = [number] if number >= 0 else []
    for old in recent:
        if old != number and len(kept) < _RECENT_MAX:
            kept.append(old)
    model.set_field(hole.field, TextField(kept))
    return Text(found)


def _any_string(coder: Coder, model: Model, hole: Hole, token: str, hint: str, limit: int) -> str:
    name = hole.name
    if coder.pair(mixed(name, 57), 58, 1 if token == '""' else 0):
        if coder.account is not None:
            coder.account.tell(Part.STRINGS, "empty")
        return '""'
    strings = model.strings
    if strings.numbers:
        number = strings.find(token) if coder.writing else -1
        if coder.pair(mixed(name, 59), 60, 1 if number >= 0 else 0):
            ranked = strings.ranked()
            rank = code_gamma(coder, mixed(61, 0), ranked.index(number) if number >= 0 else 0)
            if rank >= len(ranked):
                raise Malformed("a string that isn't there")
            if coder.account is not None:
                coder.account.tell(Part.REFERENCES, "known from elsewhere")
            return strings.items[ranked[rank]] or ""
    found = code_literal(coder, model, token, name, hint, limit)
    if not coder.writing:
        _check(found, hole)
    return found


def _check(token: str, hole: Hole) -> None:
    """A token from outside must be one string or number that the writer would have called a text. Raises `Malformed`."""
    try:
        parts = tokens(token)
    except JsonError as error:
        raise Malformed(f"a value that is not JSON: {error.reason}") from None
    if len(parts) != 1 or parts[0] != token or token[0] not in '"-0123456789':
        raise Malformed("a value that is not a string or number")


def _first_time(coder: Coder, model: Model, hole: Hole, value: Scalar | None) -> Time:
    given = value if isinstance(value, Time) else None
    digits = code_choice(coder, mixed(80, 0), 3, given.digits if given else 0)
    zulu = coder.bit(mixed(81, digits), 1 if given and given.ending == "Z" else 0)
    ending = "Z"
    if not zulu:
        data = model.characters.code(coder, given.ending.encode() if given else b"", 82, b"", -1, 16)
        ending = data.decode("latin-1")
    clock = clocks.in_digits(model.clock, digits)
    residual = code_residual(
        coder, mixed(83, digits), mixed(84, 0), 24 if model.clock == 0 else 6, EVEN, given.value - clock if given else 0
    )
    if coder.account is not None:
        coder.account.tell(Part.TIMES, "first of its kind: by the clock", residual)
    found = Time(digits, ending, clock + residual)
    if not valid_time(found):
        raise Malformed("a timestamp that no text stands for")
    model.set_field(hole.field, TimeField(digits, ending, found.value, residual))
    return found


def _first_number(coder: Coder, model: Model, hole: Hole, value: Scalar | None, readings: Readings) -> Number:
    given = value if isinstance(value, Number) else None
    name = hole.name
    neighbour = readings.neighbours.get(hole.measure) if hole.measure else None
    like = 0
    if neighbour is not None:
        like = coder.bit(mixed(name, 71), 1 if given and given.quoted == neighbour.quoted and given.scale == neighbour.scale else 0)
    if like and neighbour is not None:
        residual = code_residual(coder, mixed(72, hole.role), mixed(73, 0), 5, EVEN, given.mantissa - neighbour.last if given else 0)
        found = Number(neighbour.quoted, neighbour.scale, neighbour.last + residual)
    else:
        quoted = coder.pair(mixed(name, 74), 62, 1 if given and given.quoted else 0)
        scale = code_gamma(coder, mixed(name, 76), given.scale if given else 0)
        register = model.register_wh if not hole.measure and scale == 0 else 0
        near = 0
        if register:
            near = coder.bit(mixed(name, 75), 1 if given and abs(given.mantissa - register) * 8 <= register else 0)
        if near:
            mantissa = register + code_residual(coder, mixed(77, 0), mixed(77, 1), 4, EVEN, given.mantissa - register if given else 0)
        else:
            negative = coder.bit(63, 1 if given and given.mantissa < 0 else 0)
            mantissa = code_gamma(coder, mixed(name, 78), abs(given.mantissa) if given else 0)
            if negative:
                mantissa = -mantissa
        found = Number(bool(quoted), scale, mantissa)
    if not valid_number(found) or not -MANTISSA_MAX <= found.mantissa <= MANTISSA_MAX:
        raise Malformed("a number that no text stands for")
    if coder.account is not None:
        coder.account.tell(Part.NUMBERS, "first of its kind")
    field = NumberField(found.quoted, found.scale, found.mantissa)
    forecasts.note(field, hole, readings, model.clock // 10_000, None)
    if hole.role == ENERGY:
        model.register_wh = readings.energy.get(hole.group, model.register_wh)
    model.set_field(hole.field, field)
    return found
