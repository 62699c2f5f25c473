"""The plan in a world where time is compressed, for each station by its own factor: what waits, waits so much less."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ocppress_gateway.core.plan import Plan, PlanName, PlanSettings

__all__ = ["KEEPALIVE_S", "CompressedPlan"]

KEEPALIVE_S: Final = 25 * 60
"""What `link.keepalive_s` may be with a carrier that keeps an idle mapping so long; no plan waits longer than that."""

BUDGET_BYTES: Final = 25_000_000
"""`sim.budget_mb` by default. Nobody takes the demo's bytes out of it, so plan `auto` stays where it begins."""


class CompressedPlan:
    """A plan as `EdgeMachine` asks it. What the plan itself remembers, such as the hour after a charging profile, isn't compressed."""

    def __init__(self, name: PlanName, speed: Callable[[str], float]) -> None:
        """`speed`: seconds of this station's time that pass in a second at present."""
        self._plan = Plan(PlanSettings(name, BUDGET_BYTES), keepalive_s=KEEPALIVE_S, now=time.monotonic())
        self._speed = speed

    def delay_s(self, identity: str, now: float) -> float | None:
        delay_s = self._plan.delay_s(identity, now)
        return None if delay_s is None else delay_s / self._speed(identity)

    def smart_charging(self, identity: str, now: float) -> None:
        self._plan.smart_charging(identity, now)

    def charging(self, identity: str, transactions: int) -> None:
        self._plan.charging(identity, transactions)
