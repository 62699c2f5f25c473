"""What an encoder needs besides: messages taken apart (SPEC.md, 5.8, 5.10, 5.20)."""

from __future__ import annotations

import calendar
import json
import re
from pathlib import Path
from typing import Any

from tests.conformance.second_adaptive.skeletons import HOLE

NAMES = json.loads((Path(__file__).parents[3] / "codecs/ocppress_codecs/data/names-1.json").read_text())
SCOPES = ('"connectorId"', '"evseId"', '"id"')
WORDS = {f'"{word}"' for word in NAMES["words"]}

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^{}\[\],:"]+')
TIME = re.compile(r'"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?(Z|[+-]\d\d:\d\d|)"', re.ASCII)
NUMBER = re.compile(r"(-?)(0|[1-9]\d*)(?:\.(\d{1,18}))?", re.ASCII)

Value = list[Any]


def taken_apart(kind: int, body: str) -> tuple[str, list[Value]]:
    """The skeleton and the values of a message."""
    tokens = TOKEN.findall(body)
    skeleton = str(kind)
    values: list[Value] = []
    name = ""
    for place, token in enumerate(tokens):
        is_name = token[0] == '"' and tokens[place + 1 : place + 2] == [":"]
        if is_name:
            name = token
        is_action = place == 0 and kind in (2, 6)
        is_scope = token[0] != '"' and len(token) <= 2 and tokens[place - 1] == ":" and name in SCOPES
        scalar = token[0] in '"-0123456789' and not (is_name or is_action or is_scope or token in WORDS)
        skeleton += HOLE if scalar else token
        if scalar:
            values.append(value_of(token, name))
    return skeleton, values


def value_of(token: str, name: str) -> Value:
    quoted = token.startswith('"')
    number = NUMBER.fullmatch(token[1:-1] if quoted else token)
    if number:
        fraction = number[3] or ""
        mantissa = int(number[2] + fraction)
        fits = mantissa < 2**48 and not (number[1] and mantissa == 0)
        if fits and (not quoted or fraction or name == '"value"'):
            return ["number", quoted, len(fraction), -mantissa if number[1] else mantissa]
    time = TIME.fullmatch(token)
    if time:
        year, month, day, hour, minute, second = map(int, time.groups()[:6])
        if year and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1] and hour < 24 and minute < 60 and second < 60:
            seconds = calendar.timegm((year, month, day, hour, minute, second))
            fraction = time[7] or ""
            if 0 <= seconds < 2**32 and not fraction.strip("0"):
                return ["timestamp", 0, (f".{fraction}" if fraction else "") + time[8], seconds]
            if 0 <= seconds < 2**32:
                return ["timestamp", len(fraction), time[8], seconds * 10 ** len(fraction) + int(fraction)]
    return ["text", token]


def tokens_of(skeleton: str) -> list[str]:
    """The tokens that a skeleton is told in at first sight."""
    return [part for pair in re.findall(r'([{}\[\],:]*)("(?:[^"\\]|\\.)*"|\x01|[^{}\[\],:"\x01]*)', skeleton[1:]) for part in pair]
