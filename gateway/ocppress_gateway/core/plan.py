"""The operator's choice between freshness and bytes: how long a station's batched messages may wait.

    plan          waits         a plan `auto` moves along these steps

    transparent   (nothing is answered early)
    live          60 s          ▲ one finer after a day with a healthy bucket
    2min          120 s         │
    5min          300 s         │
    saver         900 s         ▼ one coarser when the bucket runs low

The bucket of the SIM fills with 1/31 of four fifths of the budget a day, on the monotonic clock, and what the SIM is billed is taken out of it; three
days' worth fit in. The month's account, on the wall clock, has the last word: once it has come to the reserve, plans get no finer. Nothing
here ever delays or refuses what can't wait: transactions, Authorize, commands.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, TypeVar

import msgspec

from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger_month import RESERVE, MonthView

__all__ = ["CHOICE_CHARACTERS_MAX", "DELAYS_S", "PROBE_BYTES", "STEPS", "Plan", "PlanName", "PlanSettings", "PlanView", "idle_day_bytes"]

DAY_S: Final = 86_400.0


class PlanName(enum.StrEnum):
    """What `plan` in edge.toml may be."""

    TRANSPARENT = "transparent"
    LIVE = "live"
    TWO_MINUTES = "2min"
    FIVE_MINUTES = "5min"
    SAVER = "saver"
    AUTO = "auto"


STEPS: Final = (PlanName.LIVE, PlanName.TWO_MINUTES, PlanName.FIVE_MINUTES, PlanName.SAVER)
"""The finest first."""

DELAYS_S: Final = {PlanName.LIVE: 60.0, PlanName.TWO_MINUTES: 120.0, PlanName.FIVE_MINUTES: 300.0, PlanName.SAVER: 900.0}
"""How long a batched message waits at most."""

SHARE_DAYS: Final = 31
"""The longest month: a day's share then fits in every one."""

SAVED_DAYS_MAX: Final = 3.0
"""Shares that the bucket holds: a quiet long weekend may be spent on Monday. More, and a month that ends quietly would lend to the next."""

FIRST_DAYS: Final = 0.5
"""Shares in a new bucket: with three days' refill three and a half, and three days of thirty shall not take more than a tenth of the budget."""

DEBT_DAYS_MAX: Final = 1.0
"""Shares that the bucket may owe. What can't wait is never refused, so there can be any debt; it shall not outlive its cause by weeks, as
the month's account remembers it all."""

LOW_DAYS: Final = 0.25
"""Shares left when the plan gets coarser: a quarter of a day, so that twice the share can be spent for another six hours."""

COARSER_WAIT_S: Final = 6 * 3600.0
"""Between two coarser steps: first see what the last one saves."""

OVERDRAWN_WAIT_S: Final = 3600.0
"""The same when the bucket is empty, or the month's account has come to the reserve."""

HEALTHY_DAYS: Final = 1.0
"""Shares from which the bucket is healthy, four times `LOW_DAYS`."""

FINER_WAIT_S: Final = DAY_S
"""How long the bucket has to be healthy before a finer step."""

FINER_WAIT_DAYS_MAX: Final = 8
"""Each time that the bucket couldn't keep a step up, the wait for that step is doubled, up to this: a step that the budget isn't enough for is
tried every eight days rather than every other. After as many healthy days in it all is forgotten."""

STEERED_S: Final = 3600.0
"""How long after a SetChargingProfile a station counts as steered: load managements repeat theirs within minutes."""

STATIONS_MAX: Final = 256
"""Stations whose profiles and transactions are remembered, the oldest forgotten first; four times what an edge has at once."""

RATE_WAIT_S: Final = DAY_S
"""How long a step has to last before its own pace is known: stations have days and nights."""

POSSIBLE_AGAIN: Final = 0.9
"""Share of the budget below which the expected month has to fall before the alarm that it can't be kept may come again."""

RECONNECTS_DAY_BYTES: Final = 3 * 1365
"""Three connections a day, TLS resumed, as measured; the least that a link costs besides its probes."""

CHOICE_CHARACTERS_MAX: Final = 200
"""Of an operator's reason, and of who gave it: a line of a log, and of a table."""

