"""What a month costs: the recorded results keep what is promised, and short looks at it are what the code makes today."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from bench.month import RESULTS, Run, figures
from ocppress_gateway.core.plan import DELAYS_S, PlanName
from ocppress_gateway.cost.wire import Conditions
from ocppress_gateway.workloads.generator import WORKLOADS

RECORDED: Final[list[dict[str, Any]]] = json.loads(RESULTS.read_text(encoding="utf-8"))

MB: Final = 1_000_000

PROMISED_MB: Final = {
    ("home", "saver"): 0.50,
    ("lev", "saver"): 0.70,
    ("ac22", "saver"): 0.95,
    ("dc10", "saver"): 0.90,
    ("home", "live"): 1.8,
    ("lev", "live"): 2.4,
    ("ac22", "live"): 3.6,
    ("dc10", "live"): 2.2,
}

TIMES_LESS: Final = 10
"""Than permessage-deflate, at equal reconnects and with a ping as rare as our probe."""

SHORT_DAYS: Final = 3.0
SHORT_MB: Final = {"home": 0.50, "lev": 0.72}
"""What three days may come to in proportion: the first sight of each kind of message, once a month, weighs tenfold in them."""


def _recorded(workload: str, plan: str, transport: str = "websocket") -> dict[str, Any]:
    return next(run for run in RECORDED if (run["workload"], run["plan"], run["transport"]) == (workload, plan, transport))


@pytest.mark.parametrize(("workload", "plan"), PROMISED_MB)
def test_a_month_costs_no_more_than_is_promised(workload: str, plan: str) -> None:
    assert _recorded(workload, plan)["ip_bytes_month"] <= PROMISED_MB[workload, plan] * MB


@pytest.mark.parametrize("workload", WORKLOADS)
def test_saver_is_ten_times_less_than_permessage_deflate(workload: str) -> None:
    run = _recorded(workload, "saver")
    assert run["baselines"]["permessage-deflate"]["ip_bytes_month"] >= TIMES_LESS * run["ip_bytes_month"]


@pytest.mark.parametrize("run", RECORDED, ids=lambda run: f"{run['workload']}-{run['plan']}-{run['transport']}")
def test_each_month_is_whole_exact_and_as_fresh_as_its_plan(run: dict[str, Any]) -> None:
    assert run["days"] == 30
    assert run["exact"]
    assert run["messages"] > 0
    assert abs(sum(run["layers"].values()) - run["ip_bytes_month"]) <= len(run["layers"])
    if run["floor"] is not None:
        assert run["floor"]["ip_bytes_month"] < run["ip_bytes_month"]
    if run["plan"] in DELAYS_S:
        # Disk, company, and the way to the CSMS, which takes one at a time.
        assert run["freshness_s"]["max"] <= DELAYS_S[PlanName(run["plan"])] + 30


def test_all_has_been_recorded() -> None:
    plans = {(run["workload"], run["plan"]) for run in RECORDED if run["transport"] == "websocket"}
    assert plans == {(workload, plan) for workload in WORKLOADS for plan in ("transparent", "live", "saver", "auto")}
    assert {run["workload"] for run in RECORDED if run["transport"] == "mqtt" and run["plan"] == "saver"} == set(WORKLOADS)


@pytest.mark.parametrize("workload", SHORT_MB)
def test_short_looks_cost_about_as_much(workload: str) -> None:
    result = figures(Run(workload, WORKLOADS[workload], PlanName.SAVER, Conditions(), days=SHORT_DAYS))
    assert result["exact"]
    assert result["ip_bytes_month"] <= SHORT_MB[workload] * MB
    recorded = _recorded(workload, "saver")["ip_bytes_month"]
    assert abs(result["ip_bytes_month"] - recorded) <= 0.05 * recorded, "run `make bench`"
