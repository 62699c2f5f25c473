"""What is shown of the SIM and the plan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import msgspec

from ocppress_gateway.core.ledger_day import DayAccount, Layer
from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.core.ledger_month import BillingMonth, MonthView
from ocppress_gateway.core.plan import PlanName, PlanView
from ocppress_gateway.core.status import sim_data, sim_lines


def _account() -> DayAccount:
    account = DayAccount(rounding=512)
    account.add_payload(Way.UP, "CP1", "MeterValues", 120_000)
    account.add_payload(Way.DOWN, "CP1", "", 999)
    account.add_counted(Way.UP, Layer.TCP_IP, 1_200_000)
    account.add_counted(Way.DOWN, Layer.KEEPALIVE, 80)
    account.add_estimated(Way.UP, 20)
    account.add_sim(Way.DOWN, 4_000_000)
    account.add_transfers(700_000)
    return account


ACCOUNT = _account()
MONTH = MonthView(
    month=BillingMonth(date(2026, 3, 1), date(2026, 4, 1)),
    now=datetime(2026, 3, 11, 12, tzinfo=UTC),
    days=(ACCOUNT,),
    undated=DayAccount(),
    budget_bytes=25_000_000,
    counted_bytes=ACCOUNT.counted_bytes,
    estimated_bytes=20,
    others_bytes=ACCOUNT.others_bytes,
    transfers_bytes=ACCOUNT.transfers_bytes,
    rounding_bytes=512,
    total_bytes=ACCOUNT.total_bytes,
    projection_bytes=12_345_678,
    ours_projection_bytes=4_000_000,
    others_projection_bytes=8_345_678,
    interface_known=True,
)
PLAN = PlanView(PlanName.AUTO, PlanName.TWO_MINUTES, 120.0, "the bucket owes 0.1 of a day's share", -0.1, ("CP1",))


def test_lines() -> None:
    assert sim_lines(MONTH, PLAN) == [
        "SIM, 2026-03-01 to 2026-03-31, 20.5 days left",
        "                                                    up         down         both",
        "ours, counted                                  1.32 MB      1.08 kB      1.32 MB",
        "  frames of the codec                           120 kB        999 B       121 kB",
        "  TCP/IP                                       1.20 MB          0 B      1.20 MB",
        "  keepalive                                        0 B         80 B         80 B",
        "ours, estimated                                   20 B          0 B         20 B",
        "others                                                                   2.68 MB",
        "  while stations transferred files                                        700 kB",
        "rounded up                                                                 512 B",
        "total                                                                    4.00 MB",
        "budget 25.0 MB, 16.0 % used; 5.00 MB of the reserve of 5.00 MB left",
        "at this pace 12.3 MB at the month's end",
        "",
        "plan auto, now 2min: messages wait at most 120 s",
        "  why: the bucket owes 0.1 of a day's share",
        "  bucket: -0.1 of 3 days' shares",
        "  steered now, and so live: CP1",
        "",
        "frames by stations                                  up         down         both",
        "  CP1                                           120 kB        999 B       121 kB",
        "",
        "frames by actions                                   up         down         both",
        "  MeterValues                                   120 kB          0 B       120 kB",
        "  unknown                                          0 B        999 B        999 B",
    ]


def test_what_is_not_known_is_not_none() -> None:
    month = replace(MONTH, interface_known=False, projection_bytes=None, undated=DayAccount(estimated=[5, 0]))
    lines = sim_lines(month, replace(PLAN, plan=PlanName.TRANSPARENT, step=PlanName.TRANSPARENT, delay_s=None, steered=()))
    assert next(line for line in lines if line.startswith("others")).endswith("unknown")
    assert not [line for line in lines if "pace" in line]
    assert "  of which 5 B have no date yet: the clock has to stand for an hour" in lines
    assert "plan transparent: nothing waits" in lines
    assert sim_data(month, PLAN)["month"]["others_bytes"] is None
    assert sim_data(month, PLAN)["month"]["transfers_bytes"] is None


def test_many_stations_are_cut_and_fit_in_80_columns() -> None:
    account = DayAccount()
    names = [f"STATION-{number:040}" for number in range(60)]
    for number, name in enumerate(names):
        account.add_payload(Way.UP, name, f"Action{number}", 10**12)
    lines = sim_lines(replace(MONTH, days=(account,), budget_bytes=10**15), replace(PLAN, steered=tuple(names[:1] * 20)))
    assert all(len(line) <= 80 for line in lines if "steered" not in line)
    assert sum("  52 more" in line for line in lines) == 2
    assert next(line for line in lines if "steered" in line).endswith("and 12 more")


def test_data_adds_up() -> None:
    data = sim_data(MONTH, PLAN)
    assert msgspec.json.decode(json.dumps(data)) == data
    month = data["month"]
    assert sum(sum(layers.values()) for layers in month["layers"].values()) == month["ours_counted_bytes"]
    ours = month["ours_counted_bytes"] + month["ours_estimated_bytes"]
    assert ours + month["others_bytes"] + month["rounding_bytes"] == month["total_bytes"]
    assert data["plan"] == {
        "plan": "auto",
        "step": "2min",
        "delay_s": 120.0,
        "reason": "the bucket owes 0.1 of a day's share",
        "bucket_days": -0.1,
        "steered": ["CP1"],
    }
