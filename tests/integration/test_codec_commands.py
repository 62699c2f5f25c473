"""`encode`, `decode` and `measure` as a person runs them: each in a process of its own."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import parse
from ocppress_gateway.tools.dictionaries import NOTHING, left_out_for
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, read_trace
from scripts.left_out import TARGET, files
from tests.support.chargers import charger_traces
from tests.support.commands import assert_same_conversation, run, there_and_back, write_trace
from tests.support.tree import ROOT

ODD: list[tuple[str | None, str, str]] = [
    (None, "up", '[2,"1","BootNotification",{"chargePointVendor":"a","chargePointModel":"b","x":2e+01,"x":-0,"x":1.00}]'),
    ("2026-01-01T00:00:00", "up", "this is no message"),
    (None, "down", '[3, "1", {"status" : "Accepted",\n\t"interval":300 }]'),
    ("2026-01-01T00:00:01.5Z", "up", r'[2,"1","DataTransfer",{"data":"{\"a\":[1, 2]}","\u0065":"\u20ac\/","n":12345678901234567890.0}]'),
    ("2026-01-01T00:00:02Z", "down", '[2,"1","ChangeConfiguration",{"key":"k","value":"v"}]'),
    ("2026-01-01T00:00:01Z", "up", '[3,"1",{"status":"Accepted"}]'),
    ("2026-01-01T00:00:03Z", "down", '[4,"1","NotSupported",""]'),
    ("2026-01-01T00:00:03Z", "down", '[4,"1","InternalError","again","a string"]'),
    ("2026-01-01T00:00:04Z", "up", '[2,"2","Heartbeat",{}]'),
    ("2026-01-01T00:00:04Z", "up", '[2,"2","StatusNotification",{}]'),
    ("2026-01-01T00:00:05Z", "down", '[3,"2",{"late":null}]'),
    ("2026-01-01T00:00:05Z", "down", '[3,"2",{}]'),
    ("2026-01-01T00:00:06Z", "up", '[5,"2","FormatViolation","",{}]'),
    ("2026-01-01T00:00:06Z", "up", '[6,"9","NotifyPeriodicEventStream",{"\U0001f50c":[]}]'),
]


@pytest.mark.parametrize("delay_s", ["0", "900"])
@pytest.mark.parametrize("name", recordings.names())
def test_a_recording_comes_back(name: str, delay_s: str, tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "in.jsonl", recordings.load(name))
    there_and_back(trace, tmp_path, "--max-delay-s", delay_s)


def test_chargers_traces_come_back(tmp_path: Path) -> None:
    for trace in charger_traces():
        there_and_back(trace, tmp_path, "--max-delay-s", "900")


@pytest.mark.parametrize("codec", CodecName)
@pytest.mark.parametrize("delay_s", ["0", "2.5", "900"])
def test_an_odd_trace_comes_back(codec: CodecName, delay_s: str, tmp_path: Path) -> None:
    trace = tmp_path / "odd.jsonl"
    trace.write_text("".join(json.dumps({"ts": ts, "dir": way, "frame": text}) + "\n" for ts, way, text in ODD), encoding="utf-8")
    frames = there_and_back(trace, tmp_path, "--codec", codec, "--max-delay-s", delay_s, "--ocpp", "2.1")
    assert frames.read_bytes()[13] & 15 == 2
    assert "not OCPP-J, left out: 1" in run("encode", trace, frames).stderr


def test_the_frames_of_a_trace_are_those_that_measure_counts(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "home.jsonl", list(generate(WORKLOADS["home"], days=1, seed=3)))
    report = json.loads(run("measure", trace, "--json", "--max-delay-s", "0", "60").stdout.splitlines()[-1])
    (measured,) = report["traces"]
    for way in measured["coded"]:
        there_and_back(trace, tmp_path, "--codec", way["codec"], "--max-delay-s", str(way["max_delay_s"]))
        data, position, count, size = (tmp_path / "out.frames").read_bytes(), 0, 0, 0
        while position < len(data):
            length = int.from_bytes(data[position : position + 4], "big")
            position, count, size = position + 13 + length, count + 1, size + length
        assert (count, size) == (way["frames"], way["frame_bytes"])
        assert way["exact"]


def test_the_file_holds_each_direction_in_its_order_with_its_times(tmp_path: Path) -> None:
    """Read without the project's own reader: u32 length, u8 direction, f64 time, frame; verbatim frames hold the texts themselves."""
    records = recordings.load("sim-microocpp-1.6")
    trace = write_trace(tmp_path / "in.jsonl", records)
    run("encode", trace, tmp_path / "out.frames", "--codec", "verbatim")
    data, position = (tmp_path / "out.frames").read_bytes(), 0
    read: list[list[tuple[float, bytes]]] = [[], []]
    while position < len(data):
        length, way, at_s = struct.unpack_from(">IBd", data, position)
        read[way].append((at_s, data[position + 13 : position + 13 + length]))
        position += 13 + length
    assert position == len(data)
    for frames, direction in zip(read, (Direction.UP, Direction.DOWN), strict=True):
        assert frames[0][1][:5] == b"\x00" + fingerprint(CodecName.VERBATIM), "codec 0, OCPP version 0, four bytes"
        for (at_s, frame), record in zip(frames, (record for record in records if record.direction is direction), strict=True):
            assert at_s == pytest.approx(record.ts, abs=0.001)
            assert parse(record.text)[1].body.encode() in frame


