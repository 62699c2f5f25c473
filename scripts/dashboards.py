"""Grafana's dashboards of `deploy/grafana`, from what each panel asks: so that the few lines that differ aren't lost among the thousand that don't."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["edge_dashboard", "fleet_dashboard"]

SCHEMA_VERSION: Final = 39
"""Of Grafana 10 and 11; later ones take it over by themselves."""

COLUMNS: Final = 24
"""Of Grafana's grid."""

HEIGHT: Final = 8
STAT_HEIGHT: Final = 4

_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """`asks` are pairs of a legend and a query; `kind` is Grafana's name for the kind of picture, `width` of 24 columns."""

    title: str
    asks: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    about: str = ""
    red_from: float | None = None


FLEET: Final = (
    Panel("Edges linked", [("", 'sum(ocppress_cloud_edges{instance=~"$instance",state="up"})')], kind="stat", width=6),
    Panel(
        "Edges away", [("", 'sum(ocppress_cloud_edges{instance=~"$instance",state=~"down|never_seen"})')], kind="stat", width=6, red_from=1
    ),
    Panel("CSMS sockets open", [("", 'sum(ocppress_cloud_stations{instance=~"$instance",state="open"})')], kind="stat", width=6),
    Panel("Dead letters", [("", 'sum(ocppress_cloud_dead_letters{instance=~"$instance"})')], kind="stat", width=6, red_from=1),
    Panel("Edges", [("{{state}}", 'sum by (state) (ocppress_cloud_edges{instance=~"$instance"})')]),
    Panel("CSMS sockets", [("{{state}}", 'sum by (state) (ocppress_cloud_stations{instance=~"$instance"})')]),
    Panel(
        "Messages a second",
        [("{{event}}", 'sum by (event) (rate(ocppress_cloud_messages_total{instance=~"$instance"}[5m])) > 0')],
        unit="reqps",
        about="What became of messages at the cloud.",
    ),
    Panel(
        "CALLs that wait for the CSMS", [("{{station}}", 'topk(10, ocppress_cloud_station_waiting_messages{instance=~"$instance"} > 0)')]
    ),
    Panel(
        "SIMs nearest to their budget",
        [
            (
                "{{edge}}",
                'topk(20, ocppress_cloud_edge_month_bytes{instance=~"$instance"} / ocppress_cloud_edge_month_budget_bytes{instance=~"$instance"})',
            )
        ],
        unit="percentunit",
        kind="bargauge",
        red_from=1,
        about="As each edge has told of its billing month.",
    ),
    Panel(
        "Bytes of a day, by edge",
        [("{{edge}}", 'topk(20, ocppress_cloud_edge_day_bytes{instance=~"$instance"})')],
        unit="decbytes",
        kind="bargauge",
        about="IP bytes that the gateway caused on the last day that the edge has told of.",
    ),
    Panel(
        "That day of all edges",
        [
            (
                "with the gateway",
                (
                    'sum(ocppress_cloud_edge_day_bytes{instance=~"$instance"}'
                    ' and on (instance, edge) ocppress_cloud_edge_day_without_gateway_bytes{instance=~"$instance"})'
                ),
            ),
            ("{{baseline}}", 'sum by (baseline) (ocppress_cloud_edge_day_without_gateway_bytes{instance=~"$instance"})'),
        ],
        unit="decbytes",
        kind="bargauge",
        about="What the gateway caused, and what the stations' own connections would have, plain and with permessage-deflate.",
    ),
    Panel("Messages in the edges' outboxes", [("{{edge}}", 'topk(10, ocppress_cloud_edge_outbox_messages{instance=~"$instance"} > 0)')]),
    Panel(
        "Clocks that are off",
        [("{{edge}}", 'topk(10, abs(ocppress_cloud_edge_clock_offset_seconds{instance=~"$instance"}) > 2)')],
        unit="s",
    ),
    Panel(
        "Certificates that end first",
        [("{{edge}}", 'bottomk(10, ocppress_cloud_edge_certificate_end_timestamp_seconds{instance=~"$instance"} - time())')],
        unit="s",
        kind="bargauge",
    ),
    Panel(
        "Commits to the disk a second, and faults",
        [
            ("commits {{instance}}", 'rate(ocppress_cloud_positions_commits_total{instance=~"$instance"}[5m])'),
            ("faults {{instance}}", 'rate(ocppress_cloud_positions_faults_total{instance=~"$instance"}[5m])'),
        ],
        unit="ops",
    ),
)

