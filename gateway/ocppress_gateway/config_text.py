"""Text made from the declarations in `config`: commented TOML files and the tables of the README, so that none of them can be out of date.

# PEM private key …          ← Meta(description=…)
key_file = "edge.key"        ← a value that was given
#linger_ms = 20              ← a default
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import inspect as declared

__all__ = ["commented_toml", "edges_entry", "reference"]

_WIDTH: Final = 110
"""Columns of a comment."""


def commented_toml(kind: type[msgspec.Struct], values: Mapping[str, Any], heading: str) -> str:
    """A configuration file of this kind with `values`: each key explained, each default and each absent optional table commented out.

    `heading` is the comment at the top. Every required key of a table that isn't optional must have a value.
    """
    return "\n".join([*_comment(heading), *_table(kind, values, "", mark="")]) + "\n"


def edges_entry(name: str, stations: Sequence[str], psk_file: str | None = None) -> str:
    """The table that lets an edge connect, to be appended to `cloud.toml`."""
    psk = {} if psk_file is None else {"psk_file": psk_file}
    return _entry("edges", {"name": name, "stations": list(stations), **psk})


def reference(kind: type[msgspec.Struct]) -> str:
    """All keys of a configuration file as a Markdown table."""
    rows = [f"| `{place}` | {default} | {meaning} |" for place, default, meaning in _rows(kind, "")]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _table(kind: type[msgspec.Struct], values: Mapping[str, Any], place: str, *, mark: str) -> Iterator[str]:
    keys = list(_keys(kind))
    assert values.keys() <= {key.name for key in keys}, "a value for a key that isn't declared"
    for key in keys:
        if key.table is not None or key.entry is not None:
            continue
        yield from ("", *_comment(key.description))
        if key.name in values:
            yield f"{key.name} = {_value(values[key.name])}"
        else:
            assert mark or not key.required, f"{place}{key.name} needs a value"
            yield f"#{key.name} = {key.default}".rstrip()
    for key in keys:
        if key.table is not None:
            inner_mark = "" if key.name in values or not key.optional else "#"
            yield from ("", *_comment(key.description), f"{inner_mark}[{place}{key.name}]")
            yield from _table(key.table, values.get(key.name, {}), f"{place}{key.name}.", mark=inner_mark)
        elif key.entry is not None:
            yield from ("", *_comment(key.description))
            yield from "".join(_entry(f"{place}{key.name}", entry) for entry in values.get(key.name, ())).strip("\n").splitlines()
            if mark:
                yield f"#[[{place}{key.name}]]"
                yield from _table(key.entry, {}, "", mark=mark)


def _entry(place: str, values: Mapping[str, Any]) -> str:
    """One table of an array of tables."""
    return "\n".join(["", f"[[{place}]]", *(f"{name} = {_value(value)}" for name, value in values.items()), ""])


def _rows(kind: type[msgspec.Struct], place: str) -> Iterator[tuple[str, str, str]]:
    keys = list(_keys(kind))
    for key in keys:
        if key.table is None and key.entry is None:
            required = "*Required.* " if key.required else ""
            yield (place + key.name, f"`{key.default}`" if key.default else "", required + key.description)
    for key in keys:
        path = place + key.name
        if key.table is not None:
            yield (f"[{path}]", "", ("*Optional.* " if key.optional else "") + key.description)
            yield from _rows(key.table, f"{path}.")
        elif key.entry is not None:
            yield (f"[[{path}]]", "", key.description)
            yield from _rows(key.entry, f"{path}.")


@dataclass(frozen=True, slots=True)
class _Key:
    """One key as it was declared. `table` is the struct of a table, `entry` that of an array of tables."""

    name: str
    description: str
    required: bool
    optional: bool
    default: str
    table: type[msgspec.Struct] | None
    entry: type[msgspec.Struct] | None


def _keys(kind: type[msgspec.Struct]) -> Iterator[_Key]:
    info = declared.type_info(kind)
    assert isinstance(info, declared.StructType)
    for field in info.fields:
        description, bare = _bare(field.type)
        table = _struct(bare)
        entry = _struct(bare.item_type) if isinstance(bare, declared.VarTupleType) else None
        optional = field.default is None
        plain = not (field.required or optional or table or entry)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        yield _Key(
            name=field.encode_name,
            description=description or (table and inspect.getdoc(table)) or "",
            required=field.required,
            optional=optional,
            default=_value(default) if plain else "",
            table=table,
            entry=entry,
        )


def _bare(kind: declared.Type) -> tuple[str, declared.Type]:
    """A type without its annotations, and the description among these."""
    description = ""
    while isinstance(kind, declared.Metadata):
        description = description or (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    return description, kind


def _struct(kind: declared.Type) -> type[msgspec.Struct] | None:
    options = kind.types if isinstance(kind, declared.UnionType) else (kind,)
    return next((option.cls for option in options if isinstance(option, declared.StructType)), None)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, _WIDTH)]


def _value(value: Any) -> str:
    """A value as TOML writes it; JSON's strings, numbers, booleans and arrays are TOML's too."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_value(name)} = {_value(inner)}" for name, inner in value.items()) + " }" if value else "{}"
    return json.dumps(value, ensure_ascii=False, default=str)
