"""What `ocppress status` says of the SIM and the plan: lines for people, and the same as data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from ocppress_gateway.core.ledger_day import DayAccount, Layer
from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.core.ledger_month import MonthView
from ocppress_gateway.core.plan import SAVED_DAYS_MAX, PlanName, PlanView

__all__ = ["sim_data", "sim_lines"]

NAMES_SHOWN_MAX: Final = 8
"""Stations, and actions, that lines name; data has all."""

_LAYER_WORDS: Final = {
    Layer.PAYLOAD: "frames of the codec",
    Layer.FRAMING: "link and WebSocket headers",
    Layer.TLS: "TLS",
    Layer.TCP_IP: "TCP/IP",
    Layer.KEEPALIVE: "keepalive",
    Layer.HANDSHAKE: "handshakes",
    Layer.RETRANSMISSION: "sent again",
}


def sim_lines(month: MonthView, plan: PlanView) -> list[str]:
    """For a terminal of 80 columns."""
    account = _everything(month)
    return [
        *_month_lines(month, account),
        "",
        *_plan_lines(plan),
        *_named("stations", account.stations),
        *_named("actions", account.actions),
    ]


def sim_data(month: MonthView, plan: PlanView) -> dict[str, Any]:
    """For `--json`: bytes, ISO dates, None for what isn't known."""
    account = _everything(month)
    return {
        "month": {
            "first": month.month.first.isoformat(),
            "end": month.month.end.isoformat(),
            "now": month.now.isoformat(timespec="seconds"),
            "budget_bytes": month.budget_bytes,
            "total_bytes": month.total_bytes,
            "percent": round(month.percent, 2),
            "projection_bytes": month.projection_bytes,
            "reserve_bytes": month.reserve_bytes,
            "reserve_left_bytes": month.reserve_left_bytes,
            "ours_counted_bytes": month.counted_bytes,
            "ours_estimated_bytes": month.estimated_bytes,
            "others_bytes": month.others_bytes if month.interface_known else None,
            "transfers_bytes": month.transfers_bytes if month.interface_known else None,
            "rounding_bytes": month.rounding_bytes,
            "undated_bytes": month.undated.total_bytes,
            "without": {"plain_bytes": account.plain or None, "permessage_deflate_bytes": account.deflate or None},
            "layers": {way.value: {layer.value: account.layer_bytes(layer, way) for layer in Layer} for way in Way},
            "stations": _both_ways(account.stations),
            "actions": _both_ways(account.actions),
        },
        "plan": {
            "plan": plan.plan.value,
            "step": plan.step.value,
            "delay_s": plan.delay_s,
            "reason": plan.reason,
            "bucket_days": round(plan.bucket_days, 2),
            "steered": list(plan.steered),
        },
    }


def _everything(month: MonthView) -> DayAccount:
    return DayAccount.sum([*month.days, month.undated])


def _month_lines(month: MonthView, account: DayAccount) -> Iterator[str]:
    last = month.month.end - timedelta(days=1)
    yield f"SIM, {month.month.first} to {last}, {month.days_left:.1f} days left"
    yield _row("", "up", "down", "both")
    up, down = (sum(account.layer_bytes(layer, way) for layer in Layer) for way in Way)
    yield _row("ours, counted", _size(up), _size(down), _size(up + down))
    for layer in Layer:
        if account.layer_bytes(layer):
            yield _row(f"  {_LAYER_WORDS[layer]}", *(_size(account.layer_bytes(layer, way)) for way in (Way.UP, Way.DOWN, None)))
    yield _row("ours, estimated", *(_size(count) for count in (*account.estimated, account.estimated_bytes)))
    yield _row("others", "", "", _size(month.others_bytes) if month.interface_known else "unknown")
    if month.transfers_bytes:
        yield _row("  while stations transferred files", "", "", _size(month.transfers_bytes))
    if month.rounding_bytes:
        yield _row("rounded up", "", "", _size(month.rounding_bytes))
    yield _row("total", "", "", _size(month.total_bytes))
    if month.undated.total_bytes:
        yield f"  of which {_size(month.undated.total_bytes)} have no date yet: the clock has to stand for an hour"
    if account.deflate:
        times = account.deflate / max(1, account.ours_bytes)
        yield f"without the gateway {_size(account.deflate)} with permessage-deflate, {times:.1f} times ours; {_size(account.plain)} plain"
    reserve = f"{_size(month.reserve_left_bytes)} of the reserve of {_size(month.reserve_bytes)} left"
    yield f"budget {_size(month.budget_bytes)}, {month.percent:.1f} % used; {reserve}"
    if month.projection_bytes is not None:
        yield f"at this pace {_size(month.projection_bytes)} at the month's end"


def _plan_lines(plan: PlanView) -> Iterator[str]:
    wait = "nothing waits" if plan.delay_s is None else f"messages wait at most {plan.delay_s:g} s"
    yield f"plan {plan.plan.value}" + (f", now {plan.step.value}" if plan.plan is PlanName.AUTO else "") + f": {wait}"
    yield f"  why: {plan.reason}"
    yield f"  bucket: {plan.bucket_days:.1f} of {SAVED_DAYS_MAX:g} days' shares"
    if plan.steered:
        yield f"  steered now, and so live: {', '.join(plan.steered[:NAMES_SHOWN_MAX])}{_more(len(plan.steered))}"


def _named(what: str, names: dict[str, list[int]]) -> Iterator[str]:
    if not names:
        return
    yield ""
    yield _row(f"frames by {what}", "up", "down", "both")
    by_size = sorted(names.items(), key=lambda item: (-sum(item[1]), item[0]))
    for name, (up, down) in by_size[:NAMES_SHOWN_MAX]:
        yield _row(f"  {name or 'unknown'}", _size(up), _size(down), _size(up + down))
    rest = by_size[NAMES_SHOWN_MAX:]
    if rest:
        up, down = (sum(both_ways[place] for _, both_ways in rest) for place in range(2))
        yield _row(f"  {len(rest)} more", _size(up), _size(down), _size(up + down))


def _both_ways(names: dict[str, list[int]]) -> dict[str, dict[str, int]]:
    return {name: {way.value: count for way, count in zip(Way, both_ways, strict=True)} for name, both_ways in names.items()}


def _more(count: int) -> str:
    return f" and {count - NAMES_SHOWN_MAX} more" if count > NAMES_SHOWN_MAX else ""


def _row(name: str, *cells: str) -> str:
    return f"{name:<41.41}" + "".join(f"{cell:>13}" for cell in cells).rstrip() if any(cells) else name


def _size(count: int) -> str:
    """In the unit that leaves three figures or more."""
    for unit_bytes, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit_bytes:
            scaled = count / unit_bytes
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return f"{count} B"
