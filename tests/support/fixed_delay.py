"""A plan that never changes."""

from __future__ import annotations

__all__ = ["FixedDelay"]


class FixedDelay:
    """As `EdgeMachine` asks it; None: nothing is answered early."""

    def __init__(self, delay_s: float | None) -> None:
        self._delay_s = delay_s

    def delay_s(self, identity: str, now: float) -> float | None:
        return self._delay_s

    def smart_charging(self, identity: str, now: float) -> None:
        """Nothing follows."""

    def charging(self, identity: str, transactions: int) -> None:
        """Nor here."""
