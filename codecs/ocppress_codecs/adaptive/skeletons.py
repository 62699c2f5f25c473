"""A message as its skeleton and its values.

    2"StatusNotification",{"connectorId":1,"status":"Available","timestamp":□}         message type, then the text with holes
    □ = "2026-03-02T08:00:00Z"

In the skeleton stay keys, the action, OCPP's words, literals, and the small numbers that name a connector or EVSE; so a change of status is another
skeleton, and each connector has its own. A hole is written as the character U+0001, which JSON never contains.
"""

from __future__ import annotations

import re
from typing import Final

from ocppress_codecs.names import names
from ocppress_codecs.scalars import Number, Scalar, Text, scalar_of

__all__ = ["HOLE", "MANTISSA_MAX", "SCOPE_KEYS", "filled", "fitted", "keys_before", "lexemes", "split"]

HOLE: Final = "\x01"

MANTISSA_MAX: Final = (1 << 48) - 1
"""Numbers beyond are texts here, so that what is reckoned with them fits in 63 bits."""

SCOPE_KEYS: Final = frozenset({'"connectorId"', '"evseId"', '"id"'})

_SCALAR: Final = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+":?|-?[0-9][0-9.eE+-]*)')
"""Splits a text at its strings and numbers; a member's name has its colon with it."""

_LEXEME: Final = re.compile(r'([{}\[\],:]*)("[^"\\]*+(?:\\.[^"\\]*+)*+"|\x01|[^"{}\[\],:\x01]+|)')
_CALL_OR_SEND: Final = frozenset({2, 6})


def split(message_type: int, body: str, values_max: int = 1 << 60) -> tuple[str, list[Scalar]]:
    """The skeleton and the values of a body that is JSON without white space; no skeleton if there are more than `values_max`."""
    values: list[Scalar] = []
    words = names().word_numbers
    key = ""
    key_place = -1
    action = message_type in _CALL_OR_SEND
    pieces = _SCALAR.split(body)
    for place in range(1, len(pieces), 2):
        token = pieces[place]
        if token[0] == '"':
            if token[-1] == ":":
                key = token[:-1]
                key_place = place
                continue
            if action:
                action = False
                continue
            if token[1:-1] in words:
                continue
        elif len(token) <= 2 and key in SCOPE_KEYS and key_place == place - 2 and not pieces[place - 1]:
            continue
        value = scalar_of(token)
        if not usable(value, key):
            value = Text(token)
        values.append(value)
        if len(values) > values_max:
            return "", values
        pieces[place] = HOLE
    return str(message_type) + "".join(pieces), values


def keys_before(segments: list[str]) -> list[str]:
    """For each hole the last member's name before it in the text, "" if there is none."""
    found: list[str] = []
    key = ""
    for segment in segments[:-1]:
        for token in _SCALAR.findall(segment):
            if token[-1] == ":":
                key = token[:-1]
        found.append(key)
    return found


def fitted(segments: list[str], keys: list[str], body: str) -> list[Scalar] | None:
    """The values of a body, if it is of the skeleton with these `segments` and `keys_before`, as `split` would find them, but in a fraction of the time.

    None if it is of another one, or if that isn't seen at once.
    """
    segment = segments[0]
    if not body.startswith(segment):
        return None
    start = len(segment)
    values: list[Scalar] = []
    words = names().word_numbers
    for place, key in enumerate(keys):
        scoped = segment[-1:] == ":" and key in SCOPE_KEYS
        segment = segments[place + 1]
        end = body.find(segment, start)
        if end <= start:
            return None
        token = body[start:end]
        value = scalar_of(token)
        if token[0] == '"':
            plain = token[1:-1]
            if plain in words or (isinstance(value, Text) and (len(token) < 2 or token[-1] != '"' or '"' in plain or "\\" in plain)):
                return None
        elif isinstance(value, Text) or (scoped and len(token) <= 2):
            return None
        values.append(value if usable(value, key) else Text(token))
        start = end + len(segment)
    return values if start == len(body) else None


def usable(value: Scalar, key: str) -> bool:
    """Whether a value is treated as what it looks like: strings of digits are numbers only where meters write them."""
    if isinstance(value, Number):
        return -MANTISSA_MAX <= value.mantissa <= MANTISSA_MAX and (not value.quoted or value.scale > 0 or key == '"value"')
    return True


def filled(segments: list[str], values: list[str]) -> str:
    """The body with the tokens of `values` in the holes between `segments`."""
    parts = [segments[0]]
    for place, value in enumerate(values):
        parts.append(value)
        parts.append(segments[place + 1])
    return "".join(parts)


def lexemes(skeleton: str) -> list[str]:
    """The skeleton without its type as runs of punctuation and other tokens in turn, either may be empty; it ends with an empty other token."""
    found: list[str] = []
    for match in _LEXEME.finditer(skeleton, 1):
        found.append(match[1])
        found.append(match[2])
        if not match[2]:
            break
    return found
