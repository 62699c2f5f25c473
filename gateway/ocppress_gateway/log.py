"""Log lines on standard error, the one place where logging is set up.

    2026-03-01T09:30:00.123Z INFO ocppress.edge link up resumed=true backlog_count=12

The words are constant, what varies is in fields, so that lines can be searched and counted. A value that would blur the line
(spaces, quotes, line ends, an equals sign) is written as a JSON string: nobody's input can forge a line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from ocppress_gateway.config import LogConfig
from ocppress_gateway.core.events import Note

__all__ = ["log_note", "set_up"]

_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")
"""Printable ASCII without space, quote, equals sign and backslash."""


def set_up(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send the lines of all loggers to standard error (or `stream`), replacing what was set up before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if config.format == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    # It warns of sub-protocols, without the station's name; the machine says the same with it.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)


def log_note(logger: logging.Logger, note: Note) -> None:
    """Write what a machine has to say."""
    logger.log(note.level, note.words, extra={"fields": note.fields})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        words = record.getMessage()
        parts = [_time(record), record.levelname, record.name, words if words.isprintable() else json.dumps(words)]
        parts += [f"{name}={_text(value)}" for name, value in _fields(record).items()]
        if record.exc_info:
            parts.append("\n" + self.formatException(record.exc_info))
        return " ".join(parts)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "words": record.getMessage(),
            "fields": _fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json.dumps(value)
    if isinstance(value, bool | None):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}"
    return _text(str(value))
