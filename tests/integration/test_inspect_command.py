"""The command `inspect`: what is in a `.frames` file, whole, damaged or of another release."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import MessageType, OcppVersion, parse
from ocppress_gateway.cli import main
from ocppress_gateway.tools.coding import encoded
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.tools.frames import RECORD_HEAD, Agreement, SentFrame, write_frames
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import Direction, TraceRecord, iso_time
from tests.support.commands import run as run_process

NAME = "sim-microocpp-1.6"


@dataclass(frozen=True, slots=True)
class Done:
    stdout: str
    stderr: str


def run(*arguments: str | Path, exit_code: int = 0) -> Done:
    """The command in this process, which is quicker."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code: object = main([*map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
    assert code == exit_code, err.getvalue()
    return Done(out.getvalue(), err.getvalue())


def recorded(file: Path, codec: CodecName, delay_s: float = 0) -> Path:
    """The frames of a recording."""
    agreement = Agreement(codec, recordings.version(NAME))
    said = Conversation(agreement.version).follow(recordings.load(NAME))
    with file.open("wb") as target:
        write_frames(target, agreement, encoded(schedule(said, delay_s), agreement))
    return file


@pytest.fixture(params=CodecName)
def frames(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A recording in each codec."""
    return recorded(tmp_path / "out.frames", request.param)


def inspected(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    done = run("inspect", *arguments, "--json", exit_code=exit_code)
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def records_in(file: Path) -> Iterator[tuple[int, int]]:
    """Where each frame begins and ends, without the project's own reader; the first of a direction with its opening."""
    data, position = file.read_bytes(), 0
    while position < len(data):
        begin = position + RECORD_HEAD.size
        position = begin + int.from_bytes(data[position : position + 4], "big")
        yield begin, position


def test_every_message_is_shown_with_what_it_took(frames: Path) -> None:
    found = inspected(frames, "--detail", "--full")
    sent = recordings.load(NAME)
    assert found["damage"] is None
    assert [frame["number"] for frame in found["frames"]] == list(range(1, len(sent) + 1))
    calls: dict[Direction, list[str]] = {direction: [] for direction in Direction}
    for frame, record in zip(found["frames"], sent, strict=True):
        assert (frame["direction"], frame["trouble"]) == (record.direction, None)
        assert record.ts is not None
        assert frame["at"] == iso_time(record.ts)
        (shown,) = frame["messages"]
        message = parse(record.text)[1]
        assert (MessageType[shown["type"]], shown["text"]) == (message.type, message.body)
        assert shown["text_bytes"] == len(message.body.encode())
        if message.type is MessageType.CALL:
            assert (shown["call"], shown["action"]) == (len(calls[record.direction]), message.action)
            calls[record.direction].append(message.action)
        else:
            assert shown["action"] == calls[record.direction.opposite][shown["call"]]
        assert sum(piece["bits"] for piece in shown["pieces"]) == shown["bits"]
        assert shown["bits"] + sum(piece["bits"] for piece in frame["pieces"]) == 8 * frame["frame_bytes"]
        for piece in shown["pieces"]:
            assert not piece["value"] or piece["value"] in message.body
    sizes = [end - begin for begin, end in records_in(frames)]
    assert [frame["frame_bytes"] + 5 * (frame["opening"] is not None) for frame in found["frames"]] == sizes


def test_the_opening_of_each_direction_is_shown(frames: Path) -> None:
    openings = [(frame["direction"], frame["opening"]) for frame in inspected(frames)["frames"] if frame["opening"]]
    codec = openings[0][1]["codec"]
    assert openings == [
        (direction, {"codec": codec, "ocpp": "1.6", "fingerprint": fingerprint(CodecName(codec)).hex(), "usable": True})
        for direction in ("up", "down")
    ]
    lines = run("inspect", frames).stdout.splitlines()
    assert lines[0] == f"up: codec {codec}, OCPP 1.6, fingerprint {fingerprint(CodecName(codec)).hex()}, that of this release"


def test_id_tokens_are_shown_only_if_asked_for(frames: Path) -> None:
    secret = next(json.loads(record.text)[3]["idTag"] for record in recordings.load(NAME) if '"idTag":"' in record.text)
    for options in ([], ["--detail"], ["--json"], ["--json", "--detail"]):
        shown = run("inspect", frames, *options).stdout
        assert secret not in shown
        assert "***" in shown
    assert secret in run("inspect", frames, "--full").stdout
    assert f'idTag = "{secret}"' in run("inspect", frames, "--full", "--detail").stdout


def test_long_texts_are_shown_whole_only_if_asked_for(frames: Path) -> None:
    longest = max((parse(record.text)[1].body for record in recordings.load(NAME)), key=len)
    assert longest not in run("inspect", frames).stdout
    assert longest in run("inspect", frames, "--full").stdout


def test_values_are_named_with_how_they_were_coded(tmp_path: Path) -> None:
    shown = run("inspect", recorded(tmp_path / "out.frames", CodecName.ADAPTIVE), "--detail").stdout
    assert "a new shape" in shown
    assert "a known shape" in shown
    assert 'chargePointVendor = "MicroOcpp": new text' in shown
    assert 'meterValue[0].sampledValue[3].value (Voltage) = "230.00": as last time, off by 100' in shown
    assert "checksum" in shown


def test_messages_of_one_frame_are_told_apart(tmp_path: Path) -> None:
    found = inspected(recorded(tmp_path / "out.frames", CodecName.ADAPTIVE, delay_s=900), "--detail")
    batches = [frame for frame in found["frames"] if len(frame["messages"]) > 3]
    assert batches
    for frame in batches:
        pieces = [*frame["pieces"], *(piece for message in frame["messages"] for piece in message["pieces"])]
        assert sum(piece["bits"] for piece in pieces) == 8 * frame["frame_bytes"]
    assert sum(len(frame["messages"]) for frame in found["frames"]) == len(recordings.load(NAME))


def test_every_kind_of_message_has_its_heading(tmp_path: Path) -> None:
    agreement = Agreement(CodecName.CBOR_ZSTD, OcppVersion.V21)
    texts = [
        ("up", '[2,"a","Heartbeat",{}]', "CALL 0 Heartbeat: 14 bytes of text"),
        ("down", '[3,"a",{}]', "CALLRESULT to CALL 0 Heartbeat: 2 bytes of text"),
        ("down", '[2,"b","Reset",{}]', "CALL 0 Reset: 10 bytes of text"),
        ("up", '[4,"b","NotSupported","",{}]', "CALLERROR to CALL 0 Reset: 20 bytes of text"),
        ("up", '[5,"a","FormatViolation","",{}]', "CALLRESULTERROR to CALL 0 Heartbeat: 23 bytes of text"),
        ("up", '[6,"c","Stream",{}]', "SEND Stream: 11 bytes of text"),
        ("down", '[3,"x",{}]', "CALLRESULT (no CALL): 2 bytes of text"),
    ]
    talk = Conversation(agreement.version).follow(TraceRecord(0.0, Direction(way), text) for way, text, _ in texts)
    with (tmp_path / "talk.frames").open("wb") as file:
        write_frames(file, agreement, encoded(schedule(talk, 0), agreement))
    lines = [line for line in run("inspect", tmp_path / "talk.frames").stdout.splitlines() if " of text in " in line]
    assert [line.strip().partition(" in ")[0] for line in lines] == [heading for *_, heading in texts]


def test_a_direction_ends_with_a_frame_that_cannot_be_decoded(tmp_path: Path) -> None:
    """The other one goes on: in this codec nothing of it depends on the first."""
    frames = recorded(tmp_path / "out.frames", CodecName.VERBATIM)
    data = bytearray(frames.read_bytes())
    begin, end = list(records_in(frames))[20]
    data[end - 1] ^= 1
    frames.write_bytes(data)
    found = inspected(frames, exit_code=2)
    direction = found["frames"][20]["direction"]
    assert found["frames"][20]["trouble"] == {
        "code": "integrity",
        "reason": "the checksum differs",
        "head": data[begin : begin + 16].hex(" "),
    }
    for frame in found["frames"]:
        wanted = None if frame["direction"] != direction or frame["number"] < 21 else "integrity" if frame["number"] == 21 else "lost"
        assert (frame["trouble"] or {}).get("code") == wanted
        assert bool(frame["messages"]) == (wanted is None)
    done = run_process("inspect", frames, exit_code=2)
    assert "CAN'T BE DECODED (integrity): the checksum differs" in done.stdout
    assert f"  begins with {data[begin : begin + 16].hex(' ')}" in done.stdout.splitlines()
    lost = sum(frame["trouble"] is not None for frame in found["frames"])
    assert done.stderr == f"ocppress: {frames}: frames that can't be decoded: {lost}\n"


def test_frames_of_another_release_are_listed(frames: Path) -> None:
    data = bytearray(frames.read_bytes())
    for number in (0, 1):
        begin, _ = list(records_in(frames))[number]
        data[begin + 1 : begin + 5] = b"\xde\xad\xbe\xef"
    frames.write_bytes(data)
    done = run("inspect", frames, exit_code=2)
    assert "fingerprint deadbeef, NOT that of this release" in done.stdout
    assert "CAN'T BE DECODED (fingerprint)" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.startswith("frame ")]) == len(recordings.load(NAME))


