"""What the edge answers to whoever operates it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import date
from typing import Final, NoReturn

from ocppress_gateway import __version__
from ocppress_gateway.control.protocol import Answer, Drain, Request, Status
from ocppress_gateway.core.events import Event, Flush, Level, Note, PlanWanted, TellReport
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.report import write_report
from ocppress_gateway.core.views import CertificateView, EdgeView
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import RequestRefused
from ocppress_gateway.ledger.keeper import LedgerKeeper
from ocppress_gateway.log import log_note
from ocppress_gateway.outbox.base import OutboxMeasure
from ocppress_gateway.status.edge import EdgeStatus, day_report, drain_answer, edge_data, edge_lines

__all__ = ["EdgeOperator"]

FIRST_REPORT_S: Final = 600.0
"""After the start: by then a station has said most of what it says at its own."""

LOOK_S: Final = 60.0
"""Between two looks at the date."""

_logger: Final = logging.getLogger("ocppress.edge")


class EdgeOperator:
    """Requests from the control socket, answered at once."""

    def __init__(
        self,
        view: Callable[[float], EdgeView],
        keeper: LedgerKeeper,
        *,
        post: Callable[[Event], None],
        measure: Callable[[], OutboxMeasure | None],
        wire: Callable[[], WireCount | None],
        certificates: Callable[[], tuple[CertificateView, ...]],
        cloud: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`view` is the machine's, `post` gives it an event, `wire` counts the present connection, `certificates` are the edge's
        own, `cloud` is its address."""
        self._view = view
        self._keeper = keeper
        self._post = post
        self._measure = measure
        self._wire = wire
        self._certificates = certificates
        self._cloud = cloud
        self._clock = clock
        self._began_at = clock()

    async def answer(self, request: Request) -> Answer:
        """What came of a request."""
        match request:
            case Status():
                return self._status(request.station)
            case Drain():
                return self._drain(request.station, look=request.look)
            case _:
                return Answer(error="dead letters are the cloud's: ask it, with --config cloud.toml")

    def _status(self, station: str | None) -> Answer:
        status = self.status()
        if station is not None and all(one.identity != station for one in status.view.stations):
            return Answer(error=f"the edge knows no station {station}")
        return Answer(lines=edge_lines(status, station), data=edge_data(status, station))

    def status(self) -> EdgeStatus:
        """How the edge stands, its counters read anew."""
        self._keeper.read()
        now = self._clock()
        return self._whole(self._view(now), now)

    @property
    def ledger(self) -> Ledger:
        """The account of bytes, to be read only."""
        return self._keeper.ledger

    def flush(self, identity: str) -> None:
        """Let what is stored of a station wait no longer."""
        self._post(Flush(identity))

    async def choose_plan(self, plan: PlanName, reason: str) -> None:
        """Follow this plan from now on; returns when that is on the disk. Raises `RequestRefused` if it can't be."""
        if plan is not PlanName.TRANSPARENT and self._measure() is None:
            raise RequestRefused("this edge began with plan transparent and has no outbox: set `plan` in edge.toml, and restart it")
        log_note(_logger, self._keeper.plan.choose(plan, reason, self._clock()))
        await self._keeper.save()

    def _whole(self, view: EdgeView, now: float) -> EdgeStatus:
        return EdgeStatus(
            version=__version__,
            uptime_s=now - self._began_at,
            cloud=self._cloud,
            view=view,
            wire=self._wire(),
            outbox=self._measure(),
            month=self._keeper.ledger.month(),
            plan=self._keeper.plan.view(now),
            certificates=self._certificates(),
        )

    async def report_daily(self) -> NoReturn:
        """Tell the cloud of each day once it is over, and of the first one soon after the start; until cancelled."""
        await asyncio.sleep(FIRST_REPORT_S)
        day = self._keeper.ledger.month().now.date()
        self._report(day)
        while True:
            await asyncio.sleep(LOOK_S)
            today = self._keeper.ledger.month().now.date()
            if today > day:
                self._report(day)
            day = today

    async def plan_wanted(self, wanted: PlanWanted) -> None:
        """The same for an operator at the cloud, who hears by a report what came of it."""
        try:
            await self.choose_plan(PlanName(wanted.plan), wanted.reason)
        except (ValueError, RequestRefused) as error:
            log_note(
                _logger, Note(Level.WARNING, "the plan can't be changed as the cloud wants", {"plan": wanted.plan, "reason": str(error)})
            )
        self._report(self._keeper.ledger.month().now.date(), now=True)

    def _report(self, day: date, *, now: bool = False) -> None:
        clock = self._clock()
        status = self._whole(self._view(clock), clock)
        self._post(TellReport(write_report(day_report(status, day, self._keeper.ledger.day(day))), now))

    def _drain(self, identity: str, *, look: bool) -> Answer:
        view = self._view(self._clock())
        station = next((one for one in view.stations if one.identity == identity), None)
        if station is None:
            return Answer(error=f"the edge knows no station {identity}")
        if station.undelivered and not look:
            self.flush(identity)
        return Answer(data=drain_answer(view, station))
