"""The cost model is near enough to the wire: the recorded days of `bench.wire`, and that all of them were measured."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from bench.wire import DIFFERENCE_MAX, RESULTS
from ocppress_gateway.cost.wire import LinkTransport
from ocppress_gateway.workloads.generator import WORKLOADS

RECORDED: Final[list[dict[str, Any]]] = json.loads(RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", RECORDED, ids=lambda run: f"{run['workload']}-{run['plan']}-{run['transport']}")
def test_the_model_is_near_the_wire(run: dict[str, Any]) -> None:
    wire, model = run["wire_ip_bytes"], run["model_ip_bytes"]
    assert abs(model - wire) <= DIFFERENCE_MAX * wire
    assert run["messages"] > 0


def test_a_day_of_each_workload_was_measured() -> None:
    days = {(run["workload"], run["plan"]) for run in RECORDED if run["transport"] == LinkTransport.WEBSOCKET and run["days"] == 1}
    assert days == {(workload, plan) for workload in WORKLOADS for plan in ("saver", "live")}
