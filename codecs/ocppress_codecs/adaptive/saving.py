"""A direction's state as bytes, so that a context outlives a connection or a restart. Both ends get the same bytes after the same frame.

    ┌─────────┬─────────────┬───────────────┬───────────────┬──────────┬────────────┐
    │ version │ fingerprint │ u32 n, n bytes│ u32 n, n bytes│ progress │ BLAKE2s-128│
    │ u8      │ of the prior│ model         │ text          │ and CALLs│ of all this│
    └─────────┴─────────────┴───────────────┴───────────────┴──────────┴────────────┘

Integers have a fixed size and are big-endian; `model` is at most MODEL_BYTES_MAX, `text` at most TEXT_BYTES_MAX, whatever was carried.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from typing import Final, final

from ocppress_codecs.adaptive.characters import INPUTS, SETS
from ocppress_codecs.adaptive.contexts import COUNT_BITS, COUNT_MAX, TABLE_SIZE, table_of
from ocppress_codecs.adaptive.fields import CANDIDATES, TIME_CANDIDATES, Field, NumberField, TextField, TimeField
from ocppress_codecs.adaptive.model import Knowledge, Model, Shape
from ocppress_codecs.adaptive.slots import Slots
from ocppress_codecs.carriage import Progress
from ocppress_codecs.errors import IntegrityError, Malformed
from ocppress_codecs.interface import CallLog

__all__ = ["MODEL_BYTES_MAX", "TEXT_BYTES_MAX", "Restored", "restored", "saved"]

MODEL_BYTES_MAX: Final = 64 * 1024
TEXT_BYTES_MAX: Final = 64 * 1024

NOTES_SAVED: Final = 256
"""CALLs whose notes are saved: those that an answer may still be foreseen by, and those on their way."""

_VERSION: Final = 1
_HASH_BYTES: Final = 16
_FINGERPRINT_BYTES: Final = 16

_NUMBER: Final = 1
_TIME: Final = 2
_TEXT: Final = 3

_HEAD: Final = struct.Struct(">HIIB")
"""Of a field: number, key, stamp, kind."""

_NUMBER_FIELD: Final = struct.Struct(f">BBqqqqqqqBBB{CANDIDATES}HHqqqq")
_TIME_FIELD: Final = struct.Struct(f">BqqqqqqqBB{TIME_CANDIDATES}HHB")
_SLOT: Final = struct.Struct(">HIH")
"""Of a text: number, stamp, bytes that follow."""

_CHAIN_BYTES: Final = 16
_PROGRESS: Final = struct.Struct(">QQH")
_SCALARS: Final = struct.Struct(">7Q")
_CLOCKS: Final = struct.Struct(">4I")


@final
class Restored:
    """What `saved` was given."""

    __slots__ = ("call_count", "model", "notes", "progress")

    def __init__(self, model: Model, progress: Progress, call_count: int, notes: list[int]) -> None:
        self.model: Model = model
        self.progress: Progress = progress
        self.call_count: int = call_count
        self.notes: list[int] = notes


def saved(model: Model, progress: Progress, calls: CallLog) -> bytes:
    """The state of a direction whose last frame is kept."""
    state = model_bytes(model)
    text = text_bytes(model)
    notes = calls.newest_notes(NOTES_SAVED)
    content = b"".join(
        [
            bytes((_VERSION,)),
            model.knowledge.fingerprint,
            len(state).to_bytes(4, "big"),
            state,
            len(text).to_bytes(4, "big"),
            text,
            _PROGRESS.pack(progress.call_count, progress.next_answer, len(notes)),
            progress.chain,
            struct.pack(f">{len(notes)}I", *notes),
        ]
    )
    return content + _hash(content)


def restored(data: bytes, knowledge: Knowledge) -> Restored:
    """The reverse of `saved`. Raises `Malformed` for other bytes, or of another release or prior, `IntegrityError` for damaged ones."""
    content = data[:-_HASH_BYTES]
    if len(data) < 1 + _FINGERPRINT_BYTES + _HASH_BYTES or data[0] != _VERSION:
        raise Malformed("not a state of this release")
    if _hash(content) != data[-_HASH_BYTES:]:
        raise IntegrityError("the saved state is damaged")
    if content[1 : 1 + _FINGERPRINT_BYTES] != knowledge.fingerprint:
        raise Malformed("a state that was saved with another prior")
    reader = _Reader(content, 1 + _FINGERPRINT_BYTES)
    state = reader.block()
    text = reader.block()
    call_count, next_answer, count = reader.unpack(_PROGRESS)
    chain = reader.take(_CHAIN_BYTES)
    notes = list(reader.unpack(struct.Struct(f">{count}I")))
    model = Model(knowledge)
    _read_model(model, _Reader(state, 0))
    _read_text(model, _Reader(text, 0))
    model.keep()
    return Restored(model, Progress(call_count, next_answer, chain), call_count, notes)


def model_bytes(model: Model) -> bytes:
    """Statistics, fields and successors."""
    states = model.states
    parts = [
        struct.pack(f">{TABLE_SIZE}H", *(state >> COUNT_BITS for state in states)),
        _packed_counts(states),
        struct.pack(f">{INPUTS * SETS}i", *(weight for group in model.characters.weights for weight in group)),
        struct.pack(f">{len(model.shape_following.sets)}Q", *model.shape_following.sets),
        struct.pack(f">{len(model.following.sets)}Q", *model.following.sets),
        _SCALARS.pack(*model.scalars()),
        _CLOCKS.pack(model.shapes.clock, model.words.clock, model.fields.clock, model.strings.clock),
    ]
    fields = model.fields
    for number, key in enumerate(fields.keys):
        field = fields.items[number]
        if key is not None and field is not None:
            parts.append(_field_bytes(number, key, fields.stamps[number], field))
    return b"".join(parts)


def text_bytes(model: Model) -> bytes:
    """Skeletons, their words, strings, and the remembered text."""
    return b"".join([*_texts(model.shapes), *_texts(model.words), *_texts(model.strings), model.characters.history.own.text])


def _texts(slots: Slots[str, str] | Slots[str, Shape]) -> list[bytes]:
    parts = [len(slots.numbers).to_bytes(2, "big")]
    for number, key in enumerate(slots.keys):
        if key is not None:
            data = key.encode()
            parts.append(_SLOT.pack(number, slots.stamps[number], len(data)))
            parts.append(data)
    return parts


def _packed_counts(states: array[int]) -> bytes:
    """Counts, four in three bytes."""
    parts = bytearray()
    for place in range(0, TABLE_SIZE, 4):
        packed = 0
        for state in states[place : place + 4]:
            packed = packed << COUNT_BITS | state & COUNT_MAX
        parts += packed.to_bytes(3, "big")
    return bytes(parts)


def _field_bytes(number: int, key: int, stamp: int, field: Field) -> bytes:
    if isinstance(field, NumberField):
        return _HEAD.pack(number, key, stamp, _NUMBER) + _NUMBER_FIELD.pack(
            field.quoted,
            field.scale,
            field.last,
            field.delta,
            field.fast,
            field.slow,
            field.trend,
            field.slope,
            field.part,
            field.run,
            field.steps,
            field.best,
            *field.costs,
            field.size,
            field.load,
            field.power,
            field.when,
            field.mark,
        )
    if isinstance(field, TimeField):
        ending = field.ending.encode()
        return (
            _HEAD.pack(number, key, stamp, _TIME)
            + _TIME_FIELD.pack(
                field.digits,
                field.last,
                field.delta,
                field.lead,
                field.anchor,
                field.period,
                field.runner,
                field.pace,
                field.steps,
                field.best,
                *field.costs,
                field.size,
                len(ending),
            )
            + ending
        )
    assert isinstance(field, TextField)
    return _HEAD.pack(number, key, stamp, _TEXT) + bytes((len(field.recent), *field.recent))


def _read_model(model: Model, reader: _Reader) -> None:
    probabilities = reader.unpack(struct.Struct(f">{TABLE_SIZE}H"))
    counts: list[int] = []
    packed = reader.take(TABLE_SIZE * COUNT_BITS // 8)
    for place in range(0, len(packed), 3):
        four = int.from_bytes(packed[place : place + 3], "big")
        counts += [four >> shift & COUNT_MAX for shift in (18, 12, 6, 0)]
    model.states = table_of([probability << COUNT_BITS | count for probability, count in zip(probabilities, counts, strict=True)])
    weights = reader.unpack(struct.Struct(f">{INPUTS * SETS}i"))
    model.characters.weights = [list(weights[place : place + INPUTS]) for place in range(0, len(weights), INPUTS)]
    model.shape_following.sets = list(reader.unpack(struct.Struct(f">{len(model.shape_following.sets)}Q")))
    model.following.sets = list(reader.unpack(struct.Struct(f">{len(model.following.sets)}Q")))
    model.set_scalars(reader.unpack(_SCALARS))
    model.shapes.clock, model.words.clock, model.fields.clock, model.strings.clock = reader.unpack(_CLOCKS)
    while not reader.at_end:
        number, key, stamp, kind = reader.unpack(_HEAD)
        model.fields.restore(number, key, _read_field(reader, kind), 1, stamp)


def _read_field(reader: _Reader, kind: int) -> Field:
    if kind == _NUMBER:
        values = reader.unpack(_NUMBER_FIELD)
        field = NumberField(bool(values[0]), values[1], values[2])
        (field.delta, field.fast, field.slow, field.trend, field.slope, field.part, field.run, field.steps, field.best) = values[3:12]
        field.costs = list(values[12 : 12 + CANDIDATES])
        (field.size, field.load, field.power, field.when, field.mark) = values[12 + CANDIDATES :]
        return field
    if kind == _TIME:
        values = reader.unpack(_TIME_FIELD)
        time = TimeField(values[0], "", values[1], values[3])
        time.delta = values[2]
        (time.anchor, time.period, time.runner, time.pace, time.steps, time.best) = values[4:10]
        time.costs = list(values[10 : 10 + TIME_CANDIDATES])
        time.size = values[10 + TIME_CANDIDATES]
        time.ending = reader.take(values[-1]).decode()
        return time
    return TextField(list(reader.take(reader.take(1)[0])))


def _read_text(model: Model, reader: _Reader) -> None:
    for number, stamp, text in reader.texts():
        shape = Shape(text)
        model.shapes.restore(number, text, shape, shape.text_bytes, stamp)
    for number, stamp, text in reader.texts():
        model.words.restore(number, text, text, len(text.encode()), stamp)
    for number, stamp, text in reader.texts():
        model.strings.restore(number, text, text, len(text.encode()), stamp)
    model.characters.history.restore(reader.rest())


def _hash(content: bytes) -> bytes:
    return hashlib.blake2s(content, digest_size=_HASH_BYTES).digest()


@final
class _Reader:
    """Reads what was saved; its hash was right, so it is well-formed."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data: bytes = data
        self._position: int = position

    @property
    def at_end(self) -> bool:
        return self._position == len(self._data)

    def take(self, size: int) -> bytes:
        self._position += size
        return self._data[self._position - size : self._position]

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)

    def block(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        return form.unpack(self.take(form.size))

    def texts(self) -> list[tuple[int, int, str]]:
        found: list[tuple[int, int, str]] = []
        for _ in range(int.from_bytes(self.take(2), "big")):
            number, stamp, size = self.unpack(_SLOT)
            found.append((number, stamp, self.take(size).decode()))
        return found
