"""Which program's log a file is, and the messages of each station in it.

A log is read as a stream, once to see what is in it and once for each station that is asked for. A message that goes over several lines is put together
as it was. A direction that the log doesn't say comes from the actions: a BootNotification is the station's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, MessageType, parse
from ocppress_gateway.core.limits import MESSAGE_TEXT_BYTES_MAX
from ocppress_gateway.errors import UsageError
from ocppress_gateway.masking import MASK, elided, printable
from ocppress_gateway.workloads.logs import json_lines
from ocppress_gateway.workloads.logs.shapes import TEXT_SHAPES, Entry, Way, moment
from ocppress_gateway.workloads.traces import LINE_BYTES_MAX, Direction, TraceRecord, is_trace_line, open_lines, read_trace

__all__ = ["TRACE", "Log", "open_log"]

LOOKED_AT_LINES: Final = 20_000
"""In which the first messages have to be: a program's start and its other lines come before them."""

STATIONS_MAX: Final = 1000
"""In one log; more are made up, or should be split."""

LINES_OF_MESSAGE_MAX: Final = 5000
"""Some stations write one word of JSON a line."""

CALLS_REMEMBERED_MAX: Final = 1000
"""Of a station, for the direction of their answers."""

SHOWN_CHARACTERS: Final = 160

_STATIONS_ACTIONS: Final = frozenset(
    {
        "Authorize",
        "BootNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "NotifyEvent",
        "NotifyReport",
        "SecurityEventNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
        "TransactionEvent",
    }
)
"""CALLs that no CSMS makes."""

_Reader = Callable[[str], Entry | None]

_READERS: Final[Mapping[str, _Reader]] = {json_lines.NAME: json_lines.entry} | {shape.name: shape.entry for shape in TEXT_SHAPES}
"""JSON first: a container's line has a line of text in it."""

TRACE: Final = "trace"
"""One of ours: `workloads.traces`."""


@dataclass(frozen=True, slots=True)
class Log:
    """What is in a log. `stations` in the order of their first messages; "" is one without a name."""

    path: Path
    shape: str
    stations: tuple[str, ...]
    unreadable: int
    """Messages that are no OCPP-J, cut short for instance, or whose direction is unknown."""
    other_lines: int
    """Without a message."""
    received: Direction
    """Which way messages go that the log's writer receives: up for a CSMS."""

    def records(self, station: str) -> Iterator[TraceRecord]:
        """A station's messages, lazily. Raises `TraceError`, `UsageError` or `OSError`."""
        if self.shape == TRACE:
            return read_trace(self.path)
        entries = _whole_entries(self.path, _READERS[self.shape])
        named = (entry for entry in entries if isinstance(entry, Entry) and entry.station == station)
        return _records(named, self.received)


def open_log(path: Path) -> Log:
    """Find out what a file is. Raises `UsageError` if it is none that is known, `TraceError` for a trace of ours with mistakes, or `OSError`."""
    # What is no file, a pipe for instance, can be read only once.
    shape = _shape(path) if path.is_file() else TRACE
    if shape == TRACE:
        return Log(path, TRACE, ("",), 0, 0, Direction.UP)
    received = _received(path, _READERS[shape])
    stations: dict[str, None] = {}
    others = unreadable = messages = 0
    directions: dict[str, _Directions] = {}
    for entry in _whole_entries(path, _READERS[shape]):
        if not isinstance(entry, Entry):
            others += 1
            continue
        messages += 1
        if entry.station not in directions and len(directions) == STATIONS_MAX:
            raise UsageError(f"{path}: more than {STATIONS_MAX} stations in one log")
        way = directions.setdefault(entry.station, _Directions(received))
        if way.of(entry) is None:
            unreadable += 1
        else:
            stations[entry.station] = None
    if not stations:
        raise UsageError(f"{path}: looks like a log of {shape}, but none of its {messages} messages is OCPP-J that can be read")
    return Log(path, shape, tuple(stations), unreadable, others, received)


def _shape(path: Path) -> str:
    found: Counter[str] = Counter()
    first = ""
    for line in islice(_lines(path), LOOKED_AT_LINES):
        if not line.strip():
            continue
        if not first:
            if is_trace_line(line.encode()):
                return TRACE
            first = line
        for name, reader in _READERS.items():
            if reader(line) is not None:
                found[name] += 1
                break
    if not first:
        return TRACE  # of nothing
    if not found:
        known = ", ".join([*_READERS, "traces of ocppress"])
        raise UsageError(
            f"{path}: no OCPP-J found in the first {LOOKED_AT_LINES} lines by any reader ({known}); its first line: {_shown(first)}"
        )
    return found.most_common(1)[0][0]


