"""The account of bytes of one SIM: ours as counted, ours as estimated, the SIM's interface, and so the others.

    driver ──LinkDialled, LinkCounted, LinkEnded──► links ──layers──┐
    machine ──────LinkMessageCounted──────────────►                 ├──► today's account, or held until the clock is believed
    driver ──────InterfaceCounted─────────────────► interface ──────┤
    driver ──────ComparisonCounted────────────────► beside it ──────┤
    machine ─────TransferBegan, TransferEnded─────► transfers ──────┘
                                                                     ──► month ──► alarms, plan, status

Everything is booked when it is told, on the day that the SIM's zone then has (see `ledger_clock`). Days are kept for more than 13 months.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Annotated, Final

import msgspec

from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger_clock import DayClock
from ocppress_gateway.core.ledger_day import DayAccount
from ocppress_gateway.core.ledger_events import (
    ComparisonCounted,
    InterfaceCounted,
    LedgerEvent,
    LinkCounted,
    LinkDialled,
    LinkEnded,
    LinkMessageCounted,
    TransferBegan,
    TransferEnded,
    Way,
)
from ocppress_gateway.core.ledger_links import LinkAccounts
from ocppress_gateway.core.ledger_month import MonthView, view_month
from ocppress_gateway.core.ledger_transfers import TRANSFERS_MAX, SavedTransfer, TransferWatch

__all__ = ["ALARM_PERCENTS", "DAYS_KEPT", "Ledger", "LedgerSettings"]

DAYS_KEPT: Final = 430
"""Thirteen months are 397 days at most; the others are for days that a wrong clock has invented. The oldest go first."""

ALARM_PERCENTS: Final = (50, 80, 100)
"""Of the budget; each is said once a month."""

INTERFACE_BYTES_PER_S_MAX: Final = 20_000_000
"""LTE category 4 (150 Mbit/s). Counters of 32 bits that have wrapped can't have moved further than that; else they began again."""

STATE_VERSION: Final = 1

_DAY_KEY: Final = "day/"
_STATE_KEY: Final = "ledger"
_MONTHS_ALARMED_MAX: Final = 4
"""A clock that jumps back into the month before shall not repeat its alarms."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What the ledger is told of the SIM."""

    budget_bytes: int
    zone: tzinfo
    first_day: int = 1
    """Of the billing month, 1 to 31."""
    rounding_bytes: int = 0
    """A carrier that bills started units of this size, per session; 0 if it bills bytes. Sessions of the data network can't be seen from
    here: each connection of the link stands for one, since the end of such a session breaks it."""


