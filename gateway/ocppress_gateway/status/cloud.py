"""`ocppress status` of a cloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ocppress_gateway.core.report import report_fields
from ocppress_gateway.core.views import CertificateView, CloudEdgeView, CloudStationView, CloudView, CountersView
from ocppress_gateway.masking import masked_token
from ocppress_gateway.positions.base import PositionsMeasure
from ocppress_gateway.status.words import age, certificate_lines, count, moment, roughly, size, table

__all__ = ["CloudStatus", "cloud_data", "cloud_lines"]

NAMES_SHOWN_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudStatus:
    """Everything that a cloud knows of itself."""

    version: str
    uptime_s: float
    csms: str
    """The CSMS's URL."""
    view: CloudView
    positions: PositionsMeasure
    certificate: CertificateView | None = None
    """The cloud's own."""


def cloud_lines(status: CloudStatus, station: str | None = None) -> list[str]:
    """For people; with `station`, of the stations only that one."""
    stations = _chosen(status, station)
    return [
        f"cloud {status.version}, up {age(status.uptime_s)}, for the CSMS at {masked_token(status.csms)}",
        *certificate_lines([] if status.certificate is None else [status.certificate]),
        *_positions_lines(status.positions),
        "",
        *_edge_lines(status.view),
        "",
        *_station_lines(stations),
        *_content_lines(stations),
        *_stop_lines(status.view.counters),
        *_around_lines(status.view.counters),
    ]


def cloud_data(status: CloudStatus, station: str | None = None) -> dict[str, Any]:
    """For `--json`; None for what isn't known."""
    return {
        "program": "cloud",
        "version": status.version,
        "uptime_s": round(status.uptime_s, 1),
        "csms": masked_token(status.csms),
        "certificate": None if status.certificate is None else asdict(status.certificate),
        "edges": [_edge_data(edge) for edge in status.view.edges],
        "edges_never_seen": list(status.view.never_seen),
        "stations": [asdict(one) for one in _chosen(status, station)],
        "dead_letters": status.positions.dead_letters,
        "positions": asdict(status.positions),
        "counters": asdict(status.view.counters),
    }


def _chosen(status: CloudStatus, station: str | None) -> list[CloudStationView]:
    return [one for one in status.view.stations if station in (None, one.identity)]


def _positions_lines(positions: PositionsMeasure) -> Iterator[str]:
    yield f"positions: {count(positions.pairs, 'outbox').replace('outboxs', 'outboxes')}, {size(positions.file_bytes)} of files"
    if positions.trouble is not None:
        yield f"  TROUBLE, stored messages wait: {positions.trouble}"
    if positions.dead_letters:
        yield f"dead letters: {positions.dead_letters:,}, {size(positions.dead_bytes)}; `ocppress dead list` shows them"
    else:
        yield "dead letters: none"


def _edge_lines(view: CloudView) -> Iterator[str]:
    if view.edges:
        yield from table(("edge", "link", "codec", "stations here", "certificate ends"), (_edge_row(edge) for edge in view.edges))
        yield from _report_lines(view.edges)
    if view.never_seen:
        more = len(view.never_seen) - NAMES_SHOWN_MAX
        names = ", ".join(view.never_seen[:NAMES_SHOWN_MAX])
        yield f"not seen since the start: {names}" + (f" and {more} more" if more > 0 else "")
    if not view.edges and not view.never_seen:
        yield "no edges are configured"


def _edge_data(edge: CloudEdgeView) -> dict[str, Any]:
    report = None if edge.report is None else report_fields(edge.report)
    return {**asdict(replace(edge, report=None)), "report": report}


def _report_lines(edges: Sequence[CloudEdgeView]) -> Iterator[str]:
    """What edges have told of their last day."""
    reports = [(edge.name, edge.report) for edge in edges if edge.report is not None]
    if reports:
        yield ""
        yield from table(
            ("edge", "day", "ours", "others", "of budget", "plan", "now", "outbox", "clock", "disk", "version"),
            (
                (
                    name,
                    report.day.isoformat(),
                    size(report.ours_bytes),
                    None if report.others_bytes is None else size(report.others_bytes),
                    f"{report.month_percent} %",
                    report.plan.value,
                    report.step.value,
                    report.outbox_messages,
                    None if report.clock_offset_s is None else f"{report.clock_offset_s:+d} s",
                    report.disk.name.lower(),
                    report.version,
                )
                for name, report in reports
            ),
        )


def _edge_row(edge: CloudEdgeView) -> tuple[str | int | None, ...]:
    link = f"up for {age(edge.up_s)}" if edge.up_s is not None else f"down for {age(edge.down_s)}"
    certificate = edge.certificate
    ends = None if certificate is None else moment(certificate.ends_unix_s) + (" RENEW" if certificate.is_due else "")
    return edge.name, link, edge.codec, edge.stations, ends


def _station_lines(stations: list[CloudStationView]) -> list[str]:
    if not stations:
        return ["no stations"]
    return table(
        ("station", "edge", "OCPP", "CSMS socket", "tried again in", "heard", "waiting", "undelivered", "repeats"),
        (
            (
                one.identity,
                one.edge,
                one.ocpp,
                one.state,
                None if one.retry_in_s is None else age(one.retry_in_s),
                None if one.heard_s is None else roughly(one.heard_s),
                one.waiting,
                one.undelivered,
                one.repeats,
            )
            for one in stations
        ),
    )


def _content_lines(stations: list[CloudStationView]) -> Iterator[str]:
    found = [(one.identity, content) for one in stations for content in one.contents]
    if found:
        yield ""
        yield "answers of the CSMS with content that reached no station; `relay` in edge.toml makes the action wait for them,"
        yield "and then costs about as much more a month as stands here, at the pace of the time seen"
        yield from table(
            ("station", "action", "member", "answers", "of messages", "in", "relayed a month"),
            (
                (
                    identity,
                    content.action,
                    content.member,
                    content.count,
                    content.messages,
                    age(content.over_s),
                    None if content.relayed_month_bytes is None else size(content.relayed_month_bytes),
                )
                for identity, content in found
            ),
        )


def _stop_lines(counters: CountersView) -> Iterator[str]:
    if counters.stops_asked:
        yield ""
        yield f"transactions rejected late: {count(counters.stops_asked, 'RequestStopTransaction')} sent, {counters.stops_accepted:,} accepted"


def _around_lines(counters: CountersView) -> Iterator[str]:
    if counters.transfers or counters.routes_taken:
        yield ""
    if counters.transfers:
        yield f"around the gateway: {count(counters.transfers, 'transfer')} asked for, {counters.transfers_refused:,} of them refused"
    if counters.routes_taken:
        yield f"ADDRESSES that may lead around the gateway: accepted by stations {count(counters.routes_taken, 'time')}, see the log"
