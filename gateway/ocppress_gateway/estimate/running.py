"""What `estimate` does, once its arguments are read."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from typing import Any, Final

import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.cost.wire import DAY_S, Conditions
from ocppress_gateway.errors import UsageError
from ocppress_gateway.estimate.cases import MONTH_DAYS, Case, SiteSource, Source, plan_cases, setting_cases, site_days, source_of
from ocppress_gateway.estimate.figures import MB, Figures, Tariff, baselines_of, figures_of
from ocppress_gateway.masking import printable
from ocppress_gateway.workloads.logs.reading import open_log
from ocppress_gateway.workloads.sites import Site, read_site

__all__ = ["estimate"]

NOT_EXACT: Final = 70
TABLE_COLUMNS: Final = 110
SITE_FLAGS: Final = (
    "stations",
    "connectors",
    "sessions_a_day",
    "session_min",
    "interval_s",
    "measurands",
    "heartbeat_s",
    "phases",
    "current",
    "ocpp",
)


def estimate(args: argparse.Namespace) -> int:
    """A month, by plan and by setting. Raises `UsageError` or `ConfigError`."""
    conditions = Conditions(
        ip_header_bytes=40 if args.ipv6 else 20,
        tcp_timestamps=args.timestamps,
        keepalive_s=args.keepalive_min * 60,
        reconnects_a_day=args.reconnects,
    )
    tariff = Tariff(args.price_per_mb, args.currency, round(args.rounding_kb * 1024), args.reconnects)
    console = _console(to_stderr=args.json)
    reports: list[dict[str, Any]] = []
    exact = True
    for source, days, stations in _sources(args):
        cases = plan_cases(source, conditions, days, round(args.budget_mb * MB))
        base = next(case for case in cases if case.plan is PlanName(args.plan))
        settings = [] if args.plans_only else setting_cases(base)
        try:
            found = _figures([*cases, *settings], args.jobs)
        except OSError as error:
            raise UsageError(str(error)) from error
        by_plan, by_setting = found[: len(cases)], found[len(cases) :]
        span_s = by_plan[0].days * DAY_S
        baselines = baselines_of(base, span_s)
        compared = by_plan[cases.index(base)]
        exact = exact and all(one.exact for one in found)
        console.print(_plans(source, by_plan, baselines, tariff, stations))
        if by_setting:
            console.print(_settings(compared, by_setting, tariff, stations))
        console.print(Text(_remarks(source, compared, tariff)))
        reports.append(
            {
                "name": source.name,
                "stations": stations,
                "days": compared.days,
                "plans": [_priced(one, tariff) for one in by_plan],
                "compared_under": compared.plan,
                "settings": [
                    _priced(one, tariff) | {"difference_bytes": one.ip_bytes_month - compared.ip_bytes_month} for one in by_setting
                ],
                "baselines": {name: {"ip_bytes_month": count, "price_month": tariff.price(count)} for name, count in baselines.items()},
            }
        )
    if args.json:
        print(json.dumps({"currency": args.currency, "sources": reports}))
    if not exact:
        print("ocppress: not every message came as it was said; these figures are not to be trusted", file=sys.stderr)
        return NOT_EXACT
    return 0


def _sources(args: argparse.Namespace) -> Iterator[tuple[Source, float | None, int]]:
    """Whose month, how many days of it, and how many stations are like it."""
    flags = {name: value for name in SITE_FLAGS if (value := getattr(args, name)) is not None}
    if bool(args.logs) + (args.site is not None) + bool(flags) != 1:
        raise UsageError(
            "estimate takes either files, or --site FILE, or a site in flags (--sessions-a-day and so on); see ocppress estimate --help"
        )
    if not args.logs:
        try:
            site = read_site(args.site) if args.site is not None else msgspec.convert(flags, Site)
        except msgspec.ValidationError as error:
            raise UsageError(f"this site: {error}") from None
        yield SiteSource(site), args.days or site_days(site), site.stations
        return
    try:
        for path in args.logs:
            log = open_log(path)
            print(f"{path}: {log.shape}, stations: {len(log.stations)}, messages that can't be read: {log.unreadable}", file=sys.stderr)
            for station in log.stations:
                yield (*source_of(path, station, args.days), 1)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error


def _figures(cases: Sequence[Case], jobs: int) -> list[Figures]:
    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        ProcessPoolExecutor(jobs or None) as pool,
    ):
        try:
            return list(progress.track(pool.map(figures_of, cases), total=len(cases), description="simulating"))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _priced(one: Figures, tariff: Tariff) -> dict[str, Any]:
    return asdict(one) | {"billed_bytes_month": round(tariff.billed(one.ip_bytes_month)), "price_month": tariff.price(one.ip_bytes_month)}


def _console(*, to_stderr: bool) -> Console:
    console = Console(stderr=to_stderr)
    return console if console.is_terminal else Console(stderr=to_stderr, width=TABLE_COLUMNS)


def _plans(source: Source, plans: Sequence[Figures], baselines: dict[str, int], tariff: Tariff, stations: int) -> Table:
    table = _table(f"{source.name}, a month", "plan", tariff, stations, "age p50, p95, max")
    for one in plans:
        ages = f"{one.age_p50_s:.0f}, {one.age_p95_s:.0f}, {one.age_max_s:.0f} s"
        table.add_row(one.plan, *_amounts(one.ip_bytes_month, tariff, stations), ages)
    table.add_section()
    for name, count in baselines.items():
        table.add_row(f"OCPP-J, {name}", *_amounts(count, tariff, stations), "at once")
    return table


def _settings(base: Figures, settings: Sequence[Figures], tariff: Tariff, stations: int) -> Table:
    table = _table(f"what a setting costs (+) or saves (-), with {base.plan}", "setting", tariff, stations)
    for one in settings:
        table.add_row(one.label, *_amounts(one.ip_bytes_month - base.ip_bytes_month, tariff, stations, sign="+"))
    return table


def _table(title: str, name: str, tariff: Tariff, stations: int, *more: str) -> Table:
    table = Table(title=Text(printable(title)), box=box.SIMPLE_HEAD, padding=(0, 1), title_justify="left")
    table.add_column(name, overflow="fold")
    headings = ["MB a station"]
    if tariff.price_mb is not None:
        headings.append(f"{tariff.currency} a station")
    if stations > 1:
        headings.append(f"MB for {stations}")
        if tariff.price_mb is not None:
            headings.append(f"{tariff.currency} for {stations}")
    for heading in (*headings, *more):
        table.add_column(Text(printable(heading)), justify="right")
    return table


def _amounts(count: float, tariff: Tariff, stations: int, sign: str = "") -> list[str]:
    # A difference of two bills has no rounding in it: both have as many connections.
    price = tariff.price(count) if not sign or tariff.price_mb is None else count / MB * tariff.price_mb
    cells = []
    for many in (1, stations) if stations > 1 else (1,):
        cells.append(f"{many * count / MB:{sign},.3f}")
        if price is not None:
            cells.append(f"{many * price:{sign},.3f}")
    return cells


def _remarks(source: Source, base: Figures, tariff: Tariff) -> str:
    days = f"{base.days:g} days of {source.name} were simulated, and count for 30"
    if base.days < MONTH_DAYS:
        days += "; auto begins each month with days saved up, so that where the budget is tight --days 30 tells more of it"
    rounding = f"; money has each connection rounded up to {tariff.rounding_bytes} bytes" if tariff.rounding_bytes else ""
    return (
        f"{days}{rounding}. MB are 1,000,000 bytes, IP headers and all, both ways. Each station has a SIM of its own here;"
        f" behind one edge they share the connection's own {base.idle_bytes_month / MB:.3f} MB."
    )
