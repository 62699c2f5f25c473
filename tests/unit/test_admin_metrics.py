"""Metrics, as Prometheus's own parser reads them, and the account as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from prometheus_client.samples import Sample as Parsed

from ocppress_gateway.admin import metrics_cloud, metrics_edge
from ocppress_gateway.admin.export import csv_lines, parquet_bytes
from ocppress_gateway.admin.metrics import LABELLED_MAX, Declared, Sample, bounded, exposed
from ocppress_gateway.admin.model import LedgerRow
from ocppress_gateway.core.ledger_day import DayAccount, Layer
from ocppress_gateway.core.ledger_events import Way
from tests.support.statuses import CLOUD_STATION, cloud_status, edge_status


def _account() -> DayAccount:
    account = DayAccount()
    account.add_payload(Way.UP, "CP001", "MeterValues", 300)
    account.add_payload(Way.DOWN, "CP001", "", 20)
    account.add_counted(Way.UP, Layer.TLS, 22)
    account.add_estimated(Way.UP, 60)
    account.add_sim(Way.DOWN, 1000)
    return account


def _parsed(samples: Iterable[Sample]) -> dict[tuple[str, ...], Parsed]:
    data, content_type = exposed(samples, "")
    assert content_type.startswith("text/plain")
    found = [sample for family in prometheus(data.decode()) for sample in family.samples]
    by_name = {(sample.name, *sample.labels.values()): sample for sample in found}
    assert len(by_name) == len(found), "one line each"
    return by_name


def test_an_edge() -> None:
    parsed = _parsed(metrics_edge.edge_samples(edge_status(), _account()))
    values = {
        ("ocppress_edge_link_up",): 1,
        ("ocppress_edge_ip_bytes_total", "up", "payload"): 300,
        ("ocppress_edge_ip_bytes_total", "up", "tls"): 22,
        ("ocppress_edge_ip_bytes_total", "down", "payload"): 20,
        ("ocppress_edge_estimated_ip_bytes_total", "up"): 60,
        ("ocppress_edge_sim_bytes_total", "down"): 1000,
        ("ocppress_edge_station_payload_bytes_total", "up", "CP001"): 300,
        ("ocppress_edge_action_payload_bytes_total", "unknown", "down"): 20,
        ("ocppress_edge_month_budget_bytes",): 25_000_000,
        ("ocppress_edge_plan_info", "auto", "live"): 1,
        ("ocppress_edge_plan_delay_seconds",): 60,
        ("ocppress_edge_station_undelivered_messages", "CP001"): 1234,
        ("ocppress_edge_outbox_messages",): 1240,
    }
    assert {key: parsed[key].value for key in values} == values
    assert not any(key[0] == "ocppress_edge_month_others_bytes" for key in parsed), "unknown isn't none"


def test_a_cloud() -> None:
    parsed = _parsed(metrics_cloud.cloud_samples(cloud_status()))
    values = {
        ("ocppress_cloud_edges", "never_seen"): 1,
        ("ocppress_cloud_edge_up", "site-1"): 1,
        ("ocppress_cloud_edge_month_bytes", "site-1"): 800_000,
        ("ocppress_cloud_edge_month_budget_bytes", "site-1"): 25_000_000,
    }
    assert {key: parsed[key].value for key in values} == values


@pytest.mark.parametrize("program", ["edge", "cloud"])
def test_names_are_as_prometheus_wants_them(program: str) -> None:
    declared = {"edge": metrics_edge, "cloud": metrics_cloud}[program].METRICS
    assert len({metric.name for metric in declared}) == len(declared) > 10
    for metric in declared:
        assert re.fullmatch(rf"ocppress_{program}_[a-z_]+", metric.full_name)
        assert metric.full_name.endswith("_total") is (metric.kind == "counter")
        assert metric.help.endswith(".")


@pytest.mark.parametrize("program", ["edge", "cloud"])
def test_all_that_is_declared_can_be_shown(program: str) -> None:
    """The sample statuses have something of nearly everything."""
    samples = metrics_edge.edge_samples(edge_status(), _account()) if program == "edge" else metrics_cloud.cloud_samples(cloud_status())
    shown = {sample.metric for sample in samples}
    absent = {metric.name for metric in {"edge": metrics_edge, "cloud": metrics_cloud}[program].METRICS if metric not in shown}
    assert absent <= {
        "ocppress_edge_month_others_bytes",
        "ocppress_edge_month_projection_bytes",
        "ocppress_cloud_certificate_end_timestamp_seconds",
        "ocppress_cloud_edge_month_projection_bytes",
        "ocppress_edge_certificate_end_timestamp_seconds",
    }


def test_openmetrics_where_it_is_asked_for() -> None:
    data, content_type = exposed(metrics_edge.edge_samples(edge_status(), _account()), "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = list(openmetrics(data.decode()))  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"ocppress_edge_ip_bytes", "ocppress_edge_link_up"}


def test_labels_are_escaped() -> None:
    metric = Declared("ocppress_edge_x", "gauge", "Help.", ("station",))
    data, _ = exposed([Sample(metric, 1, ('a"b\\c\nd',))], "")
    (family,) = prometheus(data.decode())
    assert family.samples[0].labels == {"station": 'a"b\\c\nd'}


def test_a_fleet_beyond_the_limit_is_added_up() -> None:
    status = cloud_status()
    stations = tuple(replace(CLOUD_STATION, identity=f"CP{number:05}", waiting=2) for number in range(LABELLED_MAX + 7))
    parsed = _parsed(metrics_cloud.cloud_samples(replace(status, view=replace(status.view, stations=stations))))
    waiting = {key[1]: sample.value for key, sample in parsed.items() if key[0] == "ocppress_cloud_station_waiting_messages"}
    assert len(waiting) == LABELLED_MAX + 1
    assert waiting["*"] == 14
    assert sum(waiting.values()) == 2 * (LABELLED_MAX + 7)


def test_few_are_not_added_up() -> None:
    assert list(bounded([("b", 1), ("a", 2)])) == [("a", 2), ("b", 1)]


# --- the account as a table

ROWS = [
    LedgerRow(day=date(2026, 3, 1), edge="", line="station", name="=HYPERLINK(1)", direction="up", bytes=12),
    LedgerRow(day=date(2026, 3, 2), edge="site-1", line="action", name='a,"b', direction="down", bytes=2**40),
]


def test_csv() -> None:
    rows = list(csv.reader(io.StringIO("".join(csv_lines(ROWS)))))
    assert rows[0] == ["day", "edge", "line", "name", "direction", "bytes"]
    assert rows[1] == ["2026-03-01", "", "station", "'=HYPERLINK(1)", "up", "12"]
    assert rows[2] == ["2026-03-02", "site-1", "action", 'a,"b', "down", str(2**40)]


def test_parquet() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(parquet_bytes(ROWS)))
    assert table.column_names == ["day", "edge", "line", "name", "direction", "bytes"]
    assert table.to_pylist()[1] == {
        "day": date(2026, 3, 2),
        "edge": "site-1",
        "line": "action",
        "name": 'a,"b',
        "direction": "down",
        "bytes": 2**40,
    }
    assert parquet.read_table(io.BytesIO(parquet_bytes([]))).num_rows == 0