def _received(path: Path, reader: _Reader) -> Direction:
    """Who makes the station's CALLs, by the first messages; a CSMS's log if they don't say."""
    votes = 0
    for entry in islice((one for one in _whole_entries(path, reader) if isinstance(one, Entry)), LOOKED_AT_LINES):
        message = _parsed(entry.text)
        if message is not None and message[1].type is MessageType.CALL and message[1].action in _STATIONS_ACTIONS:
            votes += {Way.RECEIVED: 1, Way.SENT: -1}.get(entry.way, 0)
    return Direction.DOWN if votes < 0 else Direction.UP


class _Directions:
    """Which way one station's messages go."""

    def __init__(self, received: Direction) -> None:
        self._received = received
        self._calls: dict[str, Direction] = {}

    def of(self, entry: Entry) -> Direction | None:
        """None if it can't be told, or isn't OCPP-J."""
        parsed = _parsed(entry.text)
        if parsed is None:
            return None
        message_id, message = parsed
        match entry.way:
            case Way.UP:
                return Direction.UP
            case Way.DOWN:
                return Direction.DOWN
            case Way.RECEIVED:
                return self._received
            case Way.SENT:
                return self._received.opposite
            case Way.UNKNOWN:
                return self._inferred(message_id, message)

    def _inferred(self, message_id: str, message: Message) -> Direction | None:
        if message.type in (MessageType.CALL, MessageType.SEND):
            direction = Direction.UP if message.action in _STATIONS_ACTIONS else Direction.DOWN
            if len(self._calls) == CALLS_REMEMBERED_MAX:
                del self._calls[next(iter(self._calls))]
            self._calls[message_id] = direction
            return direction
        direction_of_call = self._calls.pop(message_id, None)
        return direction_of_call and direction_of_call.opposite


def _records(entries: Iterator[Entry], received: Direction) -> Iterator[TraceRecord]:
    directions = _Directions(received)
    for entry in entries:
        direction = directions.of(entry)
        if direction is not None:
            yield TraceRecord(_told_time(entry.text) if entry.ts is None else entry.ts, direction, entry.text)


_TOLD_TIME: Final = re.compile(r'"(?:currentTime|timestamp)"\s*:\s*"([^"]{1,64})"')


def _told_time(text: str) -> float | None:
    """The last that a message itself names: all there is in a log without times."""
    found = _TOLD_TIME.findall(text)
    return moment(found[-1]) if found else None


def _parsed(text: str) -> tuple[str, Message] | None:
    try:
        return parse(text)
    except NotOcppJ:
        return None


def _whole_entries(path: Path, reader: _Reader) -> Iterator[Entry | None]:
    """Each message with all of its lines, and None for each line without one."""
    pending: Entry | None = None
    lines: list[str] = []
    for line in _lines(path):
        entry = reader(line)
        if pending is not None:
            size = sum(map(len, lines)) + len(line)
            if entry is None and size <= MESSAGE_TEXT_BYTES_MAX and len(lines) < LINES_OF_MESSAGE_MAX and not _begins_anew(line):
                lines.append(line)
                if line.rstrip().endswith("]") and _parsed("\n".join(lines)) is not None:
                    yield replace(pending, text="\n".join(lines))
                    pending = None
                continue
            yield pending
            pending = None
        if entry is not None and _parsed(entry.text) is None:
            pending, lines = entry, [entry.text]
        else:
            yield entry
    if pending is not None:
        yield pending


def _begins_anew(line: str) -> bool:
    """A line with a time of its own at its begin is the log's, not a message's."""
    return moment(line[:40]) is not None and not line.lstrip().startswith('"')


def _lines(path: Path) -> Iterator[str]:
    """Without line feeds; of a line that is too long nothing."""
    with open_lines(path) as file:
        skipping = False
        while line := file.readline(LINE_BYTES_MAX + 1):
            ends = line.endswith(b"\n")
            if not skipping and len(line) <= LINE_BYTES_MAX:
                yield line.decode("utf-8", errors="replace").rstrip("\r\n").removeprefix("\ufeff")
            skipping = not ends


_SECRET: Final = re.compile(
    r"(\b\w*(?:pass(?:word|wd)?|secret|token|AuthorizationKey|idTag|idToken)\w*[\"'\\]*\s*[:=]\s*[\"'\\]*)[^\"'\\,}\s]+", re.IGNORECASE
)


def _shown(line: str) -> str:
    """A stranger's line, for an error: cut short, without what looks like a secret."""
    return printable(elided(_SECRET.sub(rf"\g<1>{MASK}", line.strip()), SHOWN_CHARACTERS))
