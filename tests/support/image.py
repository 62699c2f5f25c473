"""Docker's part, for where there is no Docker: carries a Dockerfile's instructions out on copies of a root folder, and runs what comes of it.

A stage is a folder, a copy of the one that it begins with. Needs root, and `unshare`, `nsenter` and `chroot`. Instructions and options that the
project's Dockerfile doesn't use are errors, not guesses.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Final, Self

from tests.support.dockerfile import Instruction

__all__ = ["BuildError", "Container", "Stage", "build"]

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Docker sets where an image says nothing."""

WAIT_S: Final = 60
"""For what a container has to say or do; reached only when something is broken."""

RUN: Final = r"""
set -e
root=$1 user=$2 folder=$3 command=$4
shift 4
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
for path; do
    if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$root${path%/*}"; [ -e "$root$path" ] || : >"$root$path"; fi
    mount --bind "$path" "$root$path"
done
exec chroot --userspec="$user" "$root" env --chdir="$folder" /bin/sh -c "$command"
"""
"""A RUN; the arguments after the command are paths of this machine that it sees, too."""

START: Final = r"""
set -e
root=$1 user=$2 folder=$3 configuration=$4 volume=$5 volume_in=$6
shift 6
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$configuration" "$root$folder"
mount -o remount,bind,ro "$root$folder"
mount --bind "$volume" "$root$volume_in"
mount -o remount,bind,ro "$root"
exec chroot "$root" env --chdir="$folder" \
    setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
"""A container with `read_only`, `cap_drop: [ALL]`, `no-new-privileges` and `tmpfs: /tmp`, as in the compose files; the program is its process 1."""


class BuildError(Exception):
    """An instruction failed: which, and what was said."""

    def __init__(self, instruction: Instruction, said: str) -> None:
        super().__init__(f"{instruction.stage}: {instruction.word} {instruction.rest}\n{said[-4000:]}")
        self.instruction = instruction


@dataclass(frozen=True, slots=True)
class Stage:
    """A root folder, and what an image says about running it."""

    root: Path
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": PATH})
    folder: str = "/"
    user: str = "0:0"
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    health: Sequence[str] = ()
    volumes: Sequence[str] = ()
    stop_signal: signal.Signals = signal.SIGTERM

    def path(self, name: str) -> Path:
        """On this machine, of what the image calls `name`."""
        return self.root / os.path.join(self.folder, name).lstrip("/")


def build(
    steps: Sequence[Instruction],
    scratch: Path,
    *,
    images: Callable[[str], Path],
    context: Path,
    environment: Mapping[str, str],
    visible: Sequence[Path] = (),
) -> dict[str, Stage]:
    """Carry them out; the stages by name, each in its folder below `scratch`.

    `images`: the root folder of an image's name, which is copied. `environment` and `visible`, variables and paths of this machine: what each RUN
    gets besides, and the image doesn't. Raises `BuildError`.
    """
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for step in steps:
        try:
            match step.word:
                case "ARG" if not step.stage:
                    name, _, value = step.rest.partition("=")
                    arguments[name] = value
                case "FROM":
                    origin = Template(step.rest.rpartition(" AS ")[0]).substitute(arguments)
                    begun = stages[origin] if origin in stages else Stage(images(origin))
                    _checked("cp", "--archive", "--reflink=auto", begun.root, scratch / step.stage)
                    stages[step.stage] = replace(begun, root=scratch / step.stage)
                case "RUN":
                    _run(stages[step.stage], step.rest, environment, visible)
                case "COPY":
                    _copy(stages, step, context)
                case _:
                    stages[step.stage] = _configured(stages[step.stage], step)
        except subprocess.CalledProcessError as error:
            raise BuildError(step, error.stdout) from error
        except (KeyError, ValueError, OSError) as error:
            raise BuildError(step, repr(error)) from error
    return stages


def _configured(stage: Stage, step: Instruction) -> Stage:
    match step.word:
        case "ENV":
            # All of them see what was before.
            pairs = (word.partition("=") for word in shlex.split(step.rest))
            new = {name: Template(value).substitute(stage.environment) for name, _, value in pairs}
            return replace(stage, environment={**stage.environment, **new})
        case "WORKDIR":
            stage.path(step.rest).mkdir(parents=True, exist_ok=True)
            return replace(stage, folder=os.path.join(stage.folder, step.rest))
        case "USER":
            return replace(stage, user=step.rest)
        case "VOLUME":
            return replace(stage, volumes=[*stage.volumes, *step.rest.split()])
        case "STOPSIGNAL":
            return replace(stage, stop_signal=signal.Signals[step.rest])
        case "HEALTHCHECK":
            return replace(stage, health=json.loads(step.rest.partition(" CMD ")[2]))
        case "ENTRYPOINT":
            return replace(stage, entrypoint=json.loads(step.rest), command=())
        case "CMD":
            return replace(stage, command=json.loads(step.rest))
        case "EXPOSE":
            return stage
        case _:
            raise ValueError(step.word)


def _run(stage: Stage, command: str, environment: Mapping[str, str], visible: Sequence[Path]) -> None:
    own = {**environment, **stage.environment, "HOME": "/root"}
    given: list[str | Path] = [stage.root, stage.user, stage.folder, command, *visible]
    # With its processes in a namespace none of them outlives a build that is interrupted.
    _checked("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", RUN, "sh", *given, environment=own)


def _copy(stages: Mapping[str, Stage], step: Instruction, context: Path) -> None:
    """A folder's content goes into the target; files are root's, as with Docker."""
    *words, target = step.rest.split()
    start = context
    if words[0].startswith("--"):
        option, _, name = words.pop(0).partition("=")
        if option != "--from":
            raise ValueError(option)
        start = stages[name].root
    into = stages[step.stage].path(target)
    for word in words:
        source = start / word.lstrip("/")
        if source.is_dir():
            into.mkdir(parents=True, exist_ok=True)
            _checked("cp", "--archive", "--no-preserve=ownership", f"{source}/.", into)
        else:
            place = into / source.name if target.endswith("/") else into
            place.parent.mkdir(parents=True, exist_ok=True)
            _checked("cp", "--preserve=mode,timestamps", source, place)


def _checked(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


class Container:
    """A running image, in process and mount namespaces of its own, on this machine's network."""

    def __init__(self, stage: Stage, process: subprocess.Popen[bytes], log: Path) -> None:
        self._stage = stage
        self._process = process
        self._log = log

    @classmethod
    @contextlib.contextmanager
    def running(cls, stage: Stage, *, configuration: Path, scratch: Path) -> Iterator[Self]:
        """Start it with `configuration` over the working folder; killed when the block ends if it hasn't ended by then. Its volume and what it
        says are put below `scratch`."""
        (volume_in,) = stage.volumes
        volume, log = scratch / "volume", scratch / "log"
        shutil.copytree(stage.path(volume_in), volume)
        of_image = stage.path(volume_in).stat()
        os.chown(volume, of_image.st_uid, of_image.st_gid)
        started = [*stage.entrypoint, *stage.command]
        places: list[str | Path] = [stage.root, stage.user, stage.folder, configuration, volume, volume_in]
        command: list[str | Path] = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", START, "sh", *places, *started]
        with log.open("wb") as out, subprocess.Popen(command, env={**stage.environment}, stdout=out, stderr=subprocess.STDOUT) as process:
            try:
                yield cls(stage, process, log)
            finally:
                if process.poll() is None:
                    process.kill()

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text()

    @property
    def pid(self) -> int:
        """Of its process 1, on this machine."""
        return int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text())

    def said(self, words: str) -> None:
        """Wait until it has. Fails if it ends before."""
        until = time.monotonic() + WAIT_S
        while words not in self.log:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.1)

    def execute(self, *command: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """As `docker exec` does; by default as the image's user."""
        uid, _, gid = (user or self._stage.user).partition(":")
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd", "--setuid", uid, "--setgid", gid, "--"]
        return subprocess.run(
            [*enter, *command], env={**self._stage.environment}, capture_output=True, text=True, check=False, timeout=WAIT_S
        )

    def stop(self) -> int:
        """As `docker stop` does; the exit code."""
        os.kill(self.pid, self._stage.stop_signal)
        return self.ended()

    def ended(self) -> int:
        """Wait for the exit code."""
        return self._process.wait(WAIT_S)
