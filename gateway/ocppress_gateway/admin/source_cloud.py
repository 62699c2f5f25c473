"""A cloud, to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, Protocol

import msgspec

from ocppress_codecs.rpc import MessageType, action_of
from ocppress_gateway.admin.choosing import UNSEEN
from ocppress_gateway.admin.facts import Fact, cloud_facts
from ocppress_gateway.admin.metrics import Sample
from ocppress_gateway.admin.metrics_cloud import cloud_samples
from ocppress_gateway.admin.model import (
    DAYS_MAX,
    LETTERS_MAX,
    DayUsage,
    DeadLetters,
    DeadLetterView,
    Flushed,
    LedgerRow,
    Month,
    PlanChange,
    PlanState,
    Station,
    Usage,
)
from ocppress_gateway.admin.months import month_told
from ocppress_gateway.admin.source import Source
from ocppress_gateway.core.plan import DELAYS_S
from ocppress_gateway.core.report import Report
from ocppress_gateway.core.stored import DeadLetter
from ocppress_gateway.core.views import CloudEdgeView, CloudStationView
from ocppress_gateway.errors import RequestRefused
from ocppress_gateway.status.cloud import CloudStatus
from ocppress_gateway.taps import Taps

__all__ = ["ANY", "CloudSource", "Operated"]

ANY: Final = "*"
"""In `[[edges]] stations`: whichever stations come."""


class Operated(Protocol):
    """What the cloud's operator can."""

    def status(self) -> CloudStatus:
        """How the cloud stands."""

    def flush(self, identity: str) -> None:
        """Have a station's edge send what waits."""

    def choose_plan(self, edge: str, plan: str, reason: str) -> None:
        """Have an edge follow this plan."""

    async def dead_letters(self, station: str | None, limit: int) -> Sequence[DeadLetter]:
        """The oldest dead letters."""


class CloudSource(Source):
    """See `Source`."""

    program = "cloud"

    def __init__(
        self,
        operator: Operated,
        *,
        turn: Callable[[], Awaitable[None]],
        is_stopping: Callable[[], bool],
        taps: Taps,
        edges: Mapping[str, frozenset[str]],
        obstacle: Callable[[], str | None],
        history: Callable[[str, int], Sequence[Report]],
    ) -> None:
        """`edges` may connect, with these stations; `obstacle` says why none could now, `history` what an edge has told of its last days, the oldest first."""
        super().__init__(turn, is_stopping, taps)
        self._operator = operator
        self._edges = edges
        self._obstacle = obstacle
        self._history = history
        self._dead: Counter[str] = Counter()
        self._dead_known = (0, 0)

    def obstacles(self) -> Sequence[str]:
        reason = self._obstacle()
        return [] if reason is None else [reason]

    def samples(self) -> Iterator[Sample]:
        return cloud_samples(self._operator.status())

    def facts(self) -> Iterator[Fact]:
        return cloud_facts(self._operator.status())

    async def prepare(self) -> None:
        """How many dead letters each station has, of the oldest; read anew when there are more or fewer."""
        positions = self._operator.status().positions
        now = positions.dead_letters, positions.dead_bytes
        if now != self._dead_known:
            self._dead = Counter(letter.identity for letter in await self._operator.dead_letters(None, LETTERS_MAX))
            self._dead_known = now

    def known_stations(self) -> Sequence[Station]:
        view = self._operator.status().view
        edges = {edge.name: edge for edge in view.edges}
        reports = {name: self._told(name, edges.get(name)) for name in {*edges, *self._edges}}
        found = {one.identity: _station(one, edges[one.edge], reports[one.edge]) for one in view.stations}
        for name, identities in self._edges.items():
            for identity in identities - found.keys() - {ANY}:
                found[identity] = _unseen(identity, name, edges.get(name), reports[name])
        return [msgspec.structs.replace(found[identity], dead_letters=self._dead[identity]) for identity in sorted(found)]

    def usage(self, station: Station, days: int) -> Usage:
        reports = self._history(station.edge or "", DAYS_MAX)
        last = max((report.day for report in reports), default=date.min)
        month = month_told(reports)
        first = date.min if month is None else month.first
        return Usage(
            identity=station.identity,
            edge=station.edge,
            month_first=None if month is None else month.first,
            month_end=None if month is None else month.end,
            days=[
                DayUsage(
                    day=report.day,
                    ours_bytes=report.ours_bytes,
                    others_bytes=report.others_bytes,
                    month_bytes=report.month_bytes if report.day >= first else None,
                )
                for report in reports
                if (last - report.day).days < days
            ],
        )

    def ledger(self) -> Iterator[LedgerRow]:
        for name in sorted({*self._edges, *(edge.name for edge in self._operator.status().view.edges)}):
            for report in self._history(name, DAYS_MAX):
                yield from _rows(name, report)

    def _told(self, name: str, edge: CloudEdgeView | None) -> Report | None:
        """The last report of an edge, if only of a former life of the cloud."""
        if edge is not None and edge.report is not None:
            return edge.report
        return next(iter(self._history(name, 1)), None)

    async def choose_plan(self, station: Station, change: PlanChange, who: str) -> None:
        edge = _linked(station)
        self._operator.choose_plan(edge, change.plan.value, f"{who}: {change.reason}")

    def flush(self, station: Station) -> Flushed:
        _linked(station)
        self._operator.flush(station.identity)
        return Flushed(identity=station.identity, undelivered=station.undelivered, link_up=station.link_up)

    async def dead_letters(self, station: str | None, limit: int) -> DeadLetters:
        letters = await self._operator.dead_letters(station, limit)
        return DeadLetters(total=self._operator.status().positions.dead_letters, letters=[_letter(letter) for letter in letters])


