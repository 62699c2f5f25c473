"""The integers of OCPP's names, read once from `data/names-1.json`; `bench/training/names.py` makes the file."""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass
from typing import Final

__all__ = ["Names", "names", "names_bytes", "packaged"]

_NAMES_FILE: Final = "names-1.json"


@dataclass(frozen=True, slots=True)
class Names:
    """`keys` are members' names, `words` string values; a name's integer is its place."""

    keys: tuple[str, ...]
    words: tuple[str, ...]
    key_numbers: dict[str, int]
    word_numbers: dict[str, int]


@functools.cache
def names() -> Names:
    """The table; the same object each time."""
    table = json.loads(packaged(_NAMES_FILE))
    keys, words = tuple(table["keys"]), tuple(table["words"])
    return Names(keys, words, {key: number for number, key in enumerate(keys)}, {word: number for number, word in enumerate(words)})


def packaged(file_name: str) -> bytes:
    """A file that ships with this package; the only thing that it reads from outside."""
    return (importlib.resources.files("ocppress_codecs") / "data" / file_name).read_bytes()


def names_bytes() -> bytes:
    """The table as it stands in the file, for the fingerprint."""
    return packaged(_NAMES_FILE)
