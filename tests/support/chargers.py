"""The recordings of real chargers, which are not part of the project: their folder is named by `OCPPRESS_TRACES`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.support.tree import ROOT

__all__ = ["FOLDER", "charger_traces"]

FOLDER: Final = Path(os.environ.get("OCPPRESS_TRACES", ROOT.parent / "shared" / "traces"))


def charger_traces() -> list[Path]:
    """The traces of real chargers; skips the test where there are none."""
    found = sorted(file for file in FOLDER.glob("*.jsonl") if not file.name.startswith("sim-"))
    if not found:
        pytest.skip(f"no traces in {FOLDER}; OCPPRESS_TRACES names their folder")
    return found
