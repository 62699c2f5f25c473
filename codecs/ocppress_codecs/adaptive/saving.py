"""A direction's state as bytes, so that a context outlives a connection or a restart. Both ends get the same bytes after the same frame.

    ┌─────────┬─────────────┬───────────────┬───────────────┬──────────┬────────────┐
    │ version │ fingerprint │ u32 n, n bytes│ u32 n, n bytes│ progress │ BLAKE2s-128│
    │ u8      │ of the prior│ model         │ text          │ and CALLs│ of all this│
    └─────────┴─────────────┴───────────────┴───────────────┴──────────┴────────────┘

Integers have a fixed size and are big-endian; `model` is at most MODEL_BYTES_MAX, `text` at most TEXT_BYTES_MAX, whatever was carried. What is numbered
stands in the order of its last use, the one unused longest first. `restoring` is the reverse.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from ocppress_codecs.adaptive.characters import INPUTS, SETS
from ocppress_codecs.adaptive.contexts import COUNT_BITS, COUNT_MAX, TABLE_SIZE
from ocppress_codecs.adaptive.fields import CANDIDATES, TIME_CANDIDATES, Field, NumberField, TextField, TimeField
from ocppress_codecs.adaptive.model import Model, Shape
from ocppress_codecs.adaptive.slots import Slots
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import Progress

__all__ = [
    "CHAIN_BYTES",
    "FINGERPRINT_BYTES",
    "HASH_BYTES",
    "HEAD",
    "MODEL_BYTES_MAX",
    "NOTES_SAVED",
    "NUMBER",
    "NUMBER_FIELD",
    "PROGRESS",
    "SCALARS",
    "SLOT",
    "TEXT",
    "TEXT_BYTES_MAX",
    "TIME",
    "TIME_FIELD",
    "VERSION",
    "hash_of",
    "saved",
]

MODEL_BYTES_MAX: Final = 64 * 1024
TEXT_BYTES_MAX: Final = 64 * 1024

NOTES_SAVED: Final = 256
"""CALLs whose notes are saved: those that an answer may still be foreseen by, and those on their way."""

VERSION: Final = 1
HASH_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 16

NUMBER: Final = 1
TIME: Final = 2
TEXT: Final = 3

HEAD: Final = struct.Struct(">HIB")
"""Of a field: number, key, kind."""

NUMBER_FIELD: Final = struct.Struct(f">BBqqqqqqqBBB{CANDIDATES}HHqqqq")
TIME_FIELD: Final = struct.Struct(f">BqqqqqqqBB{TIME_CANDIDATES}HHB")
SLOT: Final = struct.Struct(">HH")
"""Of a text: number, bytes that follow."""

CHAIN_BYTES: Final = 16
PROGRESS: Final = struct.Struct(">QQH")
SCALARS: Final = struct.Struct(">7Q")


def saved(model: Model, progress: Progress, calls: CallLog) -> bytes:
    """The state of a direction whose last frame is kept."""
    state = model_bytes(model)
    text = text_bytes(model)
    notes = calls.newest_notes(NOTES_SAVED)
    content = b"".join(
        [
            bytes((VERSION,)),
            model.knowledge.fingerprint,
            len(state).to_bytes(4, "big"),
            state,
            len(text).to_bytes(4, "big"),
            text,
            PROGRESS.pack(progress.call_count, progress.next_answer, len(notes)),
            progress.chain,
            struct.pack(f">{len(notes)}I", *notes),
        ]
    )
    return content + hash_of(content)


def model_bytes(model: Model) -> bytes:
    """Statistics, fields and successors."""
    states = model.table.states()
    parts = [
        struct.pack(f">{TABLE_SIZE}H", *(state >> COUNT_BITS for state in states)),
        _packed_counts(states),
        struct.pack(f">{INPUTS * SETS}i", *list(model.characters.weights)),
        struct.pack(f">{len(model.shape_following.sets)}Q", *list(model.shape_following.sets)),
        struct.pack(f">{len(model.following.sets)}Q", *list(model.following.sets)),
        SCALARS.pack(*list(model.scalars())),
    ]
    fields = model.fields
    for number in reversed(fields.ranked()):
        key = fields.keys[number]
        field = fields.items[number]
        assert key is not None, "a number in use"
        assert field is not None, "a number in use"
        parts.append(_field_bytes(number, key, field))
    return b"".join(parts)


def text_bytes(model: Model) -> bytes:
    """Skeletons, their words, strings, and the remembered text."""
    return b"".join([*_texts(model.shapes), *_texts(model.words), *_texts(model.strings), model.characters.history.own.text])


def _texts(slots: Slots[str, str] | Slots[str, Shape]) -> list[bytes]:
    parts = [len(slots.numbers).to_bytes(2, "big")]
    for number in reversed(slots.ranked()):
        key = slots.keys[number]
        assert key is not None, "a number in use"
        data = key.encode()
        parts.append(SLOT.pack(number, len(data)))
        parts.append(data)
    return parts


def _packed_counts(states: list[int]) -> bytes:
    """Counts, four in three bytes."""
    parts = bytearray()
    for place in range(0, TABLE_SIZE, 4):
        packed = 0
        for state in states[place : place + 4]:
            packed = packed << COUNT_BITS | state & COUNT_MAX
        parts += packed.to_bytes(3, "big")
    return bytes(parts)


def _field_bytes(number: int, key: int, field: Field) -> bytes:
    if isinstance(field, NumberField):
        return HEAD.pack(number, key, NUMBER) + NUMBER_FIELD.pack(
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
            *list(field.costs),
            field.size,
            field.load,
            field.power,
            field.when,
            field.mark,
        )
    if isinstance(field, TimeField):
        ending = field.ending.encode()
        return (
            HEAD.pack(number, key, TIME)
            + TIME_FIELD.pack(
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
                *list(field.costs),
                field.size,
                len(ending),
            )
            + ending
        )
    assert isinstance(field, TextField)
    return HEAD.pack(number, key, TEXT) + bytes((len(field.recent), *field.recent))


def hash_of(content: bytes) -> bytes:
    """What ends a saved state."""
    return hashlib.blake2s(content, digest_size=HASH_BYTES).digest()
