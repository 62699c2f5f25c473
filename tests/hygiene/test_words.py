"""The project speaks of itself alone: no file names a place, ticket or server that its readers don't have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from tests.support.tree import ROOT, tracked_files

# Written in pieces, so that this file is no exception.
FORBIDDEN: Final = re.compile(
    "|".join(
        [
            "/" + "work/",
            "/" + "tmp/",
            "/" + "home/[a-z]",
            "/" + "root/",
            r"\bissues?" + r" ?#?\d",
            r"\(" + r"#\d+\)",
            "registry" + r"\.npmjs",
            "files" + r"\.pythonhosted",
            "pypi" + r"\.org",
            "TO" + "DO",
            "FIX" + "ME",
        ]
    )
)
TEXT: Final = {".py", ".md", ".toml", ".json", ".js", ".yml", ".yaml", ".cddl", ".sh", ".cfg", ".txt", ""}
"""Endings of files that people write; recordings and binary data are not among them."""


def test_no_file_names_a_place_of_its_making() -> None:
    found = []
    for file in tracked_files():
        if file.suffix in TEXT and file.name != "LICENSE":
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                if FORBIDDEN.search(line):
                    found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


def test_documents_name_recordings_by_their_variable_only() -> None:
    documents = [file for file in tracked_files() if file.suffix == ".md"]
    assert ROOT / "README.md" in documents
    assert [str(file) for file in documents if "shared/" in file.read_text(encoding="utf-8")] == []


def test_lock_files_name_no_server() -> None:
    locks = [file for file in tracked_files() if file.name == "package-lock.json"]
    assert {str(lock): _servers(lock) for lock in locks} == {str(lock): [] for lock in locks}


def _servers(lock: Path) -> list[str]:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return [package["resolved"] for package in packages.values() if "resolved" in package]
