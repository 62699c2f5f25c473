"""What an edge that answers early promises, seen from the records of simulated stations and their CSMS; and what either end may hold meanwhile."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Final

from ocppress_gateway.core.calls import WAITING_MAX
from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.limits import (
    CALLS_OPEN_MAX,
    STORED_IN_FLIGHT_MAX,
    STORED_IN_FLIGHT_TEXT_MAX,
    STORED_IN_MEMORY_TEXT_MAX,
)
from ocppress_gateway.simulation.actors import CALL_TIMEOUT_S, Csms, Heard, Sent, Station
from ocppress_gateway.simulation.world import World
from tests.support.simulated import COMMAND_TIMEOUT_S, EDGE_STATION_TIMEOUT_S

__all__ = ["EARLY", "bounded", "check", "cloud_bounded", "edge_bounded", "is_ordered", "undelivered"]

EARLY: Final = frozenset({"MeterValues", "StatusNotification"})

ROUNDING_S: Final = 1e-9
"""Of a difference of two floats: a time-out that is kept to the moment may look shorter by that."""


def is_ordered(item: Sent | Heard) -> bool:
    return item.action == "StartTransaction" or "transactionId" in item.payload


def check(station: Station, csms: Csms, incarnation: str, buried: set[str]) -> None:
    """`buried`: payloads among the dead letters."""
    heard = [item for item in csms.heard.get(station.identity, []) if item.action not in ("Heartbeat", "BootNotification")]
    named = zip(csms.heard.get(station.identity, []), csms.ids_heard.get(station.identity, []), strict=True)
    accepted = csms.accepted.get(station.identity, [])
    made = {sent.payload: sent for sent in station.made}
    arrivals: dict[str, list[tuple[Heard, str]]] = {}
    for item, message_id in named:
        if item.action not in ("Heartbeat", "BootNotification"):
            assert item.payload in made, "the CSMS heard what no station said"
            arrivals.setdefault(item.payload, []).append((item, message_id))
    for payload, sent in made.items():
        came = arrivals.get(payload, [])
        assert len(sent.answers) <= 1, "one answer for a CALL"
        early = sent.answers == ["{}"]
        if sent.answers:
            assert came, f"answered, though the CSMS never heard it: {sent}"
            refused = sent.answers[0].startswith('"')
            assert early or refused or json.loads(sent.answers[0])["echo"] == payload, "somebody else's answer"
            assert not early or sent.action in EARLY
        if early and sent.transaction:
            assert payload in accepted or payload in buried, f"neither taken by the CSMS nor kept for the operator: {sent}"
        if sent.transaction:
            assert sent.answers, f"a transaction message repeated to the end is answered: {sent}"
        stored_ids = {message_id for _, message_id in came if message_id.startswith(incarnation)}
        assert len(stored_ids) <= 1, f"sent twice, under two ids: {sent} {came}"
        for (first, _), (second, _) in pairwise(came):
            again_s = second.at - first.at
            assert second.socket != first.socket or again_s >= CALL_TIMEOUT_S - ROUNDING_S, (
                f"put again on the same socket, too early: {sent} {came}"
            )
        for item, message_id in came:
            # What is on disk is the edge's, also if its sender's socket was lost before the answer arrived.
            stored = message_id.startswith(incarnation)
            latest = max(at for at, _ in sent.tries if at <= item.at)
            assert stored or item.at - latest <= EDGE_STATION_TIMEOUT_S, "delivered after its sender gave it up"
    kept = [item for item in heard if item.action in EARLY and not is_ordered(item)]
    for lane in ([item for item in heard if is_ordered(item)], kept):
        seen: set[str] = set()
        previous = 0.0
        for item in lane:
            if item.payload not in seen:
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


MESSAGE_MAX: Final = 9100
"""Characters of the worlds' longest message."""


def bounded(world: World) -> None:
    """What either end holds in memory, whatever the length of the backlog."""
    edge_bounded(world.edge)
    cloud_bounded(world.cloud)


def edge_bounded(machine: EdgeMachine) -> None:
    for station in machine._stations.values():
        assert station.lanes._stored_text <= 3 * STORED_IN_MEMORY_TEXT_MAX // 2 + 4 * MESSAGE_MAX
        assert len(station._storing) <= CALLS_OPEN_MAX


def cloud_bounded(machine: CloudMachine) -> None:
    for edge in machine._edges.values():
        for one in edge.stations.values():
            assert len(one.outgoing) <= WAITING_MAX + 2 * STORED_IN_FLIGHT_MAX
            if one.delivery is not None:
                assert all(text < STORED_IN_FLIGHT_TEXT_MAX + MESSAGE_MAX for text in one.delivery._held_text.values())


def undelivered(world: World) -> int:
    """Messages in the outbox that the cloud doesn't know to be answered; its store may have been lost since it was told."""
    count = 0
    stations = {identity: station for edge in world.cloud._edges.values() for identity, station in edge.stations.items()}
    for (identity, lane), kept in world.outbox.messages.items():
        saved = world.positions.positions.get(identity, {}).get(world.outbox.incarnation, (0, 0))[lane]
        delivery = stations[identity].delivery if identity in stations else None
        known = max(saved, 0 if delivery is None else delivery.delivered[lane])
        count += sum(position > known for position in kept)
    return count
