"""A direction's state from the bytes of `saving`: of a file or database that anybody may have written to.

So a right hash says nothing. Each value must be one that coding can have led to, or at least one that it can go on from without leaving 63 bits; each text
one that a message can be made of; and what is taken is saved as the same bytes again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeVar, final

from librt.vecs import vec
from mypy_extensions import i64

from ocppress_codecs.adaptive.characters import INPUTS, SETS
from ocppress_codecs.adaptive.contexts import COUNT_BITS, COUNT_MAX, TABLE_SIZE
from ocppress_codecs.adaptive.fields import CANDIDATES, COST_MAX, TIME_CANDIDATES, Field, NumberField, TextField, TimeField
from ocppress_codecs.adaptive.first_sight import shape_of
from ocppress_codecs.adaptive.history import HISTORY_BYTES_MAX
from ocppress_codecs.adaptive.model import SHAPE_BYTES_MAX, STRING_BYTES_MAX, WORD_BYTES_MAX, Knowledge, Model
from ocppress_codecs.adaptive.saving import (
    CHAIN_BYTES,
    FINGERPRINT_BYTES,
    HASH_BYTES,
    HEAD,
    MODEL_BYTES_MAX,
    NOTES_SAVED,
    NUMBER,
    NUMBER_FIELD,
    PROGRESS,
    SCALARS,
    SLOT,
    TEXT,
    TEXT_BYTES_MAX,
    TIME,
    TIME_FIELD,
    VERSION,
    hash_of,
)
from ocppress_codecs.adaptive.skeletons import MANTISSA_MAX
from ocppress_codecs.adaptive.slots import Slots
from ocppress_codecs.carriage import CALL_NUMBER_MAX, Progress
from ocppress_codecs.errors import IntegrityError, LimitExceeded, Malformed, Truncated
from ocppress_codecs.jsontext import is_string_or_number
from ocppress_codecs.scalars import CLOCK_DIGITS, SCALE_MAX, Time, valid_time

__all__ = ["Restored", "restored"]

_Key = TypeVar("_Key")
_Item = TypeVar("_Item")
_Range = tuple[int, int]

_TICKS_MAX: Final = 2**32 * 10**CLOCK_DIGITS
"""Timestamps, in their smallest unit."""

_SCALAR_RANGES: Final[tuple[_Range, ...]] = (
    (0, _TICKS_MAX),  # clock
    (0, MANTISSA_MAX),  # register_wh
    (0, 2**32 - 1),  # subject
    (0, 2**32 - 1),  # before
    (0, 7),  # kinds
    (0, 2**48 - 1),  # run
    (0, 2**32 - 1),  # lengths
)

_EXACT_MAX: Final = MANTISSA_MAX << 8
_SIZE_MAX: Final = 600
"""A running bit length, in 8ths, of numbers of at most 63 bits; a larger one would only fall."""

_NUMBER_RANGES: Final[tuple[_Range, ...]] = (
    (0, 1),  # quoted
    (0, SCALE_MAX),
    (-MANTISSA_MAX, MANTISSA_MAX),  # last
    (-2 * MANTISSA_MAX, 2 * MANTISSA_MAX),  # delta
    (-_EXACT_MAX, _EXACT_MAX),  # fast
    (-_EXACT_MAX, _EXACT_MAX),  # slow
    (-4 * _EXACT_MAX, 4 * _EXACT_MAX),  # trend
    (-8 * _EXACT_MAX, 8 * _EXACT_MAX),  # slope
    (-(2**43), 2**43),  # part
    (0, 255),  # run
    (0, 255),  # steps
    (0, CANDIDATES - 1),  # best
    *((0, 64 * COST_MAX) for _ in range(CANDIDATES)),
    (0, _SIZE_MAX),
    (0, _EXACT_MAX),  # load
    (0, 2**33),  # power
    (0, 2**42),  # when
    (0, _EXACT_MAX),  # mark
)
_TIME_RANGES: Final[tuple[_Range, ...]] = (
    (0, CLOCK_DIGITS),
    (0, _TICKS_MAX),  # last
    (-_TICKS_MAX, _TICKS_MAX),  # delta
    (-_TICKS_MAX, _TICKS_MAX),  # lead
    (-(2**50), _TICKS_MAX << 6),  # anchor
    (0, 2**46),  # period
    (-(2**50), _TICKS_MAX << 6),  # runner
    (-(2**50), 2**50),  # pace
    (0, 255),  # steps
    (0, TIME_CANDIDATES - 1),  # best
    *((0, 64 * COST_MAX) for _ in range(TIME_CANDIDATES)),
    (0, _SIZE_MAX),
    (0, 16),  # bytes of the ending
)
"""In the order of the fields' layouts."""


