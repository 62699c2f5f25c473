"""What holds for busy peers with a gateway that answers early, whatever is killed or cut: the CSMS's record against the stations'.

What a station got an answer to the CSMS has answered too, in order within its lane: what it only heard it may have lost with its life. What
the edge answered reaches it again only on another of its sockets or after another life, and then under the same id. The rest is the
station's own to repeat, and in time or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from tests.support.busy_peers import BusyCsms, BusyStation, Heard, Sent

__all__ = ["EARLY_ANSWER", "check_kept", "is_missing"]

EARLY: Final = frozenset({"MeterValues", "StatusNotification"})
EARLY_ANSWER: Final = "{}"
STORED_ID: Final = re.compile(r"([0-9a-f]{16})[eo][0-9]+")


def is_missing(stations: Iterable[BusyStation], csms: BusyCsms) -> bool:
    """Whether the CSMS hasn't answered yet what stations have an answer to."""
    for station in stations:
        answered = {item.payload for item in csms.heard.get(station.identity, []) if item.answered}
        if any(sent.answers and sent.payload not in answered for sent in station.made):
            return True
    return False


def check_kept(
    stations: Iterable[BusyStation], csms: BusyCsms, *, station_timeout_s: float, command_timeout_s: float, outboxes: int = 1
) -> None:
    """`station_timeout_s`: after which nothing relayed is delivered any more, slack of a busy machine included; the other way likewise."""
    assert not csms.stray_answers, f"answers with unknown ids reached the CSMS: {csms.stray_answers}"
    assert csms.calls_at_once_max <= 1, "more than one CALL outstanding at the CSMS"
    everything = [(item.message_id, identity, item.payload) for identity, heard in csms.heard.items() for item in heard]
    assert len({(message_id, identity) for message_id, identity, _ in everything}) == len(set(everything)), "one id, one message"
    incarnations = {found[1] for message_id, _, _ in everything if (found := STORED_ID.fullmatch(message_id))}
    assert len(incarnations) <= outboxes, f"the outbox lived through it all: {incarnations}"
    for station in stations:
        heard = csms.heard.get(station.identity, [])
        made = {sent.payload: sent for sent in station.made}
        arrivals: dict[str, list[Heard]] = {}
        for item in heard:
            assert item.payload in made, f"heard what nobody said: {item.payload[:200]}"
            arrivals.setdefault(item.payload, []).append(item)
        for payload, sent in made.items():
            _check_call(sent, arrivals.get(payload, []), station_timeout_s)
        for lane in (("MeterValues", "StartTransaction", "StopTransaction"), ("StatusNotification",)):
            _check_order([item for item in heard if item.action in lane], made)
        assert not station.stray_answers, f"answers with unknown ids reached the station: {station.stray_answers}"
        for command in station.heard:
            (sent,) = (sent for sent in csms.commands[station.identity] if sent.payload == command.payload)
            late_s = command.at - sent.tries[0] - command_timeout_s
            assert late_s <= 0, f"a stale command reached {station.identity} at {command.at:.3f}, {late_s:.3f} s too late"
        assert len({item.payload for item in station.heard}) == len(station.heard), "a command ran twice"


def _check_call(sent: Sent, came: list[Heard], life_s: float) -> None:
    what = f"{sent.action} {sent.payload[:80]}"
    assert len(sent.answers) <= 1, f"one answer for a CALL: {what}"
    assert sent.answers or (sent.given_up and not sent.transaction), f"neither answered nor the station's: {what}"
    for answer in sent.answers:
        assert came, f"answered, though the CSMS never heard it: {what}"
        assert any(item.answered for item in came), f"answered, though the CSMS heard it only where it could not answer: {what}"
        payload = json.loads(answer)[2]
        assert payload.get("echo") == sent.payload or (payload == {} and sent.action in EARLY), f"somebody else's answer: {what}"
    stored_ids = {item.message_id for item in came if STORED_ID.fullmatch(item.message_id)}
    assert len(stored_ids) <= 1, f"the edge's own, under two ids: {what}, {came}"
    sockets = [item.socket for item in came]
    assert len(set(sockets)) == len(sockets), f"delivered twice on one CSMS socket: {what}"
    for item in came:
        assert item.action == sent.action
        if not STORED_ID.fullmatch(item.message_id):
            latest = max((at for at in sent.tries if at <= item.at), default=float("-inf"))
            assert item.at - latest <= life_s, f"relayed {item.at - latest:.3f} s after it was said: {what}"


def _check_order(lane: Iterable[Heard], made: dict[str, Sent]) -> None:
    """First deliveries come in an order in which they were said; a message that was repeated was said several times."""
    seen: set[str] = set()
    previous = float("-inf")
    for item in lane:
        if item.payload not in seen:
            seen.add(item.payload)
            tries = [at for at in made[item.payload].tries if previous <= at <= item.at]
            assert tries, f"reordered within a lane: {item.action} {item.payload[:80]}"
            previous = min(tries)