def test_measure_reports_every_trace_and_their_sum(tmp_path: Path) -> None:
    traces = [write_trace(tmp_path / f"{name}.jsonl", recordings.load(name)) for name in recordings.names()]
    done = run("measure", *traces, "--json")
    assert len(done.stdout.splitlines()) == 1
    report = json.loads(done.stdout)
    assert [one["name"] for one in report["traces"]] == [trace.name for trace in traces]
    for key in ("messages", "json_bytes", "deflate_bytes"):
        assert report["pooled"][key] == sum(one[key] for one in report["traces"])
    for number, way in enumerate(report["pooled"]["coded"]):
        assert way["exact"]
        assert way["frame_bytes"] == sum(one["coded"][number]["frame_bytes"] for one in report["traces"])
        assert way["frame_bytes"] == sum(way["parts"].values()) == sum(share["bytes"] for share in way["actions"].values())
        assert sum(share["messages"] for share in way["actions"].values()) == report["pooled"]["messages"]
    records = [record for trace in traces for record in read_trace(trace)]
    assert report["pooled"]["json_bytes"] == sum(len(record.text.encode()) for record in records)
    compact = [way for way in report["pooled"]["coded"] if way["codec"] == CodecName.CBOR_ZSTD]
    assert [way["max_delay_s"] for way in compact] == [0, 900]
    assert compact[1]["frame_bytes"] < compact[0]["frame_bytes"] < report["pooled"]["deflate_bytes"]
    for words in ("permessage-deflate", "first sight of shapes", "BootNotification"):
        assert words in done.stderr


def test_measure_compares_the_codecs_it_is_asked_for(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "in.jsonl", recordings.load("sim-ocppgo-2.0.1"))
    done = run("measure", trace, "--codec", "verbatim", "adaptive", "verbatim", "--max-delay-s", "0", "0", "--json")
    assert [(way["codec"], way["max_delay_s"]) for way in json.loads(done.stdout)["pooled"]["coded"]] == [("verbatim", 0), ("adaptive", 0)]
    assert "cbor-zstd" not in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 100, "columns of a table where there is no terminal"
    assert "choose from" in run("measure", trace, "--codec", "none", exit_code=2).stderr


def test_a_recording_is_measured_without_its_own_station_program(tmp_path: Path) -> None:
    """The same text under another name is measured with the shipped dictionary, which has seen it."""
    records = recordings.load("sim-ocppgo-2.0.1")
    own, other = write_trace(tmp_path / "sim-ocppgo-2.0.1.jsonl", records), write_trace(tmp_path / "other.jsonl", records)
    report = json.loads(run("measure", own, other, "--json").stdout)
    left_out, shipped = (next(way["frame_bytes"] for way in one["coded"] if way["codec"] == "cbor-zstd") for one in report["traces"])
    assert left_out > shipped
    assert left_out_for(Path("sim-unheard-of-1.6.jsonl")) is NOTHING


def test_the_left_out_dictionaries_are_what_the_script_writes() -> None:
    assert {file.name: file.read_bytes() for file in (ROOT / TARGET).iterdir()} == files()


def test_a_trace_may_come_from_a_pipe(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "in.jsonl", recordings.load("sim-ocppgo-2.0.1"))
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", str(trace), str(pipe)]) as writer:
        run("encode", pipe, tmp_path / "out.frames")
    assert writer.returncode == 0
    run("decode", tmp_path / "out.frames", tmp_path / "back.jsonl")
    assert_same_conversation(trace, tmp_path / "back.jsonl")


def test_what_there_is_to_choose_from_is_said(tmp_path: Path) -> None:
    for option in ("--codec", "--ocpp"):
        assert "choose from" in run("encode", tmp_path / "in", tmp_path / "out", option, "none", exit_code=2).stderr


def test_an_empty_trace_comes_back_empty(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "in.jsonl", [])
    run("encode", trace, tmp_path / "out.frames")
    run("decode", tmp_path / "out.frames", tmp_path / "back.jsonl")
    assert (tmp_path / "back.jsonl").read_bytes() == b""
    assert json.loads(run("measure", trace, "--json").stdout)["pooled"]["messages"] == 0


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    bad_line = tmp_path / "bad.jsonl"
    bad_line.write_text('{"ts":null,"dir":"up","frame":"[2,\\"1\\",\\"Heartbeat\\",{}]"}\nnonsense\n')
    frames = tmp_path / "out.frames"
    for arguments, words in (
        (("encode", tmp_path / "missing.jsonl", frames), "missing.jsonl: No such file"),
        (("encode", bad_line, frames), "bad.jsonl, line 2: "),
        (("measure", bad_line), "bad.jsonl, line 2: "),
        (("decode", bad_line, tmp_path / "back.jsonl"), "frame record at byte 0: "),
        (("encode", bad_line, bad_line), "would be overwritten"),
        (("decode", bad_line, bad_line), "would be overwritten"),
    ):
        done = run(*arguments, exit_code=2)
        assert done.stderr.startswith("ocppress: ")
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    run("measure", bad_line, "--max-delay-s", "-1", exit_code=2)


def test_a_damaged_frame_is_refused(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "in.jsonl", recordings.load("sim-ocppgo-2.0.1"))
    frames = tmp_path / "out.frames"
    run("encode", trace, frames)
    data = bytearray(frames.read_bytes())
    data[-1] ^= 1
    frames.write_bytes(data)
    assert "can't be decoded" in run("decode", frames, tmp_path / "back.jsonl", exit_code=2).stderr
