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

__all__ = ["HOLE", "MANTISSA_MAX", "SCOPE_KEYS", "filled", "lexemes", "split", "usable"]

HOLE: Final = "\x01"

MANTISSA_MAX: Final = (1 << 48) - 1
"""Numbers beyond are texts here, so that what is reckoned with them fits in 63 bits."""

SCOPE_KEYS: Final = frozenset({'"connectorId"', '"evseId"', '"id"'})

_SCALAR: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"(:?)|-?[0-9][0-9.eE+-]*')
_LEXEME: Final = re.compile(r'([{}\[\],:]*)("[^"\\]*(?:\\.[^"\\]*)*"|\x01|[^"{}\[\],:\x01]+|)')
_CALL_OR_SEND: Final = frozenset({2, 6})


def split(message_type: int, body: str) -> tuple[str, list[Scalar]]:
    """The skeleton and the values of a body that is JSON without white space."""
    segments: list[str] = []
    values: list[Scalar] = []
    words = names().word_numbers
    end = 0
    key = ""
    action = message_type in _CALL_OR_SEND
    for match in _SCALAR.finditer(body):
        token = match[0]
        if token[0] == '"':
            if match[1]:
                key = token[:-1]
                continue
            if action:
                action = False
                continue
            if token[1:-1] in words:
                continue
        elif len(token) <= 2 and key in SCOPE_KEYS and body[match.start() - 1] == ":":
            continue
        value = scalar_of(token)
        if not usable(value, key):
            value = Text(token)
        segments.append(body[end : match.start()])
        values.append(value)
        end = match.end()
    segments.append(body[end:])
    return str(message_type) + HOLE.join(segments), values


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
