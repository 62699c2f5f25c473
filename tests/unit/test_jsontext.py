"""Exact JSON tokens: what is kept, what is dropped, what is refused."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from ocppress_codecs.jsontext import DEPTH_MAX, JsonError, minified, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ }", ["{", "}"]),
        (' [1.00 ,\t"a b"\r\n] ', ["[", "1.00", ",", '"a b"', "]"]),
        ('{"a" : 2e+01}', ["{", '"a"', ":", "2e+01", "}"]),
        ('{"a":1,"a":1}', ["{", '"a"', ":", "1", ",", '"a"', ":", "1", "}"]),
        ('"\\u00e9\\/\\"\\\\"', ['"\\u00e9\\/\\"\\\\"']),
        ('"\\ud83d"', ['"\\ud83d"']),
        ("-0", ["-0"]),
        ("123456789012345678901234567890", ["123456789012345678901234567890"]),
        ("[true,false,null]", ["[", "true", ",", "false", ",", "null", "]"]),
        ('{"{\\"a\\": 1}":"[ ,]"}', ["{", '"{\\"a\\": 1}"', ":", '"[ ,]"', "}"]),
    ],
)
def test_tokens_keep_every_spelling(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_minified_drops_white_space_between_tokens_only() -> None:
    assert minified('[ 2 ,\n "id", "A b",\t{ "x" : " y " } ]') == '[2,"id","A b",{"x":" y "}]'


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "{", "[", "]", "}", "[1", '{"a"', '{"a":', '{"a":1', "[1,", '"', '"a', "[1]]", "1 2", "[1 2]", "[,]", "[1,]"),
        *(
            '{"a":1,}',
            "{,}",
            '{"a"}',
            "{1:2}",
            '{"a":1 "b":2}',
            "[:]",
            "[1}",
            '{"a":1]',
            "01",
            "+1",
            ".5",
            "1.",
            "1e",
            "--1",
            "NaN",
            "Infinity",
        ),
        *("tru", "True", "'a'", '"\\x"', '"\\u12g4"', '"a\nb"', '"\x00"', "/**/1", "\ufeff1", "\u00a01", "1\u2028", "[1]x"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(JsonError):
        tokens(text)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_has_a_limit(opening: str, closing: str) -> None:
    assert len(tokens(opening * DEPTH_MAX + "1" + closing * DEPTH_MAX)) > DEPTH_MAX
    with pytest.raises(JsonError, match="nested deeper"):
        tokens(opening * (DEPTH_MAX + 1) + "1" + closing * (DEPTH_MAX + 1))


def test_errors_say_where() -> None:
    with pytest.raises(JsonError) as caught:
        tokens('{"a":x}')
    assert caught.value.position == 5


def test_an_unclosed_string_is_refused_in_linear_time() -> None:
    text = '["' + "\\\\" * 200_000
    with pytest.raises(JsonError):
        tokens(text)


def test_minified_text_means_the_same() -> None:
    text = '{ "a": [1, 2.50, {"b": "c d"}], "e": null }'
    assert json.loads(minified(text)) == json.loads(text)


@pytest.mark.parametrize("piece", ["\\n", "\\ud83d", "x", "\\\\x"])
def test_a_long_string_takes_little_more_memory_than_it_has(piece: str) -> None:
    text = '"' + piece * 200_000 + '"'
    tracemalloc.start()
    try:
        assert tokens(text) == [text]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(text) + 100_000
