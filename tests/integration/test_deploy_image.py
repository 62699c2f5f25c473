"""The Dockerfile's instructions, carried out without Docker on a clean Debian, and its two programs run as a container would run them.

What differs from a build by Docker from `python:3.13-slim-bookworm`: the Python is Debian's own (its release and its pip, both older, in /usr instead
of /usr/local, headers unpacked beside it), the rest of the root folder is a `debootstrap --variant=minbase`; nothing is cached between steps; a
container has this machine's network and no seccomp profile. `tests/support/image.py` is what takes Docker's place.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from ocppress_gateway import __version__
from tests.support.debian import bootstrapped, mirror, pip_settings, proxies
from tests.support.dockerfile import DOCKERFILE, Instruction, instructions, sent_files
from tests.support.image import BuildError, Container, Stage, build
from tests.support.processes import Files, make_files
from tests.support.tree import ROOT

SUITE: Final = "bookworm"
USER: Final = 10001
SIZE_MB_MAX: Final = 90
"""Of /opt/ocppress."""

TOOLS: Final = ("debootstrap", "unshare", "nsenter", "chroot", "apt-get")

STATE: Final = ('#state_folder = "state"', 'state_folder = "/var/lib/ocppress"')


def _reason_against() -> str:
    """Why it can't be done here; "" if it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        return "only root can change the root folder"
    if missing:
        return f"there is no {', '.join(missing)} here"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0:
        return "no namespaces can be made here"
    return "" if mirror(SUITE) else f"this machine's apt has no {SUITE}"


pytestmark = [pytest.mark.soak, pytest.mark.skipif(bool(_reason_against()), reason=_reason_against())]


class Workshop:
    """What builds have in common: the base image, the context, and where this machine's pip has packages from."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._context = scratch / "context"
        self._base = bootstrapped(SUITE, scratch)
        for file in sent_files():
            place = self._context / file.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)

    def built(self, name: str, steps: list[Instruction]) -> dict[str, Stage]:
        """The stages of a build, in a folder of this name."""
        scratch = self._scratch / name
        scratch.mkdir()
        variables, visible = pip_settings()
        environment = {**proxies(), **variables}
        return build(steps, scratch, images=self._image, context=self._context, environment=environment, visible=visible)

    def _image(self, name: str) -> Path:
        assert name == f"python:3.13-slim-{SUITE}", "another base image: adapt what takes its place here, and the docstring above"
        return self._base


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Its root folders are large: gone afterwards."""
    scratch = tmp_path_factory.mktemp("image")
    yield Workshop(scratch)
    shutil.rmtree(scratch)


@pytest.fixture(scope="module")
def image(workshop: Workshop) -> dict[str, Stage]:
    return workshop.built("image", instructions(DOCKERFILE.read_text()))


def _packages(stage: Stage) -> Path:
    (folder,) = stage.path("/opt/ocppress/lib").glob("python3*/site-packages")
    return folder


