"""A station's month on the SIM: the link under a plan beside OCPP-J plain and with permessage-deflate, in IP bytes both ways by layer.

Run from the project's root: python -m bench.month [--workload home|lev|ac22|dc10|all] [--plan saver|…|all] [--json]

The edge's and cloud's own machines, codec, ledger and plan run in virtual time over the wire's cost model, whose sizes `bench.link` measured; the
simulated CSMS compares each message with what the station said. Conditions: TLS 1.3 over IPv4, no TCP timestamps, a carrier that keeps an idle mapping
for 25 minutes, three reconnects a day. A month has 30 days, an MB a million bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.plan import DELAYS_S, PlanName
from ocppress_gateway.core.policy import class_of, is_urgent
from ocppress_gateway.cost.baseline import HABITS, Baseline, baseline_months
from ocppress_gateway.cost.floor import FloorMessage, floor
from ocppress_gateway.cost.month import MONTH_S, reconnect_times
from ocppress_gateway.cost.wire import (
    DAY_S,
    MQTT_FULL_HANDSHAKE,
    MQTT_RESUMED_HANDSHAKE,
    ByteCount,
    Conditions,
    LinkTransport,
)
from ocppress_gateway.errors import ConfigError, UsageError
from ocppress_gateway.simulation.month import Progress, run_month
from ocppress_gateway.workloads.entropy import message_bits
from ocppress_gateway.workloads.exchanges import exchanges
from ocppress_gateway.workloads.generator import WORKLOADS, Workload, generate
from ocppress_gateway.workloads.sites import read_site, workload_of
from ocppress_gateway.workloads.traces import Direction, TraceRecord, infer_version, read_trace

__all__ = ["RESULTS", "Run", "figures", "main", "saved_table", "table", "transport_conditions"]

RESULTS: Final = Path(__file__).parent / "results" / "month.json"

MB: Final = 1_000_000
MONTH_DAYS: Final = 30.0
PLANS: Final = ("transparent", "live", "saver", "auto")
ALL: Final = "all"
_SHOWN_EVERY: Final = 0.02


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be simulated: a workload by its name and what makes it, or a trace in a file. `days` None: as long as the trace takes."""

    workload: str
    source: Workload | Path
    plan: PlanName
    conditions: Conditions
    days: float | None = MONTH_DAYS
    seed: int = 1
    budget_mb: float = 25.0
    ocpp: OcppVersion = OcppVersion.V201
    variant: str = ""

    def records(self) -> Iterator[TraceRecord]:
        """The station's messages. Raises `TraceError`, or `OSError`."""
        if isinstance(self.source, Path):
            return read_trace(self.source)
        assert self.days is not None, "a workload goes on for ever"
        return generate(self.source, days=math.ceil(self.days), seed=self.seed)

    def version(self) -> OcppVersion:
        """The station's."""
        return infer_version(self.records()) if isinstance(self.source, Path) else self.ocpp


def _floor(run: Run, span_s: float, steps: Iterable[str]) -> ByteCount | None:
    """What a month of the workload would cost at the least; None where nobody knows: of a recording, or of a plan that changed its step."""
    workload = run.source
    step, *others = steps
    if isinstance(workload, Path) or others:
        return None
    delay_s = None if step == PlanName.TRANSPARENT else min(DELAYS_S[PlanName(step)], run.conditions.keepalive_s)

    def messages() -> Iterator[FloorMessage]:
        begin_s: float | None = None
        for exchange in exchanges(run.records()):
            begin_s = exchange.at_s if begin_s is None else begin_s
            if exchange.direction is Direction.UP and exchange.at_s - begin_s <= span_s:
                message = exchange.message
                bits = message_bits(workload, message.action, msgspec.json.decode(f"[{message.body}]")[1])
                at_s = exchange.at_s - begin_s
                yield FloorMessage(at_s, at_s + exchange.answer_s, class_of(run.ocpp, message), is_urgent(message), bits)

    breaks_s = reconnect_times(run.conditions, span_s)
    return floor(messages(), run.conditions, delay_s=delay_s, span_s=span_s, breaks_s=breaks_s).scaled(MONTH_S / span_s)


