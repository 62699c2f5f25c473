"""Who may import whom, and what a module offers."""

from __future__ import annotations

import ast
from typing import Final

import pytest

from tests.support.tree import Module, modules

MAY_IMPORT: Final = {
    "errors": set[str](),
    "core": {"masking"},
    "admin": {"config_admin", "control", "core", "errors", "http_client", "http_listener", "http_requests", "status", "taps", "transports"},
    "config": {"config_admin", "core", "errors", "masking"},
    "config_admin": set[str](),
    "config_text": {"config"},
    "log": {"config", "core"},
    "masking": set[str](),
    "http_client": {"errors", "core"},
    "http_listener": {"proxied_server"},
    "proxied_server": {"core", "proxy_header"},
    "proxy_header": set[str](),
    "taps": {"core", "errors", "masking"},
    "transports": {"errors", "core", "http_client", "http_listener", "http_requests", "proxied_server"},
    "ledger": {"errors", "core", "cost", "log", "storage", "transports", "workloads"},
    "storage": {"errors"},
    "outbox": {"errors", "core", "storage"},
    "positions": {"errors", "core", "storage"},
    "workloads": {"errors", "masking", "core"},
    "cost": {"core", "workloads"},
    "provisioning": {"config", "config_text", "core", "errors"},
}
"""Part of the gateway to the parts that it may import besides itself; the codecs are open to all."""

NEVER: Final = {
    "edge": {"cloud", "cli", "demo", "tools", "provisioning"},
    "cloud": {"edge", "cli", "demo", "tools"},
    "tools": {"cli", "demo", "edge", "cloud", "provisioning"},
    "demo": {"cli"},
}
"""Parts that stand above the others and don't import each other."""

PUBLIC: Final = [module for module in modules().values() if not module.file.name.startswith("_")]


def _part(name: str) -> str:
    """`ocppress_gateway.core.events` is of part `core`."""
    return [*name.split("."), ""][1]


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_imports_point_one_way(module: Module) -> None:
    imported = {_part(name) for name in module.imports() if name.split(".")[0] == "ocppress_gateway"} - {"", "__version__"}
    if module.name.split(".")[0] == "ocppress_codecs":
        assert imported == set()
        return
    part = _part(module.name)
    imported -= {part}
    if part in MAY_IMPORT:
        assert imported <= MAY_IMPORT[part]
    assert not imported & NEVER.get(part, set())


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.name)
def test_public_modules_say_what_they_offer(module: Module) -> None:
    defined = {node.name for node in module.tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    offered = next((_strings(node.value) for node in module.tree.body if isinstance(node, ast.Assign) and _is_all(node)), None)
    assert offered is not None, "has no __all__"
    known = defined | {name for node in module.tree.body for name in _assigned(node)}
    assert offered <= known, "offers what it doesn't define"


def test_every_module_says_what_it_is() -> None:
    assert [module.name for module in modules().values() if not ast.get_docstring(module.tree)] == []


def _is_all(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)


def _strings(value: ast.expr) -> set[str]:
    names = ast.literal_eval(value)
    assert len(names) == len(set(names)), "offers a name twice"
    return set(names)


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
