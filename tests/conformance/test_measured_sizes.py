"""The sizes in `bench/results/`, which the README shows, are what the code makes today: a byte more or less is a visible change."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from bench.measure import NAMES, RESULTS, result

RECORDED: Final[dict[str, dict[str, Any]]] = {one["name"]: one for one in json.loads(RESULTS.read_text(encoding="utf-8"))}

DEFLATE_TOLERANCE: Final = 0.02
"""Python's zlib is the system's, and versions of it differ a little; zstd comes with the package."""


def test_everything_was_measured_and_came_back_exact() -> None:
    assert tuple(RECORDED) == NAMES
    assert all(way["exact"] for one in RECORDED.values() for way in one["coded"])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("sim-", "home"))])
def test_sizes_are_current(name: str) -> None:
    recorded = dict(RECORDED[name])
    found = result(name)
    assert found.pop("deflate_bytes") == pytest.approx(recorded.pop("deflate_bytes"), rel=DEFLATE_TOLERANCE)
    assert found == recorded, "run `make bench`"
