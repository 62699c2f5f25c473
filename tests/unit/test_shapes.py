"""Shapes and contexts: what is a value, what is predicted, what is forgotten."""

from __future__ import annotations

from random import Random

import pytest

from ocppress_codecs.rpc import MessageType
from ocppress_codecs.scalars import Number, Text, Time, scalar_of
from ocppress_codecs.shapes import (
    SHAPE_WEIGHT_MAX,
    SHAPES_MAX,
    SHAPES_WEIGHT_MAX,
    STRINGS_MAX,
    Context,
    filled,
    predicted,
    split,
    taken_apart,
)

CALL = MessageType.CALL
RESULT = MessageType.CALLRESULT


def _learned(context: Context, body: str) -> None:
    context.learn(*split(RESULT, body))


def _predicted(context: Context) -> int:
    shape = context.shape_at(0)
    assert shape is not None
    return predicted(context.shapes[shape][0], context.clock)


def test_words_and_names_belong_to_the_shape() -> None:
    shape, values = split(CALL, '"StatusNotification",{"connectorId":1,"status":"Charging","x":true,"info":"","n":[1.5,null]}')
    assert shape == ("2", '"StatusNotification",{"connectorId":', ',"status":"Charging","x":true,"info":', ',"n":[', ",null]}")
    assert values == [Number(False, 0, 1), Text('""'), Number(False, 1, 15)]


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"a":"b"}',
        '{"a\\"b":1,"c":"d\\"e:f"}',
        '{"a":"\\\\","b":"\\\\\\""}',
        '{"1":2,"3":["4",5e1,-6]}',
        '{"a":"{\\"Accepted\\":1}"}',
        '"NotSupported","no, really: 1",{}',
    ],
)
def test_split_and_filled_are_inverse(body: str) -> None:
    shape, values = split(RESULT, body)
    assert filled(shape, values) == body
    assert len(shape) == len(values) + 2


def test_a_counter_and_a_steady_value_are_predicted() -> None:
    counting, steady = Context(), Context()
    for number in range(1, 5):
        _learned(counting, f'{{"x":{number}}}')
        _learned(steady, f'{{"x":{230 + number % 2}}}')
    assert _predicted(counting) == 5
    assert _predicted(steady) in (230, 231)


def test_a_timestamp_is_predicted_from_its_interval_or_from_the_one_before() -> None:
    context = Context()
    for minute in (0, 1, 2, 3):
        _learned(context, f'{{"t":"2026-03-02T08:0{minute}:00Z","u":"2026-03-02T08:0{minute}:00Z"}}')
    shape = context.shape_at(0)
    assert shape is not None
    first, second = context.shapes[shape]
    expected = scalar_of('"2026-03-02T08:04:00Z"')
    assert isinstance(expected, Time)
    assert predicted(first, context.clock) == expected.value
    seven = scalar_of('"2026-03-02T08:07:31Z"')
    assert isinstance(seven, Time)
    assert predicted(second, seven.value * 10**7) in (seven.value, expected.value)


def test_the_shape_used_last_has_rank_0() -> None:
    context = Context()
    _learned(context, '{"a":1}')
    _learned(context, '{"b":1}')
    _learned(context, '{"a":2}')
    shape = split(RESULT, '{"b":9}')[0]
    assert context.rank_of_shape(shape) == 1
    assert context.shape_at(1) == shape
    assert context.shape_at(2) is None
    assert context.rank_of_shape(split(RESULT, '{"c":1}')[0]) is None


def test_shapes_are_bounded_in_number_and_weight() -> None:
    context = Context()
    for number in range(SHAPES_MAX + 5):
        _learned(context, f'{{"a{number}":1}}')
    assert len(context.shapes) == SHAPES_MAX
    assert context.rank_of_shape(split(RESULT, '{"a4":1}')[0]) is None
    assert context.rank_of_shape(split(RESULT, '{"a5":1}')[0]) == SHAPES_MAX - 1

    heavy = SHAPE_WEIGHT_MAX - 100
    for number in range(SHAPES_WEIGHT_MAX // heavy + 5):
        _learned(context, f'{{"{"k" * (heavy - 80)}{number:03}":1}}')
    assert len(context.shapes) == SHAPES_WEIGHT_MAX // heavy


def test_a_shape_that_is_too_heavy_is_not_remembered() -> None:
    context = Context()
    _learned(context, f'{{"x":[{",".join("1" * 130)}]}}')
    assert not context.shapes


def test_strings_are_bounded_and_the_last_comes_first() -> None:
    context = Context()
    for number in range(STRINGS_MAX + 1):
        _learned(context, f'{{"x":"string {number}"}}')
    assert context.string_at(0) == f'"string {STRINGS_MAX}"'
    assert context.rank_of_string('"string 1"') == STRINGS_MAX - 1
    assert context.rank_of_string('"string 0"') is None
    assert context.string_at(STRINGS_MAX) is None


def test_a_copy_is_independent() -> None:
    context = Context()
    _learned(context, '{"x":"a string"}')
    other = context.copy()
    _learned(other, '{"y":"another"}')
    assert len(context.shapes) == len(context.strings) == 1
    assert len(other.shapes) == len(other.strings) == 2


@pytest.mark.parametrize("seed", range(8))
def test_what_is_too_heavy_leaves_the_same_trace_either_way(seed: int) -> None:
    source = Random(seed)
    one, other = Context(), Context()
    for _ in range(12):
        values = [
            source.choice(
                [
                    str(source.randrange(1000)),
                    f'"text {source.randrange(200)}"',
                    f'"2026-01-{source.randrange(1, 28):02}T01:02:03Z"' if seed % 2 else '"short"',
                    '"Accepted"',
                    '"' + "x" * source.randrange(80) + '"',
                ]
            )
            for _ in range(source.randrange(1, 700))
        ]
        body = f'{{"a":[{",".join(values)}]}}'
        one.learn(*split(RESULT, body))
        other.learn_tokens(*taken_apart(RESULT, body))
        assert (one.clock, list(one.strings), list(one.shapes)) == (other.clock, list(other.strings), list(other.shapes))
    assert len(one.strings) == STRINGS_MAX
