"""Write `core/empty_answers.py` from the official JSON schemas, as the PyPI package `ocpp` carries them.

Run from the project's root: python -m scripts.empty_answers
"""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Final

TARGET: Final = Path("gateway/ocppress_gateway/core/empty_answers.py")

SCHEMA_PACKAGES: Final = {"V16": "ocpp.v16", "V201": "ocpp.v201", "V21": "ocpp.v21"}
"""Member of `OcppVersion` to the package that holds its schemas."""

_RESPONSE: Final = "Response.json"

_HEAD: Final = '''"""The actions whose answer carries nothing: its schema has no field but `customData`.

Written by `scripts/empty_answers.py` from the schemas; both directions, as the schemas don't tell which end sends what.
"""

from __future__ import annotations

from typing import Final

from ocppress_codecs.rpc import OcppVersion

__all__ = ["EMPTY_ANSWER_ACTIONS"]

EMPTY_ANSWER_ACTIONS: Final[dict[OcppVersion, frozenset[str]]] = {
'''


def empty_answer_actions(package: str) -> list[str]:
    """The actions of one OCPP edition whose response schema has no field but customData, sorted."""
    found = []
    for file in (importlib.resources.files(package) / "schemas").iterdir():
        if file.name.endswith(_RESPONSE):
            schema = json.loads(file.read_text(encoding="utf-8-sig"))
            if set(schema.get("properties", {})) <= {"customData"}:
                found.append(file.name.removesuffix(_RESPONSE))
    return sorted(found)


def module_text() -> str:
    """The whole text of the data module."""
    lines = [_HEAD]
    for version, package in SCHEMA_PACKAGES.items():
        lines.append(f"    OcppVersion.{version}: frozenset(\n        {{\n")
        lines.extend(f'            "{action}",\n' for action in empty_answer_actions(package))
        lines.append("        }\n    ),\n")
    lines.append("}\n")
    return "".join(lines)


if __name__ == "__main__":
    TARGET.write_text(module_text(), encoding="utf-8")
