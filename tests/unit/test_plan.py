"""The plan: delays, the bucket, coarser and finer, what is said and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import pairwise

import pytest

from ocppress_gateway.core.events import Note
from ocppress_gateway.core.ledger import Ledger
from ocppress_gateway.core.ledger_events import InterfaceCounted, LinkCounted
from ocppress_gateway.core.ledger_month import RESERVE
from ocppress_gateway.core.plan import (
    CHOICE_CHARACTERS_MAX,
    COARSER_WAIT_S,
    DEBT_DAYS_MAX,
    FINER_WAIT_DAYS_MAX,
    FIRST_DAYS,
    OVERDRAWN_WAIT_S,
    PROBE_BYTES,
    RECONNECTS_DAY_BYTES,
    SAVED_DAYS_MAX,
    SHARE_DAYS,
    STATIONS_MAX,
    STEERED_S,
    STEPS,
    Plan,
    PlanName,
    PlanSettings,
)
from ocppress_gateway.cost.wire import RESUMED_HANDSHAKE, Conditions, handshake_bytes
from tests.support.ledgers import Books, settings
from tests.support.wire_counts import wire_count

DAY_S = 86_400.0
HOUR_S = 3600.0
BUDGET_BYTES = 31_000_000
SHARE_BYTES = 800_000
"""A day's, of that budget."""


def _plan(name: PlanName = PlanName.AUTO, *, budget_bytes: int = BUDGET_BYTES, keepalive_s: float = 1500.0, now: float = 0.0) -> Plan:
    return Plan(PlanSettings(name, budget_bytes), keepalive_s=keepalive_s, now=now)


class _Site:
    """A plan and a ledger that get so many bytes a day, by the plan's step, looked at every hour."""

    def __init__(self, day_bytes: Callable[[PlanName], float], *, plan: Plan | None = None, others_day_bytes: float = 0.0) -> None:
        self.day_bytes = day_bytes
        self.others_day_bytes = others_day_bytes
        self.books = Books.settled(Ledger(settings(budget_bytes=BUDGET_BYTES)))
        self.plan = _plan(now=self.books.now) if plan is None else plan
        self.notes: list[tuple[float, Note]] = []
        self.steps: list[tuple[float, PlanName]] = [(0.0, self.plan.view(0.0).step)]
        self._ours = self._others = 0.0
        self.began_at = self.books.now
        self._read()

    def _read(self) -> None:
        self.books.tell(LinkCounted(1, wire_count(sent_bytes=int(self._ours))))
        self.books.tell(InterfaceCounted("boot", int(self._others), int(self._ours)))

    @property
    def days(self) -> float:
        return (self.books.now - self.began_at) / DAY_S

    def run(self, days: float) -> None:
        for _ in range(round(days * 24)):
            self.books.pass_time(DAY_S / 24)
            self._ours += self.day_bytes(self.plan.view(self.books.now).step) / 24
            self._others += self.others_day_bytes / 24
            self._read()
            self.plan.spent(self.books.ledger.take_spent(), self.books.now)
            self.books.tick()
            self.notes += [(self.days, note) for note in self.plan.tick(self.books.now, self.books.month())]
            step = self.plan.view(self.books.now).step
            if step is not self.steps[-1][1]:
                self.steps.append((self.days, step))

    @property
    def step_names(self) -> list[PlanName]:
        return [step for _, step in self.steps]

    def words(self) -> list[str]:
        return [note.words for _, note in self.notes]


def _costs(live: float, two: float, five: float, saver: float) -> Callable[[PlanName], float]:
    """Bytes a day by step, in shares."""
    shares = {PlanName.LIVE: live, PlanName.TWO_MINUTES: two, PlanName.FIVE_MINUTES: five, PlanName.SAVER: saver}
    return lambda step: shares[step] * SHARE_BYTES


# --- delays


@pytest.mark.parametrize(("name", "delay_s"), [("live", 60), ("2min", 120), ("5min", 300), ("saver", 900), ("auto", 60)])
def test_delays(name: str, delay_s: float) -> None:
    assert _plan(PlanName(name)).delay_s("CP1", 0.0) == delay_s


def test_transparent_answers_nothing_early() -> None:
    plan = _plan(PlanName.TRANSPARENT)
    plan.smart_charging("CP1", 0.0)
    assert plan.delay_s("CP1", 1.0) is None
    assert plan.view(1.0).delay_s is None


