"""Compiles the hot modules with mypyc while a wheel is built, where a C compiler is at hand; elsewhere the wheel is pure Python.

Both kinds give identical bytes: the same sources, and the same vectors in the tests. `OCPPRESS_PURE=1` in the environment asks for the pure one.
Editable installs are always pure, so that what one edits is what runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILE_REQUIREMENTS: Final = ["mypy==2.4.1", "setuptools>=75", "cbor2>=6.1", "msgspec>=0.22", "zstandard>=0.25"]
"""Only asked for where something will be compiled: the compiler, and the libraries whose types the compiled modules see."""

_SETUP: Final = """
import sys
from mypyc.build import mypycify
from setuptools import setup
setup(name="ocppress", packages=[], ext_modules=mypycify(["--strict", *sys.argv.pop().split(":")], opt_level="3", debug_level="0"))
"""


class CompileHotModules(BuildHookInterface[Any]):
    """Hatchling's hook; `modules` in pyproject.toml names what is compiled, by import root and relative to it."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if reason_against() else COMPILE_REQUIREMENTS

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        reason = reason_against()
        if self.target_name != "wheel" or version == "editable":
            return
        if reason:
            self.app.display_info(f"ocppress: all stays pure Python ({reason})")
            return
        self._scratch = Path(tempfile.mkdtemp(prefix="ocppress-build-"))
        try:
            compiled = self._compile(self._scratch)
        except subprocess.CalledProcessError as error:
            self.app.display_warning(f"ocppress: all stays pure Python (compiling them failed)\n{error.stdout}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in compiled:
            build_data["force_include"][str(path)] = str(path.relative_to(self._scratch / "out"))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        scratch = getattr(self, "_scratch", None)
        if scratch is not None:
            shutil.rmtree(scratch)

    def _compile(self, scratch: Path) -> list[Path]:
        modules = [module for of_root in self.config["modules"].values() for module in of_root]
        (scratch / "setup.py").write_text(_SETUP)
        arguments = ["build_ext", "--build-lib", str(scratch / "out"), "--build-temp", str(scratch / "objects")]
        # mypyc names a module by its path from where it runs.
        for root, of_root in self.config["modules"].items():
            for package in {Path(module).parts[0] for module in of_root}:
                shutil.copytree(Path(self.root, root, package), scratch / package, ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(
            [sys.executable, "setup.py", "-q", *arguments, ":".join(modules)],
            cwd=scratch,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return sorted((scratch / "out").rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))


def reason_against() -> str:
    """Why nothing is compiled; "" if it can be."""
    if os.environ.get("OCPPRESS_PURE"):
        return "OCPPRESS_PURE is set"
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler.split()[0]) is None:
        return f"no C compiler: {compiler.split()[0]}"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "no Python.h: the headers of this Python are not installed"
    return ""