class _Reading(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Of the interface's counters."""

    life: Annotated[str, msgspec.Meta(max_length=128)]
    received_bytes: Count
    sent_bytes: Count


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What is kept besides the days. Times are aware."""

    version: int
    reading: _Reading | None
    began: datetime | None
    believed: datetime | None
    alarmed: dict[date, int]
    held: DayAccount
    transfers: Annotated[list[SavedTransfer], msgspec.Meta(max_length=TRANSFERS_MAX)] = []
    """Not in states that were kept before transfers outlived a process."""


class Ledger:
    """The account of one SIM. No I/O, no clock: `now` is monotonic seconds, `wall` an aware datetime, right or wrong."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._clock = DayClock(settings.zone)
        self._links = LinkAccounts()
        self._days: dict[date, DayAccount] = {}
        self._changed: set[date] = set()
        self._gone: set[date] = set()
        self._began: datetime | None = None
        self._alarmed: dict[date, int] = {}
        self._reading: _Reading | None = None
        self._read_at: float | None = None
        """When; None for a reading of a former process."""
        self._run = DayAccount()
        """All that this process has booked."""
        self._transfers = TransferWatch(settings.budget_bytes)
        self._taken_bytes = 0
        """How much of its total `take_spent` has given out."""

    # --- events

    def step(self, event: LedgerEvent, now: float, wall: datetime) -> None:
        """Take one event."""
        self._look(now, wall)
        booked = DayAccount()
        match event:
            case LinkDialled():
                self._links.dialled(event, now, booked)
            case LinkCounted():
                self._links.counted(event, booked)
            case LinkEnded():
                self._links.ended(event, now, booked)
            case InterfaceCounted():
                self._interface(event, now, booked)
            case ComparisonCounted():
                booked.add_comparison(event.plain_bytes, event.deflate_bytes)
            case TransferBegan():
                self._transfers.began(event, now)
            case TransferEnded():
                self._transfers.ended(event)
        self._book(booked)
        if isinstance(event, LinkEnded):
            self._end_session()

    def message(self, event: LinkMessageCounted) -> None:
        """Take a link message, whose bytes are booked when the kernel has counted them."""
        self._links.message(event)

    def tick(self, now: float, wall: datetime) -> list[Note]:
        """Once a minute or so: say what there is to say. Each alarm comes once a month."""
        self._look(now, wall)
        return [*self._transfers.take_notes(), *self._alarms(self.month())]

    def _alarms(self, month: MonthView) -> list[Note]:
        reached = max((percent for percent in ALARM_PERCENTS if month.percent >= percent), default=0)
        if reached <= self._alarmed.get(month.month.first, 0):
            return []
        self._alarmed[month.month.first] = reached
        while len(self._alarmed) > _MONTHS_ALARMED_MAX:
            del self._alarmed[min(self._alarmed)]
        return [
            Note(
                Level.ERROR if reached >= 100 else Level.WARNING,
                "the SIM's budget is used up" if reached >= 100 else "much of the SIM's budget is used",
                {
                    "percent": round(month.percent, 1),
                    "total_mb": _mb(month.total_bytes),
                    "others_mb": _mb(month.others_bytes),
                    "budget_mb": _mb(month.budget_bytes),
                    "days_left": round(month.days_left, 1),
                },
            )
        ]

    # --- asking

    def month(self) -> MonthView:
        """The present billing month, as of the last event or tick; there must have been one."""
        return view_month(
            self._days,
            self._clock.held(),
            now=self._clock.local,
            began=self._began,
            first_day=self._settings.first_day,
            budget_bytes=self._settings.budget_bytes,
        )

    def day(self, day: date) -> DayAccount:
        """A day's account, to be read only; nothing if none is kept."""
        return self._days.get(day, DayAccount())

    @property
    def days(self) -> Mapping[date, DayAccount]:
        """All days that are kept, to be read only."""
        return self._days

    @property
    def booked(self) -> DayAccount:
        """All that this process has booked, to be read only: lines that only grow."""
        return self._run

    def take_spent(self) -> int:
        """Bytes that the SIM is billed since the last call, for the plan: the interface's where it is known, else ours."""
        spent = self._run.total_bytes - self._taken_bytes
        self._taken_bytes += spent
        return spent

    # --- keeping

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, to be saved all at once; None deletes a key, if it is there."""
        changed: dict[str, bytes | None] = {f"{_DAY_KEY}{day.isoformat()}": None for day in self._gone}
        changed |= {f"{_DAY_KEY}{day.isoformat()}": self._days[day].encoded() for day in self._changed}
        state = _State(
            STATE_VERSION, self._reading, self._began, self._clock.believed, self._alarmed, self._clock.held(), self._transfers.saved()
        )
        changed[_STATE_KEY] = msgspec.msgpack.encode(state)
        self._changed.clear()
        self._gone.clear()
        return changed

    def restore(self, saved: Mapping[str, bytes]) -> None:
        """Begin where a former process left off, before any event. Raises `ValueError` for what `changes` can't have written."""
        if not saved:
            return
        if _STATE_KEY not in saved:
            raise ValueError("a ledger without a state")
        state = msgspec.msgpack.decode(saved[_STATE_KEY], type=_State)
        if state.version != STATE_VERSION:
            raise ValueError(f"a ledger of version {state.version}, not {STATE_VERSION}")
        self._days = {
            date.fromisoformat(key.removeprefix(_DAY_KEY)): DayAccount.decoded(data)
            for key, data in saved.items()
            if key.startswith(_DAY_KEY)
        }
        self._reading = state.reading
        self._began = state.began
        self._alarmed = state.alarmed
        self._clock.restore(state.believed, state.held)
        self._transfers.restore(state.transfers)

    # --- booking

    def _look(self, now: float, wall: datetime) -> None:
        self._transfers.look(now)
        for day, account in self._clock.look(now, wall):
            self._on(day).add(account)
        if self._began is None and self._clock.day is not None:
            self._began = self._clock.local.astimezone(UTC)

    def _book(self, booked: DayAccount) -> None:
        """On today's page, or on that which is held."""
        self._run.add(booked)
        day = self._clock.day
        (self._clock.span() if day is None else self._on(day)).add(booked)

    def _on(self, day: date) -> DayAccount:
        if day not in self._days:
            self._days[day] = DayAccount()
            self._gone.discard(day)
            if len(self._days) > DAYS_KEPT:
                oldest = min(self._days.keys() - {day})
                del self._days[oldest]
                self._changed.discard(oldest)
                self._gone.add(oldest)
        self._changed.add(day)
        return self._days[day]

    def _interface(self, event: InterfaceCounted, now: float, booked: DayAccount) -> None:
        last = self._reading
        self._reading = _Reading(event.life, event.received_bytes, event.sent_bytes)
        since_s = None if self._read_at is None else now - self._read_at
        self._read_at = now
        if last is None:
            return  # what passed before the first reading ever is no month's that is known
        same_life = event.life == last.life
        booked.add_sim(Way.UP, _moved(last.sent_bytes if same_life else 0, event.sent_bytes, since_s))
        booked.add_sim(Way.DOWN, _moved(last.received_bytes if same_life else 0, event.received_bytes, since_s))
        others_bytes = self._run.sim_bytes + booked.sim_bytes - self._run.ours_bytes
        booked.add_transfers(self._transfers.counted(others_bytes, now))

    def _end_session(self) -> None:
        """A started unit is billed whole; so all sessions before have come to whole units."""
        unit_bytes = self._settings.rounding_bytes
        if unit_bytes:
            self._book(DayAccount(rounding=-self._run.total_bytes % unit_bytes))


def _moved(before: int, count: int, since_s: float | None) -> int:
    """By how much a counter has grown, which may have 32 bits and have wrapped, or have begun again at 0."""
    if count >= before:
        return count - before
    wrapped = count + 2**32 - before
    if since_s is not None and 0 <= wrapped <= since_s * INTERFACE_BYTES_PER_S_MAX:
        return wrapped
    return count


def _mb(count: int) -> float:
    return round(count / 1e6, 3)
