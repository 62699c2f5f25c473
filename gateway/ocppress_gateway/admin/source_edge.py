"""An edge, to be looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import Protocol

from ocppress_gateway.admin.facts import Fact, edge_facts
from ocppress_gateway.admin.metrics import Sample
from ocppress_gateway.admin.metrics_edge import edge_samples
from ocppress_gateway.admin.model import BothWays, DayUsage, DeadLetters, Flushed, LedgerRow, Month, PlanChange, PlanState, Station, Usage
from ocppress_gateway.admin.source import Source
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_day import DayAccount, Layer
from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.errors import RequestRefused
from ocppress_gateway.status.edge import EdgeStatus
from ocppress_gateway.taps import Taps

__all__ = ["EdgeSource", "Operated"]


class Operated(Protocol):
    """What the edge's operator can."""

    @property
    def ledger(self) -> Ledger:
        """The account of bytes."""

    def status(self) -> EdgeStatus:
        """How the edge stands."""

    def flush(self, identity: str) -> None:
        """Send what waits now."""

    async def choose_plan(self, plan: PlanName, reason: str) -> None:
        """From now on this plan."""


class EdgeSource(Source):
    """See `Source`."""

    program = "edge"

    def __init__(
        self, operator: Operated, *, turn: Callable[[], Awaitable[None]], is_stopping: Callable[[], bool], taps: Taps, serves_offline: bool
    ) -> None:
        """`serves_offline`: whether stations are served while the link is down."""
        super().__init__(turn, is_stopping, taps)
        self._operator = operator
        self._serves_offline = serves_offline

    def obstacles(self) -> Sequence[str]:
        link = self._operator.status().view.link
        if link.up_s is not None or self._serves_offline:
            return []
        return ["the link has never been up" if link.down_s is None else f"the link has been down for {link.down_s:.0f} s"]

    def samples(self) -> Iterator[Sample]:
        return edge_samples(self._operator.status(), self._operator.ledger.booked)

    def facts(self) -> Iterator[Fact]:
        return edge_facts(self._operator.status())

    async def prepare(self) -> None:
        """Everything is at hand."""

    def known_stations(self) -> Sequence[Station]:
        status = self._operator.status()
        link = status.view.link
        return [
            Station(
                identity=one.identity,
                state=one.state,
                ocpp=one.ocpp,
                link_up=link.up_s is not None,
                seen_s=0.0 if link.up_s is not None else link.down_s,
                heard_s=one.heard_s,
                waiting=one.waiting,
                undelivered=one.undelivered,
                repeats=one.repeats,
                accepted=one.accepted,
                clock_offset_s=one.clock_offset_s,
                outbox_messages=None if status.outbox is None else status.outbox.messages,
                plan=_plan(status),
                month=_month(status),
            )
            for one in sorted(status.view.stations, key=lambda one: one.identity)
        ]

    def usage(self, station: Station, days: int) -> Usage:
        accounts = self._accounts()
        month = self._operator.ledger.month()
        first = month.now.date() - timedelta(days=days - 1)
        so_far = accumulate(account.total_bytes if day >= month.month.first else 0 for day, account in accounts)
        return Usage(
            identity=station.identity,
            month_first=month.month.first,
            month_end=month.month.end,
            days=[
                DayUsage(
                    day=day,
                    ours_bytes=account.ours_bytes,
                    others_bytes=account.others_bytes if account.sim_bytes else None,
                    month_bytes=month_bytes if day >= month.month.first else None,
                    layers={layer.value: _both_ways([account.layer_bytes(layer, way) for way in Way]) for layer in Layer},
                    actions={name or "unknown": _both_ways(both_ways) for name, both_ways in account.actions.items()},
                    station=_both_ways(account.stations.get(station.identity, [0, 0])),
                )
                for (day, account), month_bytes in zip(accounts, so_far, strict=True)
                if day >= first
            ],
        )

    def ledger(self) -> Iterator[LedgerRow]:
        for day, account in self._accounts():
            for line, name, direction, count in _lines(account):
                yield LedgerRow(day=day, edge="", line=line, name=name, direction=direction, bytes=count)

    def _accounts(self) -> list[tuple[date, DayAccount]]:
        """By day; what has no date until the clock is believed is today's, for where else should it be."""
        month = self._operator.status().month
        days = dict(self._operator.ledger.days)
        if month.undated.total_bytes:
            today = month.now.date()
            days[today] = DayAccount.sum([days.get(today, DayAccount()), month.undated])
        return sorted(days.items(), key=lambda item: item[0])

    async def choose_plan(self, station: Station, change: PlanChange, who: str) -> None:
        await self._operator.choose_plan(change.plan, f"{who}: {change.reason}")

    def flush(self, station: Station) -> Flushed:
        self._operator.flush(station.identity)
        return Flushed(identity=station.identity, undelivered=station.undelivered, link_up=station.link_up)

    async def dead_letters(self, station: str | None, limit: int) -> DeadLetters:
        raise RequestRefused("dead letters are the cloud's: ask it")


def _both_ways(counts: Sequence[int]) -> BothWays:
    up, down = counts
    return BothWays(up=up, down=down)


def _lines(account: DayAccount) -> Iterator[tuple[str, str, str, int]]:
    for layer in Layer:
        for way in Way:
            yield "layer", layer.value, way.value, account.layer_bytes(layer, way)
    for line, counts in ("estimated", account.estimated), ("sim", account.sim):
        for way, count in zip(Way, counts, strict=True):
            yield line, "", way.value, count
    yield "rounding", "", "both", account.rounding
    for line, names in ("station", account.stations), ("action", account.actions):
        for name, both_ways in sorted(names.items()):
            for way, count in zip(Way, both_ways, strict=True):
                yield line, name, way.value, count


def _plan(status: EdgeStatus) -> PlanState:
    plan = status.plan
    return PlanState(plan=plan.plan, step=plan.step, delay_s=plan.delay_s, reason=plan.reason)


def _month(status: EdgeStatus) -> Month:
    month = status.month
    return Month(
        total_bytes=month.total_bytes,
        budget_bytes=month.budget_bytes,
        percent=round(month.percent, 2),
        projection_bytes=month.projection_bytes,
        first=month.month.first,
        end=month.month.end,
        told=month.now.date(),
    )