@pytest.mark.parametrize("cut", [1, 100])
def test_of_a_damaged_file_is_shown_what_comes_before(cut: int, frames: Path) -> None:
    whole = inspected(frames)
    frames.write_bytes(frames.read_bytes()[:-cut])
    done = run("inspect", frames, "--json", exit_code=2)
    found = json.loads(done.stdout)
    assert 0 < len(found["frames"]) < len(whole["frames"])
    assert found["frames"] == whole["frames"][: len(found["frames"])]
    assert found["damage"].startswith("frame record at byte ")
    assert done.stderr == f"ocppress: {found['damage']}\n"
    assert "frame 1 " in run("inspect", frames, exit_code=2).stdout


@pytest.mark.parametrize("seed", range(3))
def test_any_bytes_are_shown_or_refused(seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    for codec in CodecName:
        sent = [SentFrame(1e300, Direction.UP, source.randbytes(source.randrange(60))), SentFrame(-1.0, Direction.DOWN, b"")]
        with (tmp_path / "any.frames").open("wb") as file:
            write_frames(file, Agreement(codec, OcppVersion.V201), sent)
        done = run("inspect", tmp_path / "any.frames", "--detail", exit_code=2)
        assert "Traceback" not in done.stderr
        assert "no time" in done.stdout


def test_limit_ends_it_early(frames: Path) -> None:
    assert len(inspected(frames, "--limit", "3")["frames"]) == 3
    assert inspected(frames, "--limit", "3")["frames"] == inspected(frames)["frames"][:3]
    for wrong in ("0", "-1", "x", "1.5", "²"):
        assert "at least 1" in run("inspect", frames, "--limit", wrong, exit_code=2).stderr


def test_what_reads_may_have_seen_enough(tmp_path: Path) -> None:
    frames = recorded(tmp_path / "out.frames", CodecName.ADAPTIVE)
    command = [sys.executable, "-m", "ocppress_gateway", "inspect", str(frames), "--detail"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("up: ")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_an_empty_file_has_no_frames_and_a_missing_one_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.frames").touch()
    assert inspected(tmp_path / "empty.frames") == {"name": "empty.frames", "frames": [], "damage": None}
    assert "No such file" in run("inspect", tmp_path / "missing.frames", exit_code=2).stderr
