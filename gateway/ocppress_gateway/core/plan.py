"""The operator's choice between freshness and bytes. Skeleton: the interface is as it will be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ocppress_gateway.core.events import Note
from ocppress_gateway.core.ledger import MonthView

__all__ = ["Plan", "PlanName", "PlanSettings"]


class PlanName(StrEnum):
    """What `plan` in edge.toml may be."""

    TRANSPARENT = "transparent"
    LIVE = "live"
    TWO_MINUTES = "2min"
    FIVE_MINUTES = "5min"
    SAVER = "saver"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What the plan is told."""

    plan: PlanName
    budget_bytes: int


class Plan:
    """Says how long a station's batched messages may wait. No I/O, no clock: `now` is monotonic seconds."""

    def __init__(self, settings: PlanSettings, *, keepalive_s: float, now: float) -> None:
        raise NotImplementedError

    @property
    def keepalive_s(self) -> float:
        """No delay is longer; set it when the search finds another interval."""
        raise NotImplementedError

    @keepalive_s.setter
    def keepalive_s(self, value: float) -> None:
        raise NotImplementedError

    def delay_s(self, identity: str, now: float) -> float | None:
        """How long a batched message of this station may wait; None: answer nothing early, relay all (`transparent`)."""
        raise NotImplementedError

    def spent(self, spent_bytes: int, now: float) -> None:
        """The SIM has been billed these bytes since the last call (`Ledger.take_spent`)."""
        raise NotImplementedError

    def smart_charging(self, identity: str, now: float) -> None:
        """A SetChargingProfile that steers (`core.smart_charging.steers`) has gone to this station."""
        raise NotImplementedError

    def charging(self, identity: str, *, transactions: int) -> None:
        """How many transactions this station has open; unless told otherwise it is taken to have one."""
        raise NotImplementedError

    def tick(self, now: float, month: MonthView) -> list[Note]:
        """Once a minute or so: change the step if it is time to, and say why."""
        raise NotImplementedError

    def snapshot(self) -> bytes:
        """What to keep over a restart."""
        raise NotImplementedError

    def restore(self, saved: bytes, now: float) -> None:
        """Begin where a former process left off. Raises `ValueError` if `saved` isn't of this format."""
        raise NotImplementedError
