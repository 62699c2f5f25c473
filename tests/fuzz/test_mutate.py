"""Some thousands of changed frames for each codec, two hundred thousand with `make soak`; and that the harness sees what it looks for."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from ocppress_codecs import verbatim
from ocppress_codecs.account import Account
from ocppress_codecs.carriage import Progress
from ocppress_codecs.errors import Malformed
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from tests.fuzz import mutate
from tests.fuzz.mutations import mutated
from tests.fuzz.reproducers import Reproducer, load, replay, save, smallest
from tests.fuzz.rounds import Found, Tally, play_round
from tests.fuzz.sessions import NAMES, QUICK_NAMES, session
from tests.fuzz.slowest import largest_bodies


def _watch(_frame: bytes) -> None:
    pass


@pytest.mark.parametrize("codec", CodecName)
def test_changed_frames_do_no_harm(codec: CodecName) -> None:
    tally = Tally()
    number = 0
    while tally.frames < 3000:
        play_round(codec, QUICK_NAMES, "tests", number, tally, _watch)
        number += 1
    assert {"malformed", "integrity", "truncated"} <= set(tally.outcomes)
    assert tally.outcomes["forged decoded"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("codec", CodecName)
def test_soak_changed_frames_do_no_harm(codec: CodecName, tmp_path: Path) -> None:
    assert mutate.main(["--count", "200000", "--seed", "soak", "--jobs", "2", "--codec", codec, "--out", str(tmp_path)]) == 0


@pytest.mark.soak
@pytest.mark.parametrize("codec", CodecName)
def test_soak_the_largest_texts_take_bounded_memory(codec: CodecName) -> None:
    for body in largest_bodies()[::4]:
        edge, cloud = (open_endpoint(codec, OcppVersion.V16, side) for side in Side)
        frame = edge.encoder.encode([Message(MessageType.CALLRESULT, "", body)])
        tracemalloc.start()
        try:
            cloud.decoder.decode(frame)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < mutate.MEMORY_GROWTH_BYTES_MAX // 2


def test_mutations_follow_from_their_seed() -> None:
    frames = [bytes(range(20)), b"", b"\xff" * 300]
    made = [[mutated(frame, frames, source) for frame in frames * 200] for source in (Random(1), Random(1), Random(2))]
    assert made[0] == made[1] != made[2]
    assert len(set(made[0])) > 400


def test_all_sessions_have_names_of_their_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert set(QUICK_NAMES) <= set(NAMES)
    assert session(QUICK_NAMES[0], CodecName.VERBATIM) is session(QUICK_NAMES[0], CodecName.VERBATIM)


class _Broken(Exception):
    pass


def test_an_error_that_is_none_of_the_documented_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = verbatim._read

    def read(frame: bytes, progress: Progress, account: Account | None = None) -> tuple[list[Message], Progress]:
        if frame[:1] == b"\x7f":
            raise _Broken("frame")
        return real(frame, progress, account)

    monkeypatch.setattr(verbatim, "_read", read)
    reproducer = _found_by_playing()
    assert "_Broken" in reproducer.problem
    file = save(smallest(reproducer), tmp_path)
    assert [frame[:2] for frame in json.loads(file.read_text())["frames"]] == ["7f"]
    with pytest.raises(_Broken):
        replay(load(file))
    monkeypatch.undo()
    assert replay(load(file))


def test_a_state_that_a_refusal_changes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = verbatim.VerbatimDecoder.decode

    def decode(decoder: verbatim.VerbatimDecoder, frame: bytes, account: Account | None = None) -> list[Message]:
        try:
            return real(decoder, frame)
        except Malformed:
            decoder._progress = Progress(call_count=77)
            raise

    monkeypatch.setattr(verbatim.VerbatimDecoder, "decode", decode)
    assert "changed the state" in _found_by_playing().problem


def _found_by_playing() -> Reproducer:
    with pytest.raises(Found) as caught:
        _play_rounds(20)
    return caught.value.reproducer


def _play_rounds(count: int) -> None:
    tally = Tally()
    for number in range(count):
        play_round(CodecName.VERBATIM, QUICK_NAMES, "broken", number, tally, _watch)


def test_a_summary_says_what_was_done(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = mutate.Report()
    play_round(CodecName.VERBATIM, QUICK_NAMES, "tests", 0, report.tally, _watch)
    summary = mutate.summary_of(CodecName.VERBATIM, [report, report], 2.0)
    assert summary["frames"] == 2 * report.tally.frames == sum(summary["outcomes"].values())
    assert f"{summary['frames']:,} frames" in mutate.summary_text(summary)
    with pytest.raises(SystemExit):
        mutate.main(["--codec", "none"])
    assert "--codec" in capsys.readouterr().err
