"""The pictures of the report can be drawn from the recorded results, and are there for the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import matplotlib as mpl
import pytest

from bench.report import FOLDER, PICTURES

README: Final = Path("README.md")

WORDS: Final = {
    "layers": ("payload", "handshakes", "ac22", "ocppress saver"),
    "budget": ("plan auto, 25 MB", "budget"),
    "frontier": ("home", "dc10"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_drawn_with_its_words(name: str, tmp_path: Path) -> None:
    path = tmp_path / "drawn.svg"
    with mpl.rc_context({"svg.fonttype": "none"}):
        PICTURES[name]().savefig(path)
    drawn = path.read_text(encoding="utf-8")
    assert all(word in drawn for word in WORDS[name])


def test_the_readme_shows_each() -> None:
    shown = re.findall(r"\]\(bench/results/([a-z]+)\.svg\)", README.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(PICTURES)
    assert all((FOLDER / f"{name}.svg").is_file() for name in shown)