def figures(run: Run, progress: Progress = lambda share: None) -> dict[str, Any]:
    """What has come of a run: IP bytes of a month, both ways; ages in seconds. Raises `UsageError` for a trace that can't be used."""
    try:
        month = run_month(
            run.records(),
            run.version(),
            plan=run.plan,
            conditions=run.conditions,
            days=run.days,
            budget_bytes=round(run.budget_mb * MB),
            seed=run.seed,
            progress=progress,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    baselines = baseline_months(run.records(), run.conditions, month.span_s)
    least = _floor(run, month.span_s, month.steps)
    conditions = run.conditions
    total = round(month.cost.total)
    return {
        "workload": run.workload,
        "plan": run.plan.value,
        "transport": conditions.transport.value,
        "days": round(month.span_s / DAY_S, 3),
        "seed": run.seed,
        **({"variant": run.variant} if run.variant else {}),
        "ip_bytes_month": total,
        "layers": {name: round(count) for name, count in asdict(month.cost).items()},
        "messages": month.delivered,
        "trouble": {
            "missing": month.missing,
            "expired": month.expired,
            "strangers": month.strangers,
            "wrong_answers": month.wrong_answers,
            "repeats": month.repeats,
        },
        "exact": month.exact,
        "freshness_s": _freshness(month.ages_s),
        "plan_steps": month.steps,
        "baselines": {
            baseline.value: {
                "ip_bytes_month": round(count.total),
                "times": round(count.total / total, 2),
                "layers": {layer: round(value) for layer, value in asdict(count).items()},
                "habits": HABITS[baseline],
            }
            for baseline, count in baselines.items()
        },
        "floor": None
        if least is None
        else {
            "ip_bytes_month": round(least.total),
            "times": round(total / least.total, 2),
            "layers": {layer: round(value) for layer, value in asdict(least).items()},
        },
        "conditions": {
            "ip": "IPv4" if conditions.ip_header_bytes == 20 else "IPv6",
            "tcp_timestamps": conditions.tcp_timestamps,
            "keepalive_s": conditions.keepalive_s,
            "reconnects_a_day": conditions.reconnects_a_day,
            "budget_mb": run.budget_mb,
        },
    }


def _freshness(ages_s: Sequence[float]) -> dict[str, float]:
    """Of messages that the edge may answer early and that aren't urgent; empty if there are none."""
    shares = (("p50", 0.5), ("p95", 0.95), ("max", 1.0)) if ages_s else ()
    return {name: round(ages_s[int(share * (len(ages_s) - 1))], 2) for name, share in shares}


def _figures(run: Run) -> dict[str, Any]:
    """In a process of its own, without progress."""
    return figures(run)


# --- what is asked for


def transport_conditions(conditions: Conditions, transport: LinkTransport) -> Conditions:
    """The same over this transport."""
    if transport is LinkTransport.WEBSOCKET:
        return conditions
    return replace(conditions, transport=transport, first=MQTT_FULL_HANDSHAKE, reconnect=MQTT_RESUMED_HANDSHAKE)


def _variants(run: Run) -> Iterator[Run]:
    """Those that the conditions name: each changes one thing."""
    conditions = run.conditions
    yield replace(run, variant="as asked")
    for minutes in (9.5, 4.0):
        yield replace(run, variant=f"keepalive {minutes:g} min", conditions=replace(conditions, keepalive_s=minutes * 60))
    yield replace(run, variant="IPv6", conditions=replace(conditions, ip_header_bytes=40))
    yield replace(run, variant="TCP timestamps", conditions=replace(conditions, tcp_timestamps=True))
    yield replace(run, variant="MQTT", conditions=transport_conditions(conditions, LinkTransport.MQTT))


def _runs(options: argparse.Namespace) -> list[Run]:
    conditions = Conditions(
        ip_header_bytes=40 if options.ipv6 else 20,
        tcp_timestamps=options.timestamps,
        keepalive_s=options.keepalive_min * 60,
        reconnects_a_day=options.reconnects,
    )
    conditions = transport_conditions(conditions, LinkTransport(options.transport))
    days = options.days or MONTH_DAYS
    ocpp = OcppVersion.V201
    sources: dict[str, Workload | Path]
    if options.trace is not None:
        sources = {options.trace.name: options.trace}
        days = options.days
    elif options.site is not None:
        site = read_site(options.site)
        sources, ocpp = {options.site.name: workload_of(site)}, site.version
    else:
        sources = {name: workload for name, workload in WORKLOADS.items() if options.workload in (name, ALL)}
    plans = PLANS if options.plan == ALL else (options.plan,)
    runs = [
        Run(name, source, PlanName(plan), conditions, days, options.seed, options.budget_mb, ocpp)
        for name, source in sources.items()
        for plan in plans
    ]
    if options.variants:
        runs = [variant for run in runs for variant in _variants(run)]
    if options.write:
        runs += [replace(run, conditions=transport_conditions(run.conditions, LinkTransport.MQTT)) for run in runs if run.plan == "saver"]
    return runs


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError("a number above 0")
    return value


def _reconnects(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1000:
        raise argparse.ArgumentTypeError("a number from 0 to 1000")
    return value


def _days(text: str) -> float:
    value = float(text)
    if not 0 < value <= 366:
        raise argparse.ArgumentTypeError("days above 0, at most 366")
    return value


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.month",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--workload", choices=[*WORKLOADS, ALL], default=ALL, help="one of the four, or all (the default)")
    what.add_argument(
        "--site", type=Path, metavar="FILE", help="a station as a TOML file describes it (see ocppress_gateway.workloads.sites)"
    )
    what.add_argument(
        "--trace", type=Path, metavar="FILE", help="a recorded .jsonl trace rather than a workload; its own time is projected to a month"
    )
    parser.add_argument(
        "--plan", choices=[*PlanName, ALL], default="saver", help="how long messages may wait; all: {}".format(", ".join(PLANS))
    )
    parser.add_argument("--transport", choices=[*LinkTransport], default="websocket")
    parser.add_argument(
        "--days",
        type=_days,
        help="simulate so many of the month's 30 days, and count them in proportion; silence follows a trace that ends sooner",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the workload and of the simulation: the same seed gives the same bytes")
    parser.add_argument("--budget-mb", type=_positive, default=25.0, help="what plan auto may spend in a month (default 25)")
    parser.add_argument("--keepalive-min", type=_positive, default=25.0, help="minutes that the carrier keeps an idle mapping (default 25)")
    parser.add_argument("--reconnects", type=_reconnects, default=3.0, help="broken connections a day (default 3)")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument(
        "--timestamps", action="store_true", help="TCP timestamps on, as they are where the cloud's host hasn't turned them off"
    )
    parser.add_argument("--variants", action="store_true", help="each run also with 9.5 and 4 minutes, IPv6, TCP timestamps, MQTT")
    parser.add_argument("--jobs", type=int, default=0, help="processes side by side (default: one for each processor)")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}, with saver over MQTT beside")
    parser.add_argument("--json", action="store_true", help="one line of JSON, the last of stdout")
    return parser.parse_args(argv)


# --- what is shown


class _Shown:
    """Progress of one run on stderr: in place on a terminal, else a line now and then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._shown = 0.0

    def __call__(self, share: float) -> None:
        if share - self._shown < (_SHOWN_EVERY if self._terminal else 0.25) and share < 1:
            return
        self._shown = share
        end = "\r" if self._terminal and share < 1 else "\n"
        print(f"{self._name}: {100 * share:3.0f} %", end=end, file=sys.stderr, flush=True)


def _name(run: Run) -> str:
    words = [run.workload, run.plan.value, run.conditions.transport.value, run.variant]
    return ", ".join(word for word in words if word)


def _measured(runs: Sequence[Run], jobs: int) -> Iterator[dict[str, Any]]:
    if len(runs) == 1 or jobs == 1:
        for run in runs:
            yield figures(run, _Shown(_name(run)))
        return
    with ProcessPoolExecutor(jobs or None) as pool:
        for done, (run, result) in enumerate(zip(runs, pool.map(_figures, runs), strict=True), start=1):
            print(f"{done} of {len(runs)}: {_name(run)}, {result['ip_bytes_month']:,} bytes", file=sys.stderr, flush=True)
            yield result


def table(results: Iterable[dict[str, Any]]) -> str:
    """Megabytes a month as a Markdown table, and how fresh the messages are."""
    rows = [
        "| workload | plan | over | link, MB | plain OCPP-J | permessage-deflate | with pings each 60 s | times | floor | age p50, p95, max, s |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for result in results:
        counts = result["baselines"]
        megabytes = [f"{counts[baseline.value]['ip_bytes_month'] / MB:.2f}" for baseline in Baseline]
        ages = ", ".join(f"{age:.0f}" for age in result["freshness_s"].values())
        over = result.get("variant") or {"websocket": "WebSocket", "mqtt": "MQTT"}[result["transport"]]
        times = f"{counts[Baseline.DEFLATE.value]['times']:.1f}"
        least = "" if result["floor"] is None else f"{result['floor']['ip_bytes_month'] / MB:.3f}"
        cells = (result["workload"], result["plan"], over, f"{result['ip_bytes_month'] / MB:.3f}", *megabytes, times, least, ages)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def saved_table(results: Iterable[dict[str, Any]]) -> str:
    """What plans save by workload, from WebSocket's results: megabytes a month as a Markdown table."""
    months: dict[str, dict[str, dict[str, Any]]] = {}
    for result in results:
        if result["transport"] == LinkTransport.WEBSOCKET and "variant" not in result:
            months.setdefault(result["workload"], {})[result["plan"]] = result
    rows = [
        "| workload | plain OCPP-J | permessage-deflate, a ping each 60 s | the same, as few pings as ours | `live` | `saver` | less by |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for workload, plans in months.items():
        counts = plans["saver"]["baselines"]
        before = [counts[name]["ip_bytes_month"] for name in (Baseline.PLAIN, Baseline.DEFLATE_PING60, Baseline.DEFLATE)]
        ours = [plans[plan]["ip_bytes_month"] for plan in ("live", "saver")]
        megabytes = [f"{count / MB:.2f}" for count in (*before, *ours)]
        rows.append(f"| {workload} | {' | '.join(megabytes)} | {counts[Baseline.DEFLATE]['times']:.0f} × |")
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate what is asked for; 1 if a message didn't come as it was said, 2 for what can't be read."""
    options = _options(argv)
    results: list[dict[str, Any]] = []
    try:
        results.extend(_measured(_runs(options), options.jobs))
    except (UsageError, ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    if options.write:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results), file=sys.stderr if options.json else sys.stdout)
    if any(result["days"] < 1 for result in results):
        print("note: less than a day, in proportion: the first sight of messages and the hello weigh too much", file=sys.stderr)
    wrong = [result for result in results if not result["exact"]]
    for result in wrong:
        print(f"error: {result['workload']}, {result['plan']}: not every message came as it was said: {result['trouble']}", file=sys.stderr)
    if options.json:
        print(json.dumps(results[0] if len(results) == 1 else results))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