def test_no_delay_is_longer_than_the_keepalive_interval() -> None:
    plan = _plan(PlanName.SAVER, keepalive_s=240.0)
    assert plan.delay_s("CP1", 0.0) == plan.view(0.0).delay_s == 240
    plan.keepalive_s = 1500.0
    assert plan.delay_s("CP1", 0.0) == 900


def test_a_steered_station_is_live_for_an_hour() -> None:
    plan = _plan(PlanName.SAVER)
    plan.smart_charging("CP1", 100.0)
    assert plan.delay_s("CP1", 100.0 + STEERED_S - 1) == 60
    assert plan.delay_s("CP2", 101.0) == 900
    assert plan.view(101.0).steered == ("CP1",)
    assert plan.delay_s("CP1", 100.0 + STEERED_S) == 900
    assert plan.view(100.0 + STEERED_S).steered == ()


def test_a_steered_station_is_live_while_it_charges() -> None:
    plan = _plan(PlanName.SAVER)
    plan.smart_charging("CP1", 0.0)
    plan.charging("CP1", transactions=0)
    assert plan.delay_s("CP1", 1.0) == 900
    plan.charging("CP1", transactions=2)
    assert plan.delay_s("CP1", 1.0) == 60


def test_stations_are_remembered_within_bounds() -> None:
    plan = _plan(PlanName.SAVER)
    for number in range(STATIONS_MAX + 5):
        plan.smart_charging(f"CP{number}", 0.0)
        plan.charging(f"CP{number}", transactions=1)
    assert len(plan.view(1.0).steered) == STATIONS_MAX
    assert len(plan._transactions) == STATIONS_MAX


# --- the bucket


def test_a_new_bucket_and_three_days_are_less_than_a_tenth_of_the_month() -> None:
    assert (FIRST_DAYS + 3) * (1 - RESERVE) / SHARE_DAYS < 0.1


def test_the_bucket_fills_with_time_up_to_its_size() -> None:
    site = _Site(_costs(0, 0, 0, 0))
    site.run(1)
    assert site.plan.view(site.books.now).bucket_days == pytest.approx(FIRST_DAYS + 1, abs=1e-4), "less a handshake's estimate"
    site.run(9)
    assert site.plan.view(site.books.now).bucket_days == SAVED_DAYS_MAX


def test_the_bucket_owes_no_more_than_a_day() -> None:
    plan = _plan()
    plan.spent(50 * SHARE_BYTES, 0.0)
    assert plan.view(0.0).bucket_days == -DEBT_DAYS_MAX


def test_a_clock_that_stands_or_goes_back_fills_nothing() -> None:
    plan = _plan(now=1000.0)
    for now in (1000.0, 500.0):
        plan.spent(0, now)
        assert plan.view(now).bucket_days == FIRST_DAYS


# --- auto


def test_auto_stays_live_where_the_budget_allows_it() -> None:
    site = _Site(_costs(0.9, 0.9, 0.9, 0.9))
    site.run(60)
    assert site.step_names == [PlanName.LIVE]
    assert site.notes == []


def test_auto_goes_coarser_step_by_step_when_the_bucket_runs_low() -> None:
    site = _Site(_costs(12, 8, 6, 0.5))
    site.run(1)
    assert site.step_names == list(STEPS)
    times = [days for days, _ in site.steps]
    assert all(later - earlier >= OVERDRAWN_WAIT_S / DAY_S - 1e-9 for earlier, later in pairwise(times))
    assert site.words() == ["the plan changes its step"] * 3
    assert site.notes[0][1].fields["reason"] == "the bucket owes 0.42 of a day's share"
    assert site.notes[0][1].fields["before"] == "live"


def test_auto_takes_its_time_while_something_is_left() -> None:
    site = _Site(_costs(1.8, 1.7, 1.6, 0.5))
    site.run(3)
    assert site.step_names == list(STEPS)
    times = [days for days, _ in site.steps[1:3]]
    assert all(later - earlier >= COARSER_WAIT_S / DAY_S - 1e-9 for earlier, later in pairwise(times))
    assert "has 0.2" in site.notes[0][1].fields["reason"]


def test_auto_goes_finer_after_a_healthy_day() -> None:
    costs = {"day": _costs(12, 12, 12, 0.1)}
    site = _Site(lambda step: costs["day"](step))
    site.run(1)
    assert site.step_names[-1:] == [PlanName.SAVER]
    costs["day"] = _costs(0.1, 0.1, 0.1, 0.1)
    site.run(10)
    finer = site.steps[-3:]
    assert [step for _, step in finer] == [PlanName.FIVE_MINUTES, PlanName.TWO_MINUTES, PlanName.LIVE]
    days = [days for days, _ in finer]
    assert all(later - earlier >= 1 for earlier, later in pairwise(days))


