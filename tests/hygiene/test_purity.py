"""`ocppress_codecs`, `core` and the stores' interfaces decide and never wait: no I/O, no clock, no randomness, no log."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import Final

import pytest

from tests.support.tree import PACKAGES, Module, modules

BANNED: Final = {
    *("asyncio", "selectors", "socket", "ssl", "threading", "multiprocessing", "concurrent", "subprocess", "signal"),
    *("time", "random", "secrets", "uuid", "os", "pathlib", "io", "tempfile", "sqlite3", "logging"),
    *("aiohttp", "aiomqtt", "rich", "cryptography"),
}
BANNED_AT_RUN_TIME: Final = {
    "asyncio",
    "selectors",
    "socket",
    "ssl",
    "multiprocessing",
    "subprocess",
    "sqlite3",
    "logging",
    "aiohttp",
    "rich",
}
"""Those of `BANNED` that neither the interpreter nor cbor2, zstandard and msgspec load by themselves."""

BANNED_METHODS: Final = {"now", "utcnow", "today"}

BESIDES: Final = {"ocppress_gateway.outbox.base", "ocppress_gateway.positions.base", "ocppress_gateway.masking"}
"""The stores' interfaces, and what `core` asks for secrets."""

PURE: Final = [
    module
    for name, module in modules().items()
    if name.split(".")[0] == "ocppress_codecs" or name.startswith("ocppress_gateway.core") or name in BESIDES
]


@pytest.mark.parametrize("module", PURE, ids=lambda module: module.name)
def test_imports_nothing_that_waits(module: Module) -> None:
    assert {name.split(".")[0] for name in module.imports()} & BANNED == set()


@pytest.mark.parametrize("module", PURE, ids=lambda module: module.name)
def test_neither_waits_nor_looks_at_the_clock(module: Module) -> None:
    for node in ast.walk(module.tree):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith), f"line {node.lineno} waits"
        if isinstance(node, ast.Call):
            called = node.func
            assert not (isinstance(called, ast.Name) and called.id in {"open", "print", "input"}), f"line {node.lineno} does I/O"
            assert not (isinstance(called, ast.Attribute) and called.attr in BANNED_METHODS), f"line {node.lineno} looks at the clock"


def test_loads_nothing_that_waits() -> None:
    program = "\n".join(
        [*(f"import {module.name}" for module in PURE), "import sys", "print(*{name.split('.')[0] for name in sys.modules})"]
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PACKAGES.values()))}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert "ocppress_codecs" in loaded
    assert loaded & BANNED_AT_RUN_TIME == set()


def test_a_running_edge_loads_no_library_that_it_needs_once_in_years() -> None:
    """Memory is short where it runs: `cryptography` comes with a renewed certificate."""
    program = "import ocppress_gateway.cli, ocppress_gateway.edge.program, sys; print(*{name.split('.')[0] for name in sys.modules})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PACKAGES.values()))}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert {"ocppress_gateway", "aiohttp"} <= loaded
    assert "cryptography" not in loaded
