"""What plans cost a month and how fresh they are, by workload and budget: `bench/results/plan.json`.

Run from the project's root: python -m bench.plan [--json]

A month has 31 days here, as the plan reckons; the chatty station's three days may use a tenth of the month's budget. See `bench.planned` for
how a month is made in seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.planned import CHATTY, SITES, Month, Passage, Sizes, measured_sizes, month, passages, records
from ocppress_gateway.core.plan import STEPS, PlanName
from ocppress_gateway.cost.wire import DAY_S, Conditions
from ocppress_gateway.workloads.generator import WORKLOADS

__all__ = ["CONDITIONS", "RESULTS", "RUNS", "PlanRun", "figures", "main", "run_site", "told_early"]

RESULTS: Final = Path(__file__).parent / "results" / "plan.json"

CONDITIONS: Final = Conditions()
"""IPv4, no TCP timestamps, a carrier that keeps an idle mapping for 25 minutes, three reconnects a day."""

MB: Final = 1_000_000
MONTH_DAYS: Final = 31
CHATTY_DAYS: Final = 3
BUDGETS_MB: Final = (25.0, 5.0, 1.0)


@dataclass(frozen=True, slots=True)
class PlanRun:
    """One month, or part of it. `allowed_mb` is the budget's part for the days that are simulated."""

    site: str
    plan: PlanName
    budget_mb: float
    days: int = MONTH_DAYS
    allowed_mb: float = 0.0
    others_day_mb: float = 0.0


def _runs() -> Iterator[PlanRun]:
    for site in WORKLOADS:
        for step in STEPS:
            yield PlanRun(site, step, 25.0, allowed_mb=25.0)
        for budget_mb in BUDGETS_MB:
            yield PlanRun(site, PlanName.AUTO, budget_mb, allowed_mb=budget_mb)
    for others_day_mb in (0.1, 0.25):
        yield PlanRun("home", PlanName.AUTO, 5.0, allowed_mb=5.0, others_day_mb=others_day_mb)
    for budget_mb in BUDGETS_MB:
        yield PlanRun(CHATTY.name, PlanName.AUTO, budget_mb, days=CHATTY_DAYS, allowed_mb=budget_mb / 10)


RUNS: Final = tuple(sorted(_runs(), key=lambda run: SITES.index(run.site)))


def figures(run: PlanRun, done: Month) -> dict[str, Any]:
    """What has come of a run: bytes with what others used, seconds, shares of time."""
    waited_s = sorted(done.waited_s)
    total = done.cost.total + run.others_day_mb * MB * run.days
    said = [{"day": round(at_s / DAY_S, 2), "words": note.words, **note.fields} for at_s, note in done.warnings]
    return {
        **asdict(run),
        "total_bytes": round(total),
        "layers": {name: round(count) for name, count in asdict(done.cost).items()},
        "kept": total <= run.allowed_mb * MB,
        "waited_s": {
            name: round(waited_s[int(share * (len(waited_s) - 1))], 1) for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
        },
        "shares": {step.value: share for step in STEPS if (share := round(done.share_of(step, run.days * DAY_S), 3))},
        "changes": len(done.steps) - 1,
        "used_by_day": done.used_by_day,
        "foreseen_day": next((one["day"] for one in said if "expected_mb" in one), None),
        "half_used_day": next((one["day"] for one in said if "percent" in one), None),
        "said": said,
    }


def run_site(site: str, sizes: Sizes, runs: Sequence[PlanRun]) -> Iterator[dict[str, Any]]:
    """The figures of a site's runs, one after the other."""
    said: list[Passage] = []
    if runs:
        said = list(passages(records(site, max(run.days for run in runs))))
    for run in runs:
        done = month(
            said,
            sizes,
            plan=run.plan,
            budget_bytes=round(run.budget_mb * MB),
            conditions=CONDITIONS,
            days=run.days,
            others_day_bytes=run.others_day_mb * MB,
        )
        yield figures(run, done)


def table(results: dict[str, Any]) -> str:
    """The runs as a Markdown table."""
    return "\n".join(_rows(results["runs"]))


def _rows(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| site | plan | budget, MB | days | others, MB | used, MB | waited p50, p95, max, s | steps | can't be kept, said on |"
    yield "|---|---|--:|--:|--:|--:|--:|---|---|"
    for run in runs:
        waited = ", ".join(f"{seconds:.0f}" for seconds in run["waited_s"].values())
        steps = ", ".join(f"{name} {100 * share:.0f} %" for name, share in run["shares"].items())
        foreseen = "" if run["foreseen_day"] is None else f"day {run['foreseen_day']:g}"
        others = run["others_day_mb"] * run["days"]
        cells = (
            run["site"],
            run["plan"],
            f"{run['budget_mb']:g}",
            run["days"],
            f"{others:g}",
            f"{run['total_bytes'] / MB:.2f}",
            waited,
            steps,
            foreseen,
        )
        yield f"| {' | '.join(map(str, cells))} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, simulate, write the file; 1 if a budget wasn't kept and nobody was told in time."""
    parser = argparse.ArgumentParser(prog="python -m bench.plan", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print the results as one line of JSON rather than a table")
    options = parser.parse_args(argv)
    results: dict[str, Any] = {"sizes": {}, "runs": []}
    for site in SITES:
        print(f"{site}: what the codec makes of it", file=sys.stderr)
        sizes = measured_sizes(site, CONDITIONS)
        results["sizes"][site] = asdict(sizes)
        for run in run_site(site, sizes, [run for run in RUNS if run.site == site]):
            print(f"{site}, plan {run['plan']}, {run['budget_mb']:g} MB: {run['total_bytes']:,} bytes", file=sys.stderr)
            results["runs"].append(run)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results) if options.json else table(results))
    return 0 if all(run["kept"] or told_early(run) for run in results["runs"]) else 1


def told_early(run: dict[str, Any]) -> bool:
    """Whether it was said that the budget can't be kept before half of it was gone."""
    return run["foreseen_day"] is not None and (run["half_used_day"] is None or run["foreseen_day"] < run["half_used_day"])


if __name__ == "__main__":
    raise SystemExit(main())
