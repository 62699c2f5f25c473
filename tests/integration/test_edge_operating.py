"""The edge's daily report, in real time made short."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta

import pytest

from ocppress_gateway.control.protocol import DeadDrop, Drain, Status
from ocppress_gateway.core.conversation import Counters
from ocppress_gateway.core.events import Event, Flush, TellReport
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.plan import Plan, PlanName, PlanSettings
from ocppress_gateway.core.report import read_report
from ocppress_gateway.core.views import EdgeView, LinkView
from ocppress_gateway.edge import operating
from ocppress_gateway.edge.operating import EdgeOperator
from ocppress_gateway.ledger.keeper import LedgerKeeper
from ocppress_gateway.ledger.memory import MemoryLedgerStore

VIEW = EdgeView(
    link=LinkView(state="down", up_s=None, down_s=None, retry_in_s=None, codec="", connections=0), stations=(), counters=Counters().view()
)


class Days:
    """A wall clock that a test sets, and the operator of an edge that has it."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.now = 0.0
        self.posted: list[Event] = []
        plan = Plan(PlanSettings(PlanName.LIVE, 25_000_000), keepalive_s=240, now=0.0)
        self.keeper = LedgerKeeper(
            Ledger(LedgerSettings(25_000_000, UTC)),
            plan,
            MemoryLedgerStore(),
            interface=None,
            logger=logging.getLogger("test"),
            clock=lambda: self.now,
            wall=lambda: self.wall,
        )
        self.keeper.read()
        self.operator = EdgeOperator(
            lambda now: VIEW,
            self.keeper,
            post=self.posted.append,
            measure=lambda: None,
            wire=lambda: None,
            certificates=tuple,
            cloud="wss://cloud/",
            clock=lambda: self.now,
        )

    async def until_posted(self, count: int) -> None:
        while len(self.posted) < count:  # noqa: ASYNC110 - it is a list
            await asyncio.sleep(0.01)

    def pass_time(self, hours: float) -> None:
        self.now += hours * 3600
        self.wall += timedelta(hours=hours)
        self.keeper.read()


def test_a_report_comes_soon_after_the_start_and_after_each_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating, "FIRST_REPORT_S", 0.0)
    monkeypatch.setattr(operating, "LOOK_S", 0.01)

    async def main() -> list[date]:
        days = Days()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            reporting = group.create_task(days.operator.report_daily())
            await days.until_posted(1)
            for count, hours in ((2, 13), (3, 24)):
                days.pass_time(hours)
                await days.until_posted(count)
            await asyncio.sleep(0.1)
            reporting.cancel()
        return [read_report(event.report).day for event in days.posted if isinstance(event, TellReport)]

    assert asyncio.run(main()) == [date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 2)]


def test_what_an_edge_cannot_answer_is_said() -> None:
    async def main() -> None:
        days = Days()
        assert (await days.operator.answer(DeadDrop(key=1))).error == "dead letters are the cloud's: ask it, with --config cloud.toml"
        for request in (Drain(station="CP001"), Status(station="CP001")):
            assert (await days.operator.answer(request)).error == "the edge knows no station CP001"
        assert not any(isinstance(event, Flush) for event in days.posted)

    asyncio.run(main())