@final
class Restored:
    """What `saved` was given."""

    __slots__ = ("call_count", "model", "notes", "progress")

    def __init__(self, model: Model, progress: Progress, call_count: int, notes: list[int]) -> None:
        self.model: Model = model
        self.progress: Progress = progress
        self.call_count: int = call_count
        self.notes: list[int] = notes


def restored(data: bytes, knowledge: Knowledge) -> Restored:
    """The reverse of `saved`. Raises `DecodeError`: `IntegrityError` for damaged bytes, others for what isn't a state of this release and prior."""
    size_max = 1 + FINGERPRINT_BYTES + 4 + MODEL_BYTES_MAX + 4 + TEXT_BYTES_MAX + PROGRESS.size + CHAIN_BYTES + 4 * NOTES_SAVED + HASH_BYTES
    if len(data) > size_max:
        raise LimitExceeded("state_bytes", size_max, len(data))
    content = data[:-HASH_BYTES]
    if len(data) < 1 + FINGERPRINT_BYTES + HASH_BYTES or data[0] != VERSION:
        raise Malformed("not a state of this release")
    if hash_of(content) != data[-HASH_BYTES:]:
        raise IntegrityError("the saved state is damaged")
    if content[1 : 1 + FINGERPRINT_BYTES] != knowledge.fingerprint:
        raise Malformed("a state that was saved with another prior")
    reader = _Reader(content, 1 + FINGERPRINT_BYTES)
    state = reader.block()
    text = reader.block()
    call_count, next_answer, count = reader.unpack(PROGRESS)
    chain = reader.take(CHAIN_BYTES)
    if max(call_count, next_answer) > CALL_NUMBER_MAX + 1 or count != min(call_count, NOTES_SAVED):
        raise Malformed("a progress that no direction makes")
    notes = list(reader.unpack(struct.Struct(f">{count}I")))
    model = Model(knowledge)
    _read_model(model, state)
    _read_text(model, text)
    for part in (reader, state, text):
        part.check_end()
    model.keep()
    return Restored(model, Progress(call_count, next_answer, chain), call_count, notes)


