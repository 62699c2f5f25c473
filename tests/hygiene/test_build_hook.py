"""The build hook compiles where it can, says why where it can't, and names modules that exist."""

from __future__ import annotations

import tomllib

import pytest

from tests.support.tree import ROOT

hook = pytest.importorskip("scripts.build_hook", reason="hatchling is not installed", exc_type=ImportError)


def test_every_hot_module_exists() -> None:
    modules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["hooks"]["custom"]["modules"]
    assert modules, "something is worth compiling"
    assert [module for root, of_root in modules.items() for module in of_root if not (ROOT / root / module).is_file()] == []


def test_without_a_compiler_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCPPRESS_PURE", raising=False)
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert hook.reason_against() == "no C compiler: no-such-compiler"


def test_a_pure_wheel_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCPPRESS_PURE", "1")
    assert hook.reason_against() == "OCPPRESS_PURE is set"
