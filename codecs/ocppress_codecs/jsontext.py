"""JSON (RFC 8259) as a flat list of exact tokens.

    {"a": 1.00,"b":["x"]}   →   {   "a"   :   1.00   ,   "b"   :   [   "x"   ]   }

Nothing is converted: a number keeps its spelling, a string its escapes and quotes, an object its repeated members.
Joining the tokens gives the text without its insignificant white space, which is the text that this project carries.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["DEPTH_MAX", "JsonError", "is_string_or_number", "minified", "tokens"]

DEPTH_MAX: Final = 64
"""Nesting of objects and arrays; the deepest OCPP payload has 8 levels, DataTransfer may bring its own."""

_TOKEN = re.compile(
    r"[ \t\n\r]*("
    r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
    r"|[{}\[\],:]"
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    r"|true|false|null"
    r")"
)
"""Quantifiers are possessive (`*+`): a string of a million escapes leaves no million places to come back to."""

_SPACE: Final = " \t\n\r"


class JsonError(ValueError):
    """The text is not JSON, or nested deeper than `DEPTH_MAX`; `position` is a character offset."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} at character {position}")
        self.reason = reason
        self.position = position


# What may come next. A value ends in _AFTER_VALUE; the enclosing bracket decides what follows there.
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _COLON, _AFTER_VALUE = range(6)


def tokens(text: str) -> list[str]:
    """Split one JSON value into its tokens; raise `JsonError` if the text is anything else."""
    found: list[str] = []
    closers: list[str] = []
    expected = _VALUE
    position = 0
    length = len(text)
    match = _TOKEN.match
    while True:
        if expected == _AFTER_VALUE and not closers:
            if text[position:].strip(_SPACE):
                raise JsonError("something follows the value", position)
            return found
        piece = match(text, position)
        if piece is None:
            reason = "the text ends too early" if not text[position:].strip(_SPACE) else "not JSON"
            raise JsonError(reason, min(position, length))
        token = piece[1]
        start = position
        position = piece.end()
        found.append(token)
        first = token[0]
        if first in "{[":
            if expected not in (_VALUE, _VALUE_OR_END):
                raise JsonError(f"unexpected {token!r}", start)
            if len(closers) == DEPTH_MAX:
                raise JsonError(f"nested deeper than {DEPTH_MAX}", start)
            if first == "{":
                closers.append("}")
                expected = _KEY_OR_END
            else:
                closers.append("]")
                expected = _VALUE_OR_END
        elif first in "}]":
            ends_empty = expected in (_VALUE_OR_END, _KEY_OR_END)
            if not (expected == _AFTER_VALUE or ends_empty) or closers[-1] != first:
                raise JsonError(f"unexpected {token!r}", start)
            closers.pop()
            expected = _AFTER_VALUE
        elif first == ",":
            if expected != _AFTER_VALUE:
                raise JsonError("unexpected ','", start)
            expected = _KEY if closers[-1] == "}" else _VALUE
        elif first == ":":
            if expected != _COLON:
                raise JsonError("unexpected ':'", start)
            expected = _VALUE
        elif expected in (_KEY, _KEY_OR_END):
            if first != '"':
                raise JsonError("a member's name must be a string", start)
            expected = _COLON
        elif expected in (_VALUE, _VALUE_OR_END):
            expected = _AFTER_VALUE
        else:
            raise JsonError(f"unexpected {token[:20]!r}", start)


def minified(text: str) -> str:
    """The text of one JSON value without its insignificant white space; raise `JsonError` if it is not one."""
    return "".join(tokens(text))


def is_string_or_number(text: str) -> bool:
    """Whether the text is the one token of a JSON string or number."""
    try:
        return tokens(text) == [text] and text[0] in '"-0123456789'
    except JsonError:
        return False
