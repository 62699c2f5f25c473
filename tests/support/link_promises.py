"""What a lossy link must never do to the traffic across it (rules R1, R3 and R4), seen from the peers' own records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from tests.support.busy_peers import BusyCsms, BusyStation, Heard, Sent

__all__ = ["check_promises"]

LANES = (
    ("StartTransaction", "MeterValues", "StopTransaction"),
    ("StatusNotification",),
    ("Authorize", "DataTransfer"),
    ("RemoteStartTransaction",),
)
"""What keeps its order (rule R4): what somebody waits for overtakes a status, and that a transaction's messages."""


def check_promises(
    stations: Iterable[BusyStation], csms: BusyCsms, *, station_timeout_s: float, command_timeout_s: float, slack_s: float
) -> None:
    """`slack_s`: how long a busy machine may take from a decision to the peer that sees it, or between a peer's clock and its socket."""
    assert not csms.stray_answers, f"answers with unknown ids reached the CSMS: {csms.stray_answers}"
    assert csms.calls_at_once_max <= 1, "more than one CALL outstanding at the CSMS"
    assert len(set(csms.ids_heard)) == len(csms.ids_heard), "message ids towards the CSMS are unique"
    for station in stations:
        heard = csms.heard.get(station.identity, [])
        commands = csms.commands.get(station.identity, [])
        assert not station.stray_answers, f"answers with unknown ids reached the station: {station.stray_answers}"
        _check_calls(station.made, heard, station_timeout_s + slack_s)
        _check_calls(commands, station.heard, command_timeout_s + slack_s)
        assert len({item.payload for item in station.heard}) == len(station.heard), "a command ran twice"
        for sent in station.made:
            assert sent.answers or (sent.given_up and not sent.transaction), f"neither answered nor the station's: {sent.payload[:80]}"


def _check_calls(made: Iterable[Sent], heard: list[Heard], life_s: float) -> None:
    """One direction: what `heard` holds was said, in time, in order, and answers belong to it."""
    by_payload = {sent.payload: sent for sent in made}
    arrivals: dict[str, list[Heard]] = {}
    for item in heard:
        assert item.payload in by_payload, f"heard what nobody said: {item.payload[:200]}"
        sent = by_payload[item.payload]
        assert item.action == sent.action
        arrivals.setdefault(item.payload, []).append(item)
        latest = max((at for at in sent.tries if at <= item.at), default=float("-inf"))
        assert item.at - latest <= life_s, f"delivered {item.at - latest:.3f} s after it was said: {item.payload[:80]}"
    for payload, sent in by_payload.items():
        assert len(sent.answers) <= 1, "one answer for a CALL"
        for answer in sent.answers:
            assert json.loads(answer)[2]["echo"] == payload, "somebody else's answer"
            assert payload in arrivals, "answered, though its receiver never heard it"
        sockets = [item.socket for item in arrivals.get(payload, [])]
        assert len(set(sockets)) == len(sockets), f"delivered twice on one socket: {payload[:80]}"
    assert {item.action for item in heard} <= {action for lane in LANES for action in lane}
    for lane in LANES:
        _check_order([item for item in heard if item.action in lane], by_payload)


def _check_order(lane: Iterable[Heard], made: Mapping[str, Sent]) -> None:
    """First deliveries come in an order in which they were said; a message that was repeated was said several times."""
    seen: set[str] = set()
    previous = float("-inf")
    for item in lane:
        if item.payload not in seen:
            seen.add(item.payload)
            tries = [at for at in made[item.payload].tries if previous <= at <= item.at]
            assert tries, f"reordered within a lane: {item.payload[:80]}"
            previous = min(tries)
