"""`measure` tells when a codec does not give back what it was given, and where all bytes go."""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ocppress_codecs.account import Part
from ocppress_codecs.errors import Malformed
from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import Message, OcppVersion
from ocppress_gateway.tools import commands, measure, running
from ocppress_gateway.tools.breakdown import NO_CALL
from ocppress_gateway.tools.coding import Opened, opened
from ocppress_gateway.tools.dictionaries import NOTHING
from ocppress_gateway.tools.measure import Measured, measure_trace, pooled
from ocppress_gateway.tools.tables import tables
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import Direction, TraceRecord, trace_line

NAME = "sim-ocppgo-2.0.1"
WAYS = [(codec, delay_s) for codec in CodecName for delay_s in (0.0, 900.0)]


def measured(name: str = NAME, ways: list[tuple[CodecName, float]] | None = None) -> Measured:
    counted: list[int] = []
    records = recordings.load(name)
    ways = ways or [(CodecName.VERBATIM, 0.0)]
    found = measure_trace(name, records, recordings.version(name), ways, left_out=NOTHING, advance=counted.append)
    assert sum(counted) == len(records) * len(ways)
    return found


@cache
def _all_measured() -> tuple[Measured, ...]:
    return tuple(measured(name, WAYS) for name in recordings.names())


def all_measured() -> list[Measured]:
    """Every recording in every codec, measured once."""
    return list(_all_measured())


def with_last(change: Callable[[Opened], list[Opened]]) -> Callable[..., Iterator[Opened]]:
    """`opened`, its last frame replaced."""

    def changed(*arguments: Any) -> Iterator[Opened]:
        *head, last = opened(*arguments)
        yield from head
        yield from change(last)

    return changed


def damaged(last: Opened) -> list[Opened]:
    raise Malformed("damaged")


def with_message(last: Opened, message: Message) -> list[Opened]:
    return [replace(last, messages=[message])]


def test_what_comes_back_equal_is_exact() -> None:
    (way,) = measured().coded
    assert way.exact
    assert way.frames == len(recordings.load(NAME))


