"""Tables of what operators can ask: metrics and endpoints, from their declarations."""

from __future__ import annotations

from collections.abc import Sequence

from ocppress_gateway.admin.api import endpoints
from ocppress_gateway.admin.metrics import Declared

__all__ = ["endpoints_table", "metrics_table"]


def metrics_table(metrics: Sequence[Declared]) -> str:
    """Name, kind, labels, meaning."""
    rows = [
        f"| `{metric.full_name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
        for metric in metrics
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows])


def endpoints_table() -> str:
    """Those of a cloud, which has all."""
    edges = {(endpoint.method, endpoint.path) for endpoint in endpoints("edge")}
    rows = [
        f"| `{endpoint.method} {endpoint.path}` | {endpoint.role.value} | {endpoint.summary}"
        f"{'' if (endpoint.method, endpoint.path) in edges else '; at a cloud'} |"
        for endpoint in endpoints("cloud")
    ]
    return "\n".join(["| | for | |", "|---|---|---|", *rows])