def test_a_bucket_that_was_low_for_an_hour_was_not_healthy_for_a_day() -> None:
    costs = {"day": _costs(12, 12, 12, 0.0)}
    site = _Site(lambda step: costs["day"](step))
    while site.plan.view(site.books.now).bucket_days < 1.2 or site.step_names[-1] is not PlanName.SAVER:
        site.run(1 / 24)
    site.run(0.5)
    costs["day"] = _costs(12, 12, 12, 24.0)
    site.run(1 / 24)
    assert site.plan.view(site.books.now).bucket_days < 1
    costs["day"] = _costs(0, 0, 0, 0)
    low_days = site.days
    site.run(4)
    (finer_days, *_) = [days for days, step in site.steps if days > low_days]
    assert finer_days >= low_days + 2, "two days, for that step has been given up once"


def test_a_bucket_that_recovers_asks_for_no_coarser_step() -> None:
    site = _Site(_costs(30, 0.5, 0.5, 0.5))
    site.run(0.9)
    assert site.plan.view(site.books.now).bucket_days < 0.25
    assert site.step_names == [PlanName.LIVE, PlanName.TWO_MINUTES]


def test_a_step_that_lasts_is_forgiven_what_it_once_cost() -> None:
    costs = {"day": _costs(4, 0.1, 0.1, 0.1)}
    site = _Site(lambda step: costs["day"](step))
    site.run(45)
    costs["day"] = _costs(0.1, 0.1, 0.1, 0.1)
    site.run(25)
    assert site.step_names[-1:] == [PlanName.LIVE]
    costs["day"] = _costs(4, 0.1, 0.1, 0.1)
    site.run(8)
    left, again, *_ = [days for days, _ in site.steps if days > 70]
    assert again - left < FINER_WAIT_DAYS_MAX / 2


@pytest.mark.parametrize("saver", [0.2, 0.9])
@pytest.mark.parametrize("five", [1.1, 1.5, 4.0])
def test_auto_does_not_flap(saver: float, five: float) -> None:
    """A step that the budget isn't enough for is tried ever less often; one that it is enough for now and then is kept for days."""
    site = _Site(_costs(20, 10, five, saver))
    site.run(90)
    settled = [days for days, _ in site.steps if days > 30]
    assert len(settled) <= 60 / 3
    assert PlanName.LIVE not in site.step_names[1:]
    tries_of_two = [days for days, step in site.steps if days > 30 and step is PlanName.TWO_MINUTES]
    assert all(later - earlier >= FINER_WAIT_DAYS_MAX for earlier, later in pairwise(tries_of_two))


@pytest.mark.parametrize("costs", [(20, 10, 4, 0.5), (3, 2, 1.5, 0.9), (1.2, 1.1, 0.8, 0.3), (8, 5, 3, 0.1)])
def test_auto_keeps_the_month_in_its_budget(costs: tuple[float, float, float, float]) -> None:
    site = _Site(_costs(*costs))
    for _ in range(3):
        before = site.books.month().month
        while site.books.month().month == before:
            total_bytes = site.books.month().total_bytes
            site.run(0.25)
        assert total_bytes < BUDGET_BYTES


def test_what_a_step_costs_is_learned_anew_when_it_changes() -> None:
    costs = {"day": _costs(4, 4, 4, 0.1)}
    site = _Site(lambda step: costs["day"](step))
    site.run(45)
    costs["day"] = _costs(0.2, 0.2, 0.2, 0.1)
    site.run(40)
    assert site.step_names[-1:] == [PlanName.LIVE]
    costs["day"] = _costs(4, 0.1, 0.1, 0.1)
    site.run(2)
    assert site.step_names[-1:] == [PlanName.TWO_MINUTES]
    site.run(4)
    assert PlanName.LIVE in [step for days, step in site.steps if days > 87], "a kept step has made the wait short again"


