"""What the simulated worlds of the tests have in common: machines, traffic, and the check of what is promised."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine, CloudSettings
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings, Freshness
from ocppress_gateway.simulation.actors import Csms, Heard, Sent, Station
from ocppress_gateway.simulation.world import EDGE_NAME, World

__all__ = ["COMMAND_TIMEOUT_S", "EDGE_STATION_TIMEOUT_S", "check", "early_edge", "make_cloud", "make_edge", "make_traffic"]

COMMAND_TIMEOUT_S = 30.0
EDGE_STATION_TIMEOUT_S = 60.0


def make_edge(random: Random, codec: CodecName = CodecName.VERBATIM) -> EdgeMachine:
    settings = EdgeSettings(
        edge="",
        codec=codec,
        linger_s=0.02,
        station_timeout_s=EDGE_STATION_TIMEOUT_S,
        command_timeout_s=COMMAND_TIMEOUT_S,
        upgrade_wait_s=8.0,
        link_grace_s=60.0,
        reconnect_min_s=1.0,
        reconnect_max_s=20.0,
    )
    return EdgeMachine(settings, random.random, random.randbytes)


class Fixed:
    """A plan that never changes."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    def delay_s(self, identity: str, now: float) -> float | None:
        return self._delay_s

    def smart_charging(self, identity: str, now: float) -> None:
        """Nothing follows."""

    def charging(self, identity: str, transactions: int) -> None:
        """Nor here."""


def early_edge(
    random: Random,
    *,
    delay_s: float = 0.0,
    freshness: Freshness | None = None,
    codec: CodecName,
    serves_offline: bool = False,
    wall_s: Callable[[], float] = lambda: 0.0,
) -> EdgeMachine:
    """`freshness`: a plan, rather than the same `delay_s` always."""
    machine = make_edge(random, codec)
    settings = replace(machine.settings, outbox=True, station_grace_s=20.0, drain_s=60.0, serves_offline=serves_offline)
    return EdgeMachine(settings, random.random, random.randbytes, freshness or Fixed(delay_s), wall_s)


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
        action = random.choice(["MeterValues", "MeterValues", "StartTransaction", "StatusNotification", "Authorize", "DataTransfer"])
        transaction = ', "transactionId": 7' if action == "MeterValues" else ""
        size = random.choice([0, 0, 0, 100, 9000])
        payload = f'{{ "n": {number}.{random.randrange(10)}0{transaction}, "fill": "{"x" * size}" }}'
        world.at(moment, partial(station.call, action, payload))
        if random.random() < 0.4:
            world.at(moment, partial(csms.command, station.identity, "RemoteStartTransaction", f'{{"c":{number}}}'))


def _minified(payload: str) -> str:
    return json.dumps(json.loads(payload, parse_float=str), separators=(",", ":")).replace('"n":"', '"n":').replace('0",', "0,")


def check(station: Station, csms: Csms) -> None:
    """What rules R1, R3 and R4 promise, after the dust has settled."""
    heard = csms.heard.get(station.identity, [])
    made = {_minified(sent.payload): sent for sent in station.made}
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
    _check_order([item for item in heard if item.action in ("MeterValues", "StartTransaction")], made)
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


def _check_order(heard: list[Heard], made: dict[str, Sent]) -> None:
    """First deliveries of the ordered lane come in an order in which the station sent them; a repeated message was sent several times."""
    seen: set[str] = set()
    previous = 0.0
    for item in heard:
        if item.payload not in seen:
            seen.add(item.payload)
            tries = [at for at, _ in made[item.payload].tries if previous <= at <= item.at]
            assert tries, "reordered within the ordered lane"
            previous = min(tries)
