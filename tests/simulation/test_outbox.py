"""Messages that the edge answers itself, under faults of every kind: what was answered arrives, in order, and twice only under the same id."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.stored import Lane
from ocppress_gateway.simulation.actors import Csms, Heard, Station
from ocppress_gateway.simulation.world import World
from tests.support.simulated import COMMAND_TIMEOUT_S, EDGE_STATION_TIMEOUT_S, make_cloud, make_edge

EARLY: Final = frozenset({"MeterValues", "StatusNotification"})


class Fixed:
    """A plan that never changes."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    def delay_s(self, identity: str, now: float) -> float | None:
        return self._delay_s

    def smart_charging(self, identity: str, now: float) -> None:
        """Nothing follows."""


def early_edge(random: Random, *, delay_s: float, codec: CodecName) -> EdgeMachine:
    machine = make_edge(random, codec)
    settings = replace(machine.settings, outbox=True, station_grace_s=20.0, drain_s=60.0)
    return EdgeMachine(settings, random.random, random.randbytes, Fixed(delay_s))


def make_traffic(world: World, station: Station, csms: Csms, messages: int, span_s: float) -> None:
    random = world.random
    for number in range(messages):
        moment = random.uniform(5.0, span_s)
        action = random.choice([*["MeterValues"] * 6, "StartTransaction", "StatusNotification", "Authorize", "DataTransfer"])
        transaction = ',"transactionId":7' if action == "MeterValues" else ""
        size = random.choice([0, 0, 0, 100, 9000])
        payload = f'{{"n":{number}.{random.randrange(10)}0{transaction},"fill":"{"x" * size}"}}'
        world.at(moment, partial(station.call, action, payload))
        if random.random() < 0.2:
            world.at(moment, partial(csms.command, station.identity, "RemoteStartTransaction", f'{{"c":{number}}}'))


def check(station: Station, csms: Csms, incarnation: str) -> None:
    heard = csms.heard.get(station.identity, [])
    ids = csms.ids_heard.get(station.identity, [])
    made = {sent.payload: sent for sent in station.made}
    arrivals: dict[str, list[tuple[Heard, str]]] = {}
    for item, message_id in zip(heard, ids, strict=True):
        if item.action in ("Heartbeat", "BootNotification"):
            continue
        assert item.payload in made, "the CSMS heard what no station said"
        arrivals.setdefault(item.payload, []).append((item, message_id))
    for payload, sent in made.items():
        came = arrivals.get(payload, [])
        assert len(sent.answers) <= 1, "one answer for a CALL"
        early = sent.answers == ["{}"]
        if sent.answers:
            assert came, f"answered, though the CSMS never heard it: {sent}"
            assert early or json.loads(sent.answers[0])["echo"] == payload, "somebody else's answer"
            assert not early or sent.action in EARLY
        if sent.transaction:
            assert sent.answers, f"a transaction message repeated to the end is answered: {sent}"
        stored_ids = {message_id for _, message_id in came if message_id.startswith(incarnation)}
        assert len(stored_ids) <= 1, f"sent twice, under two ids: {sent} {came}"
        sockets = [item.socket for item, _ in came]
        assert len(set(sockets)) == len(sockets), f"delivered twice on one CSMS socket: {sent} {came}"
        for item, _ in came:
            latest = max(at for at, _ in sent.tries if at <= item.at)
            assert early or item.at - latest <= EDGE_STATION_TIMEOUT_S, "delivered after its sender gave it up"
    for lane in (("MeterValues", "StartTransaction"), ("StatusNotification",)):
        seen: set[str] = set()
        previous = 0.0
        for item in heard:
            if item.action in lane and item.payload not in seen:
                seen.add(item.payload)
                tries = [at for at, _ in made[item.payload].tries if previous <= at <= item.at]
                assert tries, f"reordered within a lane: {item} before {previous}"
                previous = min(tries)
    for command in station.heard:
        (sent,) = [sent for sent in csms.commands[station.identity] if sent.payload == command.payload]
        assert command.at - sent.tries[0][0] <= COMMAND_TIMEOUT_S, "a stale command reached the station"
    assert not csms.stray_answers
    assert not station.stray_answers
    assert csms.calls_at_once_max <= 1, "more than one CALL outstanding at the CSMS"


