"""The link cut at random points, programs restarted, contexts broken: what rules R1, R3 and R4 promise holds under every seed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from random import Random

import pytest

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.simulation.actors import Csms, Station
from ocppress_gateway.simulation.world import World
from tests.support.simulated import check, make_cloud, make_edge, make_traffic

CODECS = list(CodecName)


def run(
    seed: int,
    *,
    cuts: int = 0,
    stalls: int = 0,
    csms_losses: int = 0,
    cloud_restarts: int = 0,
    edge_restarts: int = 0,
    breaks: int = 0,
    losses: int = 0,
    departures: int = 0,
    stations: int = 1,
    pipeline: int = 1,
    messages: int = 60,
    codec: CodecName = CodecName.VERBATIM,
) -> World:
    """A world with that many faults of each kind at random moments; then some quiet minutes, and the check."""
    world = World(seed, partial(make_edge, codec=codec), make_cloud)
    csms = Csms(world)
    world.csms = csms
    span_s = 40.0 * max(cuts, cloud_restarts, edge_restarts, breaks, losses, 4)
    connected = [Station(world, f"CP{number:03}", pipeline=pipeline) for number in range(1, stations + 1)]
    for station in connected:
        world.at(2.0, station.connect)
        make_traffic(world, station, csms, messages, span_s)
    faults = [
        (cuts, world.cut),
        (stalls, lambda: world.stall(world.random.uniform(1.0, 90.0))),
        (csms_losses, lambda: world.csms_closes(csms.sockets.get(world.random.choice(connected).identity, 0))),
        (cloud_restarts, world.restart_cloud),
        (edge_restarts, world.restart_edge),
        (breaks, lambda: break_a_context(world)),
        (losses, lambda: world.lose(world.random.choice(["up", "down"]))),
        (departures, lambda: world.random.choice(connected).disconnect()),
    ]
    for count, fault in faults:
        for _ in range(count):
            world.at(world.random.uniform(3.0, span_s), fault)
    world.run(span_s + 600.0)
    for station in connected:
        check(station, csms)
        assert len(station.made) == messages
    return world


def break_a_context(world: World) -> None:
    """One of the four coders of a station forgets what it has learned and goes on, as a fault of memory or of the program would have it."""
    random = world.random
    edge, cloud = world.edge, world.cloud
    assert isinstance(edge, EdgeMachine)
    assert isinstance(cloud, CloudMachine)
    at_cloud = [station for known in cloud._edges.values() for station in known.stations.values()]
    channels = [station.channel for station in [*edge._stations.values(), *at_cloud] if station.channel is not None]
    if channels:
        channel = random.choice(channels)
        knows = channel._endpoint
        side = random.choice(list(Side))
        fresh = open_endpoint(edge._codec, channel.version, side, knows.encoder.calls, knows.decoder.calls)
        channel._endpoint = random.choice([replace(knows, encoder=fresh.encoder), replace(knows, decoder=fresh.decoder)])


def first_tries_suffice(world: World) -> None:
    """No station had to repeat anything, and nothing was put to the CSMS twice."""
    stations = {id(station): station for station in world.stations.values() if isinstance(station, Station)}.values()
    for station in stations:
        for sent in station.made:
            assert (len(sent.tries), len(sent.answers)) == (1, 1), sent


def noted(world: World, words: str) -> int:
    return sum(note.words == words for _, _, note in world.notes)


def test_without_faults_everything_arrives_once_and_in_order() -> None:
    world = run(1)
    first_tries_suffice(world)
    assert world.edge.counters.calls_over_time == 0
    assert world.cloud.counters.calls_put == 60


@pytest.mark.parametrize("seed", range(40))
def test_cuts(seed: int) -> None:
    world = run(seed, cuts=10)
    assert world.cuts >= 5, "the cuts fell on an open link"


@pytest.mark.parametrize("seed", range(40))
def test_cuts_with_stalls(seed: int) -> None:
    run(1000 + seed, cuts=6, stalls=6)


@pytest.mark.parametrize("seed", range(40))
def test_a_station_that_pipelines_and_a_csms_that_loses_its_sockets(seed: int) -> None:
    run(2000 + seed, cuts=4, stalls=2, csms_losses=4, pipeline=3)


@pytest.mark.parametrize("seed", range(30))
def test_a_cloud_that_restarts(seed: int) -> None:
    run(3000 + seed, cloud_restarts=6, cuts=3)


@pytest.mark.parametrize("seed", range(30))
def test_an_edge_that_restarts(seed: int) -> None:
    run(4000 + seed, edge_restarts=6, cuts=3)


@pytest.mark.parametrize(("seed", "codec"), list(product(range(6), CODECS)))
def test_everything_at_once_with_several_stations(seed: int, codec: CodecName) -> None:
    run(
        5000 + seed,
        cuts=4,
        stalls=3,
        csms_losses=4,
        cloud_restarts=2,
        edge_restarts=2,
        breaks=4,
        losses=3,
        departures=6,
        stations=4,
        pipeline=2,
        messages=30,
        codec=codec,
    )


@pytest.mark.parametrize(("seed", "codec"), list(product(range(10), CODECS)))
def test_broken_contexts_cost_a_new_epoch_and_no_message(seed: int, codec: CodecName) -> None:
    world = run(6000 + seed, breaks=6, codec=codec)
    assert noted(world, "contexts differ, a new epoch is needed") >= 1, "the faults were found"
    first_tries_suffice(world)


@pytest.mark.parametrize("seed", range(15))
def test_link_messages_that_vanish_are_sent_again(seed: int) -> None:
    """The far end sees it at the next frame of the same station, or not at all if an acknowledgement was lost."""
    world = run(7000 + seed, losses=6)
    assert noted(world, "link lost") >= 2, "the losses were found"


def test_huge_messages_of_one_station_do_not_hold_up_another() -> None:
    """At 20 kB/s; before the other's message there are at most what the kernel has, the link message on its way to it, and its own."""
    world = World(1, make_edge, make_cloud)
    csms = Csms(world, answer_s_max=0.02)
    world.csms = csms
    loud, quiet = Station(world, "LOUD"), Station(world, "QUIET")
    world.at(2.0, loud.connect)
    world.at(2.0, quiet.connect)
    for number in range(10):
        world.at(5.0, partial(loud.call, "DataTransfer", f'{{"n":{number},"fill":"{"x" * 150_000}"}}'))
    for number in range(40):
        world.at(5.1 + 5 * number, partial(quiet.call, "Authorize", f'{{"n":{number}}}'))
    longest_s = 0.0

    def watch() -> None:
        nonlocal longest_s
        for sent in quiet.made:
            if not sent.answers:
                longest_s = max(longest_s, world.now - sent.tries[0][0])

    world.run(210.0, watch)
    assert all(sent.answers for sent in quiet.made)
    assert sum(bool(sent.answers) for sent in loud.made) >= 8, "the link was busy"
    assert longest_s < 3 * 16 * 1024 / 20_000 + 1.0, longest_s


# --- more of the same


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1500))
def test_soak(seed: int) -> None:
    random = Random(seed)
    counts = {
        name: random.randrange(8) for name in ("cuts", "stalls", "csms_losses", "cloud_restarts", "edge_restarts", "losses", "departures")
    }
    run(
        100_000 + seed,
        breaks=random.randrange(5),
        stations=random.randrange(1, 4),
        pipeline=random.randrange(1, 4),
        messages=40,
        codec=random.choice(CODECS),
        **counts,
    )
