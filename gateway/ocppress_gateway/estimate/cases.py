"""What is simulated for an estimate: one case for each plan, and one for each setting with the plan that it is compared under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import OcppVersion, parse
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.policy import MessageClass, class_of
from ocppress_gateway.cost.wire import MQTT_FULL_HANDSHAKE, MQTT_RESUMED_HANDSHAKE, Conditions, LinkTransport
from ocppress_gateway.errors import UsageError
from ocppress_gateway.masking import printable
from ocppress_gateway.workloads.generator import generate
from ocppress_gateway.workloads.logs.reading import open_log
from ocppress_gateway.workloads.sites import Site, workload_of
from ocppress_gateway.workloads.traces import Direction, TraceRecord, infer_version

__all__ = ["Case", "LogSource", "SiteSource", "Source", "plan_cases", "setting_cases", "source_of"]

DAY_S: Final = 86_400.0
MONTH_DAYS: Final = 30.0

SITE_DAYS_MAX: Final = 3
"""Days of a site that are simulated unless told otherwise: the next ones are like them."""

SITE_MESSAGES: Final = 10_000
"""About so many messages are simulated, and a day at least: some ten seconds."""

RELAYED_MAX: Final = 4
"""Actions for which is told what it costs to relay them; each is a simulation more."""

SPAN_MIN_S: Final = 600.0
"""A shorter log says nothing about a month."""


@dataclass(frozen=True, slots=True)
class SiteSource:
    """A station in words."""

    site: Site

    @property
    def name(self) -> str:
        """For people."""
        return "a station of the site"

    def records(self, days: float) -> Iterator[TraceRecord]:
        """Its messages."""
        return generate(workload_of(self.site), days=-int(-days // 1), seed=1)

    def version(self) -> OcppVersion:
        """Its OCPP."""
        return self.site.version


@dataclass(frozen=True, slots=True)
class LogSource:
    """A station in a log, or a trace."""

    path: Path
    station: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.path.name}: {self.station}" if self.station else self.path.name

    def records(self, days: float) -> Iterator[TraceRecord]:
        """Its messages. Raises `TraceError`, `UsageError`, `OSError`."""
        return _timed(open_log(self.path).records(self.station))

    def version(self) -> OcppVersion:
        """As its messages say."""
        return infer_version(self.records(MONTH_DAYS))


Source = SiteSource | LogSource


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the simulation. `days` None: as long as the log takes."""

    label: str
    source: Source
    plan: PlanName
    conditions: Conditions
    days: float | None
    budget_bytes: int
    relayed: str = ""
    """An action that the edge answers early unless told otherwise, and here is."""


def source_of(path: Path, station: str, days: float | None) -> tuple[LogSource, float | None]:
    """A station of a log, and how many days of it count. Raises `UsageError` for one that is too short, or has no times."""
    source = LogSource(path, station)
    times = [record.ts for record in source.records(MONTH_DAYS) if record.ts is not None]
    if not times:
        raise UsageError(f"{source.name}: neither its lines nor its messages have a time, so there is no telling how much a month is")
    span_s = max(times) - times[0]
    if span_s < SPAN_MIN_S:
        raise UsageError(
            f"{source.name}: only {span_s:.0f} s long; an estimate needs {SPAN_MIN_S:.0f} s at least, and days to be a good one"
        )
    most = MONTH_DAYS if days is None else days
    return source, None if span_s <= most * DAY_S else most


def site_days(site: Site) -> float:
    """How many days of a site are simulated."""
    messages = sum(1 for _ in generate(workload_of(site), days=1, seed=1))
    return min(SITE_DAYS_MAX, max(1, SITE_MESSAGES // messages))


def plan_cases(source: Source, conditions: Conditions, days: float | None, budget_bytes: int) -> list[Case]:
    """Each plan under the same conditions."""
    return [Case(plan.value, source, plan, conditions, days, budget_bytes) for plan in PlanName]


def setting_cases(base: Case) -> list[Case]:
    """Each changes one thing: of the network, and of the station if it is one in words."""
    found = [_conditions(base, f"keepalive every {minutes:g} min", keepalive_s=minutes * 60) for minutes in (25.0, 9.5, 4.0)]
    found.append(_conditions(base, "TCP timestamps on", tcp_timestamps=True))
    found.append(_conditions(base, "IPv6", ip_header_bytes=40))
    found.append(
        _conditions(
            base, "MQTT instead of WebSocket", transport=LinkTransport.MQTT, first=MQTT_FULL_HANDSHAKE, reconnect=MQTT_RESUMED_HANDSHAKE
        )
    )
    if isinstance(base.source, SiteSource):
        site = base.source.site
        for interval_s in (max(1, site.interval_s // 2), 2 * site.interval_s):
            found.append(_site(base, f"a meter reading every {interval_s} s", msgspec.structs.replace(site, interval_s=interval_s)))
        for heartbeat_s in (60, 3600):
            found.append(_site(base, f"a Heartbeat every {heartbeat_s} s", msgspec.structs.replace(site, heartbeat_s=heartbeat_s)))
    if base.plan is not PlanName.TRANSPARENT:
        found += [replace(base, label=f'relay = ["{action}"]', relayed=action) for action in _answered_early(base)]
    return [case for case in found if (case.conditions, case.source, case.relayed) != (base.conditions, base.source, base.relayed)]


def _answered_early(base: Case) -> list[str]:
    """Actions of which the edge answers some, those of most messages first."""
    version = base.source.version()
    count: Counter[str] = Counter()
    for record in base.source.records(base.days or MONTH_DAYS):
        if record.direction is Direction.UP:
            with suppress(NotOcppJ):
                _, message = parse(record.text)
                if class_of(version, message) is MessageClass.BATCH:
                    count[printable(message.action)] += 1
    return [action for action, _ in count.most_common(RELAYED_MAX)]


def _conditions(base: Case, label: str, **changes: object) -> Case:
    return replace(base, label=label, conditions=replace(base.conditions, **changes))  # type: ignore[arg-type]


def _site(base: Case, label: str, site: Site) -> Case:
    return replace(base, label=label, source=SiteSource(site))


def _timed(records: Iterable[TraceRecord]) -> Iterator[TraceRecord]:
    """What comes before the first time has the first time."""
    records = iter(records)
    untimed: list[TraceRecord] = []
    for record in records:
        if record.ts is None:
            untimed.append(record)
            continue
        yield from (replace(one, ts=record.ts) for one in untimed)
        yield from chain([record], records)
