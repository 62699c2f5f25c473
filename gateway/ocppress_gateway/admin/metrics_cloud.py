"""The metrics of a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from ocppress_gateway.admin.metrics import LABELLED_MAX, Declared, Sample, bounded
from ocppress_gateway.status.cloud import CloudStatus

__all__ = ["METRICS", "cloud_samples"]

_BUILD: Final = Declared("ocppress_cloud_build_info", "gauge", "Always 1; the version that runs.", ("version",))
_UPTIME: Final = Declared("ocppress_cloud_uptime_seconds", "gauge", "Since the program began.")
_EDGES: Final = Declared(
    "ocppress_cloud_edges", "gauge", "Edges whose link is `up`, `down`, or was `never_seen` since the start.", ("state",)
)
_EDGE_UP: Final = Declared("ocppress_cloud_edge_up", "gauge", "1 while an edge's link is up, else 0.", ("edge",))
_EDGE_OURS: Final = Declared(
    "ocppress_cloud_edge_day_bytes",
    "gauge",
    "IP bytes that the gateway caused on the edge's SIM on the last day that it has told of.",
    ("edge",),
)
_EDGE_MONTH: Final = Declared("ocppress_cloud_edge_month_bytes", "gauge", "The edge's billing month so far, as it has told.", ("edge",))
_EDGE_BUDGET: Final = Declared("ocppress_cloud_edge_month_budget_bytes", "gauge", "What its SIM may use in it.", ("edge",))
_EDGE_PROJECTION: Final = Declared(
    "ocppress_cloud_edge_month_projection_bytes", "gauge", "At this pace at the month's end; absent at first.", ("edge",)
)
_EDGE_OUTBOX: Final = Declared("ocppress_cloud_edge_outbox_messages", "gauge", "Messages in the edge's outbox, as it has told.", ("edge",))
_EDGE_CLOCK: Final = Declared(
    "ocppress_cloud_edge_clock_offset_seconds", "gauge", "The edge's clock less the CSMS's, as it has told; absent if unknown.", ("edge",)
)
_EDGE_CERTIFICATE: Final = Declared(
    "ocppress_cloud_edge_certificate_end_timestamp_seconds",
    "gauge",
    "When the certificate ends that a connected edge has shown, Unix time.",
    ("edge",),
)
_STATIONS: Final = Declared("ocppress_cloud_stations", "gauge", "Stations by the state of their CSMS socket.", ("state",))
_WAITING: Final = Declared("ocppress_cloud_station_waiting_messages", "gauge", "CALLs that wait for the CSMS, by station.", ("station",))
_HEARD: Final = Declared(
    "ocppress_cloud_station_last_message_age_seconds",
    "gauge",
    "Since the last message of a station arrived; absent if none has since the start.",
    ("station",),
)
_MESSAGES: Final = Declared(
    "ocppress_cloud_messages", "counter", "What became of messages at this end; see `ocppress status --json`.", ("event",)
)
_DEAD: Final = Declared("ocppress_cloud_dead_letters", "gauge", "Transaction messages that the CSMS has refused for good.")
_DEAD_BYTES: Final = Declared("ocppress_cloud_dead_letter_bytes", "gauge", "What these take.")
_TROUBLE: Final = Declared("ocppress_cloud_positions_trouble", "gauge", "1 while the disk fails, so that stored messages wait.")
_COMMITS: Final = Declared("ocppress_cloud_positions_commits", "counter", "Commits to the disk.")
_FAULTS: Final = Declared("ocppress_cloud_positions_faults", "counter", "Commits and reads that failed by the disk's fault.")
_CERTIFICATE: Final = Declared(
    "ocppress_cloud_certificate_end_timestamp_seconds", "gauge", "When the cloud's own certificate ends, Unix time."
)

METRICS: Final = tuple(value for value in globals().values() if isinstance(value, Declared))
"""All of them, in this order."""


def cloud_samples(status: CloudStatus) -> Iterator[Sample]:
    """As it stands."""
    view, positions = status.view, status.positions
    yield Sample(_BUILD, 1, (status.version,))
    yield Sample(_UPTIME, status.uptime_s)
    up = sum(edge.up_s is not None for edge in view.edges)
    for state, count in ("up", up), ("down", len(view.edges) - up), ("never_seen", len(view.never_seen)):
        yield Sample(_EDGES, count, (state,))
    yield from _edges(status)
    states = [one.state for one in view.stations]
    for state in sorted(set(states)):
        yield Sample(_STATIONS, states.count(state), (state,))
    for identity, waiting in bounded((one.identity, one.waiting) for one in view.stations):
        yield Sample(_WAITING, waiting, (identity,))
    heard = sorted((one.identity, one.heard_s) for one in view.stations if one.heard_s is not None)
    for identity, heard_s in heard[:LABELLED_MAX]:  # ages can't be added up
        yield Sample(_HEARD, heard_s, (identity,))
    for event, count in asdict(view.counters).items():
        yield Sample(_MESSAGES, count, (event,))
    yield Sample(_DEAD, positions.dead_letters)
    yield Sample(_DEAD_BYTES, positions.dead_bytes)
    yield Sample(_TROUBLE, positions.trouble is not None)
    yield Sample(_COMMITS, positions.commits)
    yield Sample(_FAULTS, positions.faults)
    if status.certificate is not None:
        yield Sample(_CERTIFICATE, status.certificate.ends_unix_s)


def _edges(status: CloudStatus) -> Iterator[Sample]:
    """Of the first by name; what an edge alone has can't be added up."""
    for edge in sorted(status.view.edges, key=lambda edge: edge.name)[:LABELLED_MAX]:
        name = (edge.name,)
        yield Sample(_EDGE_UP, edge.up_s is not None, name)
        if edge.report is not None:
            yield Sample(_EDGE_OURS, edge.report.ours_bytes, name)
            yield Sample(_EDGE_MONTH, edge.report.month_bytes, name)
            yield Sample(_EDGE_BUDGET, 1000 * edge.report.budget_kb, name)
            if edge.report.projection_kb is not None:
                yield Sample(_EDGE_PROJECTION, 1000 * edge.report.projection_kb, name)
            yield Sample(_EDGE_OUTBOX, edge.report.outbox_messages, name)
            if edge.report.clock_offset_s is not None:
                yield Sample(_EDGE_CLOCK, edge.report.clock_offset_s, name)
        if edge.certificate is not None:
            yield Sample(_EDGE_CERTIFICATE, edge.certificate.ends_unix_s, name)
