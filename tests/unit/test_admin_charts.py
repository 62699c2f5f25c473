"""What charts are drawn of, and that their figures are in them."""

from __future__ import annotations

from datetime import date

from ocppress_gateway.admin.charts import Compared, actions_of, compared, comparison_chart, days_chart, layers_of
from ocppress_gateway.admin.model import DayUsage, Usage


def _usage(*days: DayUsage) -> Usage:
    return Usage(identity="CP001", days=list(days))


def _day(number: int, ours: int, **known: object) -> DayUsage:
    return DayUsage(day=date(2026, 3, number), ours_bytes=ours, **known)  # type: ignore[arg-type]


def test_only_days_of_which_it_is_known_are_compared() -> None:
    usage = _usage(
        _day(1, 50_000),
        _day(2, 10_000, plain_bytes=200_000, deflate_bytes=80_000),
        _day(3, 20_000, plain_bytes=300_000, deflate_bytes=130_000),
        _day(4, 70_000, plain_bytes=None, deflate_bytes=9),
    )
    found = compared(usage)
    assert found == Compared(2, 30_000, 210_000, 500_000)
    assert found.times == 7.0
    assert compared(_usage(_day(1, 50_000))) is None
    svg = comparison_chart(usage).decode()
    assert all(words in svg for words in ("30.0 kB", "210 kB", "500 kB", "permessage-deflate"))


def test_days_with_and_without_layers_stand_side_by_side() -> None:
    usage = _usage(
        _day(1, 50_000), _day(2, 10_000, layers={"payload": 6_000, "tls": 3_000}), _day(3, 900, layers={"payload": 900}, others_bytes=7)
    )
    assert layers_of(usage) == [("payload", 6_900), ("tls", 3_000), ("not by layer", 51_000), ("others", 7)]
    svg = days_chart(usage).decode()
    assert all(words in svg for words in ("payload", "tls", "not by layer", "6.00 kB", "50.0 kB", "1.00 kB"))
    assert "estimated" in days_chart(_usage(_day(2, 10_000, layers={"payload": 6_000, "tls": 3_000}))).decode()
    assert "ours" in days_chart(_usage(_day(1, 50_000))).decode()


def test_actions_of_all_days_the_largest_first() -> None:
    usage = _usage(_day(1, 1, actions={"Heartbeat": 5, "MeterValues": 3}), _day(2, 1, actions={"MeterValues": 4}), _day(3, 1))
    assert actions_of(usage) == [("MeterValues", 7), ("Heartbeat", 5)]
