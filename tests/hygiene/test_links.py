"""Where the documents point to, there is something: a file, and in it the heading."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.tree import ROOT, tracked_files

DOCUMENTS: Final = sorted(str(file.relative_to(ROOT)) for file in tracked_files() if file.suffix == ".md")


def anchors(text: str) -> set[str]:
    """Those that GitHub gives to headings: small letters, punctuation gone, hyphens for spaces."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target: Path = ((ROOT / name).parent / place) if place else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    assert broken(name) == []


def test_a_link_to_nothing_is_found() -> None:
    assert "in-ten-minutes" not in anchors("```sh\n# in ten minutes\n```\n")
    assert anchors("## What's `new`, and why?\n") == {"whats-new-and-why"}
