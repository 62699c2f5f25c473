"""Edges with a SIM each behind one cloud, for simulated months: their stations' days, their rare faults, and what has to hold all the time."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, tzinfo
from functools import partial
from itertools import pairwise
from random import Random
from typing import Final

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.events import Note
from ocppress_gateway.core.ledger import DAYS_KEPT, LedgerSettings
from ocppress_gateway.core.ledger_clock import HELD_SPANS_MAX, SETTLE_S
from ocppress_gateway.core.ledger_links import LINKS_MAX, TOLD_MAX
from ocppress_gateway.core.ledger_month import BillingMonth
from ocppress_gateway.core.plan import DELAYS_S, OVERDRAWN_WAIT_S, STATIONS_MAX, STEPS, PlanName
from ocppress_gateway.ledger.keeper import SAVE_S
from ocppress_gateway.simulation.actors import Csms, Station
from ocppress_gateway.simulation.centre import Centre
from ocppress_gateway.simulation.sim import Sim
from ocppress_gateway.simulation.world import World
from tests.support.early_promises import EARLY, check, cloud_bounded, edge_bounded, undelivered
from tests.support.simulated import early_edge, make_cloud

__all__ = ["DAY_S", "IMPOSSIBLE", "MB", "Fleet", "Site", "SiteKind", "is_fresh", "is_stable", "is_true", "kept_promises", "told_early"]

DAY_S: Final = 86_400.0
MB: Final = 1_000_000

IMPOSSIBLE: Final = "the SIM's budget can't be kept"

READ_S: Final = 1200.0
"""How often the edges read their counters: each minute, as live, would take most of the test's time. `soak` does it."""

SLACK_S: Final = 30.0
"""How long a message may take that doesn't wait: disk, link, company, and the CSMS's answers to those before it."""


@dataclass(frozen=True, slots=True)
class SiteKind:
    """An edge and its SIM. `others_day_bytes` pass the SIM in bursts of an hour's share; the edge sees them if `shows_interface`."""

    name: str
    budget_bytes: int
    stations: int = 2
    plan: PlanName = PlanName.AUTO
    zone: tzinfo = UTC
    first_day: int = 1
    shows_interface: bool = False
    others_day_bytes: int = 0
    interval_s: float = 60.0
    """Of meter values in a transaction."""
    heartbeat_s: float | None = None
    busy_days: range = range(0)
    """On these every station has two sessions, on others one on every third day; others use five times as much."""


@dataclass(eq=False)
class Site:
    """One that lives."""

    kind: SiteKind
    world: World
    sim: Sim
    stations: list[Station]
    disturbed: list[tuple[float, float]] = field(default_factory=list)
    """From when to when a message may be later than the plan says."""
    misset: list[tuple[float, float]] = field(default_factory=list)
    """From when to when the edge's clock was wrong."""
    percent_max: float = 0.0

    def notes(self, words: str) -> list[tuple[float, Note]]:
        """What ledger and plan have said, by how it begins."""
        return [(at, note) for at, note in self.sim.notes if note.words.startswith(words)]

    @property
    def steps(self) -> list[tuple[float, PlanName]]:
        """The plan's, since when. A restart may go back by what wasn't saved."""
        begun = [(0.0, STEPS[0] if self.kind.plan is PlanName.AUTO else self.kind.plan)]
        return begun + [(at, PlanName(str(note.fields["after"]))) for at, note in self.notes("the plan changes its step")]


