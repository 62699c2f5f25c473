"""Which dictionary a trace is measured with: none that was trained on its own station program.

The shipped dictionary has seen the recordings `sim-*`, so measuring those with it would flatter. For each station program there is a dictionary trained
without it (`left_out/`, written by `scripts/left_out.py`).
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import cbor2

from ocppress_codecs.dictionary import Dictionary
from ocppress_gateway.workloads import recordings

__all__ = ["dictionary_for", "left_out_file_name"]

_FOLDER = importlib.resources.files("ocppress_gateway.tools") / "left_out"


def dictionary_for(trace: Path) -> Dictionary | None:
    """The dictionary to measure `trace` with, by its file name `sim-PROGRAM-…`; None for the shipped one."""
    programs = {recordings.station_program(name) for name in recordings.names()}
    kind, _, rest = trace.stem.partition("-")
    program = rest.partition("-")[0]
    if kind != "sim" or program not in programs:
        return None
    v16, v2 = cbor2.loads((_FOLDER / left_out_file_name(program)).read_bytes())
    return Dictionary(v16, v2)


def left_out_file_name(program: str) -> str:
    """The file in `left_out/` with the dictionary trained without `program`."""
    return f"without-{program}.cbor"
