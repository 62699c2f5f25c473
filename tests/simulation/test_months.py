"""Months of several edges behind one cloud, each with a SIM, the real ledger and the real plan, and with rare faults of all kinds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.plan import PlanName
from tests.support.months import DAY_S, IMPOSSIBLE, MB, Fleet, SiteKind, is_fresh, is_stable, is_true, kept_promises, told_early

BEGINS: Final = datetime(2026, 2, 28, 20, tzinfo=UTC)
"""Four hours before the month does in UTC: there is a midnight and a month's end soon after the first boot."""

AMPLE: Final = SiteKind("ample", 25 * MB, stations=1, shows_interface=True, others_day_bytes=30_000)
SHARED: Final = SiteKind(
    "shared",
    5 * MB,
    stations=1,
    zone=ZoneInfo("Europe/Berlin"),
    shows_interface=True,
    others_day_bytes=60_000,
    busy_days=range(12, 20),
)
SCARCE: Final = SiteKind("scarce", MB, busy_days=range(6, 16))


def months(seed: int, *, days: int, begins: datetime = BEGINS, first_day: int = 1, read_s: float = 1200.0) -> Fleet:
    """Three SIMs, of 25, 5 and 1 MB."""
    kinds = [replace(kind, first_day=first_day) for kind in (AMPLE, SHARED, SCARCE)]
    fleet = Fleet(seed, kinds, begins=begins, codec=(CodecName.CBOR_ZSTD, CodecName.ADAPTIVE)[seed % 2], read_s=read_s)
    fleet.live(days)
    fleet.suffer(days)
    fleet.run(days * DAY_S + 7200.0)
    kept_promises(fleet)
    for site in fleet.sites:
        assert site.percent_max <= 100, "all of these can be kept"
        is_true(site)
        is_stable(site, days)
        assert is_fresh(site, fleet.csms) > 10 * days
        assert site.world.cuts > days, "there were faults"
    ample, _, scarce = fleet.sites
    assert {step for _, step in ample.steps} == {PlanName.LIVE}
    assert not ample.notes(IMPOSSIBLE)
    # Ten busy days look like a month of them while they last.
    assert all(int(at // DAY_S) - 1 in SCARCE.busy_days for at, _ in scarce.notes(IMPOSSIBLE))
    return fleet


@pytest.mark.parametrize("seed", [2, 4])
def test_a_month(seed: int) -> None:
    fleet = months(seed, days=31)
    for site in fleet.sites[1:]:
        assert len({step for _, step in site.steps}) > 1, "busy days made the plan coarser"
    assert fleet.sites[2].steps[-1][1] is not PlanName.SAVER, "and quiet ones finer again"


@pytest.mark.parametrize(
    "kind",
    [
        SiteKind("others", 5 * MB, stations=1, shows_interface=True, others_day_bytes=250_000),
        SiteKind("ours", 150_000, stations=1),
    ],
    ids=lambda kind: kind.name,
)
def test_a_budget_that_cannot_be_kept_is_complained_of_early(kind: SiteKind) -> None:
    """And nobody's message suffers from it."""
    fleet = Fleet(3, [kind], begins=BEGINS)
    (site,) = fleet.sites
    fleet.live(27)
    fleet.suffer(27)
    fleet.run(27 * DAY_S + 7200.0)
    assert site.percent_max > 100, "it couldn't be kept"
    assert site.notes(IMPOSSIBLE)[0][0] < 3 * DAY_S
    assert told_early(site)
    kept_promises(fleet)
    is_true(site)
    is_stable(site, 27)
    assert is_fresh(site, fleet.csms) > 200


def chatty(*, budget_bytes: int, days: int, values_s: float, storm_every_s: float, profile_every_s: float) -> Fleet:
    """One station that says everything all the time, and a CSMS that steers it. `values_s`: of meter values each second, once a day."""
    kind = SiteKind("chatty", budget_bytes, stations=1, interval_s=1.0, heartbeat_s=10.0)
    fleet = Fleet(4, [kind], begins=BEGINS, csms_s_max=0.2)
    (site,) = fleet.sites
    (station,) = site.stations
    for day in range(days):
        fleet.session(site, station, (day + 0.5) * DAY_S - values_s, values_s)
    for number in range(1, int(days * DAY_S / storm_every_s)):
        fleet.storm(station, number * storm_every_s, messages=60, interval_s=5.0)
    profile = '"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative"'
    for number in range(int(days * DAY_S / profile_every_s)):
        at_s = 60.0 + number * profile_every_s
        command = partial(fleet.command, station, "SetChargingProfile", f',"connectorId":1,"csChargingProfiles":{{{profile}}}')
        fleet.centre.at(at_s, command)
    fleet.suffer(days)
    fleet.run(days * DAY_S + 7200.0)
    kept_promises(fleet)
    is_true(site)
    is_stable(site, days)
    assert is_fresh(site, fleet.csms, steered=True) > days * values_s
    assert len(station.heard) > 0.9 * days * DAY_S / profile_every_s, "it was steered"
    assert station.heartbeats_answered > 0.98 * days * DAY_S / 10.0
    heartbeats = sum(heard.action == "Heartbeat" for heard in fleet.csms.heard[station.identity])
    assert heartbeats < 8 * days, "the CSMS hears of it what it asked for"
    return fleet


def test_three_days_of_a_chatty_station_take_less_than_a_tenth_of_the_budget() -> None:
    (site,) = chatty(budget_bytes=25 * MB, days=3, values_s=600.0, storm_every_s=6 * 3600.0, profile_every_s=300.0).sites
    assert sum(site.sim.bill.values()) < 2.5 * MB
    assert not site.notes(IMPOSSIBLE)


def test_a_chatty_station_that_is_steered_is_live_though_its_budget_cannot_be_kept() -> None:
    (site,) = chatty(budget_bytes=MB, days=1, values_s=600.0, storm_every_s=6 * 3600.0, profile_every_s=300.0).sites
    assert site.steps[-1][1] is PlanName.SAVER
    assert told_early(site)


# --- more of the same


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(300))
def test_soak_months(seed: int) -> None:
    months(
        1000 + seed,
        days=61,
        begins=datetime(2026, 1 + seed % 12, 1 + seed % 28, seed % 24, tzinfo=UTC),
        first_day=[1, 15, 31][seed // 3 % 3],
    )


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_soak_months_read_each_minute(seed: int) -> None:
    months(2000 + seed, days=31, read_s=60.0)


@pytest.mark.soak
@pytest.mark.parametrize("budget_bytes", [25 * MB, 5 * MB, MB])
def test_soak_a_chatty_station(budget_bytes: int) -> None:
    (site,) = chatty(budget_bytes=budget_bytes, days=3, values_s=12 * 3600.0, storm_every_s=3600.0, profile_every_s=120.0).sites
    kept = sum(site.sim.bill.values()) <= budget_bytes / 10
    assert kept or told_early(site)
