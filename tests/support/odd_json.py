"""OCPP-J that no station should write and some do, or an attacker: deep, huge, repeated, oddly spelled. All of it is valid and has to be carried.

odd_message(random.Random(7))          [2,"","DataTransfer",{"vendorId":"x","\\u0041":[[[-0.0E+00]]],"\\u0041":"\\ud83d"}]
"""

from __future__ import annotations

import json
import random
from typing import Final

from ocppress_codecs.jsontext import DEPTH_MAX

__all__ = ["odd_message", "odd_value"]

_ACTIONS: Final = ["DataTransfer", "MeterValues", "StatusNotification", "Vendor.Own", "", "\\u0048eartbeat", 'a\\"b', "漢🔌"]
_KEYS: Final = [
    "value",
    "timestamp",
    "transactionId",
    "connectorId",
    "id",
    "measurand",
    "unit",
    "sampledValue",
    "",
    "x",
    "\\u0041",
    "a\\/b",
    "é",
]
_ENDINGS: Final = ["Z", "", "+01:00", "-23:59", "+99:99", ".000Z", ".1234567Z", ".12345678Z", "z", " "]
_FRACTIONS: Final = ["", ".5", ".120", ".0000000", ".9999999"]
_PIECES: Final = [
    "\\ud83d",
    "\\ude00",
    "\\u0000",
    "\\u001f",
    "\\/",
    '\\"',
    "\\\\",
    "\\n",
    "é",
    "漢",
    "🔌",
    "\x7f",
    "\u2028",
    "a",
    "Z",
    "0",
    " ",
]


def odd_message(source: random.Random) -> str:
    """One OCPP-J text without white space between its tokens."""
    kind = source.choice("2223346" + "5")
    if kind in "26":
        return f'[{kind},"","{source.choice(_ACTIONS)}",{_object(source, 2)}]'
    if kind == "3":
        return f'[3,"",{_object(source, 2)}]'
    rest = [_string(source), _string(source), odd_value(source, 2)][: source.randint(1, 3)]
    return f'[{kind},"",{",".join(rest)}]'


def odd_value(source: random.Random, depth: int) -> str:
    """Any JSON value that may stand `depth` levels deep."""
    pick = source.randrange(10)
    if pick < 3:
        return _number(source)
    if pick < 6:
        return _string(source)
    if pick == 6:
        return source.choice(["true", "false", "null", "{}", "[]"])
    if pick == 7:
        return _deep(source, depth)
    if depth > 5:
        return "0"
    if pick == 8:
        return "[" + ",".join(odd_value(source, depth + 1) for _ in range(source.randrange(5))) + "]"
    return _object(source, depth)


def _object(source: random.Random, depth: int) -> str:
    return "{" + ",".join(f'"{source.choice(_KEYS)}":{odd_value(source, depth + 1)}' for _ in range(source.randrange(6))) + "}"


def _deep(source: random.Random, depth: int) -> str:
    levels = source.randrange(DEPTH_MAX - depth + 1)
    openers = [source.choice(["[", '{"k":']) for _ in range(levels)]
    return "".join(openers) + "1" + "".join("]" if opener == "[" else "}" for opener in reversed(openers))


def _number(source: random.Random) -> str:
    digits = source.choice([1, 2, 5, 9, 15, 17, 18, 19, 20, 21, 400])
    whole = str(source.randrange(10 ** (digits - 1), 10**digits)) if digits > 1 else str(source.randrange(10))
    fraction = "." + "".join(source.choices("0123456789", k=source.choice([1, 2, 3, 18, 19, 60]))) if source.random() < 0.5 else ""
    exponent = source.choice(["", "", "e5", "E+00", "e-7", "e999999", "E-400"])
    return source.choice(["", "-"]) + source.choice([whole, whole, "0"]) + fraction + exponent


def _string(source: random.Random) -> str:
    pick = source.randrange(9)
    if pick == 0:
        year, month, day = source.choice([0, 1969, 1970, 2026, 2106, 2107, 9999]), source.randint(0, 13), source.randint(0, 32)
        clock = f"{source.randint(0, 24):02}:{source.randint(0, 60):02}:{source.randint(0, 60):02}"
        return f'"{year:04}-{month:02}-{day:02}T{clock}{source.choice(_FRACTIONS)}{source.choice(_ENDINGS)}"'
    if pick == 1:
        return f'"{_number(source)}"'
    if pick == 2:
        text = source.randbytes(source.choice([0, 3, 4, 16, 33, 70])).hex()
        return json.dumps(source.choice([text, text.upper(), text.title(), text[:-1]]))
    if pick == 3:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        return '"' + "".join(source.choices(alphabet, k=source.choice([4, 16, 23, 24, 44, 800]))) + source.choice(["", "=", "=="]) + '"'
    if pick == 4:
        return '"' + "".join(source.choices("0123456789", k=source.choice([1, 3, 16, 40]))) + '"'
    if pick == 5 and source.random() < 0.1:
        return '"' + "".join(source.choices(_PIECES, k=3)) * source.choice([100, 1000, 10_000]) + '"'
    return '"' + "".join(source.choices(_PIECES, k=source.choice([0, 1, 2, 6, 20]))) + '"'
