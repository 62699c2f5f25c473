"""Months under plans: the results in `bench/results/plan.json` are what the code makes today, and they keep what plans promise."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from typing import Any, Final

import pytest

from bench.plan import CONDITIONS, RESULTS, RUNS, run_site, told_early
from bench.planned import SITES, Sizes, measured_sizes
from ocppress_gateway.core.plan import DELAYS_S, STEPS, PlanName
from ocppress_gateway.workloads.generator import WORKLOADS

RECORDED: Final[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
MONTHS: Final[list[dict[str, Any]]] = RECORDED["runs"]

MODEL_ERROR_PERCENT: Final = 3.0
"""By how much a day made of mean sizes may differ from the codec's; a frame payload is a fifth of what a month costs at the most."""

QUICK: Final = [run for run in RUNS if run.site == "home" and run.plan is PlanName.AUTO and run.budget_mb < 25]


def _id(run: dict[str, Any]) -> str:
    return f"{run['site']}-{run['plan']}-{run['budget_mb']:g}-{run['others_day_mb']:g}"


def test_everything_was_simulated() -> None:
    assert tuple(RECORDED["sizes"]) == SITES
    assert [{name: run[name] for name in asdict(RUNS[0])} for run in MONTHS] == [asdict(run) for run in RUNS]


@pytest.mark.parametrize("site", SITES)
def test_mean_sizes_make_a_day_like_the_codecs(site: str) -> None:
    assert all(abs(error) <= MODEL_ERROR_PERCENT for error in RECORDED["sizes"][site]["error_percent"].values())


@pytest.mark.parametrize("run", MONTHS, ids=_id)
def test_the_budget_is_kept_or_it_is_said_early_that_it_cannot_be(run: dict[str, Any]) -> None:
    assert run["kept"] is (run["total_bytes"] <= run["allowed_mb"] * 1e6)
    assert run["kept"] or told_early(run)


@pytest.mark.parametrize("run", [run for run in MONTHS if run["kept"]], ids=_id)
def test_a_budget_that_is_kept_is_not_complained_of(run: dict[str, Any]) -> None:
    assert run["foreseen_day"] is None


@pytest.mark.parametrize("run", [run for run in MONTHS if run["plan"] == "auto"], ids=_id)
def test_auto_is_live_where_the_budget_is_ample_and_changes_seldom_elsewhere(run: dict[str, Any]) -> None:
    if run["budget_mb"] == 25:
        assert run["shares"] == {"live": 1.0}
    assert run["changes"] <= run["days"] / 2.5 + 3
    assert run["waited_s"]["max"] <= DELAYS_S[PlanName.SAVER]


@pytest.mark.parametrize("site", WORKLOADS)
def test_coarser_steps_cost_less_and_wait_no_longer_than_they_say(site: str) -> None:
    fixed = [next(run for run in MONTHS if run["site"] == site and run["plan"] == step) for step in STEPS]
    assert all(coarser["total_bytes"] < finer["total_bytes"] for finer, coarser in pairwise(fixed))
    assert [run["waited_s"]["max"] <= DELAYS_S[PlanName(run["plan"])] for run in fixed] == [True] * len(STEPS)


@pytest.mark.parametrize("site", WORKLOADS)
def test_a_month_of_saver_is_about_a_megabyte(site: str) -> None:
    """The project's own bar, 1 MB in 30 days, at three reconnects a day and 25 minutes of keepalive."""
    run = next(run for run in MONTHS if run["site"] == site and run["plan"] == "saver")
    assert run["total_bytes"] * 30 / run["days"] < 1_000_000


def test_sizes_are_current() -> None:
    assert Sizes.of(RECORDED["sizes"]["home"]) == measured_sizes("home", CONDITIONS), "run `make bench`"


def test_months_are_current() -> None:
    recorded = [run for run in MONTHS if run["site"] == "home" and run["plan"] == "auto" and run["budget_mb"] < 25]
    assert list(run_site("home", Sizes.of(RECORDED["sizes"]["home"]), QUICK)) == recorded, "run `make bench`"
