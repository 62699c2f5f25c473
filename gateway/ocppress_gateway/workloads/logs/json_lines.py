"""Logs of one JSON object a line, whatever their members are called.

    {"time": "2024-01-01T12:00:00Z", "cp": "CP_1", "direction": "in", "message": "[2,\\"1\\",\\"Heartbeat\\",{}]"}
    {"stationId": "CP_1", "origin": "cs", "message": [2, "1", "Heartbeat", {}], "timestamp": "…"}      a CitrineOS message, as its table or webhook has it
    {"log": "INFO:ocpp:CP_1: send [2,…", "time": "…"}                                                  a container's line of text

A message in a string is the exact text; one that stands there as an array is its exact spelling in the file, which need not be the station's: whoever
wrote it has read and written it (a database's JSON column loses the order of members, spaces and how numbers are spelled).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

import msgspec

from ocppress_gateway.workloads.logs.shapes import TEXT_SHAPES, Entry, Way, moment

__all__ = ["NAME", "entry"]

NAME: Final = "JSON lines"

_TEXTS: Final = ("frame", "message", "payload", "data", "msg", "text", "raw", "body", "log", "MESSAGE")
_TIMES: Final = ("ts", "timestamp", "@timestamp", "time", "date", "datetime", "createdAt", "t")
_STATIONS: Final = (
    "station",
    "stationId",
    "station_id",
    "chargingStationId",
    "chargePointId",
    "charge_point_id",
    "chargeBoxId",
    "chargerId",
    "charger_id",
    "charger",
    "identity",
    "cpId",
    "cp_id",
    "cp",
    "clientId",
)
_WAYS: Final = ("dir", "direction", "origin", "way", "source", "from")
_NESTED: Final = ("info", "context")
"""Members that hold more of these."""

_WAY_WORDS: Final = {
    Way.UP: ("up", "uplink", "upstream", "cs", "cp", "station", "chargingstation", "chargepoint", "charger", "fromstation"),
    Way.DOWN: ("down", "downlink", "downstream", "csms", "centralsystem", "chargingstationmanagementsystem", "tostation"),
    Way.RECEIVED: ("in", "inbound", "incoming", "received", "receive", "recv", "rx"),
    Way.SENT: ("out", "outbound", "outgoing", "sent", "send", "tx"),
}
_WAY_OF: Final = {word: way for way, words in _WAY_WORDS.items() for word in words}

_SECONDS: Final = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""From this number on a time is in nano-, micro-, milliseconds rather than seconds; in seconds 1e11 is far beyond any log."""

_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def entry(line: str) -> Entry | None:
    """The message of a line; None if it has none."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        members = _decoder.decode(line)
    except (ValueError, RecursionError):
        return None
    for text in _values(members, _TEXTS):
        found = _message(text)
        if found is not None:
            break
    else:
        return None
    for name in _NESTED:
        with suppress(ValueError, KeyError, RecursionError):
            members = _decoder.decode(members[name]) | members
    ts = next(filter(lambda one: one is not None, map(_seconds, _values(members, _TIMES))), found.ts)
    station = next((one for one in map(_string, _values(members, _STATIONS)) if one), found.station)
    ways = (_WAY_OF.get("".join(filter(str.isalpha, _string(one).lower()))) for one in _values(members, _WAYS))
    return replace(found, ts=ts, station=station, way=next(filter(None, ways), found.way))


def _message(raw: bytes) -> Entry | None:
    """In a member that may be a message, or a line of text with one."""
    text = raw.decode(errors="replace") if raw.startswith(b"[") else _string(raw)
    if text.lstrip()[:3].replace(" ", "")[:2] in _BEGINNINGS:
        return Entry(None, "", Way.UNKNOWN, text)
    for shape in TEXT_SHAPES:
        found = shape.entry(text.rstrip("\r\n"))
        if found is not None:
            return found
    return None


_BEGINNINGS: Final = frozenset({"[2", "[3", "[4", "[5", "[6"})


def _values(members: Mapping[str, msgspec.Raw], names: tuple[str, ...]) -> Iterator[bytes]:
    return (bytes(members[name]) for name in names if name in members)


def _string(raw: bytes) -> str:
    """What is in a JSON string, "" for anything else."""
    try:
        return msgspec.json.decode(raw, type=str)
    except (ValueError, RecursionError):
        return ""


def _seconds(raw: bytes) -> float | None:
    text = _string(raw)
    if text:
        return moment(text)
    try:
        value = msgspec.json.decode(raw, type=float)
    except (ValueError, RecursionError):
        return None
    return value * next((factor for least, factor in _SECONDS if value >= least), 1.0) if 0 <= value < 1e20 else None
