"""The account of a SIM: interface, month, alarms, rounding, and what a restart keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ocppress_gateway.core.events import Level
from ocppress_gateway.core.ledger import ALARM_PERCENTS, DAYS_KEPT, Ledger, LedgerSettings
from ocppress_gateway.core.ledger_events import ComparisonCounted, InterfaceCounted, LinkCounted, LinkDialled, LinkEnded
from ocppress_gateway.core.ledger_month import RESERVE, BillingMonth
from tests.support.ledgers import MARCH, Books, settings
from tests.support.wire_counts import wire_count

DAY_S = 86_400.0


def _books(**options: int) -> Books:
    return Books.settled(Ledger(settings(**options)))


# --- months


@pytest.mark.parametrize(
    ("day", "first_day", "first", "end"),
    [
        ((2026, 3, 15), 1, (2026, 3, 1), (2026, 4, 1)),
        ((2026, 3, 1), 1, (2026, 3, 1), (2026, 4, 1)),
        ((2026, 3, 14), 15, (2026, 2, 15), (2026, 3, 15)),
        ((2026, 1, 5), 15, (2025, 12, 15), (2026, 1, 15)),
        ((2025, 12, 31), 15, (2025, 12, 15), (2026, 1, 15)),
        ((2026, 2, 27), 31, (2026, 1, 31), (2026, 2, 28)),
        ((2026, 2, 28), 31, (2026, 2, 28), (2026, 3, 31)),
        ((2028, 2, 29), 30, (2028, 2, 29), (2028, 3, 30)),
    ],
)
def test_billing_months(day: tuple[int, int, int], first_day: int, first: tuple[int, int, int], end: tuple[int, int, int]) -> None:
    assert BillingMonth.of(date(*day), first_day) == BillingMonth(date(*first), date(*end))


def test_every_day_is_in_one_month() -> None:
    for first_day in (1, 2, 28, 29, 30, 31):
        day, month = date(2027, 1, 1), BillingMonth.of(date(2027, 1, 1), first_day)
        while day < date(2029, 1, 1):
            if day == month.end:
                month = BillingMonth.of(day, first_day)
                assert month.first == day
            assert BillingMonth.of(day, first_day) == month
            day += timedelta(days=1)


# --- what there would have been


def test_what_there_would_have_been_is_kept_by_day_and_never_billed() -> None:
    books = _books()
    books.tell(ComparisonCounted(9_000, 3_000), ComparisonCounted(1_000, 500))
    month = books.month()
    assert (month.account.plain, month.account.deflate) == (10_000, 3_500)
    assert (month.total_bytes, books.ledger.take_spent()) == (0, 0)


# --- the SIM's interface


def test_the_first_reading_is_a_beginning() -> None:
    books = _books()
    books.others(5_000_000)
    assert books.month().total_bytes == 0
    assert not books.month().interface_known
    books.others(1000)
    assert books.month().total_bytes == books.month().others_bytes == 1000
    assert books.month().interface_known


def test_counters_of_another_life_began_at_zero() -> None:
    books = _books()
    books.tell(InterfaceCounted("boot 1", 1000, 50), InterfaceCounted("boot 1", 1100, 60), InterfaceCounted("boot 2", 5000, 7))
    assert books.month().account.sim == [10 + 7, 100 + 5000]


def test_counters_of_32_bits_wrap() -> None:
    books = _books()
    books.tell(InterfaceCounted("boot", 2**32 - 100, 0))
    books.pass_time(60)
    books.tell(InterfaceCounted("boot", 900, 0))
    assert books.month().account.sim == [0, 1000]


def test_counters_that_fell_too_far_for_a_wrap_began_again() -> None:
    books = _books()
    books.tell(InterfaceCounted("boot", 1_000_000, 0))
    books.pass_time(60)
    books.tell(InterfaceCounted("boot", 900, 0))
    assert books.month().account.sim == [0, 900]


def test_others_are_what_is_not_ours() -> None:
    books = _books()
    books.others(0)
    books.tell(LinkCounted(1, wire_count(sent_segments=10, sent_bytes=600)))
    books.others(2000)
    month = books.month()
    assert (month.counted_bytes, month.estimated_bytes) == (1000, 32)
    assert (month.others_bytes, month.total_bytes) == (968, 2000)


def test_ours_count_where_the_interface_was_named_late() -> None:
    books = _books()
    books.tell(LinkCounted(1, wire_count(sent_segments=10, sent_bytes=600)))
    books.pass_time(DAY_S)
    books.others(0)
    books.others(500)
    assert books.month().total_bytes == 1032 + 500


# --- spending


def test_spending_is_told_once() -> None:
    books = _books()
    books.tell(LinkCounted(1, wire_count(sent_segments=10, sent_bytes=600)))
    assert books.ledger.take_spent() == 1032
    assert books.ledger.take_spent() == 0
    books.others(0)
    books.others(5000)
    assert books.ledger.take_spent() == 5000 - 1032


# --- rounding


def test_started_units_are_billed_whole_by_session() -> None:
    books = _books(rounding_bytes=1024)
    for link in (1, 2):
        books.tell(LinkCounted(link, wire_count(sent_segments=10, sent_bytes=600)), LinkEnded(link))
    session_bytes = 1000 + 32 + 160
    assert books.month().total_bytes == 2 * 2048
    assert books.month().rounding_bytes == 2 * (2048 - session_bytes)


def test_a_whole_unit_is_not_rounded() -> None:
    books = _books(rounding_bytes=1000)
    books.others(0)
    books.tell(LinkDialled(1, looks_up=False))
    books.others(3000)
    books.tell(LinkEnded(1))
    assert books.month().total_bytes == 3000
    assert books.month().rounding_bytes == 0


# --- month and projection


def test_no_pace_without_a_past() -> None:
    books = _books()
    books.others(0)
    books.others(1000)
    assert books.month().projection_bytes is None
    books.pass_time(0.3 * DAY_S)
    books.tick()
    assert books.month().projection_bytes is not None


def test_projection_goes_on_at_the_pace_of_the_last_days() -> None:
    books = _books()
    books.others(0)
    for _ in range(10):
        books.pass_time(DAY_S)
        books.others(10_000)
    month = books.month()
    assert month.days_left == 21
    assert month.total_bytes == 100_000
    # Seven whole days back and none of today: what is booked at midnight is booked today, the eighth.
    assert month.projection_bytes == 100_000 + 21 * 80_000 // 7
    assert month.others_projection_bytes == month.projection_bytes
    assert month.ours_projection_bytes == 0


def test_a_pace_begins_where_the_ledger_does() -> None:
    books = Books.settled(Ledger(settings()), wall=MARCH + timedelta(days=9, hours=12))
    books.others(0)
    books.pass_time(DAY_S / 2)
    books.others(5_000)
    assert books.month().projection_bytes == 5_000 + 21 * 10_000


def test_a_month_begins_with_nothing_but_a_pace() -> None:
    books = _books()
    books.others(0)
    books.pass_time(30.5 * DAY_S)
    books.others(40_000)
    books.pass_time(DAY_S)
    books.tick()
    month = books.month()
    assert month.month == BillingMonth(date(2026, 4, 1), date(2026, 5, 1))
    assert month.total_bytes == 0
    assert month.projection_bytes == int(40_000 / 7.5 * 29.5)


def test_reserve_and_percent() -> None:
    books = _books(budget_bytes=1_000_000)
    books.others(0)
    books.others(500_000)
    assert books.month().percent == 50
    assert books.month().reserve_bytes == books.month().reserve_left_bytes == int(RESERVE * 1_000_000)
    books.others(400_000)
    assert books.month().reserve_left_bytes == 100_000
    books.others(400_000)
    assert books.month().reserve_left_bytes == 0


def test_months_are_those_of_the_zone() -> None:
    ledger = Ledger(LedgerSettings(1_000_000, ZoneInfo("America/New_York")))
    books = Books.settled(ledger, wall=datetime(2026, 4, 1, 3, 30, tzinfo=UTC))
    books.others(0)
    books.others(100)
    assert books.month().month.first == date(2026, 3, 1)
    books.pass_time(3600)
    books.tick()
    assert books.month().month.first == date(2026, 4, 1)
    assert books.month().total_bytes == 0


# --- alarms


def test_alarms_come_once_a_month() -> None:
    books = _books(budget_bytes=1000)
    books.others(0)
    said: list[tuple[Level, float]] = []
    for _ in range(120):
        books.others(10)
        said += [(note.level, note.fields["percent"]) for note in books.tick()]
    assert said == [(Level.WARNING, 50.0), (Level.WARNING, 80.0), (Level.ERROR, 100.0)]
    books.pass_time(31 * DAY_S)
    assert books.tick() == []
    books.others(10_000)
    assert [note.fields["percent"] for note in books.tick()] == [1000.0]
    assert ALARM_PERCENTS == (50, 80, 100)


def test_alarms_are_not_repeated_by_clock_or_restart() -> None:
    books = _books(budget_bytes=1000)
    books.others(0)
    books.others(900)
    assert len(books.tick()) == 1
    for days in (40, -40, -30, 30):
        books.step_clock(days * DAY_S)
        assert books.tick() == []
    books.save()
    later = books.restart(settings(budget_bytes=1000))
    assert later.tick() == []


# --- clocks


def test_bytes_without_a_date_are_in_the_month_that_is() -> None:
    books = Books(Ledger(settings()), wall=datetime(1970, 1, 1, tzinfo=UTC))
    books.others(0)
    books.others(600_000)
    month = books.month()
    assert (month.total_bytes, month.undated.sim, month.account.sim) == (600_000, [0, 600_000], [0, 0])
    assert [note.fields["percent"] for note in books.tick()] == [60.0]
    books.wall = MARCH
    for _ in range(3):
        books.pass_time(3600)
        books.tick()
    assert books.month().account.sim == [0, 600_000]
    assert books.month().undated.sim == [0, 0]
    assert books.month().total_bytes == 600_000


def test_dated_months_never_shrink() -> None:
    books = _books()
    books.others(0)
    highest: dict[date, int] = {}
    for step_s in (0, 36_000, -36_000, -36_000, 40 * DAY_S, -40 * DAY_S, 3 * DAY_S, 0):
        books.step_clock(step_s)
        for _ in range(30):
            books.pass_time(600)
            books.others(100)
            month = books.month()
            dated = month.account.sim_bytes
            assert dated >= highest.get(month.month.first, 0)
            highest[month.month.first] = dated
    held = books.month().undated.sim_bytes
    assert sum(account.sim_bytes for account in books.ledger._days.values()) + held == 8 * 30 * 100


# --- keeping


def test_a_restart_goes_on_with_what_was_saved() -> None:
    books = _books()
    books.others(0)
    books.others(1000)
    books.tell(LinkCounted(1, wire_count(sent_segments=10, sent_bytes=600)))
    books.save()
    later = books.restart(settings(), now=5.0)
    later.tick()
    assert later.month() == books.month()
    later.others(500)
    assert later.month().account.sim == [0, 1500], "what passed in between is the interface's to tell"
    assert later.ledger.take_spent() == 500


def test_after_a_crash_the_interface_tells_what_was_lost() -> None:
    books = _books()
    books.others(0)
    books.save()
    books.others(300)
    books.tell(LinkCounted(1, wire_count(sent_bytes=100, sent_segments=1)))
    later = books.restart(settings())
    later.others(200)
    assert later.month().total_bytes == 500


def test_only_what_changed_is_saved() -> None:
    books = _books()
    books.others(0)
    books.others(10)
    assert sorted(books.ledger.changes()) == ["day/2026-03-01", "ledger"]
    assert sorted(books.ledger.changes()) == ["ledger"]
    books.pass_time(DAY_S)
    books.others(10)
    assert sorted(books.ledger.changes()) == ["day/2026-03-02", "ledger"]


def test_days_are_kept_for_thirteen_months_and_no_longer() -> None:
    books = _books()
    books.others(0)
    for _ in range(DAYS_KEPT + 5):
        books.pass_time(DAY_S)
        books.others(10)
        books.save()
    days = sorted(key for key in books.saved if key.startswith("day/"))
    assert len(days) == DAYS_KEPT
    assert days[-1] == f"day/{books.wall.date().isoformat()}"
    first, last = (date.fromisoformat(key.removeprefix("day/")) for key in (days[0], days[-1]))
    assert (last - first).days >= 397
    assert books.restart(settings()).ledger.day(last).sim_bytes == 10


def test_a_day_in_the_far_future_costs_one_day_of_the_past() -> None:
    books = _books()
    books.others(0)
    for _ in range(DAYS_KEPT):
        books.pass_time(DAY_S)
        books.others(10)
    books.step_clock(20 * 365 * DAY_S)
    for _ in range(3):
        books.pass_time(3600)
        books.others(10)
    books.step_clock(-20 * 365 * DAY_S)
    for _ in range(3):
        books.pass_time(3600)
        books.others(10)
    assert books.ledger.day(MARCH.date() + timedelta(days=5)).sim_bytes == 10
    books.save()
    assert len([key for key in books.saved if key.startswith("day/")]) == DAYS_KEPT


def test_a_day_before_all_that_are_kept_is_kept_all_the_same() -> None:
    books = _books()
    books.others(0)
    for _ in range(DAYS_KEPT):
        books.pass_time(DAY_S)
        books.others(10)
    books.step_clock(-(DAYS_KEPT + 30) * DAY_S)
    for _ in range(3):
        books.pass_time(3600)
        books.others(10)
    assert books.ledger.day(books.wall.date()).sim_bytes == 30


@pytest.mark.parametrize(
    "spoil",
    [
        {"ledger": b""},
        {"ledger": b"\x93\x09\xc0\xc0"},
        {"day/2026-03-01": b"\x91\x90"},
        {"day/2026-03-99": None},
        {"ledger": None},
    ],
    ids=["empty", "version", "day", "date", "no state"],
)
def test_refuses_what_it_has_not_saved(spoil: dict[str, bytes | None]) -> None:
    books = _books()
    books.others(0)
    books.others(10)
    books.save()
    ((key, data),) = spoil.items()
    if key == "ledger" and data is None:
        del books.saved[key]
    else:
        books.saved[key] = books.saved["day/2026-03-01"] if data is None else data
    with pytest.raises(ValueError, match=r".+"):
        Ledger(settings()).restore(books.saved)


def test_nothing_saved_is_a_beginning() -> None:
    Ledger(settings()).restore({})
