"""`ocppress demo` as its user runs it: in a process of its own, over real sockets, at full length but for the time."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway import cli
from ocppress_gateway.tools.coding import encoded
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.tools.frames import Agreement
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import TraceRecord, trace_line

WAIT_S: Final = 60.0
"""Far longer than any of these runs."""


@dataclass(frozen=True)
class _Ended:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def figures(self) -> Any:
        return json.loads(self.stdout.splitlines()[-1])


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-X", "dev", "-m", "ocppress_gateway", "demo", *arguments]


def _environment(folder: Path) -> dict[str, str]:
    """With `folder` for temporary files."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder), "TERM": "xterm", "COLUMNS": "80", "LINES": "50"}


def _demo(folder: Path, *arguments: str) -> _Ended:
    done = subprocess.run(_command(*arguments), env=_environment(folder), capture_output=True, text=True, timeout=WAIT_S, check=False)
    return _Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module", params=["saver", "transparent"])
def few_seconds(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> _Ended:
    folder = tmp_path_factory.mktemp("demo")
    ended = _demo(folder, "--duration-s", "8", "--json", "--plan", request.param)
    assert list(folder.iterdir()) == [], "keys were left behind"
    assert ended.exit_code == cli.OK, ended.stderr
    assert ended.figures["plan"] == request.param
    return ended


def test_all_is_delivered_for_far_fewer_bytes(few_seconds: _Ended) -> None:
    figures = few_seconds.figures
    assert figures["duration_s"] <= 8
    assert figures["messages_delivered"] == figures["messages_accepted"] >= 100
    assert figures["link_payload_bytes"] < figures["deflate_payload_bytes"] < figures["station_json_bytes"]
    assert figures["link_payload_bytes"] * 6 <= figures["station_json_bytes"]
    assert figures["link_payload_bytes"] < figures["link_ip_bytes"] < figures["plain_ip_bytes"]
    assert figures["projected_mb_month"] > 0
    assert few_seconds.stdout.count("\n") == 1, "the story is not for those who read JSON"


def test_the_figures_agree_with_each_other(few_seconds: _Ended) -> None:
    figures = few_seconds.figures
    stations = figures["stations"]
    for total, part in (
        ("messages_accepted", "accepted"),
        ("messages_delivered", "delivered"),
        ("answered_early", "answered_early"),
        ("heartbeats_at_edge", "heartbeats_at_edge"),
        ("heartbeats_of_cloud", "heartbeats_of_cloud"),
        ("station_json_bytes", "json_bytes"),
        ("deflate_payload_bytes", "deflate_payload_bytes"),
        ("link_payload_bytes", "link_payload_bytes"),
    ):
        assert figures[total] == sum(station[part] for station in stations)
    for station in stations:
        # At its socket there is the edge's answer in the CSMS's place, and a Heartbeat's both messages.
        assert station["messages"] == station["accepted"] + station["answered_early"] + 2 * station["heartbeats_at_edge"]
        assert bool(station["answered_early"]) is (figures["plan"] != "transparent")
    assert figures["link_ip_bytes"] == sum(figures["link_layers"].values())
    assert figures["link_layers"]["payload"] == figures["link_payload_bytes"]
    (home,) = [station for station in stations if station["station"] == figures["projected_station"]]
    assert figures["projected_mb_month"] == home["projected_mb_month"] < home["plain_mb_month"]
    assert {station["ocpp"] for station in stations} == {version.value for version in OcppVersion}


@pytest.mark.parametrize("name", recordings.names())
def test_link_payload_is_what_the_codec_makes_of_the_recording(few_seconds: _Ended, name: str) -> None:
    (station,) = [station for station in few_seconds.figures["stations"] if station["station"] == name]
    if few_seconds.figures["plan"] != "transparent":
        pytest.skip("what shares a frame is a matter of time")
    records = recordings.load(name)
    if station["messages"] < len(records):
        pytest.skip("the machine was too slow to play it whole")
    version = recordings.version(name)
    batches = schedule(Conversation(version).follow(records), 0.0)
    assert station["link_payload_bytes"] == sum(len(sent.frame) for sent in encoded(batches, Agreement(CodecName.ADAPTIVE, version)))
    assert station["left_out"] == 0


def test_nothing_but_the_table_and_the_story_is_said(few_seconds: _Ended) -> None:
    assert "Traceback" not in few_seconds.stderr
    # Development mode reports steps that took long, which is a matter of the machine's load.
    lines = [line for line in few_seconds.stderr.splitlines() if "WARNING asyncio Executing" not in line]
    assert not [line for line in lines if "WARNING" in line or "ERROR" in line or "Warning:" in line]
    assert "time compressed" in few_seconds.stderr
    assert "all delivered exactly" in few_seconds.stderr
    assert ("the edge answered" in few_seconds.stderr) is (few_seconds.figures["plan"] != "transparent")


@pytest.mark.soak
def test_plan_saver_needs_a_fifteenth_of_the_bytes(tmp_path: Path) -> None:
    figures = {plan: _demo(tmp_path, "--duration-s", "30", "--json", "--plan", plan).figures for plan in ("saver", "live", "transparent")}
    assert all(one["messages_delivered"] == one["messages_accepted"] > 1000 for one in figures.values())
    saver, live, transparent = figures.values()
    assert saver["link_ip_bytes"] * 15 <= saver["plain_ip_bytes"]
    assert saver["link_ip_bytes"] < live["link_ip_bytes"] < transparent["link_ip_bytes"]
    assert saver["projected_mb_month"] < 1
    assert saver["projected_mb_month"] < live["projected_mb_month"] < transparent["projected_mb_month"]


def test_a_recording_of_ones_own(tmp_path: Path) -> None:
    trace = tmp_path / "my station.jsonl"
    records = recordings.load("sim-ocppgo-2.0.1")
    orphan = TraceRecord(records[0].ts, records[1].direction, '[3,"nobody-asked",{}]')
    trace.write_text("".join(map(trace_line, [orphan, *records])), encoding="utf-8")
    folder = tmp_path / "temporary"
    folder.mkdir()
    ended = _demo(folder, "--duration-s", "6", "--trace", str(trace))
    assert ended.exit_code == cli.OK, ended.stderr
    assert "my station.jsonl" in ended.stderr
    assert "my station.jsonl: 1 recorded message" in ended.stdout
    assert "7 stations" in ended.stdout


def test_ctrl_c_at_the_live_table_ends_it_with_the_story(tmp_path: Path) -> None:
    terminal, other_end = os.openpty()
    with open(terminal, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            _command("--plan", "auto"), env=_environment(tmp_path), stdout=subprocess.PIPE, stderr=other_end, text=True
        )
        os.close(other_end)
        try:
            _read_until(screen, b" h \xc3\x97")  # the home charger has played some hours
            process.send_signal(signal.SIGINT)
            _read_until(screen, None)
            stdout, _ = process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == cli.OK
    assert "all delivered exactly" in stdout
    assert not stdout.startswith("0 messages")
    assert list(tmp_path.iterdir()) == []


def _read_until(screen: FileIO, wanted: bytes | None) -> None:
    """Read what a program shows until this is among it, or to the end."""
    shown = b""
    deadline = time.monotonic() + WAIT_S
    while wanted is None or wanted not in shown:
        ready, _, _ = select.select([screen], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"not shown in time: {wanted!r}"
        try:
            data = screen.read(65536)
        except OSError:  # Linux' way to say that nobody has the other end any more
            data = b""
        if not data:
            assert wanted is None, f"ended without {wanted!r}: {shown!r}"
            return
        shown += data


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("not a trace\n", "line 1: not a record of a trace"),
        ("", "nothing to replay"),
        ('{"ts": null, "dir": "up", "frame": "[2,\\"1\\",\\"Heartbeat\\",{}]"}\n', "nothing to replay"),
    ],
)
def test_a_trace_that_cannot_be_used(content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "bad.jsonl"
    if content is not None:
        trace.write_text(content, encoding="utf-8")
    assert cli.main(["demo", "--trace", str(trace)]) == cli.USAGE
    captured = capsys.readouterr()
    assert said in captured.err
    assert str(trace) in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("duration", ["0", "2", "-1", "nan", "inf", "soon"])
def test_a_duration_that_cannot_be(duration: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", f"--duration-s={duration}"])
    assert ended.value.code == cli.USAGE
    assert "at least 3 seconds" in capsys.readouterr().err
