"""What passed the SIM's interface while stations transferred files around the gateway: of the ledger, by the same counters.

    others (the interface's bytes less ours)
      ▲                       ┌───────────── 31 MB
      │              ┌────────┘
      │   ───────────┘
      └──────────────┴────────┴─────────────►
                 began      ended, or no word for hours

Whatever else that machine does meanwhile is in it, so it is the file at most; of two transfers at once each is told the same bytes, which are booked once.
A transfer that was asked for at a later time begins then, or when its station says so. What is watched outlives the process: the next one goes on, and
takes what has passed the interface meanwhile for the transfer's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from ocppress_gateway.core.bypass import TRANSFERS
from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger_events import TransferBegan, TransferEnded, Way

__all__ = ["TRANSFERS_MAX", "TRANSFER_S_MAX", "SavedTransfer", "TransferWatch"]

TRANSFER_S_MAX: Final = 6 * 3600.0
"""How long a station that says nothing may be taking: 100 MB at 40 kbit/s."""

TRANSFERS_MAX: Final = 128
"""Transfers that are watched, the one that was asked for first forgotten first: two each of the stations that a site may have."""

TOLD_BYTES_MIN: Final = 10_000
"""Less than that is said at debug level only: a station that uses another network, or one that tells of transfers by the hundred."""

_NAME_CHARACTERS_MAX: Final = 64
"""Of an identity, which has 48, and an action."""

_Key = tuple[str, Way]
_Name = Annotated[str, msgspec.Meta(max_length=_NAME_CHARACTERS_MAX)]


class SavedTransfer(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """One that is watched, for the next process."""

    identity: _Name
    way: Way
    action: _Name
    begins_in_s: float
    """Below zero for one that has begun so long ago."""
    took_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None
    """So far; None for one that hasn't begun."""


@dataclass(slots=True)
class _Watched:
    action: str
    begins_at: float
    from_bytes: int | None = None
    """Of the others', when it began, below zero if that was in a former process; None before."""


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
        self._now = 0.0
        """When somebody looked last."""
        self._restored: tuple[SavedTransfer, ...] = ()
        """Until somebody looks."""

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

    def look(self, now: float) -> None:
        """Before everything else, again and again."""
        self._now = now
        for saved in self._restored:
            from_bytes = None if saved.took_bytes is None else -saved.took_bytes
            self._watched[saved.identity, saved.way] = _Watched(saved.action, now + saved.begins_in_s, from_bytes)
        self._restored = ()

    def saved(self) -> list[SavedTransfer]:
        """For `restore` in another process."""
        return [
            *self._restored,
            *(
                SavedTransfer(
                    identity,
                    way,
                    watched.action,
                    watched.begins_at - self._now,
                    None if watched.from_bytes is None else self._others_max - watched.from_bytes,
                )
                for (identity, way), watched in self._watched.items()
            ),
        ]

    def restore(self, saved: Iterable[SavedTransfer]) -> None:
        """Go on with what a former process watched; how long nobody did isn't known, and doesn't count."""
        self._restored = tuple(saved)

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
