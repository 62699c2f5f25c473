"""With what knowledge a trace is measured: none that was trained on its own station program.

The shipped dictionary and prior have seen the recordings `sim-*`, so measuring those with them would flatter. For each station program there are others,
trained without it (`left_out/`, written by `scripts/left_out.py`).
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cbor2

from ocppress_codecs.adaptive.model import Knowledge
from ocppress_codecs.adaptive.prior import knowledge_of, unpacked
from ocppress_codecs.dictionary import Dictionary
from ocppress_gateway.workloads import recordings

__all__ = ["NOTHING", "LeftOut", "dictionary_file_name", "left_out_for", "prior_file_name"]

_FOLDER = importlib.resources.files("ocppress_gateway.tools") / "left_out"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The codecs' knowledge with something left out; None for what is shipped."""

    dictionary: Dictionary | None = None
    prior: Knowledge | None = None


NOTHING: Final = LeftOut()


def left_out_for(trace: Path) -> LeftOut:
    """What to measure `trace` with, by its file name `sim-PROGRAM-…`."""
    programs = {recordings.station_program(name) for name in recordings.names()}
    kind, _, rest = trace.stem.partition("-")
    program = rest.partition("-")[0]
    if kind != "sim" or program not in programs:
        return NOTHING
    v16, v2 = cbor2.loads((_FOLDER / dictionary_file_name(program)).read_bytes())
    return LeftOut(Dictionary(v16, v2), knowledge_of(unpacked((_FOLDER / prior_file_name(program)).read_bytes())))


def dictionary_file_name(program: str) -> str:
    """The file in `left_out/` with the dictionary trained without `program`."""
    return f"without-{program}.cbor"


def prior_file_name(program: str) -> str:
    """The file in `left_out/` with the prior trained without `program`."""
    return f"without-{program}.bin"
