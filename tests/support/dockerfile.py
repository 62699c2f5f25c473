"""The project's Dockerfile and what `.dockerignore` lets through to it, read as Docker reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from tests.support.tree import ROOT, tracked_files

__all__ = ["DOCKERFILE", "Instruction", "instructions", "is_sent", "sent_files"]

DOCKERFILE: Final = ROOT / "deploy/docker/Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of a Dockerfile's, continuation lines joined. `stage` is "" before the first FROM."""

    word: str
    rest: str
    stage: str


def instructions(text: str) -> list[Instruction]:
    """Those of a Dockerfile, in order."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    stage = ""
    found = []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            if word == "FROM":
                stage = rest.rpartition(" AS ")[2]
            found.append(Instruction(word, rest.strip(), stage))
    return found


def is_sent(path: Path) -> bool:
    """Whether `.dockerignore`, a list of what is let through, lets a file of the project through; the last rule that matches decides."""
    name = path.relative_to(ROOT)
    above = [name, *name.parents]
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.removeprefix("!")
        anywhere = rule.removeprefix("**/")
        if line and not line.startswith("#"):
            names = [one.name for one in above] if anywhere != rule else [str(one) for one in above]
            if any(fnmatch(one, anywhere) for one in names):
                sent = line.startswith("!")
    return sent


def sent_files() -> list[Path]:
    """What a build gets of the project; what git ignores, Docker would send where it is let through."""
    return [file for file in tracked_files() if is_sent(file)]