def _size_mb(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*")) / 1e6


def _everything(folder: Path) -> dict[str, tuple[int, ...]]:
    """Each file's kind, owner, size and times of change, by path."""
    files = {str(file): file.lstat() for file in folder.rglob("*")}
    return {
        name: (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in files.items()
    }


def _configurations(folder: Path) -> Files:
    """What `ocppress ca` makes, as the compose files want it: the container's user owns it, and what is stored is in the volume."""
    files = asyncio.run(make_files(folder, "ws://127.0.0.1:9/{identity}", edge_changes=[STATE], cloud_changes=[STATE]))
    for place in files.edge.parent, files.cloud.parent:
        for file in [place, *place.rglob("*")]:
            os.chown(file, USER, USER)
    return files


@pytest.mark.parametrize("side", ["edge", "cloud"])
def test_what_is_in_the_image(image: dict[str, Stage], side: str) -> None:
    stage = image[side]
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["hooks"]["custom"]
    for modules in hook["modules"].values():
        for module in modules:
            beside = list((_packages(stage) / module).parent.glob(f"{Path(module).stem}.*.so"))
            assert len(beside) == 1, f"{module} isn't compiled"
    size_mb = _size_mb(stage.path("/opt/ocppress"))
    print(f"{side}: /opt/ocppress has {size_mb:.1f} MB, the whole {_size_mb(stage.root):.0f} MB")
    assert size_mb < SIZE_MB_MAX
    assert [file.name for file in stage.path("/opt/ocppress/bin").glob("pip*")] == []
    assert not (_packages(stage) / "pip").exists()
    for pattern in "usr/bin/*gcc*", "usr/bin/cc", "usr/bin/ld", "usr/bin/strip", "usr/include/stdio.h", "wheels", "source", "root/.cache":
        assert list(stage.root.glob(pattern)) == [], pattern
    assert list(image["build"].root.glob("root/.cache/pip")) == []
    assert list(stage.root.glob("tmp/*")) == []
    state = stage.path("/var/lib/ocppress").stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (USER, USER, 0o700)
    assert {file.stat().st_uid for file in stage.path("/opt/ocppress").rglob("*") if not file.is_symlink()} == {0}


def test_both_run_read_only_as_nobody_in_particular(image: dict[str, Stage], tmp_path: Path) -> None:
    """The edge's link to the cloud included; and they end when they are told to."""
    files = _configurations(tmp_path)
    before = {side: _everything(image[side].root) for side in ("edge", "cloud")}
    (tmp_path / "c").mkdir()
    (tmp_path / "e").mkdir()
    with (
        Container.running(image["cloud"], configuration=files.cloud.parent, scratch=tmp_path / "c") as cloud,
        Container.running(image["edge"], configuration=files.edge.parent, scratch=tmp_path / "e") as edge,
    ):
        cloud.said("listening for edges")
        edge.said("link up")
        for side, container in ("edge", edge), ("cloud", cloud):
            health = container.execute(*image[side].health)
            assert health.returncode == 0, health.stderr
            assert health.stdout.startswith(f"{side} {__version__}, up "), health.stdout
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{container.pid}/status").read_text().splitlines())
            assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(USER)}
            assert {int(status[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd")} == {0}
            for place in "/opt/ocppress/new", "/etc/ocppress/new", "/new":
                tried = container.execute("touch", place, user="0:0")
                assert "Read-only file system" in tried.stderr, "a read-only root is what this test is about"
        assert (edge.stop(), cloud.stop()) == (0, 0), edge.log + cloud.log
        for container in edge, cloud:
            assert "Traceback" not in container.log
    for side, place in ("edge", "e"), ("cloud", "c"):
        assert _everything(image[side].root) == before[side]
        assert list((tmp_path / place / "volume").iterdir()), f"the {side} keeps its state in the volume"


def test_a_container_without_its_configuration_says_so(image: dict[str, Stage], tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "scratch").mkdir()
    with Container.running(image["edge"], configuration=tmp_path / "nothing", scratch=tmp_path / "scratch") as edge:
        assert edge.ended() == 78
        assert "edge.toml" in edge.log


# --- that a build which doesn't work is found


def _with(word: str, before: str, after: str) -> list[Instruction]:
    """The instructions of one stage of the Dockerfile, with one of them changed."""
    steps = instructions(DOCKERFILE.read_text())
    (at,) = (number for number, step in enumerate(steps) if step.word == word and before in step.rest)
    steps[at] = replace(steps[at], rest=steps[at].rest.replace(before, after))
    return [step for step in steps if step.stage in {"", steps[at].stage}]


@pytest.mark.parametrize(
    ("name", "word", "before", "after"),
    [
        ("command", "RUN", "groupadd", "no-such-command"),
        ("package", "RUN", "libffi-dev", "no-such-package"),
        ("kept-back", "COPY", "scripts scripts", "tests tests"),
        ("stage", "COPY", "--from=build", "--from=elsewhere"),
        ("variable", "FROM", "${DEBIAN} AS build", "${NOT_SET} AS build"),
        ("no-compiler", "RUN", "gcc libc6-dev", "tzdata"),
    ],
)
def test_a_step_that_fails_ends_the_build(workshop: Workshop, name: str, word: str, before: str, after: str) -> None:
    """The last: without a compiler the wheel is pure, which the Dockerfile refuses."""
    with pytest.raises(BuildError) as raised:
        workshop.built(f"broken-{name}", _with(word, before, after))
    assert raised.value.instruction.word == ("RUN" if name == "no-compiler" else word)
    assert after in str(raised.value) or name == "no-compiler"
