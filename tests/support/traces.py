"""Recorded traffic for tests, and a pair of codec ends that carries it.

The recordings that ship with the gateway are always there. Those of real chargers are read from the folder that the environment variable
`OCPPRESS_TRACES` names, by default `../shared/traces` from the project's root, and tests that need them skip where it is not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from ocppress_codecs.dictionary import Dictionary
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse

__all__ = ["CodecPair", "Frame", "frames_of", "trace_files", "version_of"]

_ROOT: Final = Path(__file__).parents[2]
_FOLDER: Final = Path(os.environ.get("OCPPRESS_TRACES", _ROOT.parent / "shared/traces"))

Frame = tuple[str, str]
"""Direction, `up` or `down`, and the exact text."""


def trace_files() -> list[Path]:
    """All traces; skips the test if there are none."""
    files = sorted(_FOLDER.glob("*.jsonl"))
    if not files:
        pytest.skip(f"no traces in {_FOLDER}; OCPPRESS_TRACES names the folder")
    return files


def frames_of(file: Path) -> list[Frame]:
    """What the trace has, in its order."""
    return [(record["dir"], record["frame"]) for record in map(json.loads, file.read_text().splitlines())]


def version_of(file: Path) -> OcppVersion:
    """The version of a trace, which its name says where it is not 1.6."""
    return next((version for version in (OcppVersion.V201, OcppVersion.V21) if version in file.stem), OcppVersion.V16)


@dataclass
class CodecPair:
    """Two ends of one station's epoch; `carry` sends one message across and checks that it came out as it went in."""

    codec: CodecName
    version: OcppVersion
    dictionary: Dictionary | None = None
    frame_bytes: int = 0
    _open: dict[str, dict[str, int]] = field(default_factory=lambda: {"up": {}, "down": {}})

    def __post_init__(self) -> None:
        self._ends = {
            "up": open_endpoint(self.codec, self.version, Side.EDGE, dictionary=self.dictionary),
            "down": open_endpoint(self.codec, self.version, Side.CLOUD, dictionary=self.dictionary),
        }

    def carry(self, way: str, text: str) -> bytes:
        """One message in one frame."""
        message_id, message = parse(text)
        message = self._with_call(way, message_id, message)
        frame = self._ends[way].encoder.encode([message])
        (back,) = self._ends[_other(way)].decoder.decode(frame)
        assert back == message
        self.frame_bytes += len(frame)
        return frame

    def carry_all(self, frames: list[Frame]) -> Iterator[bytes]:
        """Each message in a frame of its own."""
        for way, text in frames:
            yield self.carry(way, text)

    def _with_call(self, way: str, message_id: str, message: Message) -> Message:
        if message.type is MessageType.CALL:
            number = self._ends[way].encoder.calls.count
            self._open[way][message_id] = number
            return message.with_call(number)
        if message.type is MessageType.SEND:
            return message
        asked = way if message.type is MessageType.CALLRESULTERROR else _other(way)
        return message.with_call(self._open[asked].get(message_id))


def _other(way: str) -> str:
    return "down" if way == "up" else "up"