def _read_model(model: Model, reader: _Reader) -> None:
    probabilities = reader.unpack(struct.Struct(f">{TABLE_SIZE}H"))
    counts: list[int] = []
    packed = reader.take(TABLE_SIZE * COUNT_BITS // 8)
    for place in range(0, len(packed), 3):
        four = int.from_bytes(packed[place : place + 3], "big")
        counts += [four >> shift & COUNT_MAX for shift in (18, 12, 6, 0)]
    model.table.restore([probability << COUNT_BITS | count for probability, count in zip(probabilities, counts, strict=True)])
    weights = reader.unpack(struct.Struct(f">{INPUTS * SETS}i"))
    model.characters.weights = vec[i64](weights)
    for successors in (model.shape_following, model.following):
        sets = reader.unpack(struct.Struct(f">{len(successors.sets)}Q"))
        if max(sets) >> 62:
            raise Malformed("a set of successors of more than 62 bits")
        successors.sets = vec[i64](sets)
    scalars = reader.unpack(SCALARS)
    _check(scalars, _SCALAR_RANGES)
    model.set_scalars(vec[i64](scalars))
    while not reader.at_end:
        number, key, kind = reader.unpack(HEAD)
        _put(model.fields, number, key, _read_field(reader, kind), 1)


def _read_field(reader: _Reader, kind: int) -> Field:
    if kind == NUMBER:
        values = reader.unpack(NUMBER_FIELD)
        _check(values, _NUMBER_RANGES)
        field = NumberField(bool(values[0]), values[1], values[2])
        (field.delta, field.fast, field.slow, field.trend, field.slope, field.part, field.run, field.steps, field.best) = values[3:12]
        field.costs = vec[i64](values[12 : 12 + CANDIDATES])
        (field.size, field.load, field.power, field.when, field.mark) = values[12 + CANDIDATES :]
        return field
    if kind == TIME:
        values = reader.unpack(TIME_FIELD)
        _check(values, _TIME_RANGES)
        time = TimeField(values[0], reader.text(values[-1]), values[1], values[3])
        time.delta = values[2]
        (time.anchor, time.period, time.runner, time.pace, time.steps, time.best) = values[4:10]
        time.costs = vec[i64](values[10 : 10 + TIME_CANDIDATES])
        time.size = values[10 + TIME_CANDIDATES]
        if not valid_time(Time(time.digits, time.ending, time.last)):
            raise Malformed("a timestamp that no text stands for")
        return time
    if kind != TEXT:
        raise Malformed(f"a field of kind {kind}")
    return TextField(list(reader.take(reader.take(1)[0])))


def _read_text(model: Model, reader: _Reader) -> None:
    for number, text in reader.texts(SHAPE_BYTES_MAX):
        shape = shape_of(text)
        _put(model.shapes, number, shape.skeleton, shape, shape.text_bytes)
    for number, text in reader.texts(WORD_BYTES_MAX):
        _put(model.words, number, text, text, len(text.encode()))
    for number, text in reader.texts(STRING_BYTES_MAX):
        if not is_string_or_number(text):
            raise Malformed("a string that is none")
        _put(model.strings, number, text, text, len(text.encode()))
    history = reader.rest()
    if len(history) > HISTORY_BYTES_MAX:
        raise LimitExceeded("history_bytes", HISTORY_BYTES_MAX, len(history))
    model.characters.history.restore(history)


def _put(slots: Slots[_Key, _Item], number: int, key: _Key, item: _Item, weight: int) -> None:
    """An item in the place where it was, used later than those before it."""
    if number >= slots.capacity or slots.weight + weight > slots.weight_max:
        raise Malformed("more remembered than is allowed")
    if slots.find(key) >= 0 or (number < len(slots.keys) and slots.keys[number] is not None):
        raise Malformed("something remembered twice")
    slots.restore(number, key, item, weight)


def _check(values: Sequence[int], ranges: Sequence[_Range]) -> None:
    for value, (least, most) in zip(values, ranges, strict=True):
        if not least <= value <= most:
            raise Malformed("a value that no field has")


@final
class _Reader:
    """Reads what was saved. Everything raises `Truncated` where the bytes end too early."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data: bytes = data
        self._position: int = position

    @property
    def at_end(self) -> bool:
        return self._position == len(self._data)

    def check_end(self) -> None:
        if not self.at_end:
            raise Malformed("bytes after a state's end")

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._position:
            raise Truncated("a saved state")
        self._position += size
        return self._data[self._position - size : self._position]

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)

    def block(self) -> _Reader:
        return _Reader(self.take(int.from_bytes(self.take(4), "big")), 0)

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        return form.unpack(self.take(form.size))

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise Malformed("text that is not UTF-8") from None

    def texts(self, size_max: int) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        for _ in range(int.from_bytes(self.take(2), "big")):
            number, size = self.unpack(SLOT)
            if size > size_max:
                raise LimitExceeded("remembered_bytes", size_max, size)
            found.append((number, self.text(size)))
        return found
