"""Ends of two releases on one link: an edge, or a cloud, is changed, and changed back, while messages wait in the outbox."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from random import Random

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.parts import Spoken
from ocppress_gateway.simulation.actors import Csms, Station
from ocppress_gateway.simulation.world import World
from tests.support.simulated import early_edge, make_cloud

OLD = Spoken(1, 1)
NEW = Spoken(1, 2)
NEWEST = Spoken(2, 3)


class Releases:
    """Which release each end is of when its next process begins."""

    def __init__(self, edge: Spoken, cloud: Spoken) -> None:
        self.edge = edge
        self.cloud = cloud

    def make_edge(self, random: Random) -> EdgeMachine:
        machine = early_edge(random, delay_s=60.0, codec=CodecName.ADAPTIVE)
        machine.settings = replace(machine.settings, protocols=self.edge)
        return machine

    def make_cloud(self, random: Random) -> CloudMachine:
        machine = make_cloud(random)
        machine.settings = replace(machine.settings, protocols=self.cloud)
        return machine


def _begun(releases: Releases) -> tuple[World, Csms, Station]:
    world = World(1, releases.make_edge, releases.make_cloud)
    world.csms = csms = Csms(world)
    station = Station(world, "CP001", boots=True)
    world.at(0.0, station.connect)
    for number in range(60):
        world.at(10.0 + 30.0 * number, partial(station.call, "MeterValues", f'{{"n":{number},"transactionId":7}}'))
    return world, csms, station


def _protocols(world: World) -> list[int]:
    """Of the links that came up, one after the other."""
    return [note.fields["protocol"] for _, side, note in world.notes if (side, note.words) == ("cloud", "link up")]


@pytest.mark.parametrize("first", ["cloud", "edge"])
def test_ends_are_changed_one_after_the_other_and_back(first: str) -> None:
    releases = Releases(OLD, OLD)
    world, csms, station = _begun(releases)

    def change(end: str, to: Spoken) -> None:
        setattr(releases, end, to)
        if end == "cloud":
            world.stop_cloud()
        else:
            world.restart_edge()

    second = {"cloud": "edge", "edge": "cloud"}[first]
    for at_s, end, to in ((300.0, first, NEW), (600.0, second, NEW), (900.0, second, OLD), (1200.0, first, OLD)):
        world.at(at_s, partial(change, end, to))
    world.run(2400.0)
    assert _protocols(world) == [1, 1, 2, 1, 1]
    assert [item.payload for item in csms.heard["CP001"] if item.action == "MeterValues"] == [sent.payload for sent in station.made]
    assert len(station.made) == 60


def test_an_edge_waits_with_all_it_has_for_a_cloud_that_it_can_speak_with() -> None:
    releases = Releases(NEWEST, OLD)
    world, csms, station = _begun(releases)

    def change() -> None:
        releases.cloud = NEW
        world.stop_cloud()

    world.at(900.0, change)
    world.run(890.0)
    assert _protocols(world) == []
    assert not csms.heard
    refused = [
        note
        for _, side, note in world.notes
        if side == "cloud" and note.fields.get("reason") == "link protocol 2 to 3, this cloud speaks 1"
    ]
    assert 5 < len(refused) < 60, "at first as often as ever"
    world.run(6000.0)
    assert _protocols(world) == [2]
    assert [item.payload for item in csms.heard["CP001"] if item.action == "MeterValues"] == [sent.payload for sent in station.made]
