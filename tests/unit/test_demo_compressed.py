"""The plan with time compressed."""

from __future__ import annotations

import pytest

from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.demo.compressed import CompressedPlan


@pytest.mark.parametrize(("plan", "delay_s"), [(PlanName.LIVE, 60.0), (PlanName.SAVER, 900.0), (PlanName.AUTO, 60.0)])
def test_what_waits_waits_so_much_less(plan: PlanName, delay_s: float) -> None:
    speeds = {"slow": 2.0, "fast": 9000.0}
    compressed = CompressedPlan(plan, speeds.__getitem__)
    assert [compressed.delay_s(identity, 0.0) for identity in speeds] == [delay_s / 2, delay_s / 9000]
    speeds["fast"] = 90.0
    assert compressed.delay_s("fast", 0.0) == delay_s / 90, "at the speed of the moment"


def test_what_is_relayed_does_not_wait() -> None:
    assert CompressedPlan(PlanName.TRANSPARENT, lambda _: 10.0).delay_s("any", 0.0) is None


def test_a_steered_station_waits_as_in_live() -> None:
    compressed = CompressedPlan(PlanName.SAVER, lambda _: 10.0)
    compressed.smart_charging("steered", 0.0)
    assert compressed.delay_s("steered", 1.0) == 6.0
    assert compressed.delay_s("other", 1.0) == 90.0
