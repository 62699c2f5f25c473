"""The metrics of an edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from ocppress_gateway.admin.metrics import Declared, Sample, bounded
from ocppress_gateway.core.ledger_day import DayAccount, Layer
from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.status.edge import EdgeStatus

__all__ = ["METRICS", "edge_samples"]

_BUILD: Final = Declared("ocppress_edge_build_info", "gauge", "Always 1; the version that runs.", ("version",))
_UPTIME: Final = Declared("ocppress_edge_uptime_seconds", "gauge", "Since the program began.")
_LINK_UP: Final = Declared("ocppress_edge_link_up", "gauge", "1 while traffic flows on the link, else 0.")
_CONNECTIONS: Final = Declared("ocppress_edge_link_connections", "counter", "Connections to the cloud that were tried.")
_BYTES: Final = Declared(
    "ocppress_edge_ip_bytes", "counter", "IP bytes on the SIM that the gateway caused, as the kernel counted them.", ("direction", "layer")
)
_ESTIMATED: Final = Declared(
    "ocppress_edge_estimated_ip_bytes", "counter", "The same where no counter has them: SYN, DNS, FIN.", ("direction",)
)
_SIM: Final = Declared(
    "ocppress_edge_sim_bytes", "counter", "All that passed the SIM's interface, where `sim.interface` names it.", ("direction",)
)
_STATION_BYTES: Final = Declared(
    "ocppress_edge_station_payload_bytes",
    "counter",
    "Frames of the codec by station; `*` are those beyond 64 in a day.",
    ("station", "direction"),
)
_ACTION_BYTES: Final = Declared(
    "ocppress_edge_action_payload_bytes",
    "counter",
    "Frames of the codec by OCPP action, an answer under its CALL's; `*` as above.",
    ("action", "direction"),
)
_MONTH: Final = Declared("ocppress_edge_month_bytes", "gauge", "The SIM's billing month so far, others included where they are known.")
_OTHERS: Final = Declared("ocppress_edge_month_others_bytes", "gauge", "Of these, what others than the gateway used; absent if unknown.")
_BUDGET: Final = Declared("ocppress_edge_month_budget_bytes", "gauge", "What the SIM may use in its billing month.")
_PROJECTION: Final = Declared("ocppress_edge_month_projection_bytes", "gauge", "At this pace at the month's end; absent at first.")
_PLAN: Final = Declared("ocppress_edge_plan_info", "gauge", "Always 1; the plan, and the step that it is at.", ("plan", "step"))
_DELAY: Final = Declared("ocppress_edge_plan_delay_seconds", "gauge", "How long a batched message waits at most; 0 with transparent.")
_BUCKET: Final = Declared("ocppress_edge_plan_bucket_days", "gauge", "Days' shares of the budget that are saved; negative when overdrawn.")
_OUTBOX: Final = Declared("ocppress_edge_outbox_messages", "gauge", "Messages on the disk.")
_OUTBOX_BYTES: Final = Declared("ocppress_edge_outbox_bytes", "gauge", "What these count against `outbox.size_mib`.")
_OUTBOX_AGE: Final = Declared("ocppress_edge_outbox_oldest_age_seconds", "gauge", "Of the oldest; absent without messages.")
_OUTBOX_TROUBLE: Final = Declared(
    "ocppress_edge_outbox_trouble", "gauge", "1 while the disk fails or is too slow, so that nothing is answered early."
)
_OUTBOX_COMMITS: Final = Declared("ocppress_edge_outbox_commits", "counter", "Commits to the disk.")
_OUTBOX_FAULTS: Final = Declared("ocppress_edge_outbox_faults", "counter", "Commits and reads that failed by the disk's fault.")
_MESSAGES: Final = Declared(
    "ocppress_edge_messages", "counter", "What became of messages at this end; see `ocppress status --json`.", ("event",)
)
_STATIONS: Final = Declared("ocppress_edge_stations", "gauge", "Stations by the state of their socket.", ("state",))
_UNDELIVERED: Final = Declared(
    "ocppress_edge_station_undelivered_messages",
    "gauge",
    "Messages answered early that the CSMS hasn't answered, by station.",
    ("station",),
)
_HEARD: Final = Declared(
    "ocppress_edge_station_last_message_age_seconds",
    "gauge",
    "Since a station's last message; absent if none came since the start.",
    ("station",),
)
_CLOCK: Final = Declared(
    "ocppress_edge_station_clock_offset_seconds", "gauge", "The edge's clock less the CSMS's, by station; absent if unknown.", ("station",)
)
_CERTIFICATE: Final = Declared(
    "ocppress_edge_certificate_end_timestamp_seconds", "gauge", "When the edge's own certificates end, Unix time.", ("use",)
)

METRICS: Final = tuple(value for value in globals().values() if isinstance(value, Declared))
"""All of them, in this order."""


def edge_samples(status: EdgeStatus, booked: DayAccount) -> Iterator[Sample]:
    """As it stands; `booked` is what this process has booked."""
    view, month, plan = status.view, status.month, status.plan
    yield Sample(_BUILD, 1, (status.version,))
    yield Sample(_UPTIME, status.uptime_s)
    yield Sample(_LINK_UP, view.link.up_s is not None)
    yield Sample(_CONNECTIONS, view.link.connections)
    yield from _account(booked)
    yield Sample(_MONTH, month.total_bytes)
    if month.interface_known:
        yield Sample(_OTHERS, month.others_bytes)
    yield Sample(_BUDGET, month.budget_bytes)
    if month.projection_bytes is not None:
        yield Sample(_PROJECTION, month.projection_bytes)
    yield Sample(_PLAN, 1, (plan.plan.value, plan.step.value))
    yield Sample(_DELAY, plan.delay_s or 0.0)
    yield Sample(_BUCKET, plan.bucket_days)
    if status.outbox is not None:
        yield Sample(_OUTBOX, status.outbox.messages)
        yield Sample(_OUTBOX_BYTES, status.outbox.message_bytes)
        if status.outbox.oldest_age_s is not None:
            yield Sample(_OUTBOX_AGE, status.outbox.oldest_age_s)
        yield Sample(_OUTBOX_TROUBLE, status.outbox.trouble is not None)
        yield Sample(_OUTBOX_COMMITS, status.outbox.commits)
        yield Sample(_OUTBOX_FAULTS, status.outbox.faults)
    for event, count in asdict(view.counters).items():
        yield Sample(_MESSAGES, count, (event,))
    states = [one.state for one in view.stations]
    for state in sorted(set(states)):
        yield Sample(_STATIONS, states.count(state), (state,))
    for identity, undelivered in bounded((one.identity, one.undelivered) for one in view.stations):
        yield Sample(_UNDELIVERED, undelivered, (identity,))
    for one in view.stations:
        if one.heard_s is not None:
            yield Sample(_HEARD, one.heard_s, (one.identity,))
        if one.clock_offset_s is not None:
            yield Sample(_CLOCK, one.clock_offset_s, (one.identity,))
    for certificate in status.certificates:
        yield Sample(_CERTIFICATE, certificate.ends_unix_s, (certificate.use,))


def _account(booked: DayAccount) -> Iterator[Sample]:
    for way in Way:
        for layer in Layer:
            yield Sample(_BYTES, booked.layer_bytes(layer, way), (way.value, layer.value))
    for metric, lines in (_ESTIMATED, booked.estimated), (_SIM, booked.sim):
        for way, count in zip(Way, lines, strict=True):
            yield Sample(metric, count, (way.value,))
    for metric, names in (_STATION_BYTES, booked.stations), (_ACTION_BYTES, booked.actions):
        for name, both_ways in sorted(names.items()):
            for way, count in zip(Way, both_ways, strict=True):
                yield Sample(metric, count, (name or "unknown", way.value))
