"""What passed the SIM's interface while stations transferred files around the gateway: of the ledger, by the same counters.

    others (the interface's bytes less ours)
      ▲                       ┌───────────── 31 MB
      │              ┌────────┘
      │   ───────────┘
      └──────────────┴────────┴─────────────►
                 began      ended, or no word for hours

Whatever else that machine does meanwhile is in it, so it is the file at most; of two transfers at once each is told the same bytes, which are booked once.
A transfer that was asked for at a later time begins then, or when its station says so. What was under way when the program ended isn't known to the next.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.bypass import TRANSFERS
from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger_events import TransferBegan, TransferEnded, Way

__all__ = ["TRANSFER_S_MAX", "TransferWatch"]

TRANSFER_S_MAX: Final = 6 * 3600.0
"""How long a station that says nothing may be taking: 100 MB at 40 kbit/s."""

TRANSFERS_MAX: Final = 128
"""Transfers that are watched, the one that was asked for first forgotten first: two each of the stations that a site may have."""

TOLD_BYTES_MIN: Final = 10_000
"""Less than that is said at debug level only: a station that uses another network, or one that tells of transfers by the hundred."""

_Key = tuple[str, Way]


@dataclass(slots=True)
class _Watched:
    action: str
    begins_at: float
    from_bytes: int | None = None
    """Of the others', when it began; None before."""


class TransferWatch:
    """Those of one SIM. `now` in seconds of the machine's clock; `others_bytes` is the process's total, and may fall when ours is booked late."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._watched: OrderedDict[_Key, _Watched] = OrderedDict()
        self._others_max = 0
        """The highest that the others' total has been: what is below was counted before."""
        self._is_counted = False
        """The interface is known."""
        self._notes: list[Note] = []

    def began(self, event: TransferBegan, now: float) -> None:
        """Directly after a reading. One that has begun already goes on, unless another is to take its place later."""
        key = (event.identity, event.way)
        if event.in_s > 0:
            self._end(key)
        known = self._watched.get(key)
        if event.in_s > 0 or known is None:
            self._watched[key] = _Watched(event.action, now + event.in_s)
        elif known.from_bytes is None:
            known.begins_at = now
        self._begin_due(now)
        while len(self._watched) > TRANSFERS_MAX:
            self._watched.popitem(last=False)

    def ended(self, event: TransferEnded) -> None:
        """Directly after a reading."""
        self._end((event.identity, event.way))

    def counted(self, others_bytes: int, now: float) -> int:
        """A reading; returns what of it is to be booked for transfers."""
        self._is_counted = True
        moved = max(0, others_bytes - self._others_max)
        self._others_max += moved
        booked = moved if any(watched.from_bytes is not None for watched in self._watched.values()) else 0
        for key, watched in list(self._watched.items()):
            if now >= watched.begins_at + TRANSFER_S_MAX:
                self._end(key)
        self._begin_due(now)
        return booked

    def take_notes(self) -> list[Note]:
        """What there is to say since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _begin_due(self, now: float) -> None:
        for (identity, way), watched in self._watched.items():
            if watched.from_bytes is None and now >= watched.begins_at:
                watched.from_bytes = self._others_max
                fields = {"station": identity, "action": watched.action, "way": way.value}
                level = Level.INFO if watched.action in TRANSFERS else Level.DEBUG
                self._notes.append(Note(level, "a station transfers a file around the gateway", fields))

    def _end(self, key: _Key) -> None:
        watched = self._watched.get(key)
        if watched is None or watched.from_bytes is None:
            return
        del self._watched[key]
        took_bytes = self._others_max - watched.from_bytes
        fields = {"station": key[0], "action": watched.action, "way": key[1].value}
        if not self._is_counted:
            level = Level.INFO if watched.action in TRANSFERS else Level.DEBUG
            self._notes.append(Note(level, "a transfer is over; what it took shows only with `interface` of `[sim]`", fields))
            return
        took = {"mb_at_most": round(took_bytes / 1e6, 3), "budget_percent": round(100 * took_bytes / self._budget_bytes, 1)}
        level = Level.WARNING if took_bytes >= TOLD_BYTES_MIN else Level.DEBUG
        self._notes.append(Note(level, "a transfer went around the gateway", {**fields, **took}))