def _linked(station: Station) -> str:
    if station.edge is None or not station.link_up:
        raise RequestRefused(f"the link to edge {station.edge} is down: it can't be told")
    return station.edge


def _station(one: CloudStationView, edge: CloudEdgeView, report: Report | None) -> Station:
    return Station(
        identity=one.identity,
        edge=edge.name,
        state=one.state,
        ocpp=one.ocpp,
        link_up=edge.up_s is not None,
        seen_s=0.0 if edge.up_s is not None else edge.down_s,
        heard_s=one.heard_s,
        waiting=one.waiting,
        undelivered=one.undelivered,
        repeats=one.repeats,
        clock_offset_s=None if report is None else report.clock_offset_s,
        outbox_messages=None if report is None else report.outbox_messages,
        plan=_plan(report),
        month=None if report is None else _month(report),
    )


def _unseen(identity: str, name: str, edge: CloudEdgeView | None, report: Report | None) -> Station:
    up = edge is not None and edge.up_s is not None
    return Station(
        identity=identity,
        edge=name,
        state=UNSEEN,
        link_up=up,
        seen_s=0.0 if up else None if edge is None else edge.down_s,
        outbox_messages=None if report is None else report.outbox_messages,
        plan=_plan(report),
        month=None if report is None else _month(report),
    )


def _plan(report: Report | None) -> PlanState | None:
    return None if report is None else PlanState(plan=report.plan, step=report.step, delay_s=DELAYS_S.get(report.step))


def _month(report: Report) -> Month:
    return Month(
        total_bytes=report.month_bytes,
        budget_bytes=1000 * report.budget_kb,
        percent=round(report.month_bytes / (10 * max(report.budget_kb, 1)), 2),
        projection_bytes=None if report.projection_kb is None else 1000 * report.projection_kb,
        told=report.day,
    )


def _rows(edge: str, report: Report) -> Iterator[LedgerRow]:
    yield LedgerRow(day=report.day, edge=edge, line="ours", name="", direction="both", bytes=report.ours_bytes)
    yield LedgerRow(day=report.day, edge=edge, line="month", name="", direction="both", bytes=report.month_bytes)
    if report.others_bytes is not None:
        yield LedgerRow(day=report.day, edge=edge, line="others", name="", direction="both", bytes=report.others_bytes)


def _letter(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        key=letter.key,
        station=letter.identity,
        ocpp=letter.version,
        action=action_of(MessageType.CALL, letter.body),
        error_code=letter.error_code,
        attempts=letter.attempts,
        given_up_unix_s=letter.at_s,
    )
