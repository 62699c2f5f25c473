"""Logs of lines of text, by the program that writes them: one regular expression each, and whose view "send" and "receive" are.

    ocpp library    INFO:ocpp:CP_1: receive message [2,"1","Heartbeat",{}]                       either end's
    Home Assistant  2024-01-01 12:00:00.000 INFO (MainThread) [ocpp] CP_1: send [3,"1",{…}]      the CSMS's
    SteVe           [INFO ] 2024-01-01 12:00:00,000 d.r.i.s.o.w.WebSocketLogger (qtp1-20) - [chargeBoxId=CP_1, sessionId=…] Received: [2,…]
    evcc            [ocpp  ] TRACE 2024/01/01 12:00:00 recv CP_1: [2,…]

What stands before (a date of journald's, a container's name) is allowed. Texts are taken as they stand. Local times count as UTC: only what lies
between two of them matters.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

__all__ = ["TEXT_SHAPES", "Entry", "TextShape", "Way", "moment"]


class Way(enum.Enum):
    """Which way a message went, as far as its line says."""

    UP = "up"
    DOWN = "down"
    RECEIVED = "received"
    """By whoever wrote the log."""
    SENT = "sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line's message. `ts` in Unix seconds, None where the line has no time; `station` is "" where it names none."""

    ts: float | None
    station: str
    way: Way
    text: str


_RECEIVED: Final = re.compile(r"rec(?:v|eive)", re.IGNORECASE)

_TIME: Final = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T \t](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?:(Z)|([+-]\d\d):?(\d\d))?")

PREFIX_CHARACTERS_MAX: Final = 1024
"""Of a line before its message; what is longer is no line of these."""


@dataclass(frozen=True, slots=True)
class TextShape:
    """`line` has groups `station`, `way`, `text`. `centres`: only a CSMS writes it."""

    name: str
    line: re.Pattern[str]
    centres: bool

    def entry(self, line: str) -> Entry | None:
        """The message of a line; None if it is none of these."""
        found = self.line.search(line)
        if found is None or found.start("text") > PREFIX_CHARACTERS_MAX:
            return None
        received = _RECEIVED.match(found["way"]) is not None
        way = (Way.UP if received else Way.DOWN) if self.centres else (Way.RECEIVED if received else Way.SENT)
        # The last time before the message is the program's own: what stands before it is of who collected its lines.
        return Entry(moment(line[: found.start("text")]), found["station"], way, found["text"])


_LIBRARY: Final = r"(?P<station>[^\s:\[\]]{1,255}): (?P<way>send|receive)(?: message)? (?P<text>\[.*)"

TEXT_SHAPES: Final[Sequence[TextShape]] = (
    TextShape("Home Assistant", re.compile(r"\([^)]{1,64}\) \[[\w.]*ocpp[\w.]*\] " + _LIBRARY, re.DOTALL), centres=True),
    TextShape(
        "SteVe",
        re.compile(
            r"\[chargeBoxId=(?P<station>[^,\]]{1,255}),\s+sessionId=[^\]]{0,255}\]\s+(?P<way>Sending|Received)(?: message)?:\s(?P<text>\[.*)",
            re.DOTALL,
        ),
        centres=True,
    ),
    TextShape(
        "evcc",
        re.compile(
            r"\[ocpp[\w-]*\s*\] TRACE \S{10} \S{8,18} (?P<way>send|sent|recv|received)(?: JSON message (?:to|from))? (?P<station>\S{1,255}): (?P<text>\[.*)",
            re.DOTALL,
        ),
        centres=True,
    ),
    TextShape("ocpp library", re.compile(r"(?:^|[\s:])" + _LIBRARY, re.DOTALL), centres=False),
)
"""Those of a program before those of a library that it uses."""


def moment(text: str) -> float | None:
    """The last time in a text, in Unix seconds."""
    found = next(reversed(list(_TIME.finditer(text))), None)
    if found is None:
        return None
    year, month, day, clock, fraction, zulu, hours, minutes = found.groups()
    zone = "+00:00" if zulu or hours is None else f"{hours}:{minutes}"
    try:
        return datetime.fromisoformat(f"{year}-{month}-{day}T{clock}{zone}").astimezone(UTC).timestamp() + float(f"0.{fraction or 0}")
    except (ValueError, OverflowError):
        return None
