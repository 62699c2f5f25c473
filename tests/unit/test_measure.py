"""`measure` tells when a codec does not give back what it was given."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocppress_codecs.errors import Malformed
from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.tools import commands, measure
from ocppress_gateway.tools.coding import Heard, decoded
from ocppress_gateway.tools.dictionaries import NOTHING
from ocppress_gateway.tools.measure import Measured, measure_trace
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import trace_line

NAME = "sim-ocppgo-2.0.1"


def measured() -> Measured:
    counted: list[int] = []
    records = recordings.load(NAME)
    found = measure_trace(NAME, records, OcppVersion.V201, [(CodecName.VERBATIM, 0.0)], left_out=NOTHING, advance=counted.append)
    assert sum(counted) == len(records)
    return found


def with_last(change: Callable[[Heard], list[Heard]]) -> Callable[..., Iterator[Heard]]:
    """`decoded`, its last message replaced."""

    def changed(*arguments: Any) -> Iterator[Heard]:
        *head, last = decoded(*arguments)
        yield from head
        yield from change(last)

    return changed


def damaged(last: Heard) -> list[Heard]:
    raise Malformed("damaged")


def test_what_comes_back_equal_is_exact() -> None:
    (way,) = measured().coded
    assert way.exact
    assert way.frames == len(recordings.load(NAME))


@pytest.mark.parametrize(
    "change",
    [
        lambda last: [],
        lambda last: [last, last],
        lambda last: [replace(last, direction=last.direction.opposite)],
        lambda last: [replace(last, message=replace(last.message, body=last.message.body + " "))],
        lambda last: [replace(last, message=replace(last.message, call=7))],
        damaged,
    ],
)
def test_anything_else_is_not(change: Callable[[Heard], list[Heard]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "decoded", with_last(change))
    (way,) = measured().coded
    assert not way.exact


def test_the_command_fails_if_something_is_not_exact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "in.jsonl"
    trace.write_text("".join(map(trace_line, recordings.load(NAME))))
    monkeypatch.setattr(measure, "decoded", with_last(lambda last: []))
    parser = argparse.ArgumentParser()
    commands.add_parsers(parser.add_subparsers())
    args = parser.parse_args(["measure", str(trace)])
    assert args.func(args) == commands.NOT_EXACT
    assert "NOT EXACT" in capsys.readouterr().out