def test_the_reserve_is_left_alone_until_the_month_ends() -> None:
    costs = {"day": _costs(0.9, 0.9, 0.9, 0.1)}
    site = _Site(lambda step: costs["day"](step), others_day_bytes=0)
    site.run(5)
    site._others += (1 - RESERVE) * BUDGET_BYTES
    site.run(1)
    assert site.step_names == list(STEPS)
    assert "% of the month's budget" in site.plan.view(0.0).reason
    site.run(24.5)
    assert site.step_names[-1:] == [PlanName.SAVER]
    assert site.books.month().month.first == date(2026, 3, 1)
    site.run(6)
    assert site.step_names[-1:] == [PlanName.LIVE]


def test_clock_steps_change_no_plan() -> None:
    straight, jumping = _Site(_costs(2, 0.9, 0.9, 0.9)), _Site(_costs(2, 0.9, 0.9, 0.9))
    straight.run(10)
    for hours in (10, -10, 240, -240, 0):
        jumping.books.step_clock(hours * HOUR_S)
        jumping.run(2)
    assert jumping.steps == straight.steps


def test_fixed_plans_never_change() -> None:
    for name in STEPS:
        plan = _plan(name)
        site = _Site(_costs(9, 9, 9, 9), plan=plan)
        site.run(20)
        assert site.step_names == [name]


# --- what can't be kept


def test_others_that_use_the_budget_up_are_told_of_early() -> None:
    site = _Site(_costs(0.05, 0.05, 0.05, 0.05), others_day_bytes=BUDGET_BYTES / 20)
    site.run(0.5)
    ((days, note),) = [(days, note) for days, note in site.notes if "can't be kept" in note.words]
    assert days <= 0.3
    assert note.words == "the SIM's budget can't be kept: others use too much of it"
    assert note.fields["others_mb"] == pytest.approx(1.5 * BUDGET_BYTES / 1e6, rel=0.05)
    assert note.fields["budget_mb"] == BUDGET_BYTES / 1e6
    site.run(20)
    assert [words for words in site.words() if "can't be kept" in words] == [note.words], "said once"


def test_stations_that_use_the_budget_up_are_told_of_after_a_day_of_the_coarsest_step() -> None:
    site = _Site(_costs(3, 3, 3, 1.5))
    site.run(5)
    (days,) = [days for days, note in site.notes if "can't be kept" in note.words]
    assert days < 2
    assert site.notes[-1][1].words == "the SIM's budget can't be kept: the link needs more, however long messages wait"


def test_stations_that_use_the_budget_up_within_days_are_told_of_within_hours() -> None:
    site = _Site(_costs(20, 20, 20, 20))
    site.run(0.4)
    assert site.step_names == list(STEPS)
    (days,) = [days for days, note in site.notes if "can't be kept" in note.words]
    assert days < 0.3


def test_an_idle_link_that_uses_the_budget_up_is_told_of_at_once() -> None:
    site = _Site(_costs(0, 0, 0, 0), plan=_plan(budget_bytes=1_000_000, keepalive_s=240.0))
    site.run(1 / 24)
    assert [note.fields["ours_mb"] for _, note in site.notes] == [pytest.approx(30.96 * (360 * 80 + 3 * 1365) / 1e6, abs=0.002)]


def test_what_the_finer_steps_have_cost_is_no_reason_to_give_up() -> None:
    site = _Site(_costs(6, 6, 6, 0.9))
    site.run(29)
    assert PlanName.SAVER in site.step_names
    assert not [words for words in site.words() if "can't be kept" in words]


def test_it_is_said_again_in_the_next_month() -> None:
    site = _Site(_costs(2, 2, 2, 2), plan=_plan(PlanName.LIVE))
    site.run(40)
    assert [int(days) for days, note in site.notes if "can't be kept" in note.words] == [1, 31], "after a day, and as April begins"


def test_a_fixed_plan_that_uses_the_budget_up_is_told_of() -> None:
    site = _Site(_costs(2, 2, 2, 2), plan=_plan(PlanName.LIVE))
    site.run(2)
    assert [words for words in site.words() if "can't be kept" in words]


def test_a_budget_that_will_do_is_not_complained_of() -> None:
    site = _Site(_costs(0.9, 0.9, 0.9, 0.9), others_day_bytes=0.05 * SHARE_BYTES)
    site.run(62)
    assert site.notes == []


def test_an_idle_link_costs_what_was_measured() -> None:
    conditions = Conditions()
    assert conditions.probe_bytes == PROBE_BYTES
    assert conditions.reconnects_a_day * handshake_bytes(RESUMED_HANDSHAKE, conditions) == RECONNECTS_DAY_BYTES


# --- keeping


