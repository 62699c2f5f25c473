"""What a program has to offer to be looked at."""

from __future__ import annotations

import abc
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from ocppress_gateway.admin.choosing import troubles_of
from ocppress_gateway.admin.facts import Fact
from ocppress_gateway.admin.metrics import Sample
from ocppress_gateway.admin.model import DeadLetters, Flushed, LedgerRow, Messages, MessageView, PlanChange, Station, Usage
from ocppress_gateway.taps import Row, Tap, Taps

__all__ = ["UNKNOWN", "Source"]

UNKNOWN: Final = "unknown"
"""Of payload whose action isn't known."""

_logger: Final = logging.getLogger("ocppress.admin")


class Source(abc.ABC):
    """Snapshots, and the few things that can be changed. All in the program's event loop."""

    program: str
    """`edge` or `cloud`."""

    def __init__(self, turn: Callable[[], Awaitable[None]], is_stopping: Callable[[], bool], taps: Taps) -> None:
        """`turn` returns once the machine has taken a step."""
        self._taps = taps
        self.lives = turn
        """Returns if the program lives; somebody else has the time-out."""
        self._is_stopping = is_stopping

    def unready(self) -> Sequence[str]:
        """Why it can't do what it is there for; nothing if it can."""
        return [*(["it is stopping"] if self._is_stopping() else []), *self.obstacles()]

    def messages(self, station: Station, after: int, who: str) -> Messages:
        """What has passed of a station, from the first time on that somebody asks. Raises `RequestRefused` if too many are looked at."""
        tap = self._taps.look(station.identity)
        if tap is None:
            tap = self._taps.open(station.identity)
            _logger.warning("an operator looks at a station's messages", extra={"fields": {"station": station.identity, "user": who}})
        return _messages(tap, after)

    def messages_still(self, station: Station) -> Messages | None:
        """The same while that lasts."""
        tap = self._taps.look(station.identity)
        return None if tap is None else _messages(tap, 0)

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

    def stations(self) -> Sequence[Station]:
        """All that are known, in the order of their identities, and what is wrong with them."""
        return [msgspec.structs.replace(one, troubles=troubles_of(one)) for one in self.known_stations()]

    @abc.abstractmethod
    def known_stations(self) -> Iterable[Station]:
        """The same without troubles."""

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


def _messages(tap: Tap, after: int) -> Messages:
    return Messages(
        identity=tap.identity,
        since_unix_s=tap.began_unix_s,
        until_unix_s=tap.ends_unix_s,
        left_out=tap.left_out,
        messages=[_message(row) for row in tap.rows(after)],
    )


def _message(row: Row) -> MessageView:
    return MessageView(
        number=row.number,
        unix_s=row.unix_s,
        direction="up" if row.up else "down",
        kind=None if row.kind is None else row.kind.name,
        action=row.action,
        message_id=row.message_id,
        text_bytes=row.text_bytes,
        handling=row.handling,
        text=row.text,
    )
