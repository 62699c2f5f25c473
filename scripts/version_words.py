"""Write `workloads/version_words.py` from the official JSON schemas, as the PyPI package `ocpp` carries them.

Run from the project's root: python -m scripts.version_words
"""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Any, Final

from scripts.empty_answers import SCHEMA_PACKAGES

TARGET: Final = Path("gateway/ocppress_gateway/workloads/version_words.py")

_HEAD: Final = '''"""The actions and member names that not all editions of OCPP know, with the editions that do.

Written by `scripts/version_words.py` from the schemas.
"""

from __future__ import annotations

from typing import Final

from ocppress_codecs.rpc import OcppVersion

__all__ = ["VERSION_WORDS"]

VERSION_WORDS: Final[dict[frozenset[OcppVersion], frozenset[str]]] = {
'''


def words(package: str) -> set[str]:
    """Every action, and every member name at any depth of any message, of one edition."""
    found: set[str] = set()
    for file in (importlib.resources.files(package) / "schemas").iterdir():
        if file.name.endswith(".json"):
            found.add(file.name.removesuffix(".json").removesuffix("Request").removesuffix("Response"))
            _collect(json.loads(file.read_text(encoding="utf-8-sig")), found)
    return found


def _collect(schema: Any, found: set[str]) -> None:
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            found.update(schema["properties"])
        for part in schema.values():
            _collect(part, found)
    elif isinstance(schema, list):
        for part in schema:
            _collect(part, found)


def module_text() -> str:
    """The whole text of the data module."""
    by_version = {version: words(package) for version, package in SCHEMA_PACKAGES.items()}
    groups: dict[tuple[str, ...], list[str]] = {}
    for word in sorted(set.union(*by_version.values())):
        knowing = tuple(version for version in by_version if word in by_version[version])
        if len(knowing) < len(by_version):
            groups.setdefault(knowing, []).append(word)
    lines = [_HEAD]
    for knowing, group in sorted(groups.items()):
        members = ", ".join(f"OcppVersion.{version}" for version in knowing)
        lines.append(f"    frozenset({{{members}}}): frozenset(\n        {{\n")
        lines.extend(f'            "{word}",\n' for word in group)
        lines.append("        }\n    ),\n")
    lines.append("}\n")
    return "".join(lines)


if __name__ == "__main__":
    TARGET.write_text(module_text(), encoding="utf-8")
