from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from ocppress_gateway.config import LogConfig
from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.log import log_note, set_up

logger = logging.getLogger("ocppress.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_text_line(stream: io.StringIO) -> None:
    set_up(LogConfig(), stream)
    log_note(logger, Note(Level.INFO, "link up", {"resumed": True, "backlog_count": 12, "edge": "site-1", "wait_s": 0.5, "reason": None}))
    line = stream.getvalue()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO ocppress\.test link up ", line)
    assert line.endswith(" resumed=true backlog_count=12 edge=site-1 wait_s=0.5 reason=null\n")


@pytest.mark.parametrize("value", ["a b", "", 'a"b', "a=b", "a\nERROR forged", "a\\nb", "\u2028", "\x1b[31m", "é"])
def test_no_value_blurs_a_line(value: str, stream: io.StringIO) -> None:
    set_up(LogConfig(), stream)
    log_note(logger, Note(Level.WARNING, "refused", {"reason": value}))
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line.split("reason=", 1)[1]) == value


def test_words_of_a_library_stay_on_one_line(stream: io.StringIO) -> None:
    set_up(LogConfig(), stream)
    logger.warning("two\nlines of %s", "a library")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_json_line(stream: io.StringIO) -> None:
    set_up(LogConfig(format="json"), stream)
    log_note(logger, Note(Level.ERROR, "link lost", {"edge": "site-1", "reason": "a\nb"}))
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {"level": "ERROR", "logger": "ocppress.test", "words": "link lost", "fields": {"edge": "site-1", "reason": "a\nb"}}


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_keeps_its_traceback(form: str, stream: io.StringIO) -> None:
    set_up(LogConfig(format="json" if form == "json" else "text"), stream)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logger.exception("internal error")
    assert "RuntimeError: broken" in stream.getvalue()


def test_less_severe_lines_are_left_out(stream: io.StringIO) -> None:
    set_up(LogConfig(level="warning"), stream)
    log_note(logger, Note(Level.INFO, "link up", {}))
    assert stream.getvalue() == ""


def test_setting_up_twice_prints_once(stream: io.StringIO) -> None:
    set_up(LogConfig(), stream)
    set_up(LogConfig(), stream)
    log_note(logger, Note(Level.INFO, "link up", {}))
    assert len(stream.getvalue().splitlines()) == 1
