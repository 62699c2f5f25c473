"""`bench.cpu` measures what it says it does. The times themselves are nobody's test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import cpu, timing
from ocppress_codecs.interface import CodecName

MESSAGES = 3


def test_a_short_run_measures_every_codec_in_the_builds_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cpu.json"
    assert cpu.main(["--messages", str(MESSAGES), "--no-compile", "--json", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    results = json.loads(printed.out.splitlines()[-1])
    assert results == json.loads(out.read_text(encoding="utf-8"))
    expected = [subject for subject in cpu.SUBJECTS if timing.build() in (timing.COMPILED, subject[1])]
    assert [(one["codec"], one["build"]) for one in results["timings"]] == expected
    assert (results["not_compiled"] == "") == (timing.build() == timing.COMPILED)
    assert [line.split(",")[0] for line in printed.err.splitlines()] == [codec for codec, _ in expected]
    for one in results["timings"]:
        assert one["messages"] == MESSAGES
        for spread in (one[name] for name in ("parse_us", "encode_us", "decode_us")):
            assert 0 < spread["median"] <= spread["p99"]
        assert 0 < one["fresh_bytes"] < one["used_bytes"]
        assert (one["saved_bytes"] is not None) == (one["codec"] == CodecName.ADAPTIVE)
    frame_bytes = {one["codec"]: one["frame_bytes"] for one in results["timings"]}
    assert 2 < frame_bytes[CodecName.ADAPTIVE] < frame_bytes[CodecName.CBOR_ZSTD] < frame_bytes[timing.ZLIB]
    table = cpu.table(results)
    assert all(f"| {codec} | {'C' if codec == timing.ZLIB else build} |" in table for codec, build in expected)


def test_a_number_of_messages_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cpu.main(["--messages", "0"])
    assert "at least 1" in capsys.readouterr().err
