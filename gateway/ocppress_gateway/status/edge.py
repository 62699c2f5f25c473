"""`ocppress status` of an edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from ocppress_gateway.core.ledger_day import DayAccount
from ocppress_gateway.core.ledger_month import MonthView
from ocppress_gateway.core.plan import PlanView
from ocppress_gateway.core.report import DiskHealth, Report
from ocppress_gateway.core.status import sim_data, sim_lines
from ocppress_gateway.core.views import CertificateView, EdgeStationView, EdgeView
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.outbox.base import OutboxMeasure
from ocppress_gateway.status.words import age, certificate_lines, count, moment, roughly, size, table, yes

__all__ = ["EdgeStatus", "day_report", "drain_answer", "edge_data", "edge_lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeStatus:
    """Everything that an edge knows of itself."""

    version: str
    uptime_s: float
    cloud: str
    """Where the cloud is."""
    view: EdgeView
    wire: WireCount | None
    """Of the present connection."""
    outbox: OutboxMeasure | None
    """None with the plan `transparent`."""
    month: MonthView
    plan: PlanView
    certificates: tuple[CertificateView, ...] = ()
    """Its own: the link's, and the stations'."""


def edge_lines(status: EdgeStatus, station: str | None = None) -> list[str]:
    """For people; with `station`, of the stations only that one."""
    return [
        f"edge {status.version}, up {age(status.uptime_s)}",
        *_link_lines(status),
        *certificate_lines(status.certificates),
        *_outbox_lines(status.outbox, sum(one.undelivered for one in status.view.stations)),
        "",
        *_station_lines([one for one in status.view.stations if station in (None, one.identity)]),
        "",
        *sim_lines(status.month, status.plan),
    ]


def edge_data(status: EdgeStatus, station: str | None = None) -> dict[str, Any]:
    """For `--json`; None for what isn't known."""
    return {
        "program": "edge",
        "version": status.version,
        "uptime_s": round(status.uptime_s, 1),
        "link": {**asdict(status.view.link), "cloud": status.cloud, "wire": None if status.wire is None else asdict(status.wire)},
        "certificates": [asdict(one) for one in status.certificates],
        "outbox": None if status.outbox is None else asdict(status.outbox),
        "stations": [asdict(one) for one in status.view.stations if station in (None, one.identity)],
        "counters": asdict(status.view.counters),
        **sim_data(status.month, status.plan),
    }


def day_report(status: EdgeStatus, day: date, account: DayAccount) -> Report:
    """What the cloud is told of a day."""
    outbox = status.outbox
    offsets = [one.clock_offset_s for one in status.view.stations if one.clock_offset_s is not None]
    offset_s = max(offsets, key=abs, default=None)
    return Report(
        day=day,
        ours_bytes=account.ours_bytes,
        others_bytes=account.others_bytes if account.sim_bytes else None,
        month_bytes=status.month.total_bytes,
        budget_kb=max(1, status.month.budget_bytes // 1000),
        projection_kb=None if status.month.projection_bytes is None else status.month.projection_bytes // 1000,
        plan=status.plan.plan,
        step=status.plan.step,
        outbox_messages=sum(one.undelivered for one in status.view.stations),
        clock_offset_s=None if offset_s is None else round(offset_s),
        disk=DiskHealth.UNKNOWN if outbox is None else DiskHealth.GOOD if outbox.trouble is None else DiskHealth.FAILING,
        version=status.version,
    )


def drain_answer(view: EdgeView, station: EdgeStationView) -> dict[str, Any]:
    """How far a drain has come."""
    return {
        "station": station.identity,
        "state": station.state,
        "waiting": station.waiting,
        "undelivered": station.undelivered,
        "link_up": view.link.up_s is not None,
    }


def _link_lines(status: EdgeStatus) -> Iterator[str]:
    link = status.view.link
    if link.up_s is not None:
        yield f"link to {status.cloud} up for {age(link.up_s)}, codec {link.codec}, connection {link.connections} of this run"
    else:
        retry = "" if link.retry_in_s is None else f", tried again in {age(link.retry_in_s)}"
        since = "never up yet" if link.down_s is None or not link.connections else f"down for {age(link.down_s)}"
        yield f"link to {status.cloud} {since} ({link.state}{retry}), connection {link.connections} of this run"
    if status.wire is not None:
        wire = status.wire
        yield (
            f"  this connection: {size(wire.sent_bytes)} up and {size(wire.received_bytes)} down in TCP,"
            f" {wire.sent_segments:,} and {wire.received_segments:,} packets, {wire.retransmitted_segments:,} sent again"
        )


def _outbox_lines(outbox: OutboxMeasure | None, undelivered: int) -> Iterator[str]:
    if outbox is None:
        yield "outbox: none, nothing is answered early"
        return
    yield f"outbox: {count(undelivered, 'message')} to be delivered; on disk {outbox.messages:,}, {size(outbox.message_bytes)}"
    if outbox.oldest_stored_at_s is not None:
        yield f"  the oldest came {moment(outbox.oldest_stored_at_s)}, {age(outbox.oldest_age_s)} ago"
    if outbox.trouble is not None:
        yield f"  TROUBLE, nothing is answered early: {outbox.trouble}"
    written = "unknown" if outbox.written_bytes is None else size(outbox.written_bytes)
    last = "none" if outbox.last_commit_s is None else f"the last took {outbox.last_commit_s * 1000:.0f} ms"
    yield f"  disk: {size(outbox.file_bytes)} of files, {written} written, {count(outbox.commits, 'commit')}, {last}, {count(outbox.faults, 'fault')}"


def _station_lines(stations: list[EdgeStationView]) -> list[str]:
    if not stations:
        return ["no stations"]
    limited = any(one.allowance_percent is not None for one in stations)
    return table(
        (
            *("station", "OCPP", "state", "heard", "accepted", "clock", "waiting", "undelivered", "early", "suppressed", "repeats"),
            *(("of daily_mb",) if limited else ()),
        ),
        (
            (
                one.identity,
                one.ocpp,
                one.state,
                None if one.heard_s is None else roughly(one.heard_s),
                yes(one.accepted),
                None if one.clock_offset_s is None else f"{one.clock_offset_s:+.1f} s",
                one.waiting,
                one.undelivered,
                one.answered_early,
                one.suppressed,
                one.repeats,
                *((f"{one.allowance_percent or 0} %",) if limited else ()),
            )
            for one in stations
        ),
    )
