"""Answers of the CSMS that say something to a station which no longer hears it (rule R7), and what it would cost to relay their action.

    TransactionEvent answered early ──► CSMS ──► {"totalCost":1.5} ──► counted by member; said at once, and with its price after a day

Nothing switches by itself: the operator decides, with `relay`. The price is that of the packets alone: every message that is relayed goes at once, and so
does its answer. What a codec makes of them is little beside that, and a part of it is paid already.
"""

from __future__ import annotations

from typing import Final

from ocppress_gateway.core.views import ContentView

__all__ = ["CONTENT_ACTION", "Contents"]

CONTENT_ACTION: Final = "TransactionEvent"
"""The one action that may be answered early and whose answer may have content (2.x Part 2, 1.84.2)."""

MONTH_S: Final = 30 * 24 * 3600.0

PACE_S_MIN: Final = 3600.0
"""No month is told from less: a station that has just begun to charge would seem to charge for ever."""

PACE_S: Final = 24 * 3600.0
"""A whole day of a station; from then on its price is worth a line in the log."""


class Contents:
    """What was answered to one station's messages since this program knows it. `now` in seconds of the machine's clock."""

    def __init__(self, relayed_bytes: int) -> None:
        """`relayed_bytes` is what the packets of one relayed message and its answer cost the SIM."""
        self._relayed_bytes = relayed_bytes
        self._since: float | None = None
        self._messages = 0
        self._members: dict[str, int] = {}
        self._priced: set[str] = set()
        """Members that have been told of with their price."""

    def answered(self, members: list[str], now: float) -> list[ContentView]:
        """The CSMS has answered a message that was answered early, with content in these members; those that are worth a line in the log now."""
        self._since = now if self._since is None else self._since
        self._messages += 1
        news = []
        for member in members:
            count = self._members[member] = self._members.get(member, 0) + 1
            priced = now - self._since >= PACE_S and member not in self._priced
            if priced:
                self._priced.add(member)
            if priced or count == 1:
                news.append(self._view(member, now))
        return news

    def view(self, now: float) -> tuple[ContentView, ...]:
        """For status."""
        return tuple(self._view(member, now) for member in self._members)

    def _view(self, member: str, now: float) -> ContentView:
        assert self._since is not None, "a member comes with a message"
        over_s = now - self._since
        month = None if over_s < PACE_S_MIN else round(self._messages * self._relayed_bytes * MONTH_S / over_s)
        return ContentView(
            action=CONTENT_ACTION,
            member=member,
            count=self._members[member],
            messages=self._messages,
            over_s=round(over_s, 1),
            relayed_month_bytes=month,
        )
