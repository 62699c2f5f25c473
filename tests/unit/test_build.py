"""Which build is under test: the one that was asked for, whole."""

from __future__ import annotations

import importlib
import sysconfig
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.support.tree import ROOT

MODULES = [
    module.removesuffix(".py").replace("/", ".")
    for of_root in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["hooks"]["custom"]["modules"].values()
    for module in of_root
]


def is_compiled() -> bool:
    """Whether what is installed is a wheel for one Python on one machine; one in development is never compiled, so that what one edits is what runs."""
    tags = distribution("ocppress").read_text("WHEEL")
    assert tags is not None
    return "Root-Is-Purelib: false" in tags.splitlines()


@pytest.mark.parametrize("name", MODULES)
def test_hot_modules_are_loaded_from_the_build_that_is_installed(name: str) -> None:
    file = importlib.import_module(name).__file__
    assert file is not None
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX")) if is_compiled() else ".py"
    assert Path(file).name == name.rpartition(".")[2] + suffix
