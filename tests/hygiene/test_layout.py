"""`codecs/` and `gateway/` are import roots and shadow nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.tree import PACKAGES, ROOT, modules


@pytest.mark.parametrize("root", PACKAGES.values(), ids=lambda root: root.name)
def test_import_roots_hold_no_loose_module(root: os.PathLike[str]) -> None:
    assert [name for name in os.listdir(root) if name.endswith(".py")] == []


def test_the_standard_codecs_module_is_not_shadowed() -> None:
    # With frozen modules off, Python itself imports `codecs` from the path while it starts, as it does under a debugger.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, PACKAGES.values())])}
    subprocess.run(
        [sys.executable, "-X", "frozen_modules=off", "-c", "import codecs; codecs.lookup('utf-8')"], env=environment, check=True, timeout=60
    )


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    names = {part for name in modules() for part in name.split(".")}
    assert names & sys.stdlib_module_names <= {"__main__"}
