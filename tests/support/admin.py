"""A server for operators without a program behind it, and who logs in to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ocppress_gateway.admin.passwords import hashed_password, hashed_token
from ocppress_gateway.admin.server import AdminServer
from ocppress_gateway.admin.source import Source
from ocppress_gateway.admin.source_cloud import CloudSource
from ocppress_gateway.admin.source_edge import EdgeSource
from ocppress_gateway.config import edge_from
from ocppress_gateway.config_admin import AdminConfig
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.report import Report
from ocppress_gateway.core.stored import DeadLetter
from ocppress_gateway.status.cloud import CloudStatus
from ocppress_gateway.status.edge import EdgeStatus
from ocppress_gateway.taps import Taps
from tests.support.statuses import LETTER, REPORT, cloud_status, edge_status

__all__ = [
    "OPERATOR",
    "PASSWORD",
    "PEOPLE",
    "VIEWER",
    "CloudOperator",
    "EdgeOperator",
    "admin_change",
    "admin_config",
    "cloud_source",
    "edge_source",
    "serving",
]

PASSWORD = "correct horse battery"
OPERATOR, VIEWER = "token-of-an-operator-0z7", "token-of-a-viewer-0z7"
_HASH = hashed_password(PASSWORD)
PEOPLE: dict[str, Any] = {
    "users": [
        {"name": "ann", "role": "operator", "password_hash": _HASH},
        {"name": "vic", "role": "viewer", "password_hash": _HASH},
    ],
    "tokens": [
        {"name": "robot", "role": "operator", "token_hash": hashed_token(OPERATOR)},
        {"name": "prometheus", "role": "viewer", "token_hash": hashed_token(VIEWER)},
    ],
}


class EdgeOperator:
    """An edge's, who notes what is asked of him."""

    def __init__(self) -> None:
        self.current: EdgeStatus = edge_status()
        self.asked: list[tuple[str, ...]] = []
        self._ledger = Ledger(LedgerSettings(25_000_000, UTC))
        self._ledger.tick(0.0, datetime(2026, 3, 1, tzinfo=UTC))

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    def status(self) -> EdgeStatus:
        return self.current

    def flush(self, identity: str) -> None:
        self.asked.append(("flush", identity))

    async def choose_plan(self, plan: PlanName, reason: str) -> None:
        self.asked.append(("plan", plan.value, reason))


class CloudOperator:
    """A cloud's, likewise."""

    def __init__(self) -> None:
        self.current: CloudStatus = cloud_status()
        self.asked: list[tuple[str, ...]] = []

    def status(self) -> CloudStatus:
        return self.current

    def flush(self, identity: str) -> None:
        self.asked.append(("flush", identity))

    def choose_plan(self, edge: str, plan: str, reason: str) -> None:
        self.asked.append(("plan", edge, plan, reason))

    async def dead_letters(self, station: str | None, limit: int) -> Sequence[DeadLetter]:
        return [LETTER, replace(LETTER, key=8, identity="CP002")][:limit] if station is None else [LETTER]


def _history(edge: str, count: int) -> Sequence[Report]:
    """Of the first edge a week, 14 kB a day and then some; its month begins on the first, soon after which it has told of the day before."""
    if edge != "site-1":
        return ()
    days = [replace(REPORT, day=date(2026, 2, 22) + timedelta(number), ours_bytes=14_000 + 1000 * number) for number in range(7)]
    told = [replace(day, month_bytes=200_000 + 15_000 * number) for number, day in enumerate(days)]
    return [*told[:-1], replace(told[-1], month_bytes=300), REPORT][-count:]


async def _turn() -> None:
    """The machine lives."""


def edge_source(operator: EdgeOperator, *, serves_offline: bool = False) -> Source:
    """A running edge."""
    return EdgeSource(operator, turn=_turn, is_stopping=lambda: False, taps=Taps(lambda event: None), serves_offline=serves_offline)


def cloud_source(operator: CloudOperator, obstacle: str | None = None, taps: Taps | None = None) -> Source:
    """A running cloud, with a station that has never come; what passes is what a test gives to `taps`."""
    edges = {"site-1": frozenset({"CP001"}), "site-3": frozenset({"CP003"})}
    return CloudSource(
        operator,
        turn=_turn,
        is_stopping=lambda: False,
        taps=taps or Taps(lambda event: None),
        edges=edges,
        obstacle=lambda: obstacle,
        history=_history,
    )


def admin_config(**values: Any) -> AdminConfig:
    """As a file would have it; on loopback, at a free port."""
    config = edge_from({"link": {"url": "ws://h/", "edge": "e"}, "admin": {"listen": "127.0.0.1:0", **values}}, Path("/edge.toml")).admin
    assert config is not None
    return config


@contextlib.asynccontextmanager
async def serving(config: AdminConfig, source: Source, within_s: float = 30.0) -> AsyncIterator[str]:
    """Its URL."""
    server = AdminServer(config, source)
    await server.start()
    try:
        async with asyncio.timeout(within_s):
            yield server.url
    finally:
        await server.close()


def admin_change(**values: Any) -> tuple[str, str]:
    """For `processes.change`: the table in a configuration that `ocppress ca` made, at a free port, with `PEOPLE` or others."""
    people = {"users": PEOPLE["users"], "tokens": PEOPLE["tokens"], **values}
    listen = people.pop("listen", "127.0.0.1:0")
    entries = "".join(
        f"\n[[admin.{kind}]]\n" + "".join(f'{name} = "{value}"\n' for name, value in one.items())
        for kind in ("users", "tokens")
        for one in people[kind]
    )
    return "#[admin]\n", f'[admin]\nlisten = "{listen}"\n{entries}'