class Fleet:
    """All of them, and time."""

    def __init__(
        self,
        seed: int,
        kinds: Sequence[SiteKind],
        *,
        begins: datetime,
        codec: CodecName = CodecName.CBOR_ZSTD,
        read_s: float = READ_S,
        csms_s_max: float = 2.0,
    ) -> None:
        """`csms_s_max`: how long the CSMS takes to answer."""

        def cloud(random: Random) -> CloudMachine:
            machine = make_cloud(random)
            machine.settings = replace(machine.settings, edges={kind.name: frozenset({ANY_STATION}) for kind in kinds})
            return machine

        self.centre = Centre(seed, cloud)
        self.random = self.centre.random
        self.csms = Csms(self.centre, answer_s_max=csms_s_max, heartbeat_s=6 * 3600)
        self.centre.csms = self.csms
        self._codec = codec
        self._numbers = 0
        self.sites = [self._site(kind, cloud, begins, read_s) for kind in kinds]

    def _site(self, kind: SiteKind, cloud: Callable[[Random], CloudMachine], begins: datetime, read_s: float) -> Site:
        sim = Sim(
            LedgerSettings(kind.budget_bytes, kind.zone, kind.first_day),
            begins=begins,
            plan=kind.plan,
            shows_interface=kind.shows_interface,
            read_s=read_s,
        )

        def edge(random: Random) -> EdgeMachine:
            return early_edge(random, freshness=sim.plan, codec=self._codec, wall_s=lambda: sim.wall().timestamp())

        world = World(0, edge, cloud, name=kind.name, centre=self.centre, sim=sim)
        stations = [Station(world, f"{kind.name}-{number}", boots=True, heartbeat_s=kind.heartbeat_s) for number in range(kind.stations)]
        for station in stations:
            world.at(2.0, station.connect)
        return Site(kind, world, sim, stations)

    # --- what happens

    def live(self, days: int) -> None:
        """Sessions, meter values each six hours between them, a command now and then, and others on the SIM."""
        for site in self.sites:
            for station in site.stations:
                for day in range(days):
                    times = 2 if day in site.kind.busy_days else int(self.random.random() < 1 / 3)
                    for _ in range(times):
                        self.session(site, station, day * DAY_S + self.random.uniform(600.0, DAY_S), self.random.uniform(1800.0, 5400.0))
                for hour in range(1, days * 24, 6):
                    self._meter_values(station, hour * 3600.0 + self.random.uniform(0.0, 60.0), transaction=None)
            if site.kind.others_day_bytes:
                for hour in range(days * 24):
                    count = site.kind.others_day_bytes // 24 * (5 if hour // 24 in site.kind.busy_days else 1)
                    self.centre.at(hour * 3600.0, partial(site.sim.others, count))

    def session(self, site: Site, station: Station, begin_s: float, length_s: float) -> None:
        """Somebody charges."""
        transaction = self.random.randrange(10**9)
        self._call(station, begin_s, "Authorize", '"idTag":"A"')
        self._call(station, begin_s + 2.0, "StartTransaction", '"idTag":"A"')
        self._call(station, begin_s + 3.0, "StatusNotification", '"status":"Charging"')
        for number in range(1, int(length_s / site.kind.interval_s)):
            self._meter_values(station, begin_s + number * site.kind.interval_s, transaction=transaction)
        self._call(station, begin_s + length_s, "StopTransaction", f'"transactionId":{transaction}')
        self._call(station, begin_s + length_s + 1.0, "StatusNotification", '"status":"Available"')
        if self.random.random() < 0.3:
            self.centre.at(begin_s + 300.0, partial(self.command, station, "RemoteStartTransaction"))

    def storm(self, station: Station, at_s: float, *, messages: int, interval_s: float) -> None:
        """A contact that is loose."""
        for number in range(messages):
            status = ("Faulted", "Available")[number % 2]
            self._call(station, at_s + number * interval_s, "StatusNotification", f'"connectorId":1,"status":"{status}"')

    def command(self, station: Station, action: str, members: str = "") -> None:
        """The CSMS tells a station to do something, if it is there."""
        self._numbers += 1
        self.csms.command(station.identity, action, f'{{"c":{self._numbers}{members}}}')

    def _meter_values(self, station: Station, at_s: float, *, transaction: int | None) -> None:
        which = "" if transaction is None else f'"transactionId":{transaction},'
        values = f'"meterValue":[{{"timestamp":{at_s:.0f},"sampledValue":[{{"value":"{self.random.randrange(10**6)}","unit":"Wh"}}]}}]'
        self._call(station, at_s, "MeterValues", f'{which}"connectorId":1,{values}')

    def _call(self, station: Station, at_s: float, action: str, members: str) -> None:
        self._numbers += 1
        self.centre.at(at_s, partial(station.call, action, f'{{"n":{self._numbers},{members}}}'))

    # --- what goes wrong

    def suffer(self, days: int) -> None:
        """Rare faults of all kinds, each by its number a month and at random moments."""
        share = days / 31
        for site in self.sites:
            world = site.world
            faults: list[tuple[float, float, Callable[[], object]]] = [
                (60, 120.0, world.cut),
                (10, 200.0, lambda world=world: world.stall(self.random.uniform(1.0, 90.0))),  # type: ignore[misc]
                (3, 5400.0 + 300.0, partial(self._outage, site)),
                (4, 300.0, partial(self._die, site)),
                (6, 300.0, lambda site=site: self.random.choice(site.stations).disconnect()),  # type: ignore[misc]
                (6, 300.0, partial(self._lose_csms, site)),
                (3, 300.0, partial(self._fail_disk, world)),
                (3, 0.0, partial(self._misset, site)),
            ]
            for times, lasts_s, fault in faults:
                for _ in range(round(times * share)):
                    self._at_random(days, lasts_s, fault, [site])
        for times, lasts_s, fault in ((4, 300.0, self.centre.restart_cloud), (2, 600.0, self._silence)):
            for _ in range(round(times * share)):
                self._at_random(days, lasts_s, fault, self.sites)

    def _at_random(self, days: int, lasts_s: float, fault: Callable[[], object], sites: Sequence[Site]) -> None:
        at_s = self.random.uniform(3.0, days * DAY_S)
        self.centre.at(at_s, fault)
        for site in sites:
            site.disturbed.append((at_s, at_s + lasts_s))

    def _outage(self, site: Site) -> None:
        site.world.refuse_until = self.centre.now + self.random.uniform(600.0, 5400.0)
        site.world.cut()

    def _die(self, site: Site) -> None:
        if self.random.random() < 0.5:
            site.sim.boot()
        site.world.restart_edge()

    def _lose_csms(self, site: Site) -> None:
        self.centre.csms_closes(self.csms.sockets.get(self.random.choice(site.stations).identity, 0))

    def _fail_disk(self, world: World) -> None:
        world.outbox.failing = True
        self.centre.at(self.random.uniform(1.0, 60.0), lambda: setattr(world.outbox, "failing", False))

    def _silence(self) -> None:
        self.csms.silent = True
        self.centre.at(self.random.uniform(1.0, 120.0), lambda: setattr(self.csms, "silent", False))

    def _misset(self, site: Site) -> None:
        """1970 for hours, or some hours off until the time daemon notices."""
        sim = site.sim
        if self.random.random() < 0.5:
            sim.clock_error_s, lasts_s = -sim.begins.timestamp() - self.centre.now, self.random.uniform(600.0, 6 * 3600.0)
        else:
            sim.clock_error_s, lasts_s = self.random.choice((-1, 1)) * 36_000.0, self.random.uniform(60.0, 0.9 * SETTLE_S)
        site.misset.append((self.centre.now, self.centre.now + lasts_s))
        self.centre.at(lasts_s, lambda: setattr(sim, "clock_error_s", 0.0))

    # --- what holds at every moment

    def run(self, until: float) -> None:
        """Let time pass. After each simulated minute with events all sites are looked at; after every one would take as long as all else."""
        looked = 0

        def look() -> None:
            nonlocal looked
            minute = int(self.centre.now // 60)
            if minute != looked:
                looked = minute
                cloud_bounded(self.centre.cloud)
                for site in self.sites:
                    watch(site)

        self.centre.run(until, look)


def watch(site: Site) -> None:
    """Memory is bounded, and the budget is kept or it has been said that it can't be."""
    edge_bounded(site.world.edge)
    ledger, plan = site.sim.ledger, site.sim.plan
    assert len(ledger._days) <= DAYS_KEPT
    assert len(ledger._clock._held) <= HELD_SPANS_MAX
    assert len(ledger._links._links) <= LINKS_MAX
    assert all(len(told.payload) <= TOLD_MAX for link in ledger._links._links.values() for told in link.told.values())
    assert len(plan._steered) <= STATIONS_MAX
    percent = 100 * site.sim.billed_bytes() / site.kind.budget_bytes
    site.percent_max = max(site.percent_max, percent)
    if percent > 100:
        assert told_early(site), f"{percent:.1f} % of the budget of {site.kind}, and nobody was told early: {site.sim.notes}"


def told_early(site: Site) -> bool:
    """Whether it was said that the budget can't be kept before it was said that half of it was gone, this month."""
    month = BillingMonth.of(site.sim.today(), site.kind.first_day)
    since = (datetime.combine(month.first, time(), site.kind.zone) - site.sim.begins).total_seconds()
    foreseen = [at for at, _ in site.notes(IMPOSSIBLE) if at >= since]
    half = [at for at, _ in site.notes("much of the SIM's budget is used") if at >= since]
    return bool(foreseen) and (not half or foreseen[0] <= half[0])


# --- what holds afterwards


def is_stable(site: Site, days: float) -> None:
    """One step at a time, none soon after another, and few in all."""
    steps = site.steps
    places = [STEPS.index(step) for _, step in steps] if site.kind.plan is PlanName.AUTO else []
    for (at, before), (then, after) in pairwise(zip((at for at, _ in steps), places, strict=False)):
        # A process that dies forgets what it hasn't saved, and says it again.
        died = any(begin <= then and at <= begin + SAVE_S for begin, _ in site.disturbed) and then - at <= DAY_S
        assert abs(after - before) == 1 or died, f"not one step: {steps}"
        wait_s = DAY_S if after < before else OVERDRAWN_WAIT_S
        assert then - at >= wait_s or at == 0 or died, f"{then - at:.0f} s between two steps: {steps}"
    assert len(steps) - 1 <= days / 2.5 + 3, f"the plan flutters: {steps}"


def is_true(site: Site) -> None:
    """The ledger's days come to the carrier's bill, but for what a dying process hadn't saved; each by itself where its clock was right."""
    bill, ledger = site.sim.bill, site.sim.ledger
    held_bytes = ledger._clock.held().total_bytes
    known = sum(day.total_bytes for day in ledger._days.values()) + held_bytes
    _is_near(known, sum(bill.values()), sum(site.sim.lost.values()), "all days")
    for day, billed in bill.items():
        begin_s = (datetime.combine(day, time(), site.kind.zone) - site.sim.begins).total_seconds()
        if all(end + 2 * SETTLE_S <= begin_s or begin_s + DAY_S <= begin - SETTLE_S for begin, end in site.misset):
            held_today = held_bytes if day == site.sim.today() else 0
            _is_near(ledger.day(day).total_bytes + held_today, billed, site.sim.lost.get(day, 0), str(day))


def _is_near(known: int, billed: int, lost: int, what: str) -> None:
    """Within what is estimated and what passed between two looks at the clock."""
    assert known <= 1.02 * billed + MIDNIGHT_BYTES, f"{what}: more than was billed: {known} of {billed}"
    assert known >= 0.99 * billed - MIDNIGHT_BYTES - lost, (
        f"{what}: less than was billed: {known} of {billed}, {lost} were lost at the most"
    )


MIDNIGHT_BYTES: Final = 4000
"""What may be booked on the day after it passed, for counters are read each `READ_S`."""


def is_fresh(site: Site, csms: Csms, *, steered: bool = False) -> int:
    """What was answered early has reached the CSMS as soon as the plan's step of that time says, but for faults; as soon as `live` if its
    station is `steered`. Returns how many were looked at."""
    steps = site.steps
    since = [at for at, _ in steps]
    looked = 0
    for station in site.stations:
        came: dict[str, float] = {}
        for heard in csms.heard.get(station.identity, []):
            came.setdefault(heard.payload, heard.at)
        for sent in station.made:
            if sent.action not in EARLY or sent.answers != ["{}"]:
                continue
            said = sent.tries[0][0]
            step = PlanName.LIVE if steered else steps[bisect_right(since, said) - 1][1]
            late_s = came[sent.payload] - said - DELAYS_S[step] - SLACK_S
            if late_s > 0:
                disturbed = any(begin <= came[sent.payload] and said <= end for begin, end in site.disturbed)
                assert disturbed, f"{late_s:.0f} s late at step {step}: {sent}"
            looked += 1
    return looked


def kept_promises(fleet: Fleet) -> None:
    """Every message answered early was delivered, in order; twice only under one id; nothing relayed or commanded came late."""
    buried = {json.loads(f"[{letter.body}]")[1]["n"] for letter in fleet.centre.positions.dead}
    for site in fleet.sites:
        for station in site.stations:
            dead = {sent.payload for sent in station.made if json.loads(sent.payload)["n"] in buried}
            check(station, fleet.csms, site.world.outbox.incarnation.hex(), dead)
        assert not undelivered(site.world), "something in the outbox was never delivered"
