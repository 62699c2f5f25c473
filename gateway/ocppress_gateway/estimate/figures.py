"""A case's month: what passes the SIM, beside OCPP-J without us, and how fresh the messages are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.policy import Overrides
from ocppress_gateway.cost.baseline import baseline_months
from ocppress_gateway.cost.wire import DAY_S
from ocppress_gateway.errors import UsageError
from ocppress_gateway.estimate.cases import MONTH_DAYS, Case
from ocppress_gateway.simulation.month import run_month

__all__ = ["Figures", "Tariff", "baselines_of", "figures_of"]

MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """A station's month; ages in seconds, of messages that the plan may let wait, 0 if there are none."""

    label: str
    plan: str
    ip_bytes_month: int
    idle_bytes_month: int
    """Of these the connection's own: handshakes, and probes or pings."""
    age_p50_s: float
    age_p95_s: float
    age_max_s: float
    days: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Tariff:
    """What the carrier bills: each connection rounded up to a unit, 0 for none; `price` None if nobody said."""

    price_mb: float | None
    currency: str
    rounding_bytes: int
    reconnects_a_day: float

    def billed(self, month_bytes: float) -> float:
        """With half a unit more for each connection, or one if they are shorter: how their ends fall on units is anyone's guess."""
        sessions = 1 + self.reconnects_a_day * MONTH_DAYS
        return max(month_bytes + sessions * self.rounding_bytes / 2, sessions * self.rounding_bytes)

    def price(self, month_bytes: float) -> float | None:
        """Of a month."""
        return None if self.price_mb is None else self.billed(month_bytes) / MB * self.price_mb


def figures_of(case: Case) -> Figures:
    """Simulate it. Raises `UsageError` for what can't be simulated."""
    source = case.source
    try:
        month = run_month(
            source.records(case.days or MONTH_DAYS),
            source.version(),
            plan=case.plan,
            conditions=case.conditions,
            days=case.days,
            budget_bytes=case.budget_bytes,
            seed=1,
            overrides=Overrides(relay=frozenset({case.relayed} - {""})),
        )
    except ValueError as error:
        raise UsageError(f"{source.name}: {error}") from None
    ages = month.ages_s or [0.0]
    p50, p95, most = (round(ages[int(share * (len(ages) - 1))], 1) for share in (0.5, 0.95, 1.0))
    return Figures(
        label=case.label,
        plan=case.plan.value,
        ip_bytes_month=round(month.cost.total),
        idle_bytes_month=round(month.cost.handshake + month.cost.keepalive),
        age_p50_s=p50,
        age_p95_s=p95,
        age_max_s=most,
        days=round(month.span_s / DAY_S, 3),
        exact=month.exact,
    )


def baselines_of(case: Case, span_s: float) -> dict[str, int]:
    """The same records without the link: IP bytes of a month."""
    records = case.source.records(span_s / DAY_S)
    return {baseline.value: round(count.total) for baseline, count in baseline_months(records, case.conditions, span_s).items()}
