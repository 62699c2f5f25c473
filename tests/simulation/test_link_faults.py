"""The link cut at random points, both machines in virtual time: what rules R1, R3 and R4 promise holds under every seed."""

from __future__ import annotations

import json
from random import Random

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine, CloudSettings
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.simulation.actors import Csms, Heard, Sent, Station
from ocppress_gateway.simulation.world import EDGE_NAME, World

COMMAND_TIMEOUT_S = 30.0
EDGE_STATION_TIMEOUT_S = 60.0


def make_edge(random: Random) -> EdgeMachine:
    settings = EdgeSettings(
        edge="",
        codec=CodecName.VERBATIM,
        linger_s=0.02,
        station_timeout_s=EDGE_STATION_TIMEOUT_S,
        command_timeout_s=COMMAND_TIMEOUT_S,
        upgrade_wait_s=8.0,
        link_grace_s=60.0,
        reconnect_min_s=1.0,
        reconnect_max_s=20.0,
    )
    return EdgeMachine(settings, random.random, random.randbytes)


def make_cloud(random: Random) -> CloudMachine:
    settings = CloudSettings(
        edges={EDGE_NAME: frozenset({ANY_STATION})},
        linger_s=0.02,
        command_timeout_s=COMMAND_TIMEOUT_S,
        call_timeout_s=30.0,
        link_grace_s=60.0,
        retry_wait_min_s=2.0,
        retry_random_s=2.0,
        retry_repeat_times=3,
    )
    return CloudMachine(settings, random.random, random.randbytes)


def make_traffic(world: World, station: Station, csms: Csms, messages: int, span_s: float) -> None:
    """CALLs of both lanes and commands at random moments, each with a payload of its own."""
    random = world.random
    for number in range(messages):
        moment = random.uniform(5.0, span_s)
        action = random.choice(["MeterValues", "MeterValues", "StartTransaction", "StatusNotification", "Heartbeat", "DataTransfer"])
        transaction = ', "transactionId": 7' if action == "MeterValues" else ""
        size = random.choice([0, 0, 0, 100, 9000])
        payload = f'{{ "n": {number}.{random.randrange(10)}0{transaction}, "fill": "{"x" * size}" }}'
        world.at(moment, lambda action=action, payload=payload: station.call(action, payload))  # type: ignore[misc]
        if random.random() < 0.4:
            command = f'{{"c":{number}}}'
            world.at(moment, lambda command=command: csms.command(station.identity, "RemoteStartTransaction", command))  # type: ignore[misc]


def minified(payload: str) -> str:
    return json.dumps(json.loads(payload, parse_float=str), separators=(",", ":")).replace('"n":"', '"n":').replace('0",', "0,")


def check(world: World, station: Station, csms: Csms) -> None:
    heard = csms.heard.get(station.identity, [])
    made = {minified(sent.payload): sent for sent in station.made}
    assert len(made) == len(station.made), "payloads of this test differ from each other"
    for item in heard:
        assert item.payload in made, "the CSMS heard what no station said"
    by_payload: dict[str, list[Heard]] = {}
    for item in heard:
        by_payload.setdefault(item.payload, []).append(item)
    for payload, sent in made.items():
        arrivals = by_payload.get(payload, [])
        assert len(sent.answers) <= 1, "one answer for a CALL"
        for answer in sent.answers:
            assert json.loads(answer)["echo"] == payload, "somebody else's answer"
        if sent.answers:
            assert arrivals, "answered, though the CSMS never heard it"
        if sent.transaction:
            sockets = [item.socket for item in arrivals]
            assert len(set(sockets)) == len(sockets), "a repeat was delivered twice on one CSMS socket"
            assert sent.answers, "a transaction message repeated to the end is answered"
        for item in arrivals:
            latest = max((at for at, _ in sent.tries if at <= item.at), default=None)
            assert latest is not None
            assert item.at - latest <= EDGE_STATION_TIMEOUT_S, "delivered after its sender gave it up"
    check_order([item for item in heard if item.action in ("MeterValues", "StartTransaction")], made)
    commands = {sent.payload: sent for sent in csms.commands.get(station.identity, [])}
    seen: set[str] = set()
    for command in station.heard:
        sent = commands[command.payload]
        assert command.at - sent.tries[0][0] <= COMMAND_TIMEOUT_S, "a stale command reached the station"
        assert command.payload not in seen, "a command ran twice"
        seen.add(command.payload)
    for sent in commands.values():
        assert len(sent.answers) <= 1
        for answer in sent.answers:
            assert json.loads(answer)["echo"] == sent.payload
    order = [json.loads(command.payload)["c"] for command in station.heard]
    sent_order = [json.loads(sent.payload)["c"] for sent in csms.commands.get(station.identity, [])]
    assert order == [number for number in sent_order if number in set(order)], "commands were reordered"
    assert not csms.stray_answers, "an answer with an unknown id reached the CSMS"
    assert not station.stray_answers, "an answer with an unknown id reached the station"
    assert csms.calls_at_once_max <= 1, "more than one CALL outstanding at the CSMS"
    ids = csms.ids_heard.get(station.identity, [])
    assert len(set(ids)) == len(ids), "message ids towards the CSMS are unique"


def check_order(heard: list[Heard], made: dict[str, Sent]) -> None:
    """First deliveries of the ordered lane come in an order in which the station sent them; a repeated message was sent several times."""
    seen: set[str] = set()
    previous = 0.0
    for item in heard:
        if item.payload not in seen:
            seen.add(item.payload)
            tries = [at for at, _ in made[item.payload].tries if previous <= at <= item.at]
            assert tries, "reordered within the ordered lane"
            previous = min(tries)


def run(seed: int, *, cuts: int, stalls: int = 0, csms_losses: int = 0, pipeline: int = 1, messages: int = 60) -> World:
    world = World(seed, make_edge, make_cloud)
    csms = Csms(world)
    world.csms = csms
    span_s = 40.0 * max(cuts, 4)
    station = Station(world, "CP001", pipeline=pipeline)
    world.at(2.0, station.connect)
    make_traffic(world, station, csms, messages, span_s)
    for _ in range(cuts):
        world.at(world.random.uniform(3.0, span_s), world.cut)
    for _ in range(stalls):
        world.at(world.random.uniform(3.0, span_s), lambda: world.stall(world.random.uniform(1.0, 90.0)))
    for _ in range(csms_losses):
        world.at(world.random.uniform(3.0, span_s), lambda: world.csms_closes(csms.sockets.get("CP001", 0)))
    world.run(span_s + 600.0)
    check(world, station, csms)
    assert len(station.made) == messages
    return world


def test_without_faults_everything_arrives_once_and_in_order() -> None:
    world = run(1, cuts=0)
    assert world.edge.counters.calls_over_time == 0
    assert world.cloud.counters.calls_put == 60


@pytest.mark.parametrize("seed", range(60))
def test_two_hundred_cuts(seed: int) -> None:
    """Ten cuts in each of twenty worlds."""
    world = run(seed, cuts=10)
    assert world.cuts >= 5, "the cuts fell on an open link"


@pytest.mark.parametrize("seed", range(60))
def test_cuts_with_stalls(seed: int) -> None:
    run(1000 + seed, cuts=6, stalls=6)


@pytest.mark.parametrize("seed", range(60))
def test_a_station_that_pipelines_and_a_csms_that_loses_its_sockets(seed: int) -> None:
    run(2000 + seed, cuts=4, stalls=2, csms_losses=4, pipeline=3)
