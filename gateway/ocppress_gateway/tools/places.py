"""Where the values of a message stand, in words: from the text around them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

__all__ = ["value_names"]

_ATTRIBUTES: Final = ("measurand", "phase", "location")
"""What tells a sampled value from its neighbours."""


class _Members(list[tuple[str, Any]]):
    """An object, repeated members included."""


class _Value(int):
    """A value's place in the order of the text."""


def value_names(segments: Sequence[str]) -> list[str]:
    """A name for each value between the segments of a message's body: `meterValue[0].sampledValue[2].value (Voltage, L1)`."""
    places = count()
    # JSON has no NaN, so what is one here can be nothing else than a value's place.
    body = json.loads(
        f"[{'NaN'.join(segments)}]",
        object_pairs_hook=_Members,
        parse_constant=lambda _: _Value(next(places)),
        parse_int=str,
        parse_float=str,
    )
    found = [""] * (len(segments) - 1)
    for place, member in enumerate(body):
        for value, name in _named(member, "" if isinstance(member, _Members) else f"[{place}]"):
            found[value] = name
    return found


def _named(content: Any, name: str) -> Iterator[tuple[_Value, str]]:
    match content:
        case _Value():
            yield content, name
        case _Members():
            attributes = [value for key, value in content if key in _ATTRIBUTES and isinstance(value, str)]
            suffix = f" ({', '.join(attributes)})" if attributes else ""
            for key, value in content:
                path = f"{name}.{key}" if name else key
                yield from _named(value, path + suffix if isinstance(value, _Value) else path)
        case list():
            for place, value in enumerate(content):
                yield from _named(value, f"{name}[{place}]")
