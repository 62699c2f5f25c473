"""What the edge answers to whoever operates it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date
from typing import Final, NoReturn

from ocppress_gateway import __version__
from ocppress_gateway.control.protocol import Answer, Drain, Request, Status
from ocppress_gateway.core.events import Event, Flush, TellReport
from ocppress_gateway.core.report import write_report
from ocppress_gateway.core.views import CertificateView, EdgeView
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.ledger.keeper import LedgerKeeper
from ocppress_gateway.outbox.base import OutboxMeasure
from ocppress_gateway.status.edge import EdgeStatus, day_report, drain_answer, edge_data, edge_lines

__all__ = ["EdgeOperator"]

FIRST_REPORT_S: Final = 600.0
"""After the start: by then a station has said most of what it says at its own."""

LOOK_S: Final = 60.0
"""Between two looks at the date."""


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
        now = self._clock()
        view = self._view(now)
        if station is not None and all(one.identity != station for one in view.stations):
            return Answer(error=f"the edge knows no station {station}")
        self._keeper.read()
        status = self._whole(view, now)
        return Answer(lines=edge_lines(status, station), data=edge_data(status, station))

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

    def _report(self, day: date) -> None:
        now = self._clock()
        status = self._whole(self._view(now), now)
        self._post(TellReport(write_report(day_report(status, day, self._keeper.ledger.day(day)))))

    def _drain(self, identity: str, *, look: bool) -> Answer:
        view = self._view(self._clock())
        station = next((one for one in view.stations if one.identity == identity), None)
        if station is None:
            return Answer(error=f"the edge knows no station {identity}")
        if station.undelivered and not look:
            self._post(Flush(identity))
        return Answer(data=drain_answer(view, station))
