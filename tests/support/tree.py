"""The project's own files, for tests of the repository itself."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {"ocppress_codecs": ROOT / "codecs", "ocppress_gateway": ROOT / "gateway"}
"""Package to the import root that holds it."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a package, unread: its dotted name, file and syntax tree."""

    name: str
    file: Path
    tree: ast.Module

    def imports(self) -> Iterator[str]:
        """The dotted names of all that it imports anywhere, also within functions; of `from a import b` both `a` and `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None, f"{self.name} has a relative import"
                assert node.level == 0, f"{self.name} has a relative import"
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def modules() -> dict[str, Module]:
    """All modules of both packages by dotted name."""
    found = {}
    for package, root in PACKAGES.items():
        for file in sorted((root / package).rglob("*.py")):
            name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            found[name] = Module(name, file, ast.parse(file.read_text(encoding="utf-8")))
    assert len(found) > 20, "the packages were not found"
    return found


@cache
def tracked_files() -> list[Path]:
    """The files that git has, or would take; skips the test where this is no clone."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git clone")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]