@pytest.mark.parametrize(
    "change",
    [
        lambda last: [],
        lambda last: [last, last],
        lambda last: [replace(last, sent=replace(last.sent, direction=last.sent.direction.opposite))],
        lambda last: with_message(
            last, Message(last.messages[0].type, last.messages[0].action, last.messages[0].body + " ", last.messages[0].call)
        ),
        lambda last: with_message(last, last.messages[0].with_call(7)),
        damaged,
    ],
)
def test_anything_else_is_not(change: Callable[[Opened], list[Opened]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "opened", with_last(change))
    (way,) = measured().coded
    assert not way.exact


def test_the_command_fails_if_something_is_not_exact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "in.jsonl"
    trace.write_text("".join(map(trace_line, recordings.load(NAME))))
    monkeypatch.setattr(measure, "opened", with_last(damaged))
    parser = argparse.ArgumentParser()
    commands.add_parsers(parser.add_subparsers())
    args = parser.parse_args(["measure", str(trace), "--max-delay-s", "0"])
    assert args.func(args) == running.NOT_EXACT
    assert "NOT EXACT" in capsys.readouterr().out


@pytest.mark.parametrize("number", range(len(recordings.names())), ids=recordings.names())
def test_parts_and_actions_add_up_to_the_frames(number: int) -> None:
    one = all_measured()[number]
    for way in one.coded:
        assert sum(way.parts.values()) == way.frame_bytes, "exactly, as they are whole numbers of 2**-19"
        assert sum(share.bytes for share in way.actions.values()) == way.frame_bytes
        assert sum(share.messages for share in way.actions.values()) == one.messages
        assert way.parts[Part.OPENING] == 10
        assert way.parts[Part.CHECKSUM] >= 2 * way.frames
        assert set(way.parts) == set(Part)


def test_so_they_do_in_the_sum_of_traces() -> None:
    several = all_measured()
    for number, way in enumerate(pooled(several).coded):
        singles = [one.coded[number] for one in several]
        assert sum(way.parts.values()) == sum(share.bytes for share in way.actions.values()) == way.frame_bytes
        assert way.parts == {part: sum(single.parts[part] for single in singles) for part in Part}
        assert way.actions["Heartbeat"].messages == sum(
            single.actions["Heartbeat"].messages for single in singles if "Heartbeat" in single.actions
        )
        sizes = [share.bytes for share in way.actions.values()]
        assert sizes == sorted(sizes, reverse=True)


TALK = [
    (0, Direction.UP, '[2,"a","Heartbeat",{}]'),
    (0, Direction.DOWN, '[3,"a",{"currentTime":"2026-01-01T00:00:00Z"}]'),
    (1, Direction.DOWN, '[2,"b","Reset",{"type":"Soft"}]'),
    (1, Direction.UP, '[3,"b",{"status":"Accepted"}]'),
    (2, Direction.DOWN, '[5,"b","FormatViolation","",{}]'),
    (2, Direction.UP, '[6,"c","NotifyPeriodicEventStream",{}]'),
    (3, Direction.UP, '[3,"nobody asked",{}]'),
]


def test_an_answer_counts_to_the_action_of_its_call() -> None:
    records = [TraceRecord(float(at_s), direction, text) for at_s, direction, text in TALK]
    ways = [(codec, 0.0) for codec in CodecName]
    found = measure_trace("talk", records, OcppVersion.V21, ways, left_out=NOTHING, advance=lambda _: None)
    for way in found.coded:
        assert {action: share.messages for action, share in way.actions.items()} == {
            "Heartbeat": 2,
            "Reset": 3,
            "NotifyPeriodicEventStream": 1,
            NO_CALL: 1,
        }


def test_what_a_frame_needs_as_such_is_shared_out_equally() -> None:
    """Verbatim frames hold nothing else: a count, a checksum, and an opening before the first."""
    records = [
        TraceRecord(0.0, Direction.UP, f'[2,"{number}","{action}",{{}}]') for number, action in enumerate(("Heartbeat", "Heartbeat", "X"))
    ]
    found = measure_trace("x", records, OcppVersion.V16, [(CodecName.VERBATIM, 60.0)], left_out=NOTHING, advance=lambda _: None)
    (way,) = found.coded
    assert way.frames == 1
    each = (5 + 1 + 2) / 3
    assert way.actions["Heartbeat"].bytes == pytest.approx(2 * (2 + len('"Heartbeat",{}') + each), abs=1e-5)
    assert way.actions["X"].bytes == pytest.approx(2 + len('"X",{}') + each, abs=1e-5)


def shown(several: list[Measured], columns: int) -> str:
    console = Console(width=columns, file=io.StringIO())
    for table in tables(several, pooled(several)):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= columns
    return text


@pytest.mark.parametrize("columns", [100, 80, 60])
def test_tables_fit_and_lose_no_figure(columns: int) -> None:
    several = all_measured()
    several[0] = replace(several[0], json_bytes=123_456_789_012)
    text = shown(several, columns)
    assert "…" not in text
    for one in [*several, pooled(several)]:
        for figure in (one.json_bytes, one.deflate_bytes, *(way.frame_bytes for way in one.coded)):
            assert re.search(rf"(?<![\d,]){figure:,}(?![\d,])", text), figure
    for way in pooled(several).coded:
        for share in way.actions.values():
            assert f"{share.bytes:,.0f}" in text


def test_words_of_others_neither_format_the_table_nor_steer_the_terminal() -> None:
    records = [TraceRecord(0.0, Direction.UP, r'[2,"1","[red]\u001b[2J[/nothing]",{}]')]
    found = measure_trace("a[bold].jsonl", records, OcppVersion.V16, WAYS, left_out=NOTHING, advance=lambda _: None)
    text = shown([found], 100)
    assert "a[bold].jsonl" in text
    assert r"[red]\u001b[2J[/nothing]" in text
