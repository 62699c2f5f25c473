"""Recorded OCPP-J traffic: one JSON object a line, as a recorder between station and CSMS saw it.

    {"ts": "2026-11-22T10:21:59.062Z", "dir": "up", "frame": "[2,\"612\",\"Heartbeat\",{}]"}

`ts` is ISO 8601 (UTC where it names no zone) or null, `dir` is `up` from the station or `down` to it, `frame` the exact text of one WebSocket
message. Further members are ignored.
"""

from __future__ import annotations

import enum
import gzip
import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.interface import Side
from ocppress_codecs.jsontext import tokens
from ocppress_codecs.rpc import MessageType, OcppVersion, parse
from ocppress_gateway.core.limits import MESSAGE_TEXT_BYTES_MAX
from ocppress_gateway.errors import UsageError
from ocppress_gateway.workloads.version_words import VERSION_WORDS

__all__ = [
    "INFERENCE_MESSAGES",
    "LINE_BYTES_MAX",
    "Direction",
    "TraceError",
    "TraceRecord",
    "infer_version",
    "is_trace_line",
    "iso_time",
    "open_lines",
    "read_lines",
    "read_trace",
    "trace_line",
]

LINE_BYTES_MAX: Final = 8 * MESSAGE_TEXT_BYTES_MAX
"""A message of which each character is escaped as six, and the rest of the line."""

CALENDAR_S_MAX: Final = 253402300799
"""The last second of the year 9999, in Unix seconds."""

INFERENCE_MESSAGES: Final = 1000
"""Messages that `infer_version` looks at: a boot and several sessions of any station."""


class Direction(enum.StrEnum):
    """Which way a message travels: from the station, or to it."""

    UP = "up"
    DOWN = "down"

    @property
    def opposite(self) -> Direction:
        """The way back."""
        return Direction.DOWN if self is Direction.UP else Direction.UP

    @property
    def sender(self) -> Side:
        """The end of the link at which messages of this direction are encoded."""
        return Side.EDGE if self is Direction.UP else Side.CLOUD


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One WebSocket text message; `ts` in Unix seconds, None where the recorder didn't know."""

    ts: float | None
    direction: Direction
    text: str


class TraceError(UsageError):
    """A line that is not a record of a trace."""

    def __init__(self, name: str, line: int, reason: str) -> None:
        super().__init__(f"{name}, line {line}: {reason}")
        self.name = name
        self.line = line
        self.reason = reason


class _Line(msgspec.Struct):
    ts: str | None
    direction: Direction = msgspec.field(name="dir")
    frame: str


def read_trace(path: Path) -> Iterator[TraceRecord]:
    """The records of a `.jsonl` or `.jsonl.gz` file, lazily; blank lines are skipped. Raises `TraceError`, or `OSError` where the file can't be read."""
    with open_lines(path) as file:
        lines = iter(lambda: file.readline(LINE_BYTES_MAX + 1), b"")
        first = next(lines, b"").removeprefix(BOM_UTF8)  # some editors put one there
        yield from read_lines(chain([first], lines), str(path))


@contextmanager
def open_lines(path: Path) -> Iterator[BinaryIO]:
    """A file of lines; one that is packed with gzip, which its first bytes say, is unpacked on the way. Raises `UsageError` where that fails."""
    with path.open("rb") as file:
        if file.peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
            yield file
            return
        try:
            with gzip.open(file) as unpacked:
                yield cast(BinaryIO, unpacked)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UsageError(f"{path}: damaged gzip: {error}") from None


_GZIP: Final = b"\x1f\x8b"


def read_lines(lines: Iterable[bytes], name: str) -> Iterator[TraceRecord]:
    """The records in `lines`; `name` is for the text of a `TraceError`."""
    decoder = msgspec.json.Decoder(_Line)
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_BYTES_MAX:
            raise TraceError(name, number, f"longer than {LINE_BYTES_MAX} bytes")
        if not line.strip():
            continue
        try:
            entry = decoder.decode(line)
            ts = None if entry.ts is None else _unix_seconds(entry.ts)
        except (ValueError, RecursionError) as error:
            raise TraceError(name, number, f"not a record of a trace: {error}") from None
        if len(entry.frame.encode()) > MESSAGE_TEXT_BYTES_MAX:
            raise TraceError(name, number, f"a message of more than {MESSAGE_TEXT_BYTES_MAX} bytes")
        yield TraceRecord(ts, entry.direction, entry.frame)


def is_trace_line(line: bytes) -> bool:
    """Whether a line is a record of a trace."""
    try:
        msgspec.json.decode(line.removeprefix(BOM_UTF8), type=_Line)
    except (ValueError, RecursionError):
        return False
    return True


def trace_line(record: TraceRecord) -> str:
    """One line of a `.jsonl` file, with its line feed; a time that no calendar has is written as null."""
    ts = iso_time(record.ts) if record.ts is not None and 0 <= record.ts <= CALENDAR_S_MAX else None
    return json.dumps({"ts": ts, "dir": record.direction, "frame": record.text}) + "\n"


def iso_time(ts: float) -> str:
    """Unix seconds as `2026-11-22T10:21:59.062Z`."""
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def infer_version(records: Iterable[TraceRecord]) -> OcppVersion:
    """The edition whose schemas leave the fewest words of the trace unexplained; among equals the oldest.

    Words are actions and member names that not all editions know. CALLRESULTERROR and SEND exist in 2.1 alone and decide at once. So a trace that holds
    only what 2.0.1 and 2.1 have in common counts as 2.0.1, and one with nothing but Heartbeats as 1.6: each message is valid there too.
    """
    missing = dict.fromkeys(OcppVersion, 0)
    for record in islice(records, INFERENCE_MESSAGES):
        try:
            _, message = parse(record.text)
        except NotOcppJ:
            continue
        if message.type in (MessageType.CALLRESULTERROR, MessageType.SEND):
            return OcppVersion.V21
        for word in _words(message.body):
            for knowing, group in VERSION_WORDS.items():
                if word in group:
                    for version in missing.keys() - knowing:
                        missing[version] += 1
    return min(OcppVersion, key=lambda version: missing[version])


def _words(body: str) -> set[str]:
    """The action and the member names of a message, each once."""
    parts = tokens(f"[{body}]")
    found = {json.loads(parts[place - 1]) for place, token in enumerate(parts) if token == ":"}
    if parts[1][0] == '"':
        found.add(json.loads(parts[1]))
    return found


def _unix_seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
