"""A recorded station's month over the link: the real machines, codec, ledger and plan in virtual time, and what passes its SIM.

A part of a month counts as all of it in proportion; only the first, full handshake counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from random import Random
from typing import Final

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine, CloudSettings
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.core.ledger import LedgerSettings
from ocppress_gateway.core.plan import DELAYS_S, PlanName
from ocppress_gateway.core.policy import NO_OVERRIDES, Overrides
from ocppress_gateway.cost.month import MONTH_S, hello_cost, month_of, reconnect_times
from ocppress_gateway.cost.wire import DAY_S, ByteCount, Conditions, handshake_bytes
from ocppress_gateway.simulation.replay import Comparison, ReplayedCsms, ReplayedStation
from ocppress_gateway.simulation.sim import Sim
from ocppress_gateway.simulation.world import EDGE_NAME, World
from ocppress_gateway.workloads.exchanges import Exchange, exchanges, with_boot
from ocppress_gateway.workloads.traces import TraceRecord

__all__ = ["Month", "Progress", "run_month"]

READ_S: Final = 600.0
"""How often ledger and plan are looked at; in the edge each minute, which changes nothing but how long the simulation takes."""

NOTICE_S: Final = 0.05
"""After which both ends know of a lost connection: the carrier has taken the address away, and the modem says so."""

LATENCY_S: Final = 0.035
"""One way, as in the network where `bench.link` measures."""

WRITE_S_MAX: Final = 0.01
"""A write to the edge's disk, which has one station's message at a time; what takes longer may miss the frame that it would have shared."""

SETTLE_S: Final = 120.0
"""After the end, for what is still on its way."""

STATION: Final = "STATION-00000001"

Progress = Callable[[float], None]
"""Told how much of the time has passed, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Month:
    """What has come of it. `cost` is a month's, `passed` that of the `span_s` seconds that were simulated."""

    cost: ByteCount
    passed: ByteCount
    span_s: float
    delivered: int
    missing: int
    expired: int
    strangers: int
    wrong_answers: int
    repeats: int
    ages_s: list[float] = field(repr=False)
    """Sorted: how old each message was, when it reached the CSMS, that may be answered early and isn't urgent."""
    steps: dict[str, float]
    """The plan's, and which share of the time each was in force."""

    @property
    def exact(self) -> bool:
        """Whether every message has come, once and as it was."""
        return not (self.missing or self.strangers or self.wrong_answers)


def run_month(
    records: Iterable[TraceRecord],
    version: OcppVersion,
    *,
    plan: PlanName,
    conditions: Conditions,
    days: float | None,
    budget_bytes: int,
    seed: int,
    overrides: Overrides = NO_OVERRIDES,
    progress: Progress = lambda share: None,
) -> Month:
    """Replay the records; `days` is how much time they are about, None for as long as they take. Raises `ValueError` if there are none."""
    upcoming = exchanges(with_boot(records))
    first = next(upcoming, None)
    if first is None:
        raise ValueError("a trace without a CALL")
    run = _Run(chain([first], upcoming), first.at_s - 1.0, version, plan, conditions, budget_bytes, seed, overrides)
    return run.done(None if days is None else days * DAY_S, progress)


class _Run:
    def __init__(
        self,
        upcoming: Iterator[Exchange],
        begins_s: float,
        version: OcppVersion,
        plan: PlanName,
        conditions: Conditions,
        budget_bytes: int,
        seed: int,
        overrides: Overrides,
    ) -> None:
        self._conditions = conditions
        self._plan_name = plan
        begins = datetime.fromtimestamp(begins_s, UTC)
        self._sim = sim = Sim(
            LedgerSettings(budget_bytes, UTC), begins=begins, plan=plan, conditions=conditions, read_s=READ_S, resumes=True
        )
        self._comparison = Comparison(version)

        def edge(random: Random) -> EdgeMachine:
            settings = EdgeSettings(
                edge="",
                codec=CodecName.ADAPTIVE,
                linger_s=0.02,
                station_timeout_s=60.0,
                command_timeout_s=30.0,
                upgrade_wait_s=8.0,
                link_grace_s=60.0,
                reconnect_min_s=1.0,
                reconnect_max_s=60.0,
                outbox=plan is not PlanName.TRANSPARENT,
                station_grace_s=20.0,
                drain_s=60.0,
                overrides=overrides,
            )
            return EdgeMachine(settings, random.random, random.randbytes, sim.plan, lambda: sim.wall().timestamp())

        self._world = World(seed, edge, _cloud, name=EDGE_NAME, sim=sim)
        self._world.latency_s = LATENCY_S
        self._world.outbox.write_s_max = WRITE_S_MAX
        sim.round_trip_s = 2 * LATENCY_S
        csms = ReplayedCsms(self._world, self._comparison, lambda: begins_s)
        self._world.csms = csms
        self._station = ReplayedStation(self._world, STATION, upcoming, self._comparison, csms)
        self._steps: dict[str, float] = {}

    def done(self, span_s: float | None, progress: Progress) -> Month:
        breaks = reconnect_times(self._conditions, MONTH_S if span_s is None else span_s)
        for at_s in breaks:
            self._world.at(at_s, lambda: self._world.cut(NOTICE_S))
        now = 0.0
        while (span_s is None and self._station.ends_s is None) or (span_s is not None and now < span_s):
            now += READ_S
            if span_s is not None:
                now = min(now, span_s)
            self._world.run(now)
            self._note_step(READ_S)
            if span_s is not None:
                progress(now / span_s)
        if span_s is None:
            assert self._station.ends_s is not None, "the loop's condition"
            span_s = max(self._station.ends_s, 1.0)
        delay_s = 0.0 if self._plan_name is PlanName.TRANSPARENT else DELAYS_S[PlanName.SAVER]
        # What was said last is delivered after the end, and belongs to it.
        self._world.run(now + delay_s + SETTLE_S)
        passed = self._sim.cost
        happened = sum(1 for at_s in breaks if at_s < span_s)
        conditions = self._conditions
        first, again = (
            ByteCount(handshake=handshake_bytes(handshake, conditions)) + hello_cost(conditions)
            for handshake in (conditions.first, conditions.reconnect)
        )
        comparison = self._comparison
        shares = sum(self._steps.values()) or 1.0
        return Month(
            cost=month_of(passed, span_s, happened, conditions, first=first, again=again),
            passed=passed,
            span_s=span_s,
            delivered=comparison.delivered,
            missing=comparison.missing,
            expired=comparison.expired,
            strangers=comparison.strangers,
            wrong_answers=comparison.wrong_answers,
            repeats=comparison.repeats,
            ages_s=sorted(comparison.ages_s),
            steps={name: round(lasted / shares, 4) for name, lasted in self._steps.items()},
        )

    def _note_step(self, lasted_s: float) -> None:
        step = self._sim.plan.view(self._world.now).step.value
        self._steps[step] = self._steps.get(step, 0.0) + lasted_s


def _cloud(random: Random) -> CloudMachine:
    settings = CloudSettings(
        edges={EDGE_NAME: frozenset({ANY_STATION})},
        linger_s=0.0,
        command_timeout_s=30.0,
        call_timeout_s=30.0,
        link_grace_s=60.0,
        retry_wait_min_s=10.0,
        retry_random_s=10.0,
        retry_repeat_times=5,
    )
    return CloudMachine(settings, random.random, random.randbytes)
