"""What the SIM would have carried without the gateway, against the baselines that the months are compared with."""

from __future__ import annotations

import pytest

from ocppress_gateway.cost.baseline import Baseline, BaselineCount
from ocppress_gateway.cost.comparison import DEFLATED_MAX, Comparison, Without
from ocppress_gateway.cost.wire import PLAIN_HANDSHAKE, RESUMED_HANDSHAKE, Conditions, handshake_bytes
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, TraceRecord

DAY: list[TraceRecord] = list(generate(WORKLOADS["home"], days=1, seed=1))
BEGIN = 5000.0
"""The clock is anybody's."""


def _at(record: TraceRecord) -> float:
    assert record.ts is not None
    assert DAY[0].ts is not None
    return BEGIN + record.ts - DAY[0].ts


def _say(comparison: Comparison, *sockets: int) -> float:
    """A day of each; when it was over."""
    for record in DAY:
        for socket in sockets:
            comparison.said(socket, record.direction, record.text, _at(record))
    return _at(DAY[-1]) + 1.0


def _day(baseline: Baseline) -> int:
    count = BaselineCount(baseline, Conditions())
    for record in DAY:
        count.add(record.direction, record.text, _at(record) - BEGIN)
    return int(count.total(_at(DAY[-1]) + 1.0 - BEGIN).total)


def test_a_station_alone_is_the_baselines() -> None:
    comparison = Comparison()
    comparison.began(1, BEGIN)
    end = _say(comparison, 1)
    assert comparison.take(end) == Without(_day(Baseline.PLAIN), _day(Baseline.DEFLATE))
    assert comparison.take(end) == Without(0, 0)


def test_what_is_taken_in_parts_adds_up() -> None:
    comparison = Comparison()
    comparison.began(1, BEGIN)
    taken = [Without(0, 0)]
    for record in DAY:
        comparison.said(1, record.direction, record.text, _at(record))
        taken.append(comparison.take(_at(record)))
    taken.append(comparison.take(_at(DAY[-1]) + 1.0))
    assert sum(one.plain_bytes for one in taken) == _day(Baseline.PLAIN)
    assert sum(one.deflate_bytes for one in taken) == _day(Baseline.DEFLATE)


def test_silence_costs_pings() -> None:
    comparison = Comparison()
    comparison.began(1, BEGIN)
    comparison.take(BEGIN)
    assert comparison.take(BEGIN + 1.0) == Without(0, 0)
    an_hour = comparison.take(BEGIN + 3600.0)
    assert 0 < an_hour.plain_bytes == an_hour.deflate_bytes < 600


def test_a_lost_link_is_a_lost_connection() -> None:
    comparison = Comparison()
    comparison.began(1, BEGIN)
    first = comparison.take(BEGIN)
    assert first.plain_bytes == int(handshake_bytes(PLAIN_HANDSHAKE, Conditions()))
    comparison.said(1, Direction.UP, DAY[0].text, BEGIN)
    comparison.said(1, Direction.UP, DAY[0].text, BEGIN + 10.0)
    once_each = comparison.take(BEGIN + 20.0)
    comparison.link_lost(BEGIN + 30.0)
    broken = comparison.take(BEGIN + 30.0)
    assert handshake_bytes(RESUMED_HANDSHAKE, Conditions()) < broken.plain_bytes < handshake_bytes(RESUMED_HANDSHAKE, Conditions()) + 200
    comparison.said(1, Direction.UP, DAY[0].text, BEGIN + 40.0)
    comparison.said(1, Direction.UP, DAY[0].text, BEGIN + 50.0)
    again = comparison.take(BEGIN + 60.0)
    assert (again.plain_bytes, again.deflate_bytes) == pytest.approx((once_each.plain_bytes, once_each.deflate_bytes), abs=2), (
        "deflate begins anew"
    )


def test_a_station_that_comes_again_resumes() -> None:
    comparison = Comparison()
    comparison.began(1, BEGIN)
    comparison.ended(1, BEGIN + 1.0)
    comparison.take(BEGIN + 1.0)
    comparison.began(2, BEGIN + 2.0)
    assert comparison.take(BEGIN + 2.0).plain_bytes == pytest.approx(handshake_bytes(RESUMED_HANDSHAKE, Conditions()), abs=1)
    comparison.ended(2, BEGIN + 3.0)
    assert comparison.take(BEGIN + 9999.0).plain_bytes < 200, "who is not there sends no pings"


def test_many_stations_are_deflated_like_a_few() -> None:
    """All say the same, so the share of some is exact for all."""
    stations = range(1, DEFLATED_MAX + 4)
    comparison = Comparison()
    for socket in stations:
        comparison.began(socket, BEGIN)
    end = _say(comparison, *stations)
    all_of_them = comparison.take(end)
    few = Comparison()
    for socket in stations[:DEFLATED_MAX]:
        few.began(socket, BEGIN)
    end = _say(few, *stations[:DEFLATED_MAX])
    some = few.take(end)
    assert all_of_them.plain_bytes > 2 * some.plain_bytes
    assert all_of_them.deflate_bytes / all_of_them.plain_bytes == pytest.approx(some.deflate_bytes / some.plain_bytes, rel=0.01)


def test_sockets_that_were_never_admitted_are_nothing() -> None:
    comparison = Comparison()
    comparison.said(7, Direction.UP, "text", BEGIN)
    comparison.ended(7, BEGIN)
    comparison.link_lost(BEGIN)
    assert comparison.take(BEGIN + 9999.0) == Without(0, 0)


def test_what_was_given_out_is_never_taken_back() -> None:
    """The share of those that aren't deflated falls while the contexts learn."""
    stations = range(1, DEFLATED_MAX + 2)
    comparison = Comparison()
    for socket in stations:
        comparison.began(socket, BEGIN)
    for record in DAY:
        for socket in stations:
            comparison.said(socket, record.direction, record.text, _at(record))
        taken = comparison.take(_at(record))
        assert taken.plain_bytes >= 0
        assert taken.deflate_bytes >= 0
