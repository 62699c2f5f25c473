"""Write what is generated in the documents: the parts of the READMEs between markers, and the example configurations in `deploy/`.

Run from the project's root: python -m scripts.documents

    <!-- generated:edge-config -->
    …
    <!-- end -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from bench import cloud, cpu, edge, link, measure, month, outbox, sizing, store, wire
from ocppress_codecs.interface import CodecName
from ocppress_gateway.admin import metrics_cloud, metrics_edge
from ocppress_gateway.config import CloudConfig, EdgeConfig
from ocppress_gateway.config_text import commented_toml, reference
from ocppress_gateway.core.broker_topics import TLS_PORT, Topics
from ocppress_gateway.provisioning.folder import cloud_toml, edge_toml
from ocppress_gateway.provisioning.mosquitto import access_list, mosquitto_conf
from scripts.dashboards import edge_dashboard, fleet_dashboard
from scripts.operators_tables import endpoints_table, metrics_table
from scripts.policy_table import policy_table

__all__ = ["DOCUMENTS", "EXAMPLES", "PARTS", "with_parts"]

DOCUMENTS: Final = ("README.md", "codecs/README.md", "gateway/README.md", "gateway/OPERATORS.md", "deploy/SIZING.md")
"""Those with generated parts."""

_MEASURE: Final = """\
What the codec makes of them, in bytes of both directions, as `make bench` measured it: the texts, the same texts with permessage-deflate (the
context kept), the frames with their checksums, and how many times smaller these are than permessage-deflate. Without the link's headers, TLS and
TCP/IP, on which see [below](#how-bytes-are-counted). `sim-*` are recordings of station programs, each measured with a dictionary that has
never seen that program; the others are one generated day of a home charger, one for light electric vehicles, and busy ones with AC and DC."""

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "edge-config": lambda: reference(EdgeConfig),
    "cloud-config": lambda: reference(CloudConfig),
    "measure": lambda: f"{_MEASURE}\n\n{measure.table(_results())}",
    "parts": lambda: "\n\n".join(
        f"`{codec.value}`:\n\n{measure.parts_table(_results(), codec)}" for codec in (CodecName.ADAPTIVE, CodecName.CBOR_ZSTD)
    ),
    "policy": policy_table,
    "endpoints": endpoints_table,
    "edge-metrics": lambda: metrics_table(metrics_edge.METRICS),
    "cloud-metrics": lambda: metrics_table(metrics_cloud.METRICS),
    "cpu": lambda: cpu.table(json.loads(cpu.RESULTS.read_text(encoding="utf-8"))),
    "link": lambda: link.table(json.loads(link.RESULTS.read_text(encoding="utf-8"))),
    "reconnects": lambda: link.reconnects_table(json.loads(link.RESULTS.read_text(encoding="utf-8"))),
    "saved": lambda: month.saved_table(json.loads(month.RESULTS.read_text(encoding="utf-8"))),
    "month": lambda: month.table(json.loads(month.RESULTS.read_text(encoding="utf-8"))),
    "edge": lambda: edge.table(json.loads(edge.RESULTS.read_text(encoding="utf-8"))),
    "cloud": lambda: cloud.table(json.loads(cloud.RESULTS.read_text(encoding="utf-8"))),
    "wire": lambda: wire.table(json.loads(wire.RESULTS.read_text(encoding="utf-8"))),
    "store": lambda: store.table(json.loads(store.RESULTS.read_text(encoding="utf-8"))),
    "sizing": sizing.table,
    "outbox": lambda: outbox.table(json.loads(outbox.RESULTS.read_text(encoding="utf-8"))),
}
"""Names of generated parts to what makes them."""

_DEVELOPMENT: Final = """For development on one machine: the link is a plain WebSocket on loopback.
What has no value here stands commented out, with its default."""

_BESIDE: Final = "What has no value here stands commented out, with its default."


def _site(title: str, values: Mapping[str, Any]) -> str:
    """An `edge.toml` for /etc/ocppress, as the units in `deploy/systemd` want it."""
    files = {"ca_file": "ca.pem", "certificate_file": "edge.pem", "key_file": "edge.key"}
    link = {"url": "wss://cloud.example.com:8886/", "tls": files, **values.get("link", {})}
    return commented_toml(EdgeConfig, {"state_folder": "/var/lib/ocppress-edge", **values, "link": link}, f"{title}\n{_BESIDE}")


def _cloud(title: str, keys: str, lists: str, values: Mapping[str, Any]) -> str:
    """A `cloud.toml` with its keys and lists in these folders, which end with a slash or are empty."""
    files = {
        "ca_file": f"{keys}ca.pem",
        "certificate_file": f"{keys}cloud.pem",
        "key_file": f"{keys}cloud.key",
        "revoked_file": f"{lists}revoked.txt",
    }
    link = {"tls": files, **values.get("link", {})}
    csms = {"url": "wss://csms.example.com/ocpp/{identity}"}
    edges = [{"name": "site-1", "stations": ["CP001", "CP002"]}, {"name": "site-2", "stations": ["CP003"]}]
    return commented_toml(CloudConfig, {"csms": csms, "edges": edges, **values, "link": link}, f"{title}\n{_BESIDE}")


def _pod(title: str, values: Mapping[str, Any]) -> str:
    """A `cloud.toml` for Kubernetes, with the places where volumes are mounted."""
    admin = {"listen": "0.0.0.0:9464", "behind_proxy": True, "tokens": [{"name": "prometheus", "token_hash": f"sha256:{'0' * 64}"}]}
    return _cloud(
        f"{title} The token is nobody's: put in what `ocppress password --token` prints.",
        "/etc/ocppress-keys/",
        "/etc/ocppress-lists/",
        {"state_folder": "/var/lib/ocppress", "admin": admin, "log": {"format": "json"}, **values},
    )


EXAMPLES: Final[Mapping[str, Callable[[], str]]] = {
    "deploy/dev/edge.toml": lambda: commented_toml(
        EdgeConfig,
        {"stations": {"host": "127.0.0.1"}, "link": {"url": "ws://127.0.0.1:8886/", "edge": "dev"}},
        f"ocppress edge\n{_DEVELOPMENT}",
    ),
    "deploy/dev/cloud.toml": lambda: commented_toml(
        CloudConfig,
        {
            "link": {"host": "127.0.0.1"},
            "csms": {"url": "ws://127.0.0.1:9000/{identity}"},
            "edges": [{"name": "dev", "stations": ["*"]}],
        },
        f"ocppress cloud\n{_DEVELOPMENT}",
    ),
    "deploy/examples/edge.toml": lambda: edge_toml("wss://cloud.example.com:8886/"),
    "deploy/examples/cloud.toml": lambda: cloud_toml(
        "wss://csms.example.com/ocpp/{identity}", [("site-1", ["CP001", "CP002"]), ("site-2", ["CP003"])]
    ),
    "deploy/examples/charger-board/edge.toml": lambda: _site(
        "ocppress edge, on the board of a charger with a SIM of its own: the station on the same board connects to ws://127.0.0.1:8887/IDENTITY.",
        {"plan": "saver", "stations": {"host": "127.0.0.1"}, "outbox": {"size_mib": 16}, "sim": {"interface": "wwan0", "budget_mb": 5.0}},
    ),
    "deploy/examples/site-router/edge.toml": lambda: _site(
        "ocppress edge, on the router of a site: its chargers share the SIM, and connect over the site's network with TLS"
        " (`ocppress ca issue --station-host 192.168.10.1`).",
        {
            "stations": {
                "host": "192.168.10.1",
                "daily_mb": 2.0,
                "tls": {"certificate_file": "station.pem", "key_file": "station.key"},
            },
            "sim": {"interface": "wwan0", "budget_mb": 50.0, "time_zone": "Europe/Berlin"},
        },
    ),
    "deploy/examples/cloud-single/cloud.toml": lambda: _cloud(
        "ocppress cloud, one for all edges, by `deploy/systemd/ocppress-cloud.service`.",
        "",
        "",
        {"state_folder": "/var/lib/ocppress-cloud", "admin": {"listen": "127.0.0.1:9464"}, "log": {"format": "json"}},
    ),
    "deploy/examples/cloud-fleet/cloud.toml": lambda: _cloud(
        "ocppress cloud, one of several behind a load balancer (`deploy/loadbalancer`, at 10.0.0.5), with a Valkey that they share; all have the same file.",
        "",
        "",
        {
            "state_folder": "/var/lib/ocppress-cloud",
            "link": {"proxy_from": ["10.0.0.5/32"]},
            "fleet": {"store": "rediss://valkey.example.com:6379/0", "user": "ocppress", "password_file": "store.password"},
            "admin": {"listen": "127.0.0.1:9464"},
            "log": {"format": "json"},
        },
    ),
    "deploy/mosquitto/mosquitto.conf": lambda: mosquitto_conf(port=TLS_PORT, folder="/etc/mosquitto/ocppress"),
    "deploy/mosquitto/acl": lambda: access_list(Topics()),
    "deploy/grafana/fleet.json": fleet_dashboard,
    "deploy/grafana/edge.json": edge_dashboard,
    "deploy/kubernetes/base/cloud.toml": lambda: _pod("ocppress cloud, for `deploy/kubernetes/base`.", {}),
    "deploy/kubernetes/fleet/cloud.toml": lambda: _pod(
        "ocppress cloud, for `deploy/kubernetes/fleet`: one of several, which share a Valkey.",
        {"fleet": {"store": "redis://valkey:6379/0", "password_file": "/etc/ocppress-keys/store.password"}},
    ),
}
"""Example files to what makes them."""

_PART: Final = re.compile(r"(<!-- generated:([a-z-]+) -->\n).*?<!-- end -->", re.DOTALL)


def _results() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(measure.RESULTS.read_text(encoding="utf-8"))
    return found


def with_parts(text: str) -> str:
    """The text with each part made anew."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n<!-- end -->", text)


def main() -> None:
    """Write all of it."""
    for name in DOCUMENTS:
        Path(name).write_text(with_parts(Path(name).read_text(encoding="utf-8")), encoding="utf-8")
    for name, make in EXAMPLES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