def _again(plan: Plan, *, then: float, now: float, name: PlanName = PlanName.AUTO) -> Plan:
    later = _plan(name, now=now)
    later.restore(plan.snapshot(then), now)
    return later


def test_a_restart_goes_on() -> None:
    costs = _costs(4, 2, 1.2, 0.3)
    straight, restarting = _Site(costs), _Site(costs)
    for _ in range(40):
        straight.run(0.5)
        restarting.run(0.5)
        restarting.plan = _again(restarting.plan, then=restarting.books.now, now=restarting.books.now)
    assert restarting.steps == straight.steps


def test_a_restart_on_another_monotonic_clock_goes_on() -> None:
    plan = _plan(now=5000.0)
    plan.spent(SHARE_BYTES // 4, 5000.0)
    later = _again(plan, then=6000.0, now=3.0)
    assert later.view(3.0) == plan.view(6000.0)


def test_a_plan_configured_anew_begins_anew_with_the_old_bucket() -> None:
    site = _Site(_costs(12, 12, 12, 1))
    site.run(1)
    fixed = _again(site.plan, then=site.books.now, now=0.0, name=PlanName.TWO_MINUTES)
    assert fixed.view(0.0).step is PlanName.TWO_MINUTES
    assert fixed.view(0.0).bucket_days == site.plan.view(0.0).bucket_days
    auto = _again(fixed, then=10.0, now=0.0)
    assert auto.view(0.0).step is PlanName.TWO_MINUTES
    assert _again(_plan(PlanName.TRANSPARENT), then=0.0, now=0.0).view(0.0).step is PlanName.LIVE


def test_an_operator_chooses() -> None:
    site = _Site(_costs(4, 2, 1.2, 0.3))
    site.run(1)
    note = site.plan.choose(PlanName.SAVER, "ann: a month that costs too much", site.books.now)
    assert note.fields == {"before": "auto", "after": "saver", "reason": "ann: a month that costs too much"}
    site.run(5)
    view = site.plan.view(site.books.now)
    assert (view.plan, view.step, view.delay_s, view.reason) == (PlanName.SAVER, PlanName.SAVER, 900.0, "ann: a month that costs too much")
    site.plan.choose(PlanName.TRANSPARENT, "ann: a test", site.books.now)
    assert site.plan.delay_s("CP001", site.books.now) is None


def test_auto_goes_on_from_where_an_operator_left_it() -> None:
    plan = _plan(PlanName.TRANSPARENT)
    plan.choose(PlanName.AUTO, "why not", 0.0)
    assert plan.view(0.0).step is STEPS[0]
    plan.choose(PlanName.SAVER, "less", 0.0)
    plan.choose(PlanName.AUTO, "as before", 0.0)
    assert (plan.view(0.0).plan, plan.view(0.0).step) == (PlanName.AUTO, PlanName.SAVER)
    site = _Site(_costs(0.1, 0.1, 0.1, 0.1), plan=plan)
    site.run(8)
    assert site.plan.view(site.books.now).step is PlanName.LIVE, "it moves again"


def test_a_choice_lasts_over_restarts_until_the_configuration_is_another() -> None:
    plan = _plan()
    plan.choose(PlanName.SAVER, "less", 0.0)
    again = _again(_again(plan, then=1.0, now=5.0), then=6.0, now=7.0)
    assert (again.view(7.0).plan, again.view(7.0).step, again.view(7.0).reason) == (PlanName.SAVER, PlanName.SAVER, "less")
    assert _again(plan, then=1.0, now=5.0, name=PlanName.LIVE).view(5.0).plan is PlanName.LIVE
    again.choose(PlanName.AUTO, "more", 8.0)
    assert _again(again, then=9.0, now=9.0).view(9.0).plan is PlanName.AUTO


def test_a_choice_is_no_longer_than_what_is_kept() -> None:
    plan = _plan()
    plan.choose(PlanName.SAVER, "r" * 1000, 0.0)
    assert len(_again(plan, then=1.0, now=1.0).view(1.0).reason) == CHOICE_CHARACTERS_MAX


@pytest.mark.parametrize(
    "saved", [b"", b"\x90", b"\x99\x02\xa4live\xa0\x00\x01\x00\xc0\xc0\xc2", b"\x99\x01\xa4fast\xa0\x00\x01\x00\xc0\xc0\xc2"]
)
def test_refuses_what_it_has_not_saved(saved: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        _plan().restore(saved, 0.0)


def test_a_snapshot_is_small() -> None:
    assert len(_plan().snapshot(0.0)) < 100
