"""Makes `codecs/ocppress_codecs/data/names-1.json`: the integers of OCPP's names.

`keys` are the names of members in the JSON schemas of OCPP 1.6, 2.0.1 and 2.1, `words` the enumerated strings of the schemas, the standardised
names of components, variables and configuration keys, the actions and the error codes. Frequent ones come first, since small integers are short in
CBOR. How frequent is estimated from the schemas alone: each occurrence counts as often as messages of its action are sent in daily use.

The source is the PyPI package `ocpp` in the version of `OCPP_PACKAGE_VERSION`.
"""

from __future__ import annotations

import collections
import enum
import importlib
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import ocpp

__all__ = ["NAMES_FILE", "OCPP_PACKAGE_VERSION", "main", "names_text"]

OCPP_PACKAGE_VERSION: Final = "2.1.0"
NAMES_FILE: Final = Path(__file__).parents[2] / "codecs/ocppress_codecs/data/names-1.json"

_VERSIONS: Final = ("v16", "v201", "v21")

_WEIGHT: Final = {
    "MeterValues": 1000,
    "TransactionEvent": 1000,
    "Heartbeat": 1000,
    "StatusNotification": 300,
    "StartTransaction": 100,
    "StopTransaction": 100,
    "Authorize": 100,
    "BootNotification": 50,
    "NotifyReport": 50,
    "NotifyEvent": 50,
    "SetChargingProfile": 50,
    "GetConfiguration": 30,
    "ChangeConfiguration": 30,
    "GetVariables": 30,
    "SetVariables": 30,
    "RemoteStartTransaction": 30,
    "RemoteStopTransaction": 30,
    "RequestStartTransaction": 30,
    "RequestStopTransaction": 30,
    "TriggerMessage": 20,
    "DataTransfer": 20,
}
"""Rough shares of daily traffic; any other action weighs 1."""

_ERROR_CODES: Final = (
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "FormatViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "OccurrenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
    "MessageTypeNotSupported",
    "RpcFrameworkError",
)
"""OCPP-J's errorCode values (1.6J 4.2.3; 2.x Part 4 4.3): in no schema."""

_WORDS_BESIDE: Final = ("true", "false")
"""Configuration keys and variables have them as strings."""


def main() -> None:
    """Write the table."""
    NAMES_FILE.write_text(names_text())


def names_text() -> str:
    """The content of the table: JSON, one name a line."""
    keys: collections.Counter[str] = collections.Counter()
    words: collections.Counter[str] = collections.Counter()
    for action, schema in _schemas():
        weight = _WEIGHT.get(action, 1)
        words[action] += weight
        for key, word in _names(schema):
            if key:
                keys[key] += weight
            if word:
                words[word] += weight
    for version in _VERSIONS:
        for word in _standardised(version):
            words[word] += 1
    for word in (*_ERROR_CODES, *_WORDS_BESIDE):
        words[word] += 10
    return json.dumps({"keys": _ordered(keys), "words": _ordered(words)}, indent=0) + "\n"


def _schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for version in _VERSIONS:
        for file in sorted((Path(ocpp.__file__).parent / version / "schemas").glob("*.json")):
            yield file.stem.removesuffix("Request").removesuffix("Response"), json.loads(file.read_text(encoding="utf-8-sig"))


def _names(schema: Any) -> Iterator[tuple[str, str]]:
    """Each member's name and each enumerated string in the schema, as (key, "") and ("", word)."""
    if isinstance(schema, list):
        for item in schema:
            yield from _names(item)
    if not isinstance(schema, dict):
        return
    for key in schema.get("properties", {}):
        yield key, ""
    for word in schema.get("enum", []):
        yield "", word
    for item in schema.values():
        yield from _names(item)


def _standardised(version: str) -> Iterator[str]:
    """Names that the specification's appendices list, which the package has as enumerations in Python."""
    module = importlib.import_module(f"ocpp.{version}.enums")
    for kind in vars(module).values():
        if isinstance(kind, type) and issubclass(kind, enum.Enum) and issubclass(kind, str):
            yield from (str(member.value) for member in kind)


def _ordered(counts: collections.Counter[str]) -> list[str]:
    plain = [name for name in counts if json.dumps(name) == f'"{name}"' and not name[:1].isdigit()]
    return sorted(plain, key=lambda name: (-counts[name], name))


if __name__ == "__main__":
    assert importlib.metadata.version("ocpp") == OCPP_PACKAGE_VERSION, f"made from ocpp {OCPP_PACKAGE_VERSION} only"
    main()
