"""Members of compact arrays: the same texts as from the tokens, and nothing that the tokens refuse."""

from __future__ import annotations

import itertools

import pytest

from ocppress_codecs.compact import members, pairs
from ocppress_codecs.jsontext import DEPTH_MAX, JsonError, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[2,"19","A",{"a":[1,{"b":[[[[]]]]}],"c":"]}"}]', ["2", '"19"', '"A"', '{"a":[1,{"b":[[[[]]]]}],"c":"]}"}']),
        ("[{}]", ["{}"]),
        ('["\\u00e9\\"",-0.50e+1,null]', ['"\\u00e9\\""', "-0.50e+1", "null"]),
        ("[[[[[1],2],3],4],5]", ["[[[[1],2],3],4]", "5"]),
    ],
)
def test_members_are_the_texts_between_the_commas(text: str, expected: list[str]) -> None:
    assert members(text, 5) == expected
    assert members(text, len(expected)) == expected
    assert members(text, len(expected) - 1) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[",
            "[]",
            "{}",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1]]",
            "[1]x",
            "[1}",
            " [1]",
            "[1] ",
            "[ 1]",
            "[1 ,2]",
            "[01]",
            "[1.]",
            "[.5]",
        ),
        *(
            "[tru]",
            "[NaN]",
            "['a']",
            '["a]',
            '["a\n"]',
            '["\\x"]',
            "[[1]",
            "[[[[1]]]",
            "[[[[1]]]]]",
            "[[[[1]]}]",
            "[[[[1],]]]",
            "[[[[1] ]]]",
        ),
        *(
            '[{"a"}]',
            '[{"a":}]',
            "[{1:2}]",
            '[{"a":1,}]',
            '[{"a":1]',
            '[{"a":{"b":{"c":{"d":1}}}]',
            '[{"a":{"b":{"c":{"d":1}},"e"}}]',
            '[{"a" :1}]',
        ),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert members(text, 5) is None


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("middle", ["1", "[]", "{}", '{"b":[1,2]}', "[[[1]]]"])
def test_nesting_has_the_same_limit_as_for_tokens(opening: str, closing: str, middle: str) -> None:
    accepted = []
    for depth in range(DEPTH_MAX - 6, DEPTH_MAX + 3):
        text = "[" + opening * depth + middle + closing * depth + "]"
        try:
            tokens(text)
            expected = [text[1:-1]]
        except JsonError:
            expected = None
        assert members(text, 5) == expected
        assert pairs('{"":' + text[1:-1] + "}") == (None if expected is None else [('""', expected[0])])
        accepted.append(expected is not None)
    assert True in accepted
    assert False in accepted


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"a"}', '{"a":}', '{"a":1', '{"a":1,}', '{"a":1}}', '{"a":1} ', '{ "a":1}', "{1:2}", '{"a":01}']
)
def test_what_is_no_compact_object_has_no_pairs(text: str) -> None:
    assert pairs(text) is None


def test_pairs_of_an_object_keep_their_order_and_spelling() -> None:
    assert pairs('{"a":[1,{"b":"}"}],"\\u0061":-0.50,"a":{}}') == [('"a"', '[1,{"b":"}"}]'), ('"\\u0061"', "-0.50"), ('"a"', "{}")]
    assert pairs("{}") == []


def test_short_texts_are_accepted_exactly_if_the_tokens_are() -> None:
    count = 0
    for length in range(1, 6):
        for pieces in itertools.product(("[", "]", "{", "}", ",", '"":', "1"), repeat=length):
            text = "[" + "".join(pieces) + "]"
            try:
                tokens(text)
                valid = text != "[]"
            except JsonError:
                valid = False
            assert (members(text, 9) is not None) == valid, text
            count += valid
    assert count > 30
