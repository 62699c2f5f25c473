"""What the SIM would have carried without the gateway: each station's own connection to its CSMS, plain and with permessage-deflate.

    station's socket ──began, said, ended──► ┌────────────┐
    link ────────────────lost──────────────► │ comparison │ ──take──► the ledger, beside what was used
                                             └────────────┘

It is reckoned by `baseline` from the very texts, in real time: the station's connection is made when it connects here, breaks when the link does, and
has the same network. Real deflate needs its contexts, 0.7 MB a station; so some stations have it, and what it would have made of the others is taken to
be the same share of their plain bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ocppress_gateway.cost.baseline import Baseline, BaselineCount
from ocppress_gateway.cost.wire import RESUMED_HANDSHAKE, Conditions
from ocppress_gateway.workloads.traces import Direction

__all__ = ["DEFLATED_MAX", "Comparison", "Without"]

DEFLATED_MAX: Final = 2
"""Stations at a time whose texts are really deflated: 1.4 MB of the 64 that an edge may have."""


@dataclass(frozen=True, slots=True)
class Without:
    """IP bytes of both directions that there would have been."""

    plain_bytes: int
    deflate_bytes: int


@dataclass(slots=True)
class _Connection:
    plain: BaselineCount
    deflate: BaselineCount | None


@dataclass(slots=True)
class _Sums:
    """Of all connections, whether they are there or not. Bytes."""

    plain: float = 0.0
    deflated_plain: float = 0.0
    """Of those that are really deflated."""
    deflate: float = 0.0

    def add(self, plain: float, deflate: float | None) -> None:
        self.plain += plain
        if deflate is not None:
            self.deflated_plain += plain
            self.deflate += deflate

    @property
    def all_deflated(self) -> float:
        share = self.deflate / self.deflated_plain if self.deflated_plain else 1.0
        return self.deflate + share * (self.plain - self.deflated_plain)


@dataclass(slots=True)
class Comparison:
    """All stations of one SIM, by the numbers of their sockets. Times are monotonic seconds; nothing here has a clock."""

    conditions: Conditions = field(default_factory=Conditions)
    _connections: dict[int, _Connection] = field(default_factory=dict)
    _ended: _Sums = field(default_factory=_Sums)
    _connected: bool = False
    """Whether any station ever was: each but the first resumes its TLS session."""
    _taken: Without = Without(0, 0)

    def began(self, socket: int, now: float) -> None:
        """A station is connected."""
        handshake = RESUMED_HANDSHAKE if self._connected else None
        self._connected = True
        deflates = sum(one.deflate is not None for one in self._connections.values()) < DEFLATED_MAX

        def count(baseline: Baseline) -> BaselineCount:
            return BaselineCount(baseline, self.conditions, begin_s=now, handshake=handshake)

        self._connections[socket] = _Connection(count(Baseline.PLAIN), count(Baseline.DEFLATE) if deflates else None)

    def said(self, socket: int, direction: Direction, text: str, now: float) -> None:
        """A text has come from a station, or went to it."""
        for count in self._counts(socket):
            count.add(direction, text, now)

    def ended(self, socket: int, now: float) -> None:
        """A station has gone; nothing if it never was connected."""
        connection = self._connections.pop(socket, None)
        if connection is not None:
            self._ended.add(connection.plain.close(now).total, None if connection.deflate is None else connection.deflate.close(now).total)

    def link_lost(self, now: float) -> None:
        """What broke the link would have broken the stations' connections."""
        for socket in self._connections:
            for count in self._counts(socket):
                count.break_off(now)

    def take(self, now: float) -> Without:
        """What has come since the last call."""
        sums = _Sums(self._ended.plain, self._ended.deflated_plain, self._ended.deflate)
        for one in self._connections.values():
            sums.add(one.plain.total(now).total, None if one.deflate is None else one.deflate.total(now).total)
        # The share of the others moves, and bytes that were given out can't be taken back.
        total = Without(max(int(sums.plain), self._taken.plain_bytes), max(int(sums.all_deflated), self._taken.deflate_bytes))
        found = Without(total.plain_bytes - self._taken.plain_bytes, total.deflate_bytes - self._taken.deflate_bytes)
        self._taken = total
        return found

    def _counts(self, socket: int) -> list[BaselineCount]:
        connection = self._connections.get(socket)
        if connection is None:
            return []
        return [connection.plain] if connection.deflate is None else [connection.plain, connection.deflate]
