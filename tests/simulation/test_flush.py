"""The operator, or the demo, wants to see now what waits at the edge."""

from __future__ import annotations

from functools import partial

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.events import Flush
from ocppress_gateway.simulation.actors import Csms, Station
from ocppress_gateway.simulation.world import World
from tests.support.simulated import early_edge, make_cloud


def test_what_waits_goes_at_once() -> None:
    world = World(1, partial(early_edge, delay_s=900.0, codec=CodecName.VERBATIM), make_cloud)
    world.csms = csms = Csms(world)
    station = Station(world, "CP001", boots=True)
    world.at(0.0, station.connect)
    for number in range(5):
        world.at(10.0 + number, partial(station.call, "MeterValues", f'{{"n":{number},"transactionId":7}}'))
    world.run(60.0)
    assert [sent.answers for sent in station.made] == [["{}"]] * 5, "answered by the edge"
    assert [item.action for item in csms.heard["CP001"]] == ["BootNotification"], "and not there yet"
    world.step(world.edge, Flush("nobody"))
    world.step(world.edge, Flush("CP001"))
    world.run(80.0)
    assert [item.payload for item in csms.heard["CP001"][1:]] == [sent.payload for sent in station.made]
