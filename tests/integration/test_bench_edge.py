"""`bench.edge` measures what it says it does, and an edge takes no more memory than it may. Its times are nobody's test."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from bench import edge
from bench.relay import RELAY
from ocppress_codecs.rpc import OcppVersion, parse
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.policy import MessageClass, class_of
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction

WORKLOAD = "home"

LARGEST = edge.Measured(
    workload=WORKLOAD,
    plan=PlanName.SAVER.value,
    build="pure",
    messages=2000,
    stored=1500,
    wall_s=5.0,
    memory_kib=edge.MEMORY_KIB_MAX,
    idle_memory_kib=50 * 1024,
    startup_s=0.61,
    processor_s=3.02,
    startup_processor_s=0.44,
    message_us=1234.5,
    disk_bytes=8_150_000,
)
"""As large as an edge may be."""


@pytest.fixture(name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a name that leaves room for the path of the edge's control socket."""
    return tmp_path_factory.mktemp("edge")


def _names() -> set[str]:
    return {path.name for path in Path.cwd().iterdir()}


def test_an_edge_answers_and_stores_a_day_in_little_memory(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _names()
    assert edge.main(["--workload", WORKLOAD, "--json", "--folder", str(folder)]) == 0
    results = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (_names(), list(folder.iterdir())) == (before, []), "nothing is left behind"

    assert set(results) == {"python", "processor", "edges"}
    (one,) = results["edges"]
    assert set(one) == {field.name for field in fields(edge.Measured)}
    assert (one["workload"], one["plan"]) == (WORKLOAD, PlanName.SAVER)
    said = [parse(record.text)[1] for record in generate(WORKLOADS[WORKLOAD], days=1, seed=edge.SEED) if record.direction is Direction.UP]
    calls = [message for message in said if message.action]
    batched = [message for message in calls if class_of(OcppVersion.V201, message) is MessageClass.BATCH]
    assert (one["messages"], one["stored"]) == (len(calls), len(batched))
    assert len(batched) > 100
    assert 10 * 1024 < one["idle_memory_kib"] <= one["memory_kib"] <= edge.MEMORY_KIB_MAX
    assert 0 < one["startup_processor_s"] < one["processor_s"]
    assert 0 < one["startup_s"] < one["startup_s"] + one["wall_s"]
    assert edge.table(results).count(f"\n| {WORKLOAD} | `saver` |") == 1


@pytest.mark.parametrize(("memory_kib", "code"), [(LARGEST.memory_kib, 0), (LARGEST.memory_kib + 1, 1)])
def test_an_edge_that_takes_too_much_fails(
    memory_kib: int, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measured(*_: object, **__: object) -> edge.Measured:
        return edge.Measured(**{**asdict(LARGEST), "memory_kib": memory_kib})

    monkeypatch.setattr(edge, "measured", measured)
    assert edge.main(["--workload", WORKLOAD]) == code
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == f"| {WORKLOAD} | `saver` | pure | 2,000 | 1,500 | 64.0 | 50.0 | 0.6 | 3.0 | 0.4 | 1,234 | 8.2 MB |"


def test_a_relay_carries_the_same_day(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge.main(["--workload", WORKLOAD, "--plan", RELAY, "--json", "--folder", str(folder)]) == 0
    (one,) = json.loads(capsys.readouterr().out.splitlines()[-1])["edges"]
    calls = [record for record in generate(WORKLOADS[WORKLOAD], days=1, seed=edge.SEED) if record.direction is Direction.UP]
    assert (one["messages"], one["stored"], one["disk_bytes"]) == (len(calls), 0, 0)
    assert one["message_us"] > 0
    assert edge.table({"python": "", "processor": "", "edges": [one]}).count(f"\n| {WORKLOAD} | relay |") == 1


def test_a_real_edge_over_a_lower_limit_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "MEMORY_KIB_MAX", 1024)
    assert edge.main(["--workload", WORKLOAD, "--plan", PlanName.TRANSPARENT, "--folder", str(folder)]) == 1
