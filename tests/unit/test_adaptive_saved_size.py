"""How large a saved state can become: reckoned from the limits, reached by a state with all of them full, and within what is promised."""

from __future__ import annotations

import json
from typing import Final

from ocppress_codecs.adaptive import model as models
from ocppress_codecs.adaptive import saving
from ocppress_codecs.adaptive.characters import INPUTS, SETS
from ocppress_codecs.adaptive.contexts import COUNT_BITS, TABLE_SIZE
from ocppress_codecs.adaptive.fields import NumberField, TimeField
from ocppress_codecs.adaptive.history import HISTORY_BYTES_MAX
from ocppress_codecs.adaptive.model import (
    FIELDS_MAX,
    SHAPES_BYTES_MAX,
    SHAPES_MAX,
    STRINGS_BYTES_MAX,
    STRINGS_MAX,
    WORDS_BYTES_MAX,
    WORDS_MAX,
    Model,
    Shape,
)
from ocppress_codecs.adaptive.prior import shipped
from ocppress_codecs.adaptive.restoring import restored
from ocppress_codecs.adaptive.skeletons import HOLE
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import Progress

MODEL_LIMIT: Final = 65_536
TEXT_LIMIT: Final = 65_536

LONGEST_ENDING: Final = ".0000000+00:00"
RECENT_MAX: Final = 6

FIELD_BYTES: Final = saving.HEAD.size + max(saving.NUMBER_FIELD.size, saving.TIME_FIELD.size + len(LONGEST_ENDING), 1 + RECENT_MAX)
SUCCESSOR_SETS: Final = len(Model(shipped()).shape_following.sets) + len(Model(shipped()).following.sets)
MODEL_BYTES: Final = (
    TABLE_SIZE * 2 + TABLE_SIZE * COUNT_BITS // 8 + 4 * INPUTS * SETS + 8 * SUCCESSOR_SETS + saving.SCALARS.size + FIELDS_MAX * FIELD_BYTES
)
TEXT_BYTES: Final = (
    *(2 + SHAPES_MAX * saving.SLOT.size + SHAPES_BYTES_MAX, 2 + WORDS_MAX * saving.SLOT.size + WORDS_BYTES_MAX),
    2 + STRINGS_MAX * saving.SLOT.size + STRINGS_BYTES_MAX,
    HISTORY_BYTES_MAX,
)


def full_model() -> Model:
    """A model in which nothing more has room."""
    model = Model(shipped())
    for number in range(2 * SHAPES_MAX):
        head = f'2"A{number:03}",{{"a":{HOLE},"b":"'
        skeleton = head + "x" * (SHAPES_BYTES_MAX // SHAPES_MAX - len(head) - 2) + '"}'
        model.shapes.insert(skeleton, Shape(skeleton), len(skeleton))
        model.remember_string(f'"{number:0{STRINGS_BYTES_MAX // STRINGS_MAX - 2}}"')
    for number in range(2 * WORDS_MAX):
        model.remember_word(f"{number:0{WORDS_BYTES_MAX // WORDS_MAX}}")
    for key in range(2 * FIELDS_MAX):
        model.set_field(key, TimeField(7, "Z", 1, 0) if key % 3 else NumberField(True, 18, 1))
    for key in range(FIELDS_MAX):
        model.set_field(key, NumberField(False, 0, key))
    while len(model.characters.history.own.text) < HISTORY_BYTES_MAX:
        model.characters.history.add(b"x" * min(1000, HISTORY_BYTES_MAX - len(model.characters.history.own.text) - 1))
    model.keep()
    return model


def test_the_limits_allow_no_more_than_is_promised() -> None:
    assert MODEL_BYTES <= saving.MODEL_BYTES_MAX == MODEL_LIMIT
    assert sum(TEXT_BYTES) <= saving.TEXT_BYTES_MAX == TEXT_LIMIT


def test_a_full_state_is_as_large_as_the_limits_allow_and_comes_back() -> None:
    model = full_model()
    assert len(model.fields.numbers) == FIELDS_MAX
    assert (model.shapes.weight, model.words.weight, model.strings.weight) == (SHAPES_BYTES_MAX, WORDS_BYTES_MAX, STRINGS_BYTES_MAX)
    assert len(saving.model_bytes(model)) == MODEL_BYTES
    assert len(saving.text_bytes(model)) == sum(TEXT_BYTES)
    calls = CallLog()
    for _ in range(2 * saving.NOTES_SAVED):
        calls.add(1)
    progress = Progress(call_count=calls.count)
    saved = saving.saved(model, progress, calls)
    found = restored(saved, shipped())
    calls.restore(found.call_count, found.notes)
    assert saving.saved(found.model, found.progress, calls) == saved


def test_single_things_that_are_too_large_are_not_remembered() -> None:
    model = Model(shipped())
    assert model.remember_word("x" * (models.WORD_BYTES_MAX + 1)) == -1
    assert model.remember_word("é" * (models.WORD_BYTES_MAX // 2)) >= 0
    assert model.remember_string(json.dumps("x" * models.STRING_BYTES_MAX)) == -1
    assert model.words.weight == models.WORD_BYTES_MAX
    assert model.strings.weight == 0
