"""What the cloud answers to whoever operates it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ocppress_gateway import __version__
from ocppress_gateway.control.protocol import Answer, DeadDrop, DeadList, DeadReplay, DeadShow, Drain, Request, Status
from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.events import Event, Level, Replay, ReplayEnded, WantFlush, WantPlan
from ocppress_gateway.core.stored import DeadLetter
from ocppress_gateway.core.views import CertificateView, CloudView
from ocppress_gateway.positions.base import Positions
from ocppress_gateway.status.cloud import CloudStatus, cloud_data, cloud_lines
from ocppress_gateway.status.dead import letter_data, letter_lines, letters_lines

__all__ = ["CloudOperator"]


class CloudOperator:
    """Requests from the control socket; those that need the disk or the CSMS are answered when these have."""

    def __init__(
        self,
        view: Callable[[float], CloudView],
        positions: Positions,
        *,
        post: Callable[[Event], None],
        csms: str,
        certificate: Certificate | None,
        say: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`view` is the machine's, `post` gives it an event, `csms` is the CSMS's URL, `certificate` the cloud's own, `say` logs.
        After this you must pass it each `ReplayEnded`."""
        self._view = view
        self._positions = positions
        self._post = post
        self._csms = csms
        self._certificate = certificate
        self._say = say
        self._clock = clock
        self._began_at = clock()
        self._replays: dict[int, asyncio.Future[str | None]] = {}

    async def answer(self, request: Request) -> Answer:
        """What came of a request."""
        match request:
            case Status():
                return self._status(request.station)
            case DeadList():
                return await self._list(request)
            case DeadShow():
                letter = await self._letter(request.key)
                if letter is None:
                    return _no_letter(request.key)
                return Answer(lines=letter_lines(letter, full=request.full), data=letter_data(letter, body=True, full=request.full))
            case DeadReplay():
                return await self._replay(request.key)
            case DeadDrop():
                if not await self._drop(request.key):
                    return _no_letter(request.key)
                self._say(Level.WARNING, "the operator has dropped a dead letter", key=request.key)
                return Answer(lines=[f"dead letter {request.key} dropped"], data={"key": request.key, "dropped": True})
            case Drain():
                return Answer(error="outboxes are the edges': ask the station's, with --config edge.toml")

    def replay_ended(self, ended: ReplayEnded) -> None:
        """What the machine says of a replay. One that the CSMS has taken is dropped, whether or not anybody still waits."""
        if ended.reason is not None:
            self._tell(ended.key, ended.reason)
        else:
            self._positions.drop(ended.key, lambda _: self._tell(ended.key, None))

    def _tell(self, key: int, reason: str | None) -> None:
        waiting = self._replays.pop(key, None)
        if waiting is not None:
            _set(waiting, reason)

    def _status(self, station: str | None) -> Answer:
        status = self.status()
        if station is not None and all(one.identity != station for one in status.view.stations):
            return Answer(error=f"the cloud knows no station {station}")
        return Answer(lines=cloud_lines(status, station), data=cloud_data(status, station))

    def status(self) -> CloudStatus:
        """How the cloud stands."""
        now = self._clock()
        return CloudStatus(
            version=__version__,
            uptime_s=now - self._began_at,
            csms=self._csms,
            view=self._view(now),
            positions=self._positions.measure(),
            certificate=None if self._certificate is None else CertificateView.of("this cloud", self._certificate, time.time()),
        )

    def choose_plan(self, edge: str, plan: str, reason: str) -> None:
        """Have an edge follow this plan; its next report says what came of it."""
        self._say(Level.WARNING, "an operator changes an edge's plan", edge=edge, plan=plan, reason=reason)
        self._post(WantPlan(edge, plan, reason))

    def flush(self, identity: str) -> None:
        """Have a station's edge send what waits."""
        self._post(WantFlush(identity))

    async def dead_letters(self, station: str | None, limit: int) -> Sequence[DeadLetter]:
        """The oldest dead letters, of this station or of all."""
        reported: asyncio.Future[Sequence[DeadLetter]] = asyncio.get_running_loop().create_future()
        self._positions.dead(station, limit, lambda letters: _set(reported, letters))
        return await reported

    async def _list(self, request: DeadList) -> Answer:
        letters = await self.dead_letters(request.station, request.limit)
        in_store = self._positions.measure().dead_letters
        return Answer(
            lines=letters_lines(letters, in_store if request.station is None else len(letters)),
            data={"dead_letters": in_store, "letters": [letter_data(letter) for letter in letters]},
        )

    async def _letter(self, key: int) -> DeadLetter | None:
        reported: asyncio.Future[DeadLetter | None] = asyncio.get_running_loop().create_future()
        self._positions.dead_letter(key, lambda letter: _set(reported, letter))
        return await reported

    async def _drop(self, key: int) -> bool:
        reported: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._positions.drop(key, lambda dropped: _set(reported, dropped))
        return await reported

    async def _replay(self, key: int) -> Answer:
        letter = await self._letter(key)
        if letter is None:
            return _no_letter(key)
        if key in self._replays:
            return Answer(error=f"dead letter {key} is still one: it is being put to the CSMS already")
        ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._replays[key] = ended
        try:
            self._post(Replay(letter))
            reason = await ended
        finally:
            self._replays.pop(key, None)
        if reason is not None:
            return Answer(error=f"dead letter {key} is still one: {reason}")
        return Answer(lines=[f"the CSMS has taken dead letter {key}; it is dropped"], data={"key": key, "taken": True})


def _no_letter(key: int) -> Answer:
    return Answer(error=f"there is no dead letter {key}")


Value = TypeVar("Value")


def _set(future: asyncio.Future[Value], value: Value) -> None:
    if not future.done():
        future.set_result(value)
