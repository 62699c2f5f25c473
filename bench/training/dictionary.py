"""Makes `codecs/ocppress_codecs/data/dictionary-1.cbor`: the messages that both ends know from the start.

Three sources, in this order, so that the most useful come last and are nearest: the least message of each schema, the recordings of station programs
that ship with the gateway, invented traffic. One message of each shape is taken. No recording of a real charger is used.

To measure fairly, a recording is compressed with a dictionary that has none of its station program: `train_dictionary(exclude="microocpp")`.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import ocpp

from bench.training.invented import messages_of_v2, messages_of_v16
from ocppress_codecs.carriage import Progress
from ocppress_codecs.dictionary import Dictionary
from ocppress_codecs.messages import write_messages
from ocppress_codecs.rpc import Message, MessageType, parse
from ocppress_codecs.shapes import Context, split

__all__ = ["DICTIONARY_FILE", "RECORDED_CHARACTERS_MAX", "main", "schema_messages", "train_dictionary"]

DICTIONARY_FILE: Final = Path(__file__).parents[2] / "codecs/ocppress_codecs/data/dictionary-1.cbor"
_RECORDINGS: Final = "ocppress_gateway.workloads"

RECORDED_CHARACTERS_MAX: Final = 1500
"""Recorded messages longer than this are reports of one program's own configuration."""

_Trained = tuple[MessageType, str]


def main() -> None:
    """Write the dictionary."""
    DICTIONARY_FILE.write_bytes(train_dictionary().data)


@functools.cache
def train_dictionary(exclude: str | None = None) -> Dictionary:
    """The dictionary from everything but the recordings `sim-{exclude}-*`."""
    v16 = [*schema_messages("v16"), *_recorded("1.6", exclude), *messages_of_v16()]
    v2 = [*schema_messages("v21"), *_recorded("2.", exclude), *messages_of_v2()]
    return Dictionary(_sequence(v16), _sequence(v2))


def _sequence(messages: Iterable[_Trained]) -> bytes:
    """The messages at first sight, one of each shape: the last of them, at its place."""
    last: dict[tuple[str, ...], _Trained] = {}
    for kind, body in messages:
        shape, _ = split(kind, body)
        last.pop(shape, None)
        last[shape] = kind, body
    batch: list[Message] = []
    calls = 0
    for kind, body in last.values():
        batch.append(Message(kind, "", body, calls if kind is MessageType.CALL else len(batch) - calls))
        calls += kind is MessageType.CALL
    return write_messages(batch, Context(), Progress())


def _recorded(version: str, exclude: str | None) -> Iterator[_Trained]:
    folder = importlib.resources.files(_RECORDINGS) / "recordings"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        _, program, file_version = file.name.removesuffix(".jsonl").split("-")[:3]
        if program == exclude or not file_version.startswith(version):
            continue
        for line in file.read_text().splitlines():
            message = parse(json.loads(line)["frame"])[1]
            if len(message.body) <= RECORDED_CHARACTERS_MAX:
                yield message.type, message.body


def schema_messages(version: str) -> Iterator[_Trained]:
    """The least message of each schema of `version`, which is named as in the package: `v16`, `v201`, `v21`."""
    for file in sorted((Path(ocpp.__file__).parent / version / "schemas").glob("*.json")):
        schema = json.loads(file.read_text(encoding="utf-8-sig"))
        payload = json.dumps(_least(schema, schema), separators=(",", ":"))
        if file.stem.endswith("Response"):
            yield MessageType.CALLRESULT, payload
        else:
            yield MessageType.CALL, f'"{file.stem.removesuffix("Request")}",{payload}'


def _least(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """A value with the required members only, in the schema's order."""
    if "$ref" in schema:
        return _least(root["definitions"][schema["$ref"].removeprefix("#/definitions/")], root)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            return {key: _least(member, root) for key, member in schema.get("properties", {}).items() if key in required}
        case "array":
            return [_least(schema["items"], root)]
        case "string":
            return "2026-03-02T08:00:00Z" if schema.get("format") == "date-time" else ""
        case "integer":
            return 1
        case "number":
            return 1.0
        case "boolean":
            return True
        case _:
            return None


if __name__ == "__main__":
    main()
