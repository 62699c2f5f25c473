"""What a program has to offer to be looked at."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Iterator, Sequence

from ocppress_gateway.admin.facts import Fact
from ocppress_gateway.admin.metrics import Sample
from ocppress_gateway.admin.model import DeadLetters, Flushed, LedgerRow, PlanChange, Station, Usage

__all__ = ["Source"]


class Source(abc.ABC):
    """Snapshots, and the few things that can be changed. All in the program's event loop."""

    program: str
    """`edge` or `cloud`."""

    def __init__(self, turn: Callable[[], Awaitable[None]], is_stopping: Callable[[], bool]) -> None:
        """`turn` returns once the machine has taken a step."""
        self.lives = turn
        """Returns if the program lives; somebody else has the time-out."""
        self._is_stopping = is_stopping

    def unready(self) -> Sequence[str]:
        """Why it can't do what it is there for; nothing if it can."""
        return [*(["it is stopping"] if self._is_stopping() else []), *self.obstacles()]

    @abc.abstractmethod
    def obstacles(self) -> Sequence[str]:
        """The same while it runs."""

    @abc.abstractmethod
    def samples(self) -> Iterator[Sample]:
        """For Prometheus."""

    @abc.abstractmethod
    def facts(self) -> Iterator[Fact]:
        """The program itself, for the dashboard."""

    @abc.abstractmethod
    async def prepare(self) -> None:
        """Have at hand what `stations` can't wait for."""

    @abc.abstractmethod
    def stations(self) -> Sequence[Station]:
        """All that are known, in the order of their identities."""

    @abc.abstractmethod
    def usage(self, station: Station, days: int) -> Usage:
        """The last `days` days, today among them."""

    @abc.abstractmethod
    def ledger(self) -> Iterator[LedgerRow]:
        """All of the account that is here, the oldest day first."""

    @abc.abstractmethod
    async def choose_plan(self, station: Station, change: PlanChange, who: str) -> None:
        """From now on this plan. Raises `RequestRefused`."""

    @abc.abstractmethod
    def flush(self, station: Station) -> Flushed:
        """Send what waits now. Raises `RequestRefused`."""

    @abc.abstractmethod
    async def dead_letters(self, station: str | None, limit: int) -> DeadLetters:
        """The oldest. Raises `RequestRefused` where there are none by nature."""
