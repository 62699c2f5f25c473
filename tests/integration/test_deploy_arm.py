"""The programs under an emulated 64-bit ARM processor: Debian's Python for it, wheels for it, and this tree, not compiled.

Neither an image nor a package is built there, and an emulation of one process is no ARM board: system calls are this machine's kernel's, and
nothing is learned of speed or memory.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.support.debian import mirror
from tests.support.processes import Process, make_files
from tests.support.tree import ROOT

SUITE: Final = "bookworm"
SERIES: Final = "3.11"
"""Of that Debian's Python."""
EMULATOR: Final = shutil.which("qemu-aarch64-static")
TRACES: Final = sorted((ROOT / "gateway/ocppress_gateway/workloads/recordings").glob("*.jsonl"))

APT: Final = """
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "root";
Dir "{folder}";
Dir::State::status "{folder}/status";
Dir::Etc::sourcelist "{folder}/sources";
"""
"""An apt of its own, that knows of no installed package."""


def _reason_against() -> str:
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if EMULATOR is None:
        return "there is no qemu-aarch64-static here (Debian's qemu-user-static)"
    if missing:
        return f"there is no {', '.join(missing)} here"
    return "" if mirror(SUITE) else f"this machine's apt has no {SUITE}"


pytestmark = [pytest.mark.soak, pytest.mark.skipif(bool(_reason_against()), reason=_reason_against())]


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that is Python there, with what the project depends on and the project itself."""
    scratch = tmp_path_factory.mktemp("arm")
    apt, root, site = scratch / "apt", scratch / "root", scratch / "site"
    for folder in "etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial":
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources").write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror(SUITE)} {SUITE} main\n")
    (apt / "apt.conf").write_text(APT.format(folder=apt))
    own = {"APT_CONFIG": str(apt / "apt.conf")}
    _run("apt-get", "update", environment=own)
    _run("apt-get", "install", "--yes", "--download-only", "--no-install-recommends", f"python{SERIES}", environment=own)
    for package in apt.rglob("*.deb"):
        _run("dpkg-deb", "--extract", package, root)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    platforms = [word for glibc in ("2014", "_2_28", "_2_34") for word in ("--platform", f"manylinux{glibc}_aarch64")]
    wheels: list[str | Path] = ["--only-binary", ":all:", "--python-version", SERIES, "--dest", scratch / "wheels"]
    _run(sys.executable, "-m", "pip", "download", "--quiet", *platforms, *wheels, *needed)
    for wheel in (scratch / "wheels").iterdir():
        zipfile.ZipFile(wheel).extractall(site)
    program = scratch / "python"
    program.write_text(
        "#!/bin/sh\n"
        f"export PYTHONDONTWRITEBYTECODE=1 PYTHONHOME={root}/usr PYTHONPATH={ROOT}/gateway:{ROOT}/codecs:{site}\n"
        f'exec {EMULATOR} -L {root} {root}/usr/bin/python{SERIES} "$@"\n'
    )
    program.chmod(0o755)
    return program


def test_what_runs_there_is_for_that_processor(python: Path) -> None:
    said = _run(python, "-c", "import platform, msgspec._core as core; print(platform.machine(), core.__file__)").split()
    assert said[0] == "aarch64"
    assert "aarch64" in said[1]


@pytest.mark.parametrize("trace", TRACES[:2], ids=lambda file: file.stem)
def test_frames_are_the_same_there(python: Path, trace: Path, tmp_path: Path) -> None:
    """Byte by byte: an edge on one kind of processor and a cloud on another have the same model."""
    here, there = tmp_path / "here.frames", tmp_path / "there.frames"
    _run(sys.executable, "-m", "ocppress_gateway", "encode", trace, here, environment={"PYTHONPATH": os.pathsep.join(sys.path)})
    _run(python, "-m", "ocppress_gateway", "encode", trace, there)
    assert there.read_bytes() == here.read_bytes()


def test_an_edge_there_links_with_a_cloud_here(python: Path, tmp_path: Path) -> None:
    """TLS, the kernel's counters, its stores; and it ends when it is told to."""

    async def main() -> None:
        files = await make_files(tmp_path, "ws://127.0.0.1:9/{identity}")
        async with (
            Process.running("cloud", "--config", files.cloud) as cloud,
            Process.running("edge", "--config", files.edge, python=python) as edge,
        ):
            await edge.said("link up")
            await asyncio.to_thread(_run, python, "-m", "ocppress_gateway", "status", "--config", files.edge)
            assert await edge.end(signal.SIGTERM) == 0
            await cloud.said("the edge says goodbye")
            assert not [line for line in edge.lines if "Traceback" in line]

    asyncio.run(main())
