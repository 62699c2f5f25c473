"""A plan in a world where time passes faster: each station's messages wait as long as they would, in its own time."""

from __future__ import annotations

from collections.abc import Mapping

from ocppress_gateway.core.plan import DELAYS_S, PlanName

__all__ = ["CompressedPlan"]


class CompressedPlan:
    """A plan's step, for stations whose time passes `speeds` times as fast. `auto` stays at its first step: no day passes here for a budget."""

    def __init__(self, plan: PlanName, speeds: Mapping[str, float]) -> None:
        self._delay_s = None if plan is PlanName.TRANSPARENT else DELAYS_S[PlanName.LIVE if plan is PlanName.AUTO else plan]
        self._speeds = speeds

    def delay_s(self, identity: str, now: float) -> float | None:
        """How long a batched message may wait, in real seconds."""
        return None if self._delay_s is None else self._delay_s / self._speeds[identity]

    def smart_charging(self, identity: str, now: float) -> None:
        """Nothing: the exception of an hour is over before anyone has read of it."""
