"""Trace files: strict reading with a place in every error, and which version a trace is of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.errors import UsageError
from ocppress_gateway.workloads import recordings, traces
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, TraceError, TraceRecord, infer_version, read_lines, read_trace, trace_line
from scripts.version_words import TARGET, module_text
from tests.support.chargers import charger_traces
from tests.support.tree import ROOT


def line(**changes: object) -> bytes:
    entry = {"ts": "2026-11-22T10:21:59.062Z", "dir": "up", "frame": '[2,"1","Heartbeat",{}]'} | changes
    return json.dumps(entry).encode() + b"\n"


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (None, None),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.500Z", 1.5),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1970-01-01T00:00:01", 1.0),
        ("1970-01-01 00:00:01.000001+00:00", 1.000001),
    ],
)
def test_times_are_unix_seconds(ts: str | None, expected: float | None) -> None:
    assert [record.ts for record in read_lines([line(ts=ts)], "t")] == [expected]


def test_the_text_is_as_recorded() -> None:
    text = '[2, "1",\n"Heartbeat",\t{ }]  \u20ac \U0001f50c'
    assert list(read_lines([line(frame=text, dir="down")], "t")) == [TraceRecord(1795342919.062, Direction.DOWN, text)]


def test_blank_lines_and_further_members_are_ignored() -> None:
    assert len(list(read_lines([line(), b"\n", b"  \r\n", line(note="x")], "t"))) == 2


@pytest.mark.parametrize(
    "bad",
    [
        b"not json\n",
        b"[]\n",
        b'{"ts":null,"dir":"up"}\n',
        line(dir="left"),
        line(frame=7),
        line(ts="yesterday"),
        line(ts=1.5),
        line(frame="[2,\ud800]"),
        b'{"ts":null,"dir":"up","frame":"\xff"}\n',
        line(frame="x" * (1024 * 1024 + 1)),
        b" " * (traces.LINE_BYTES_MAX + 1),
    ],
    ids=lambda bad: repr(bad[:50]),
)
def test_a_bad_line_is_named(bad: bytes) -> None:
    with pytest.raises(TraceError, match=r"^some\.jsonl, line 3: ") as caught:
        list(read_lines([line(), line(), bad], "some.jsonl"))
    assert (caught.value.name, caught.value.line) == ("some.jsonl", 3)
    assert isinstance(caught.value, UsageError)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    file.write_bytes(b"[" * (3 * traces.LINE_BYTES_MAX))
    with pytest.raises(TraceError, match="longer than"):
        next(read_trace(file))


@pytest.mark.parametrize(
    ("before", "end"), [(b"", b"\n"), (b"\xef\xbb\xbf", b"\n"), (b"\xef\xbb\xbf\r\n", b"\r\n")], ids=["plain", "mark", "CRLF"]
)
def test_how_an_editor_saved_it_makes_no_difference(before: bytes, end: bytes, tmp_path: Path) -> None:
    file = tmp_path / "edited.jsonl"
    file.write_bytes(before + (line().strip() + end) * 2)
    assert [record.text for record in read_trace(file)] == ['[2,"1","Heartbeat",{}]'] * 2


def test_what_is_written_is_read_again() -> None:
    records = [TraceRecord(1795342919.062, Direction.UP, 'a "b" \u20ac'), TraceRecord(None, Direction.DOWN, "\n")]
    assert list(read_lines([trace_line(record).encode() for record in records], "t")) == records


def test_a_time_outside_the_calendar_is_written_as_null() -> None:
    for ts in (-1.0, 1e300, 253402300800.0):
        assert json.loads(trace_line(TraceRecord(ts, Direction.UP, "x")))["ts"] is None


def test_the_data_module_is_what_the_script_writes() -> None:
    assert (ROOT / TARGET).read_text(encoding="utf-8") == module_text()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], OcppVersion.V16),
        (['[2,"1","Heartbeat",{}]'], OcppVersion.V16),
        (['[2,"1","BootNotification",{"chargePointVendor":"a","chargePointModel":"b"}]'], OcppVersion.V16),
        (['[2,"1","BootNotification",{"chargingStation":{"model":"b","vendorName":"a"},"reason":"PowerUp"}]'], OcppVersion.V201),
        (['[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'], OcppVersion.V16),
        (['[2,"1","TransactionEvent",{"eventType":"Ended"}]'], OcppVersion.V201),
        (['[2,"1","TransactionEvent",{"eventType":"Ended","costDetails":{}}]'], OcppVersion.V21),
        (['[2,"1","BatterySwap",{}]'], OcppVersion.V21),
        (['[2,"1","Heartbeat",{}]', '[6,"2","X",{}]'], OcppVersion.V21),
        (['[2,"1","Heartbeat",{}]', '[5,"1","X","",{}]'], OcppVersion.V21),
        # Outnumbered: a field of the vendor's own that another edition happens to know.
        (['[2,"1","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":0,"evseId":1}]'], OcppVersion.V16),
        (["garbage", '[2,"1","RequestStopTransaction",{}]'], OcppVersion.V201),
    ],
)
def test_the_version_is_found_from_words(texts: list[str], expected: OcppVersion) -> None:
    assert infer_version(TraceRecord(None, Direction.UP, text) for text in texts) is expected


@pytest.mark.parametrize("name", recordings.names())
def test_the_version_of_every_recording_is_found(name: str) -> None:
    # The 2.1 station says nothing that 2.0.1 doesn't know: all its messages are valid there too.
    expected = "2.0.1" if name == "sim-vcp-2.1" else name.split("-")[2]
    assert infer_version(recordings.load(name)) == expected


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_version_of_generated_traffic_is_found(name: str) -> None:
    assert infer_version(generate(WORKLOADS[name], days=1, seed=1)) is OcppVersion.V201


def test_the_version_of_chargers_traces_is_found() -> None:
    assert {file.name: infer_version(read_trace(file)) for file in charger_traces()} == {
        file.name: OcppVersion.V16 for file in charger_traces()
    }


def test_recordings_are_listed_and_of_three_programs() -> None:
    assert len(recordings.names()) == 5
    assert {recordings.station_program(name) for name in recordings.names()} == {"microocpp", "ocppgo", "vcp"}
    assert [len(recordings.load(name)) for name in recordings.names()] == [232, 20, 230, 50, 266]