PROBE_BYTES: Final = 80
"""A TCP keepalive probe and its ACK, IPv4, no timestamps."""

SNAPSHOT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What the plan is told; the budget is the SIM's for a month."""

    plan: PlanName
    budget_bytes: int

    @property
    def share_bytes(self) -> float:
        """Of a day."""
        return (1 - RESERVE) * self.budget_bytes / SHARE_DAYS


@dataclass(frozen=True, slots=True)
class PlanView:
    """Where the plan stands, for people. `delay_s` is None for `transparent`; `bucket_days` is in shares, negative when overdrawn."""

    plan: PlanName
    step: PlanName
    delay_s: float | None
    reason: str
    bucket_days: float
    steered: tuple[str, ...]
    """Stations that are treated as `live` now."""


Seconds = Annotated[float, msgspec.Meta(ge=0)]
LevelDays = Annotated[float, msgspec.Meta(ge=-DEBT_DAYS_MAX, le=SAVED_DAYS_MAX)]


class _Choice(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    configured: PlanName
    plan: PlanName
    reason: Annotated[str, msgspec.Meta(max_length=CHOICE_CHARACTERS_MAX)]


class _Snapshot(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    version: int
    step: PlanName
    reason: Annotated[str, msgspec.Meta(max_length=200)]
    level_days: LevelDays
    changed_level_days: LevelDays
    wait_days: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=FINER_WAIT_DAYS_MAX)]], msgspec.Meta(min_length=4, max_length=4)]
    """By step: how long the bucket has to be healthy before that one is tried."""
    changed_s: Seconds
    """How long ago, like the next."""
    healthy_s: Seconds | None
    impossible_in: date | None
    chosen: _Choice | None = None
    """An operator's, while the configuration says what it said then."""


