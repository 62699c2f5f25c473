"""`bench.cloud` measures what it says it does, with real processes; its figures are nobody's test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import cloud
from bench.fleet import RELAY
from ocppress_gateway.core.plan import PlanName

CALLS = 60
FURTHER = 1


@pytest.fixture(name="arguments")
def _arguments(tmp_path: Path) -> list[str]:
    sizes = [
        f"--{name}={value}"
        for name, value in {"stations": 1, "further": FURTHER, "calls": CALLS, "pause-s": 0.01, "asking-s": 1, "rounds": 1}.items()
    ]
    return ["--workload", "home", *sizes, "--no-compile", "--json", "--out", str(tmp_path / "cloud.json")]


def test_relay_and_cloud_carry_the_same_calls(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cloud.main(arguments)
    results = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert results == json.loads((tmp_path / "cloud.json").read_text())
    assert code == int(bool(cloud.over(results)))
    relay, transparent, saver = results["subjects"]
    assert [one["subject"] for one in results["subjects"]] == [RELAY, PlanName.TRANSPARENT, PlanName.SAVER]
    assert relay["messages"] == transparent["messages"] == saver["messages"] == 2 * FURTHER * CALLS
    assert relay["csms_messages"] == transparent["csms_messages"] == 2 * FURTHER * CALLS
    assert 0 < saver["csms_messages"] < 2 * FURTHER * CALLS, "an edge answers Heartbeats alone"
    for one in results["subjects"]:
        assert (one["stations"], one["calls"]) == (1 + FURTHER, CALLS)
        assert one["processor_us"] > 0
        assert one["hasty_processor_us"] > 0
        assert 0 < one["messages_a_second"] <= 2 * FURTHER / 0.01
        assert 0 < one["latency_ms"][0] <= one["latency_ms"][1]
        assert one["spread"]["processor_us"] == [one["processor_us"]] * 2, "of one round"
    assert cloud.table(results).count("\n| `ocppress cloud`, `saver` |") == 1


def test_the_median_of_the_rounds_counts() -> None:
    rounds = [
        {"subject": RELAY, "processor_us": us, "hasty_processor_us": us / 2, "memory_kib": kib, "base_kib": 9.0, "latency_ms": [ms, 2 * ms]}
        for us, kib, ms in [(40.0, 300.0, 3.0), (90.0, 100.0, 1.0), (50.0, 200.0, 2.0)]
    ]
    median = cloud.median(rounds)
    assert (median["processor_us"], median["memory_kib"], median["latency_ms"]) == (50.0, 200.0, [2.0, 4.0])
    assert (median["rounds"], median["spread"]["processor_us"], median["spread"]["memory_kib"]) == (3, [40.0, 90.0], [100.0, 300.0])


def _results(processor_us: float, memory_kib: float) -> dict[str, object]:
    subjects = [
        {"subject": RELAY, "processor_us": 50.0, "memory_kib": 400.0},
        {"subject": "saver", "processor_us": processor_us, "memory_kib": memory_kib},
    ]
    return {"subjects": subjects}


@pytest.mark.parametrize(
    ("processor_us", "memory_kib", "words"),
    [(50.0, 200.0, []), (50.1, 200.0, ["processor"]), (50.0, 200.1, ["memory"]), (99.0, 400.0, ["processor", "memory"])],
)
def test_what_takes_more_than_it_may_is_named(processor_us: float, memory_kib: float, words: list[str]) -> None:
    excess = cloud.over(_results(processor_us, memory_kib))
    assert len(excess) == len(words)
    assert all(word in line for word, line in zip(words, excess, strict=True))
