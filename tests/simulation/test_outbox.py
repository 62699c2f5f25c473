"""Messages that the edge answers itself, under faults of every kind: what was answered arrives, in order, and twice only under the same id."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.stored import Lane
from ocppress_gateway.simulation.actors import Csms, Station
from ocppress_gateway.simulation.world import World
from tests.support.early_promises import bounded, check, undelivered
from tests.support.simulated import early_edge, make_cloud


def make_traffic(world: World, station: Station, csms: Csms, messages: int, span_s: float) -> None:
    random = world.random
    for number in range(messages):
        moment = random.uniform(5.0, span_s)
        action = random.choice([*["MeterValues"] * 7, "StartTransaction", "StatusNotification", "Authorize", "DataTransfer"])
        transaction = ',"transactionId":7' if action == "MeterValues" and random.random() < 0.8 else ""
        size = random.choice([0, 0, 0, 100, 9000])
        payload = f'{{"n":{number}.{random.randrange(10)}0{transaction},"fill":"{"x" * size}"}}'
        world.at(moment, partial(station.call, action, payload))
        if random.random() < 0.2:
            world.at(moment, partial(csms.command, station.identity, "RemoteStartTransaction", f'{{"c":{number}}}'))


def run(
    seed: int,
    *,
    delay_s: float = 60.0,
    cuts: int = 0,
    stalls: int = 0,
    csms_losses: int = 0,
    cloud_restarts: int = 0,
    cloud_stops: int = 0,
    edge_restarts: int = 0,
    departures: int = 0,
    disk_faults: int = 0,
    silences: int = 0,
    lost_positions: int = 0,
    refused: float = 0.0,
    late: float = 0.0,
    wall_s: Callable[[], float] = lambda: 0.0,
    stations: int = 1,
    pipeline: int = 1,
    messages: int = 80,
    codec: CodecName = CodecName.VERBATIM,
) -> World:
    world = World(seed, partial(early_edge, delay_s=delay_s, codec=codec, wall_s=wall_s), make_cloud)
    csms = Csms(world, refused=refused, late=late)
    world.csms = csms
    span_s = 1200.0
    connected = [Station(world, f"CP{number:03}", pipeline=pipeline, boots=True) for number in range(1, stations + 1)]
    for station in connected:
        world.at(2.0, station.connect)
        make_traffic(world, station, csms, messages, span_s)

    def fail_disk() -> None:
        world.outbox.failing = True
        world.at(world.random.uniform(1.0, 60.0), lambda: setattr(world.outbox, "failing", False))

    def fall_silent() -> None:
        csms.silent = True
        world.at(world.random.uniform(1.0, 120.0), lambda: setattr(csms, "silent", False))

    def lose_positions() -> None:
        world.positions.positions.clear()
        world.restart_cloud()

    faults: list[tuple[int, Callable[[], object]]] = [
        (cuts, world.cut),
        (stalls, lambda: world.stall(world.random.uniform(1.0, 90.0))),
        (csms_losses, lambda: world.csms_closes(csms.sockets.get(world.random.choice(connected).identity, 0))),
        (cloud_restarts, world.restart_cloud),
        (cloud_stops, world.stop_cloud),
        (edge_restarts, world.restart_edge),
        (departures, lambda: world.random.choice(connected).disconnect()),
        (disk_faults, fail_disk),
        (silences, fall_silent),
        (lost_positions, lose_positions),
    ]
    for count, fault in faults:
        for _ in range(count):
            world.at(world.random.uniform(3.0, span_s), fault)
    world.run(span_s + (6000.0 if refused or late else 1500.0), partial(bounded, world))
    buried = {json.loads(f"[{letter.body}]")[1]["n"] for letter in world.positions.dead}
    for station in connected:
        dead = {sent.payload for sent in station.made if json.loads(sent.payload)["n"] in buried}
        check(station, csms, world.outbox.incarnation.hex(), dead)
        assert len(station.made) == messages
    assert not undelivered(world), "something in the outbox was never delivered"
    return world


def test_without_faults_almost_everything_is_answered_at_once() -> None:
    world = run(1, messages=200)
    assert world.edge.counters.answered_early > 100
    assert sum(map(len, world.outbox.messages.values())) < 200, "nothing is forgotten"
    assert {lane for _, lane in world.outbox.messages} == set(Lane)


@pytest.mark.parametrize("seed", range(40))
def test_cuts(seed: int) -> None:
    run(seed, cuts=8, stalls=3, messages=50)


@pytest.mark.parametrize("seed", range(40))
def test_restarts_of_the_cloud(seed: int) -> None:
    run(seed, cloud_restarts=6, cuts=2, messages=50)


def contexts_resumed(world: World) -> list[int]:
    """How many contexts a cloud that had stopped has left, and the next went on with, for each time that a link came up."""
    return [note.fields["contexts_resumed"] for _, end, note in world.notes if end == "cloud" and note.words == "link up"]


@pytest.mark.parametrize("seed", range(15))
def test_orderly_restarts_of_the_cloud(seed: int) -> None:
    world = run(seed, cloud_stops=6, codec=CodecName.ADAPTIVE, stations=2, messages=30)
    resumed = contexts_resumed(world)
    assert len(resumed) >= 4, "most of them are apart"
    assert sum(resumed) >= len(resumed), "half of the contexts go on"


@pytest.mark.parametrize("after_s", [0.02 * step for step in range(-2, 20)])
def test_a_cloud_that_stops_while_something_is_on_its_way(after_s: float) -> None:
    """Whatever is sent in its last moments and not taken comes again, and costs no new epoch."""
    world = World(1, partial(early_edge, delay_s=2.0, codec=CodecName.ADAPTIVE), make_cloud)
    csms = world.csms = Csms(world, answer_s_max=0.05)
    station = Station(world, "CP001", pipeline=3, boots=True)
    world.at(2.0, station.connect)
    for number in range(40):
        world.at(90.0 + number, partial(station.call, "MeterValues", f'{{"n":{number},"transactionId":7}}'))
    world.at(104.0 + after_s, world.stop_cloud)
    world.run(300.0, partial(bounded, world))
    check(station, csms, world.outbox.incarnation.hex(), set())
    assert not undelivered(world)
    sockets = [note.fields for _, end, note in world.notes if end == "cloud" and note.words == "CSMS socket open"]
    assert [socket["new_epoch"] for socket in sockets] == [True, False]
    assert len(csms.ids_heard["CP001"]) == len(set(csms.ids_heard["CP001"])), "nor does anything come twice"


@pytest.mark.parametrize("seed", range(24))
def test_orderly_restarts_among_kills_and_cuts(seed: int) -> None:
    run(
        seed,
        cloud_stops=5,
        cloud_restarts=3,
        cuts=4,
        stalls=2,
        csms_losses=2,
        departures=2,
        edge_restarts=seed % 2,
        lost_positions=seed % 3 // 2,
        codec=CodecName.ADAPTIVE,
        delay_s=[2.0, 60.0, 300.0][seed % 3],
        pipeline=seed % 3 + 1,
        messages=40,
    )


@pytest.mark.parametrize("seed", range(40))
def test_restarts_of_the_edge(seed: int) -> None:
    run(seed, edge_restarts=6, cuts=2, messages=50)


@pytest.mark.parametrize("seed", range(40))
def test_lost_sockets(seed: int) -> None:
    run(seed, csms_losses=6, departures=6, messages=50)


@pytest.mark.parametrize("seed", range(30))
def test_a_csms_that_refuses_is_late_and_falls_silent(seed: int) -> None:
    world = run(seed, refused=0.06, late=0.04, silences=2, csms_losses=1, messages=50)
    assert world.cloud.counters.dead_letters == len({letter.message_id for letter in world.positions.dead})


@pytest.mark.parametrize("seed", range(20))
def test_a_cloud_that_loses_its_positions(seed: int) -> None:
    """What it knew is what the edge knows, who may not have heard of the newest answers: those come twice, under the same id."""
    run(seed, lost_positions=3, cuts=2, messages=60)


def test_a_cloud_that_loses_its_positions_late() -> None:
    """By then more has been delivered than the window holds."""
    world = World(1, partial(early_edge, delay_s=60.0, codec=CodecName.VERBATIM), make_cloud)
    csms = world.csms = Csms(world)
    station = Station(world, "CP001", boots=True)
    world.at(2.0, station.connect)
    make_traffic(world, station, csms, 900, 4500.0)

    def lose() -> None:
        world.positions.positions.clear()
        world.restart_cloud()

    world.at(3000.0, lose)
    world.run(6000.0, partial(bounded, world))
    check(station, csms, world.outbox.incarnation.hex(), set())
    assert sum(map(len, world.outbox.messages.values())) < 200, "what was delivered is forgotten"


@pytest.mark.parametrize("seed", [*range(60), 100_032, 100_796, 100_937])
def test_everything_together(seed: int) -> None:
    together(seed)


def together(seed: int) -> None:
    run(
        seed,
        cuts=4,
        stalls=2,
        cloud_restarts=2,
        cloud_stops=2,
        edge_restarts=3,
        csms_losses=3,
        departures=3,
        disk_faults=3,
        silences=seed % 2,
        lost_positions=seed % 2,
        stations=2,
        pipeline=seed % 3 + 1,
        delay_s=[2.0, 60.0, 300.0][seed % 3],
        codec=list(CodecName)[seed % 3],
        messages=30,
    )


@pytest.mark.parametrize("seed", range(3))
def test_steps_of_the_wall_clock_change_nothing(seed: int) -> None:
    """1970 until somebody sets it, and then to and fro by ten hours."""
    random = Random(seed)
    clocks: list[Callable[[], float]] = [lambda: 0.0, lambda: random.choice([0.0, 1.8e9, 1.8e9 - 36_000, 1.8e9 + 36_000])]
    lives: list[object] = []
    for wall_s in clocks:
        world = run(seed, wall_s=wall_s, cuts=4, edge_restarts=2, cloud_restarts=2, messages=40)
        assert isinstance(world.csms, Csms)
        lives.append((world.csms.heard, world.csms.ids_heard, world.positions.positions, world.now))
    assert lives[0] == lives[1]


def test_a_backlog_of_eight_hours_holds_nobody_up() -> None:
    """A station that is served while the link is down: all of it arrives, and an Authorize is answered within seconds meanwhile."""
    world = World(1, partial(early_edge, delay_s=300.0, codec=CodecName.VERBATIM, serves_offline=True), make_cloud)
    csms = world.csms = Csms(world, answer_s_max=0.5)
    station = Station(world, "CP001", pipeline=3, boots=True)
    world.at(2.0, station.connect)
    outage_s, back_s = 8 * 3600.0, 100.0 + 8 * 3600.0
    world.at(99.0, lambda: setattr(world, "refuse_until", back_s))
    world.at(100.0, partial(world.cut, 0.1))
    for number in range(int(outage_s / 30)):
        world.at(110.0 + 30 * number, partial(station.call, "MeterValues", f'{{"n":{number},"transactionId":7}}'))
        world.at(120.0 + 30 * number, partial(station.call, "MeterValues", f'{{"n":{number},"idle":1}}'))
    asked = [partial(station.call, "Authorize", f'{{"n":{number},"idTag":"A"}}') for number in range(30)]
    for number, ask in enumerate(asked):
        world.at(back_s + 30.0 + 10 * number, ask)
    world.at(back_s + 31.0, partial(station.call, "StopTransaction", '{"n":0,"transactionId":7,"stop":1}'))
    longest_s = 0.0

    def watch() -> None:
        nonlocal longest_s
        bounded(world)
        for sent in station.made[-40:]:
            if sent.action == "Authorize" and not sent.answers:
                longest_s = max(longest_s, world.now - sent.tries[0][0])

    world.run(back_s + 30.0)
    assert undelivered(world) > 1500, "there is a backlog"
    world.run(back_s + 3000.0, watch)
    assert all(sent.answers for sent in station.made)
    assert longest_s < 5.0, longest_s
    assert not undelivered(world)
    check(station, csms, world.outbox.incarnation.hex(), set())


def test_two_months() -> None:
    """Clocks that are renewed, numbers that go round, memories that age; a cut or worse every few days."""
    day_s = 24 * 3600.0
    world = World(1, partial(early_edge, delay_s=900.0, codec=CodecName.CBOR_ZSTD), make_cloud)
    csms = world.csms = Csms(world, heartbeat_s=6 * 3600)
    station = Station(world, "CP001", boots=True)
    world.at(2.0, station.connect)
    for number in range(60 * 24):
        transaction = ',"transactionId":7' if number % 3 else ""
        world.at(60.0 + 3600 * number, partial(station.call, "MeterValues", f'{{"n":{number}{transaction}}}'))
        if number % 12 == 0:
            world.at(90.0 + 3600 * number, partial(station.call, "Authorize", f'{{"n":{number},"idTag":"A"}}'))
    for day in range(1, 60):
        fault = [world.cut, world.restart_cloud, world.cut, world.restart_edge, station.disconnect][day % 5]
        world.at(day * day_s + world.random.uniform(0.0, day_s), fault)
    world.run(61 * day_s, partial(bounded, world))
    check(station, csms, world.outbox.incarnation.hex(), set())
    assert all(sent.answers for sent in station.made if sent.transaction)
    assert not undelivered(world)


# --- more of the same


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1500))
def test_soak_everything_together(seed: int) -> None:
    together(100_000 + seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1500))
def test_soak_a_difficult_csms(seed: int) -> None:
    run(200_000 + seed, refused=0.06, late=0.04, silences=2, csms_losses=2, cuts=2, cloud_restarts=1, messages=50, pipeline=seed % 3 + 1)