def run(
    seed: int,
    *,
    delay_s: float = 60.0,
    cuts: int = 0,
    stalls: int = 0,
    csms_losses: int = 0,
    cloud_restarts: int = 0,
    edge_restarts: int = 0,
    departures: int = 0,
    disk_faults: int = 0,
    stations: int = 1,
    pipeline: int = 1,
    messages: int = 80,
    codec: CodecName = CodecName.VERBATIM,
) -> World:
    world = World(seed, partial(early_edge, delay_s=delay_s, codec=codec), make_cloud)
    csms = Csms(world)
    world.csms = csms
    span_s = 1200.0
    connected = [Station(world, f"CP{number:03}", pipeline=pipeline, boots=True) for number in range(1, stations + 1)]
    for station in connected:
        world.at(2.0, station.connect)
        make_traffic(world, station, csms, messages, span_s)

    def fail_disk() -> None:
        world.outbox.failing = True
        world.at(world.random.uniform(1.0, 60.0), lambda: setattr(world.outbox, "failing", False))

    faults: list[tuple[int, Callable[[], object]]] = [
        (cuts, world.cut),
        (stalls, lambda: world.stall(world.random.uniform(1.0, 90.0))),
        (csms_losses, lambda: world.csms_closes(csms.sockets.get(world.random.choice(connected).identity, 0))),
        (cloud_restarts, world.restart_cloud),
        (edge_restarts, world.restart_edge),
        (departures, lambda: world.random.choice(connected).disconnect()),
        (disk_faults, fail_disk),
    ]
    for count, fault in faults:
        for _ in range(count):
            world.at(world.random.uniform(3.0, span_s), fault)
    world.run(span_s + 1500.0)
    for station in connected:
        check(station, csms, world.outbox.incarnation.hex())
        assert len(station.made) == messages
    assert isinstance(world.edge, EdgeMachine)
    assert isinstance(world.cloud, CloudMachine)
    for (identity, lane), kept in world.outbox.messages.items():
        known = world.positions.positions[identity][world.outbox.incarnation][lane]
        assert all(position <= known for position in kept), "something in the outbox was never delivered"
    return world


def test_without_faults_almost_everything_is_answered_at_once() -> None:
    world = run(1, messages=200)
    assert world.edge.counters.answered_early > 100
    assert sum(map(len, world.outbox.messages.values())) < 200, "nothing is forgotten"
    assert {lane for _, lane in world.outbox.messages} == set(Lane)


@pytest.mark.parametrize("seed", range(12))
def test_cuts(seed: int) -> None:
    run(seed, cuts=8, stalls=3)


@pytest.mark.parametrize("seed", range(12))
def test_restarts_of_the_cloud(seed: int) -> None:
    run(seed, cloud_restarts=6, cuts=2)


@pytest.mark.parametrize("seed", range(12))
def test_restarts_of_the_edge(seed: int) -> None:
    run(seed, edge_restarts=6, cuts=2)


@pytest.mark.parametrize("seed", range(12))
def test_lost_sockets(seed: int) -> None:
    run(seed, csms_losses=6, departures=6)


@pytest.mark.parametrize("seed", range(20))
def test_everything_together(seed: int) -> None:
    run(
        seed,
        cuts=4,
        stalls=2,
        cloud_restarts=3,
        edge_restarts=3,
        csms_losses=3,
        departures=3,
        disk_faults=3,
        stations=3,
        pipeline=seed % 3 + 1,
        delay_s=[2.0, 60.0, 300.0][seed % 3],
        codec=list(CodecName)[seed % 3],
    )