class Plan:
    """Says how long a station's batched messages may wait. No I/O, no clock: `now` is monotonic seconds."""

    def __init__(self, settings: PlanSettings, *, keepalive_s: float, now: float) -> None:
        self.keepalive_s = keepalive_s
        """No delay is longer, for the batch is the probe; set it when another interval has been found."""
        self._settings = settings
        self._plan = settings.plan
        self._chosen: _Choice | None = None
        self._step = STEPS[0] if self._auto else settings.plan
        self._reason = "where plan auto begins" if self._auto else "as configured"
        self._level_days = FIRST_DAYS
        self._filled_at = now
        self._changed_at = now
        self._changed_level_days = SAVED_DAYS_MAX
        self._healthy_since: float | None = None
        self._wait_days = [1] * len(STEPS)
        self._impossible_in: date | None = None
        """The month, by its first day, of which it has been said that its budget can't be kept."""
        self._pace_from: tuple[date, int, float] | None = None
        """Since when the step's own pace is watched: the month's first day, our bytes in it then, and the time."""
        self._steered: OrderedDict[str, float] = OrderedDict()
        self._transactions: OrderedDict[str, int] = OrderedDict()

    @property
    def _auto(self) -> bool:
        return self._plan is PlanName.AUTO

    # --- the answer

    def delay_s(self, identity: str, now: float) -> float | None:
        """How long a batched message of this station may wait; None for `transparent`: answer nothing early, relay all."""
        if self._step is PlanName.TRANSPARENT:
            return None
        step = PlanName.LIVE if self._is_steered(identity, now) else self._step
        return min(DELAYS_S[step], self.keepalive_s)

    def view(self, now: float) -> PlanView:
        """For status and report."""
        return PlanView(
            plan=self._plan,
            step=self._step,
            delay_s=None if self._step is PlanName.TRANSPARENT else min(DELAYS_S[self._step], self.keepalive_s),
            reason=self._reason,
            bucket_days=self._level_days,
            steered=tuple(identity for identity in self._steered if self._is_steered(identity, now)),
        )

    # --- what it is told

    def spent(self, spent_bytes: int, now: float) -> None:
        """The SIM is billed these bytes since the last call (`Ledger.take_spent`)."""
        self._fill(now)
        self._level_days = max(-DEBT_DAYS_MAX, self._level_days - spent_bytes / self._settings.share_bytes)

    def smart_charging(self, identity: str, now: float) -> None:
        """A SetChargingProfile that steers (see `smart_charging.steers`) goes to this station."""
        _remember(self._steered, identity, now)

    def charging(self, identity: str, transactions: int) -> None:
        """How many transactions this station has open; unless told, it is taken to have one."""
        _remember(self._transactions, identity, transactions)

    def choose(self, plan: PlanName, reason: str, now: float) -> Note:
        """An operator wants this one from now on, over restarts, until the configuration names another; `reason` is for people. `auto` goes
        on from the present step."""
        note = Note(Level.WARNING, "an operator changes the plan", {"before": self._plan.value, "after": plan.value, "reason": reason})
        self._take_choice(_Choice(self._settings.plan, plan, reason[:CHOICE_CHARACTERS_MAX]))
        self._wait_days = [1] * len(STEPS)
        self._changed_at = now
        self._changed_level_days = SAVED_DAYS_MAX
        self._healthy_since = None
        self._pace_from = None
        return note

    @property
    def is_charging(self) -> bool:
        """Whether any station is known to have a transaction open."""
        return any(self._transactions.values())

    def tick(self, now: float, month: MonthView) -> list[Note]:
        """Once a minute or so: change the step if it's time to, and say why."""
        self._fill(now)
        notes: list[Note] = []
        if self._auto:
            self._adapt(now, month, notes)
        self._foresee(now, month, notes)
        return notes

    # --- keeping

    def snapshot(self, now: float) -> bytes:
        """What to keep over a restart."""
        return msgspec.msgpack.encode(
            _Snapshot(
                version=SNAPSHOT_VERSION,
                step=self._step,
                reason=self._reason,
                level_days=self._level_days,
                changed_level_days=self._changed_level_days,
                wait_days=self._wait_days,
                changed_s=now - self._changed_at,
                healthy_s=None if self._healthy_since is None else now - self._healthy_since,
                impossible_in=self._impossible_in,
                chosen=self._chosen,
            )
        )

    def restore(self, saved: bytes, now: float) -> None:
        """Begin where a former process left off; the time between counts for nothing. A plan configured anew begins anew, with the old
        bucket. Raises `ValueError` for what `snapshot` can't have written."""
        former = msgspec.msgpack.decode(saved, type=_Snapshot)
        if former.version != SNAPSHOT_VERSION:
            raise ValueError(f"a plan of version {former.version}, not {SNAPSHOT_VERSION}")
        self._level_days = former.level_days
        self._impossible_in = former.impossible_in
        if former.chosen is not None and former.chosen.configured is self._settings.plan:
            self._take_choice(former.chosen)
        if self._auto and former.step in STEPS:
            self._step = former.step
            self._reason = former.reason
            self._wait_days = former.wait_days
            self._changed_at = now - former.changed_s
            self._changed_level_days = former.changed_level_days
            self._healthy_since = None if former.healthy_s is None else now - former.healthy_s

    # --- deciding

    def _take_choice(self, choice: _Choice) -> None:
        self._chosen = choice
        self._plan = choice.plan
        self._reason = choice.reason
        if not self._auto:
            self._step = choice.plan
        elif self._step not in STEPS:
            self._step = STEPS[0]

    def _fill(self, now: float) -> None:
        self._level_days = min(SAVED_DAYS_MAX, self._level_days + max(0.0, now - self._filled_at) / DAY_S)
        self._filled_at = now

    def _adapt(self, now: float, month: MonthView, notes: list[Note]) -> None:
        index = STEPS.index(self._step)
        in_reserve = month.total_bytes >= (1 - RESERVE) * self._settings.budget_bytes
        if in_reserve or self._level_days < HEALTHY_DAYS:
            self._healthy_since = None
        elif self._healthy_since is None:
            self._healthy_since = now
        healthy_s = 0.0 if self._healthy_since is None else now - self._healthy_since
        # Low but rising is low because of what was before: the present step will do.
        low = in_reserve or (self._level_days < LOW_DAYS and self._level_days <= self._changed_level_days)
        wait_s = OVERDRAWN_WAIT_S if in_reserve or self._level_days <= 0 else COARSER_WAIT_S
        if low and index + 1 < len(STEPS) and now - self._changed_at >= wait_s:
            if in_reserve:
                reason = f"{month.percent:.0f} % of the month's budget are used"
            else:
                reason = self._bucket_words()
                self._wait_days[index] = min(2 * self._wait_days[index], FINER_WAIT_DAYS_MAX)
            self._change(STEPS[index + 1], reason, now, notes)
        elif index > 0 and healthy_s >= self._wait_days[index - 1] * FINER_WAIT_S:
            wait_days = self._wait_days[index - 1]
            days = "a day" if wait_days == 1 else f"{wait_days} days"
            self._change(STEPS[index - 1], f"the bucket has had a day's share or more for {days}", now, notes)
        elif healthy_s >= FINER_WAIT_DAYS_MAX * DAY_S:
            self._wait_days[index] = 1

    def _bucket_words(self) -> str:
        share = f"{abs(self._level_days):.2f} of a day's share"
        return f"the bucket has {share} left" if self._level_days > 0 else f"the bucket owes {share}"

    def _change(self, step: PlanName, reason: str, now: float, notes: list[Note]) -> None:
        fields = {"before": self._step.value, "after": step.value, "reason": reason, "bucket_days": round(self._level_days, 2)}
        notes.append(Note(Level.INFO, "the plan changes its step", fields))
        self._step = step
        self._reason = reason
        self._changed_at = now
        self._changed_level_days = self._level_days
        self._healthy_since = None
        self._pace_from = None

    def _foresee(self, now: float, month: MonthView, notes: list[Note]) -> None:
        """Whether the budget can be kept at all: with what the others are going to use, and the least that we do."""
        ours_bytes = month.ours_bytes + int(self._least_day_bytes(now, month) * month.days_left)
        if not self._coarser_can_be and self._level_days <= -DEBT_DAYS_MAX:
            # No need to wait for a whole day: the coarsest step has spent more than a day's share on top of its share.
            ours_bytes = max(ours_bytes, month.ours_projection_bytes or 0)
        others_bytes = month.others_projection_bytes or month.others_bytes
        expected_bytes = ours_bytes + others_bytes + month.rounding_bytes
        budget_bytes = self._settings.budget_bytes
        first = month.month.first
        if self._impossible_in == first and expected_bytes < POSSIBLE_AGAIN * budget_bytes:
            self._impossible_in = None
        elif self._impossible_in != first and expected_bytes > budget_bytes:
            self._impossible_in = first
            words = (
                "the SIM's budget can't be kept: the link needs more, however long messages wait"
                if ours_bytes > budget_bytes
                else "the SIM's budget can't be kept: others use too much of it"
            )
            figures = {"others_mb": others_bytes, "ours_mb": ours_bytes, "expected_mb": expected_bytes, "budget_mb": budget_bytes}
            notes.append(Note(Level.WARNING, words, {name: round(count / 1e6, 3) for name, count in figures.items()}))

    @property
    def _coarser_can_be(self) -> bool:
        return self._auto and self._step is not STEPS[-1]

    def _least_day_bytes(self, now: float, month: MonthView) -> float:
        """What ours comes to a day at the least: the present pace where there is no coarser step to go to, once it is known; else what an idle
        link costs."""
        first = month.month.first
        if self._pace_from is None or self._pace_from[0] != first:
            self._pace_from = (first, month.ours_bytes, now)
        _, ours_bytes, since = self._pace_from
        if self._coarser_can_be or now - since < RATE_WAIT_S:
            return idle_day_bytes(self.keepalive_s)
        return (month.ours_bytes - ours_bytes) / (now - since) * DAY_S

    def _is_steered(self, identity: str, now: float) -> bool:
        steered_at = self._steered.get(identity)
        return steered_at is not None and now - steered_at < STEERED_S and self._transactions.get(identity, 1) > 0


def idle_day_bytes(keepalive_s: float) -> float:
    """What a link costs a day that nobody says anything on."""
    return DAY_S / keepalive_s * PROBE_BYTES + RECONNECTS_DAY_BYTES


Value = TypeVar("Value")


def _remember(values: OrderedDict[str, Value], identity: str, value: Value) -> None:
    values[identity] = value
    values.move_to_end(identity)
    while len(values) > STATIONS_MAX:
        values.popitem(last=False)
