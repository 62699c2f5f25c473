"""Valid messages of every action of the three versions, made from OCPP's own JSON schemas (the PyPI package `ocpp` brings them).

    schema = schema_of(OcppVersion.V21, "Authorize", Kind.REQUEST)
    payload_text(schema, random.Random(7), Size.FULL)          # {"idToken":{"type":"Local","idToken":"…"},…}

A payload is made as text, because its spelling must survive: numbers come as `16`, `16.0`, `1.60e+01`, strings with escapes and without.
"""

from __future__ import annotations

import enum
import functools
import importlib.resources
import json
import random
from typing import Any, Final

from ocppress_codecs.rpc import OcppVersion

__all__ = ["Kind", "Size", "actions", "payload_text", "schema_of"]

_PACKAGE: Final = {OcppVersion.V16: "ocpp.v16", OcppVersion.V201: "ocpp.v201", OcppVersion.V21: "ocpp.v21"}

STRING_CHARACTERS_MAX: Final = 24
"""Length of a string whose schema has no bound, or that isn't to be as long as it may be."""

ITEMS_MAX: Final = 3
"""Items of an array, where the schema allows more: two levels of them are nine."""

TEXT_CHARACTERS_MAX: Final = 200_000
"""Length after which a message gets no further optional members: below what the gateway takes even if each character is escaped."""

DEPTH_MAX: Final = 12
"""Nesting after which a message gets no further optional members."""

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.:/+=|@*{}[],'\"\\äßé€漢🔌\n\t"


class Kind(enum.StrEnum):
    """Which half of an exchange."""

    REQUEST = "request"
    RESPONSE = "response"


class Size(enum.StrEnum):
    """How much of what a schema allows."""

    LEAST = "least"
    """The required members only."""

    FULL = "full"
    """Every member, with values of ordinary length."""

    LONGEST = "longest"
    """Every member, strings as long as allowed."""


@functools.cache
def _schemas(version: OcppVersion) -> dict[tuple[str, Kind], dict[str, Any]]:
    found: dict[tuple[str, Kind], dict[str, Any]] = {}
    for file in (importlib.resources.files(_PACKAGE[version]) / "schemas").iterdir():
        if not file.name.endswith(".json"):
            continue
        name = file.name.removesuffix(".json")
        kind = Kind.RESPONSE if name.endswith("Response") else Kind.REQUEST
        found[name.removesuffix("Response").removesuffix("Request"), kind] = json.loads(file.read_text("utf-8-sig"))
    return found


def actions(version: OcppVersion) -> list[str]:
    """The names of all actions, in order."""
    return sorted({action for action, _ in _schemas(version)})


def schema_of(version: OcppVersion, action: str, kind: Kind) -> dict[str, Any] | None:
    """The JSON schema of a payload; None for the response to a SEND, which doesn't exist."""
    return _schemas(version).get((action, kind))


def payload_text(schema: dict[str, Any], source: random.Random, size: Size) -> str:
    """One valid payload, as JSON text without insignificant white space."""
    return _Writer(schema, source, size).value(schema, 0)


class _Writer:
    """Writes one message; `written` counts characters, to keep the whole within bounds."""

    def __init__(self, root: dict[str, Any], source: random.Random, size: Size) -> None:
        self._root = root
        self._source = source
        self._size = size
        self._written = 0

    def value(self, schema: dict[str, Any], depth: int) -> str:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/definitions/")
            return self.value(self._root["definitions"][name], depth)
        text = self._text(schema, depth)
        self._written += len(text)
        return text

    def _text(self, schema: dict[str, Any], depth: int) -> str:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                return str(self._source.randint(*_range(schema, 2**31 - 1)))
            case "number":
                return self._number(schema)
            case "boolean":
                return self._source.choice(["true", "false"])
            case None:
                return self._source.choice(['{"any":[1,null,"x"],"any":2}', "[]", "null", "-0", '"text"'])
            case unknown:
                raise AssertionError(f"the generator has no values of type {unknown}")

    def _object(self, schema: dict[str, Any], depth: int) -> str:
        required = schema.get("required", [])
        members = []
        for name, member in schema.get("properties", {}).items():
            optional_wanted = self._size is not Size.LEAST and depth < DEPTH_MAX and self._written < TEXT_CHARACTERS_MAX
            if name in required or optional_wanted:
                members.append(f"{json.dumps(name)}:{self.value(member, depth + 1)}")
        self._source.shuffle(members)
        return "{" + ",".join(members) + "}"

    def _array(self, schema: dict[str, Any], depth: int) -> str:
        least = schema.get("minItems", 0)
        most = max(least, min(schema.get("maxItems", ITEMS_MAX), ITEMS_MAX))
        count = least if self._size is Size.LEAST or self._written > TEXT_CHARACTERS_MAX else self._source.randint(least, most)
        return "[" + ",".join(self.value(schema["items"], depth + 1) for _ in range(count)) + "]"

    def _string(self, schema: dict[str, Any]) -> str:
        if "enum" in schema:
            return json.dumps(self._source.choice(schema["enum"]))
        if schema.get("format") == "date-time":
            return json.dumps(self._source.choice(["2026-03-01T08:00:00Z", "2026-03-01T08:00:00.123Z", "1970-01-01T00:00:00+01:00"]))
        if schema.get("format") == "uri":
            return '"https:\\/\\/example.com\\/firmware.bin"'
        most = schema.get("maxLength", STRING_CHARACTERS_MAX)
        length = most if self._size is Size.LONGEST else self._source.randint(0, min(most, STRING_CHARACTERS_MAX))
        text = "".join(self._source.choices(_ALPHABET, k=length))
        return json.dumps(text, ensure_ascii=self._source.random() < 0.5)

    def _number(self, schema: dict[str, Any]) -> str:
        low, high = _range(schema, 100_000)
        whole = self._source.randint(low, high - 1)
        if "multipleOf" in schema:  # 1.6: one decimal
            return f"{whole}.{self._source.randint(0, 9)}"
        return self._source.choice(
            [f"{whole}", f"{whole}.0", f"{whole}.{self._source.randint(0, 999):03}", f"{float(whole):.6e}", f"{whole}E0"]
        )


def _range(schema: dict[str, Any], bound: int) -> tuple[int, int]:
    low, high = schema.get("minimum", -bound), schema.get("maximum", bound)
    return int(low), int(max(high, low + 1))
