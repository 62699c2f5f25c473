"""What a restart of the cloud costs the frames that follow it: nothing after SIGTERM, a new context after a kill."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import Final

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.ledger import LedgerSettings
from ocppress_gateway.core.plan import DELAYS_S, PlanName
from ocppress_gateway.simulation.replay import Comparison, ReplayedCsms, ReplayedStation
from ocppress_gateway.simulation.sim import Sim
from ocppress_gateway.simulation.world import World
from ocppress_gateway.workloads.exchanges import exchanges, with_boot
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from tests.support.simulated import early_edge, make_cloud
from tests.support.tree import ROOT

DAY_S: Final = 86_400.0
AFTER_S: Final = 6 * 3600.0
"""How long is looked at: by then a new context has learnt nearly all of it again."""
BEGINS: Final = datetime(2026, 3, 1, tzinfo=UTC)


def passed(workload: str, how: str) -> int:
    """Bytes of frames in the six hours after the restart at noon."""
    sim = Sim(LedgerSettings(25_000_000, UTC), begins=BEGINS, plan=PlanName.SAVER)
    edge = partial(early_edge, delay_s=DELAYS_S[PlanName.SAVER], codec=CodecName.ADAPTIVE)
    world = World(1, edge, make_cloud, sim=sim)
    comparison = Comparison(OcppVersion.V201)
    upcoming = exchanges(with_boot(generate(WORKLOADS[workload], days=1, seed=1)))
    csms = ReplayedCsms(world, comparison, BEGINS.timestamp)
    world.csms = csms
    ReplayedStation(world, "STATION-1", upcoming, comparison, csms)
    restart_at_s = 0.5 * DAY_S
    actions = {"stop": world.stop_cloud, "kill": world.restart_cloud}
    if how in actions:
        world.at(restart_at_s, actions[how])
    world.run(restart_at_s - 1.0)
    before = sim.cost.payload
    world.run(restart_at_s + AFTER_S)
    after = sim.cost.payload
    assert not comparison.strangers
    return round(after - before)


ROUGHLY: Final = 6
"""Bytes by which the same traffic differs when some of it goes in other frames."""


def costs(workload: str) -> tuple[int, int]:
    """What SIGTERM and what a kill costs."""
    undisturbed, stopped, killed = (passed(workload, how) for how in ("not at all", "stop", "kill"))
    return stopped - undisturbed, killed - undisturbed


def test_sigterm_costs_no_context_and_a_kill_does() -> None:
    stopped, killed = costs("home")
    assert abs(stopped) <= ROUGHLY
    assert killed > 5 * ROUGHLY


@pytest.mark.soak
def test_the_readme_says_what_a_new_context_costs() -> None:
    found = [costs(workload) for workload in WORKLOADS]
    assert all(abs(stopped) <= ROUGHLY for stopped, _ in found)
    said = re.search(r"new contexts cost (\d+) to (\d+) bytes of frames", (ROOT / "gateway" / "README.md").read_text())
    assert said is not None
    killed = [cost for _, cost in found]
    assert [int(number) for number in said.groups()] == [min(killed), max(killed)]
