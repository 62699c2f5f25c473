"""`python -m bench.month`: what it prints, that it is the same each time, and that it says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import month
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.cost.wire import Conditions
from ocppress_gateway.workloads.generator import WORKLOADS
from ocppress_gateway.workloads.recordings import load
from ocppress_gateway.workloads.traces import trace_line

LAYERS = ["payload", "framing", "tls", "tcp_ip", "keepalive", "handshake"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert month.main([*arguments, "--json"]) == 0
    result: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def test_the_last_line_is_json_with_what_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    result = printed(capsys, "--workload", "home", "--plan", "saver", "--days", "1")
    assert isinstance(result["ip_bytes_month"], int)
    assert isinstance(result["layers"], dict)
    assert list(result["layers"]) == LAYERS
    assert abs(sum(result["layers"].values()) - result["ip_bytes_month"]) <= len(LAYERS)
    assert isinstance(result["freshness_s"], dict)
    assert list(result["freshness_s"]) == ["p50", "p95", "max"]
    assert isinstance(result["baselines"], dict)
    assert list(result["baselines"]) == ["plain", "permessage-deflate", "permessage-deflate-ping60"]
    assert result["seed"] == 1
    assert result["exact"] is True


def test_the_same_seed_gives_the_same_bytes_and_another_others(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workload", "lev", "--plan", "live", "--days", "0.5"]
    first = printed(capsys, *arguments)
    assert printed(capsys, *arguments) == first
    assert printed(capsys, *arguments, "--seed", "2")["layers"] != first["layers"]


def test_a_message_waits_as_long_as_the_plan_says_and_no_longer() -> None:
    result = month.figures(month.Run("home", WORKLOADS["home"], PlanName.SAVER, Conditions(), days=1.0))
    assert result["freshness_s"]["max"] <= 900 + 2
    live = month.figures(month.Run("home", WORKLOADS["home"], PlanName.LIVE, Conditions(), days=1.0))
    assert live["freshness_s"]["max"] <= 60 + 2
    assert result["floor"]["ip_bytes_month"] < result["ip_bytes_month"] < live["ip_bytes_month"]
    assert live["ip_bytes_month"] < live["baselines"]["permessage-deflate"]["ip_bytes_month"] < live["baselines"]["plain"]["ip_bytes_month"]


@pytest.mark.parametrize("plan", ["transparent", "saver"])
def test_a_recording_is_replayed_and_comes_as_it_was(plan: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(map(trace_line, load("sim-vcp-2.1"))), encoding="utf-8")
    result = printed(capsys, "--trace", str(path), "--plan", plan)
    assert isinstance(result["messages"], int)
    assert result["messages"] > 100


@pytest.mark.parametrize(
    ("name", "content", "option"),
    [("site.toml", "sessions_a_day = 0\n", "--site"), ("trace.jsonl", "{}\n", "--trace"), ("empty.jsonl", "", "--trace")],
)
def test_what_cannot_be_used_is_said(name: str, content: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert month.main([option, str(path)]) == 2
    assert "error: " in capsys.readouterr().err


def test_the_variants_each_cost_what_they_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert month.main(["--workload", "home", "--days", "0.5", "--variants", "--json"]) == 0
    results = json.loads(capsys.readouterr().out.splitlines()[-1])
    cost = {result["variant"]: result["ip_bytes_month"] for result in results}
    assert list(cost) == ["as asked", "keepalive 9.5 min", "keepalive 4 min", "IPv6", "TCP timestamps", "MQTT"]
    assert all(cost["as asked"] < other for name, other in cost.items() if name != "as asked")
    assert cost["keepalive 9.5 min"] < cost["keepalive 4 min"]