EDGE: Final = (
    Panel("Link", [("", 'min(ocppress_edge_link_up{instance=~"$instance"})')], kind="stat", width=6),
    Panel("Month so far", [("", 'sum(ocppress_edge_month_bytes{instance=~"$instance"})')], unit="decbytes", kind="stat", width=6),
    Panel(
        "Of the budget",
        [("", 'max(ocppress_edge_month_bytes{instance=~"$instance"} / ocppress_edge_month_budget_bytes{instance=~"$instance"})')],
        unit="percentunit",
        kind="stat",
        width=6,
        red_from=1,
    ),
    Panel("Messages in the outbox", [("", 'sum(ocppress_edge_outbox_messages{instance=~"$instance"})')], kind="stat", width=6),
    Panel(
        "Bytes an hour, by layer",
        [("{{layer}}", 'sum by (layer) (increase(ocppress_edge_ip_bytes_total{instance=~"$instance"}[1h]))')],
        unit="decbytes",
        about="IP bytes on the SIM that the gateway caused, as the kernel counted them, both ways.",
    ),
    Panel(
        "Month against budget",
        [
            ("used", 'sum(ocppress_edge_month_bytes{instance=~"$instance"})'),
            ("of which others", 'sum(ocppress_edge_month_others_bytes{instance=~"$instance"})'),
            ("at this pace", 'sum(ocppress_edge_month_projection_bytes{instance=~"$instance"})'),
            ("budget", 'sum(ocppress_edge_month_budget_bytes{instance=~"$instance"})'),
        ],
        unit="decbytes",
    ),
    Panel(
        "With and without the gateway, a day",
        [
            (
                "with the gateway",
                (
                    'sum(increase(ocppress_edge_ip_bytes_total{instance=~"$instance"}[1d]))'
                    ' + sum(increase(ocppress_edge_estimated_ip_bytes_total{instance=~"$instance"}[1d]))'
                ),
            ),
            ("{{baseline}}", 'sum by (baseline) (increase(ocppress_edge_without_gateway_ip_bytes_total{instance=~"$instance"}[1d]))'),
        ],
        unit="decbytes",
        kind="bargauge",
        about="What the gateway caused, and what the stations' own connections would have, plain and with permessage-deflate.",
    ),
    Panel(
        "Payload by action, a day",
        [("{{action}}", 'topk(10, sum by (action) (increase(ocppress_edge_action_payload_bytes_total{instance=~"$instance"}[1d])))')],
        unit="decbytes",
        kind="bargauge",
    ),
    Panel(
        "Payload by station, a day",
        [("{{station}}", 'topk(10, sum by (station) (increase(ocppress_edge_station_payload_bytes_total{instance=~"$instance"}[1d])))')],
        unit="decbytes",
        kind="bargauge",
    ),
    Panel(
        "Longest wait of a message",
        [("{{instance}}", 'ocppress_edge_plan_delay_seconds{instance=~"$instance"}')],
        unit="s",
        about="By the plan's present step.",
    ),
    Panel("Age of the oldest message", [("{{instance}}", 'ocppress_edge_outbox_oldest_age_seconds{instance=~"$instance"}')], unit="s"),
    Panel("Stations", [("{{state}}", 'sum by (state) (ocppress_edge_stations{instance=~"$instance"})')]),
    Panel("Connections a day", [("{{instance}}", 'increase(ocppress_edge_link_connections_total{instance=~"$instance"}[1d])')]),
)


def fleet_dashboard() -> str:
    """Clouds, and their edges as these have told."""
    return _dashboard("ocppress-fleet", "ocppress: clouds and edges", FLEET, "ocppress_cloud_build_info")


def edge_dashboard() -> str:
    """An edge that is scraped itself."""
    return _dashboard("ocppress-edge", "ocppress: an edge and its SIM", EDGE, "ocppress_edge_build_info")


def _dashboard(uid: str, title: str, panels: Sequence[Panel], build: str) -> str:
    made: list[dict[str, Any]] = []
    x = y = row_height = 0
    for number, panel in enumerate(panels, 1):
        height = STAT_HEIGHT if panel.kind == "stat" else HEIGHT
        if x + panel.width > COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        made.append(_panel(number, panel, {"h": height, "w": panel.width, "x": x, "y": y}))
        x, row_height = x + panel.width, max(row_height, height)
    dashboard = {
        "uid": uid,
        "title": title,
        "tags": ["ocppress"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "instance",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": {"query": f"label_values({build}, instance)", "refId": "instance"},
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "annotations": {"list": []},
        "panels": made,
    }
    return json.dumps(dashboard, indent=2) + "\n"


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    is_instant = panel.kind != "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}} if is_instant else {},
        "targets": [
            {
                "refId": chr(ord("A") + position),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": is_instant,
                "range": not is_instant,
            }
            for position, (legend, query) in enumerate(panel.asks)
        ],
    }
