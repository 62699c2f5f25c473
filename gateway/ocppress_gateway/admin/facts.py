"""What a page says of a program or station in a line each, and how figures are worded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from ocppress_gateway.admin.model import PlanState, Station, Trouble
from ocppress_gateway.core.report import Report
from ocppress_gateway.status.cloud import CloudStatus
from ocppress_gateway.status.edge import EdgeStatus
from ocppress_gateway.status.words import age, ago, count, size

__all__ = ["Fact", "cloud_facts", "edge_facts", "link_words", "station_facts", "waits", "waits_words"]


class Fact(NamedTuple):
    """`is_bad` None where it's neither good nor bad."""

    label: str
    value: str
    is_bad: bool | None = None
    link: str | None = None
    """Where more stands."""


def link_words(station: Station) -> str:
    """Of a station's link."""
    if station.link_up:
        return "up"
    return "never up yet" if station.seen_s is None else f"down for {age(station.seen_s)}"


def waits(plan: PlanState | None) -> str:
    """How fresh what comes is."""
    if plan is None:
        return "–"
    return "nothing waits" if plan.delay_s is None else _minutes(plan.delay_s)


def waits_words(plan: PlanState) -> str:
    """The same in a sentence."""
    return "nothing waits" if plan.delay_s is None else f"what may wait does so for {_minutes(plan.delay_s)} at most"


def _minutes(delay_s: float) -> str:
    return f"{delay_s / 60:g} min" if delay_s >= 60 else f"{delay_s:g} s"


def edge_facts(status: EdgeStatus) -> Iterator[Fact]:
    """Of the whole edge, for who stands beside it."""
    link, month, plan = status.view.link, status.month, status.plan
    if link.up_s is not None:
        yield Fact("Link to the cloud", f"up for {age(link.up_s)}", False)
    else:
        yield Fact("Link to the cloud", "never up yet" if link.down_s is None else f"down for {age(link.down_s)}", True)
    yield Fact("Cloud", status.cloud)
    if status.outbox is not None:
        trouble = status.outbox.trouble
        yield Fact(
            "Outbox",
            f"{status.outbox.messages:,} messages, {size(status.outbox.message_bytes)}" if trouble is None else trouble,
            trouble is not None or None,
        )
    yield Fact("Month so far", f"{size(month.total_bytes)} of {size(month.budget_bytes)}, {month.percent:.1f} %", month.percent >= 100)
    accounts = (*month.days, month.undated)
    deflate_bytes, plain_bytes = sum(one.deflate for one in accounts), sum(one.plain for one in accounts)
    if deflate_bytes:
        yield Fact("Of which ours", size(month.ours_bytes))
        yield from _without(month.ours_bytes, deflate_bytes, plain_bytes)
    if month.projection_bytes is not None:
        yield Fact("At the month's end", size(month.projection_bytes), month.projection_bytes > month.budget_bytes)
    step = "" if plan.step is plan.plan else f", now {plan.step.value}"
    yield Fact("Plan", f"{plan.plan.value}{step}: {waits_words(PlanState(plan=plan.plan, step=plan.step, delay_s=plan.delay_s))}")
    yield Fact("Version", status.version)


def cloud_facts(status: CloudStatus) -> Iterator[Fact]:
    """Of the whole cloud."""
    view, positions = status.view, status.positions
    up = sum(edge.up_s is not None for edge in view.edges)
    down = len(view.edges) - up
    yield Fact("Edges", f"{up:,} up, {down:,} down" + (f", {len(view.never_seen):,} not seen yet" if view.never_seen else ""), down > 0)
    yield Fact("Stations here", f"{len(view.stations):,}")
    yield Fact("Waiting for the CSMS", f"{sum(one.waiting for one in view.stations):,}")
    yield Fact("Dead letters", f"{positions.dead_letters:,}", positions.dead_letters > 0, "/dead-letters")
    if positions.trouble is not None:
        yield Fact("Disk", positions.trouble, True)
    yield from _last_day([edge.report for edge in view.edges if edge.report is not None])
    yield Fact("Version", status.version)


def _last_day(reports: Sequence[Report]) -> Iterator[Fact]:
    """Of those edges that have told what there would have been, too."""
    told = [(one.ours_bytes, one.deflate_kb, one.plain_kb) for one in reports if one.deflate_kb and one.plain_kb]
    if told:
        ours_bytes, deflate_kb, plain_kb = (sum(counts) for counts in zip(*told, strict=True))
        yield Fact("Last day told", f"{size(ours_bytes)} by {count(len(told), 'edge')}")
        yield from _without(ours_bytes, 1000 * deflate_kb, 1000 * plain_kb)


def _without(ours_bytes: int, deflate_bytes: int, plain_bytes: int) -> Iterator[Fact]:
    """The stations' own connections instead."""
    for label, number in ("permessage-deflate", deflate_bytes), ("Plain OCPP", plain_bytes):
        yield Fact(f"{label} instead", f"{size(number)}, {number / max(1, ours_bytes):.1f} times as much")


def station_facts(station: Station) -> Iterator[Fact]:
    """Of one."""
    if station.edge is not None:
        yield Fact("Edge", station.edge)
    yield Fact("Link", link_words(station), not station.link_up)
    yield Fact("State", f"{station.state} {station.ocpp}".strip())
    yield Fact("Last message", ago(station.heard_s), Trouble.SILENT in station.troubles or None)
    if station.accepted is not None:
        yield Fact("BootNotification", "accepted" if station.accepted else "not accepted", not station.accepted)
    yield Fact("Waiting", f"{station.waiting:,}")
    yield Fact("Undelivered", f"{station.undelivered:,}")
    if station.outbox_messages is not None:
        yield Fact("In the edge's outbox", f"{station.outbox_messages:,}")
    if station.dead_letters is not None:
        letters = f"/dead-letters?station={quote(station.identity, safe='')}" if station.dead_letters else None
        yield Fact("Dead letters", f"{station.dead_letters:,}", station.dead_letters > 0, letters)
    if station.clock_offset_s is not None:
        yield Fact("Clock less the CSMS's", f"{station.clock_offset_s:+.1f} s", abs(station.clock_offset_s) > 60)
    if station.month is not None:
        month = station.month
        told = "" if month.told is None else f", told {month.told}"
        yield Fact(
            "Month so far", f"{size(month.total_bytes)} of {size(month.budget_bytes)}, {month.percent:.1f} %{told}", month.percent >= 100
        )
        if month.projection_bytes is not None:
            yield Fact("At the month's end", size(month.projection_bytes), month.projection_bytes > month.budget_bytes)
