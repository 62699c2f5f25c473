"""Pictures of what was measured, from the files in `bench/results/`: `bench/results/*.svg`.

Run from the project's root: python -m bench.report        (needs matplotlib: the extra `report`)

    layers.svg    what a month costs, by layer, without us and with
    budget.svg    what plan `auto` has used by each day of a month, against the budget
    frontier.svg  freshness against bytes
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import month, plan
from ocppress_gateway.core.plan import STEPS, PlanName
from ocppress_gateway.cost.baseline import Baseline
from ocppress_gateway.cost.wire import LinkTransport
from ocppress_gateway.workloads.generator import WORKLOADS

__all__ = ["FOLDER", "PICTURES", "main"]

FOLDER: Final = Path(__file__).parent / "results"

MB: Final = 1_000_000

_LAYERS: Final = {
    "payload": ("payload", "#3b6fb6"),
    "framing": ("framing", "#7fb2e5"),
    "tls": ("TLS", "#7a5aa6"),
    "tcp_ip": ("TCP/IP", "#e08a3c"),
    "keepalive": ("keepalive", "#58a55c"),
    "handshake": ("handshakes", "#c2504d"),
}
_COLOURS: Final = dict(zip(WORKLOADS, ("#3b6fb6", "#e08a3c", "#58a55c", "#c2504d"), strict=True))

_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "ocppress",  # the same file for the same figures
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",  # readable on dark pages, too
}


def _months() -> dict[str, dict[str, dict[str, Any]]]:
    """By workload and plan, over WebSocket."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for run in json.loads(month.RESULTS.read_text(encoding="utf-8")):
        if run["transport"] == LinkTransport.WEBSOCKET:
            found.setdefault(run["workload"], {})[run["plan"]] = run
    return found


def _plans() -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = json.loads(plan.RESULTS.read_text(encoding="utf-8"))["runs"]
    return [run for run in runs if run["site"] in WORKLOADS and not run["others_day_mb"]]


def layers() -> Figure:
    """A bar a design, a panel a workload."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(2, 2)
    for panel, (workload, plans) in zip(panels.flat, _months().items(), strict=True):
        baselines = plans["saver"]["baselines"]
        bars = {
            "permessage-deflate, a ping each 60 s": baselines[Baseline.DEFLATE_PING60.value]["layers"],
            "permessage-deflate, few pings": baselines[Baseline.DEFLATE.value]["layers"],
            "ocppress live": plans["live"]["layers"],
            "ocppress saver": plans["saver"]["layers"],
        }
        _stacked(panel, bars)
        panel.set_title(workload, loc="left", fontweight="bold")
        panel.set_xlabel("MB a month on the SIM")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(_LAYERS), frameon=False)
    return figure


def _stacked(panel: Axes, bars: dict[str, dict[str, float]]) -> None:
    names = list(reversed(bars))
    left = [0.0] * len(names)
    for layer, (label, colour) in _LAYERS.items():
        widths = [bars[name][layer] / MB for name in names]
        panel.barh(names, widths, left=left, color=colour, label=label, height=0.7)
        left = [before + width for before, width in zip(left, widths, strict=True)]
    for position, total in enumerate(left):
        panel.annotate(f"{total:.2f}", (total, position), xytext=(4, 0), textcoords="offset points", va="center")
    panel.margins(x=0.12)


def budget() -> Figure:
    """A panel a budget, a line a workload."""
    runs = [run for run in _plans() if run["plan"] == PlanName.AUTO]
    budgets = sorted({run["budget_mb"] for run in runs}, reverse=True)
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for panel, budget_mb in zip(figure.subplots(1, len(budgets)), budgets, strict=True):
        for run in runs:
            if run["budget_mb"] == budget_mb:
                used = [0.0, *(count / MB for count in run["used_by_day"])]
                panel.plot(range(len(used)), used, color=_COLOURS[run["site"]], label=run["site"])
        panel.axhline(budget_mb, color="black", linestyle="--", linewidth=1, label="budget")
        panel.set_title(f"plan auto, {budget_mb:g} MB", loc="left", fontweight="bold")
        panel.set_xlabel("day")
        panel.set_ylabel("MB used")
        panel.set_ylim(bottom=0)
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def frontier() -> Figure:
    """A line a workload: how old messages are at the CSMS, and what a month costs."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    panel = figure.subplots()
    months = _months()
    for workload, colour in _COLOURS.items():
        steps = {run["plan"]: run for run in _plans() if run["site"] == workload}
        transparent = months[workload]["transparent"]
        points = [(transparent["freshness_s"]["p95"], transparent["ip_bytes_month"] / MB)]
        points += [(steps[step]["waited_s"]["p95"], steps[step]["total_bytes"] / MB) for step in STEPS]
        panel.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=workload)
        deflate = months[workload]["saver"]["baselines"][Baseline.DEFLATE.value]["ip_bytes_month"] / MB
        panel.plot(points[0][0], deflate, color=colour, marker="x", linestyle="none")
    panel.plot([], [], color="black", marker="x", linestyle="none", label="permessage-deflate")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("age at the CSMS, 95th percentile, s")
    panel.set_ylabel("MB a month on the SIM")
    panel.set_title("transparent, live, 2 min, 5 min, saver", loc="left", fontweight="bold")
    panel.legend(frameon=False)
    return figure


PICTURES: Final = {"layers": layers, "budget": budget, "frontier": frontier}
"""Names of files, without their ending, to what draws them."""


def main() -> int:
    """Draw all of them."""
    with mpl.rc_context(_STYLE):
        for name, draw in PICTURES.items():
            draw().savefig(FOLDER / f"{name}.svg", metadata={"Date": None, "Creator": None})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
