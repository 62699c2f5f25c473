"""Traffic recorded from station programs that other people wrote, shipped with the package (`recordings/`).

The stations are programs, so the values are invented but the protocol stacks are real: MicroOcpp (1.6, 2.0.1), ocpp-go's example station (2.0.1) and
Solidstudio's virtual charge point (2.1).
"""

from __future__ import annotations

import importlib.resources
from typing import Final

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.workloads.traces import TraceRecord, read_lines

__all__ = ["load", "names", "station_program", "version"]

_SUFFIX: Final = ".jsonl"
_FOLDER: Final = importlib.resources.files("ocppress_gateway.workloads") / "recordings"


def names() -> list[str]:
    """The names of the recordings, sorted."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in _FOLDER.iterdir() if file.name.endswith(_SUFFIX))


def load(name: str) -> list[TraceRecord]:
    """The records of the recording `name`, one of `names()`."""
    text = (_FOLDER / f"{name}{_SUFFIX}").read_bytes()
    return list(read_lines(text.splitlines(), name))


def station_program(name: str) -> str:
    """Which program the recording `name` is of: `microocpp` for `sim-microocpp-1.6-offline`."""
    return name.split("-")[1]


def version(name: str) -> OcppVersion:
    """The version that station and CSMS had agreed on in the recording `name`: 1.6 for `sim-microocpp-1.6-offline`."""
    return OcppVersion(name.split("-")[2])
