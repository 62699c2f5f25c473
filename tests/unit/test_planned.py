"""A link under a plan: who waits, who rides, and that it costs what the cost model says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from ocppress_gateway.core.limits import ACK_FRAMES, BATCH_TEXT_BYTES, DELIVERED_MESSAGES
from ocppress_gateway.cost.month import hello_ip_bytes, link_ip_bytes, link_messages
from ocppress_gateway.cost.planned import Kind, PlannedLink
from ocppress_gateway.cost.wire import DAY_S, FULL_HANDSHAKE, ByteCount, Conditions, handshake_bytes
from ocppress_gateway.workloads.traces import Direction

UP, DOWN = Direction.UP, Direction.DOWN
UNBROKEN = Conditions(reconnects_a_day=1e-6)

METER = Kind("meter", UP, waits=True, urgent=False, text_bytes=500)
STATUS = Kind("status", UP, waits=True, urgent=True, text_bytes=100)
AUTHORIZE = Kind("authorize", UP, waits=False, urgent=False, text_bytes=80)
ANSWER = Kind("answer", DOWN, waits=False, urgent=False, text_bytes=40)


def _link(conditions: Conditions = UNBROKEN) -> PlannedLink:
    link = PlannedLink(conditions, lambda kinds: 10.0 * len(kinds), at_s=0.0)
    link.keep_frames = True
    return link


def _sent(link: PlannedLink) -> list[tuple[float, list[str]]]:
    return [(at_s, [kind.name for kind in kinds]) for at_s, _, kinds in link.frames]


def test_it_begins_with_a_handshake() -> None:
    assert _link().cost == ByteCount(handshake=handshake_bytes(FULL_HANDSHAKE, UNBROKEN) + hello_ip_bytes(UNBROKEN))


def test_what_may_wait_waits_and_leaves_together() -> None:
    link = _link()
    for at_s in (0.0, 20.0, 40.0):
        link.say(at_s, METER, 60.0)
    link.advance(60.0)
    assert _sent(link) == []
    link.advance(61.0)
    assert _sent(link) == [(60.0, ["meter"] * 3)]
    assert link.waited_s == [60.0, 40.0, 20.0]


def test_what_cannot_wait_takes_along_what_waits() -> None:
    link = _link()
    link.say(0.0, METER, 900.0)
    link.say(10.0, AUTHORIZE, 900.0)
    link.say(10.1, ANSWER, 900.0)
    link.advance(1000.0)
    assert _sent(link) == [(10.0, ["meter"]), (10.0, ["authorize"]), (10.1, ["answer"])]


def test_an_urgent_message_waits_two_seconds_for_company() -> None:
    link = _link()
    link.say(0.0, METER, 900.0)
    link.say(5.0, STATUS, 900.0)
    link.say(6.0, STATUS, 900.0)
    link.advance(100.0)
    assert _sent(link) == [(7.0, ["meter", "status", "status"])]
    assert link.waited_s == [7.0], "urgent ones aren't asked how fresh the plan is"


def test_answers_take_nothing_along_upwards() -> None:
    link = _link()
    link.say(0.0, METER, 900.0)
    link.say(1.0, ANSWER, 900.0)
    assert _sent(link) == [(1.0, ["answer"])]


def test_frames_are_cut_where_the_edge_cuts_them() -> None:
    link = _link()
    for number in range(BATCH_TEXT_BYTES // 500 * 2 + 4):
        link.say(number / 10, METER, 60.0)
    link.advance(100.0)
    assert [len(names) for _, names in _sent(link)] == [BATCH_TEXT_BYTES // 500] * 2 + [4]


def test_single_messages_cost_what_the_cost_model_says() -> None:
    link = _link()
    begun = link.cost
    frames = []
    for number in range(40):
        for offset_s, kind in ((0.0, AUTHORIZE), (0.1, ANSWER)):
            link.say(100.0 * number + offset_s, kind, 60.0)
            frames.append((100.0 * number + offset_s, kind.direction, 10))
    expected = link_ip_bytes(list(link_messages(frames)), UNBROKEN, span_s=frames[-1][0])
    assert link.cost.total - begun.total == pytest.approx(replace(expected, handshake=0.0).total)


def test_an_idle_link_probes() -> None:
    link = _link()
    link.advance(DAY_S)
    assert link.cost.keepalive == 57 * UNBROKEN.probe_bytes


def test_no_probe_while_batches_leave() -> None:
    link = _link()
    for number in range(100):
        link.say(500.0 * number, METER, 900.0)
    link.advance(500.0 * 100)
    assert link.cost.keepalive == 0


def test_reconnects_come_at_their_rate() -> None:
    conditions = Conditions()
    link = _link(conditions)
    link.advance(2 * DAY_S + 1)
    reconnect = handshake_bytes(conditions.reconnect, conditions) + hello_ip_bytes(conditions)
    assert link.cost.handshake == handshake_bytes(FULL_HANDSHAKE, conditions) + hello_ip_bytes(conditions) + 6 * reconnect


@pytest.mark.parametrize(("together", "messages"), [(1, ACK_FRAMES), (5, DELIVERED_MESSAGES)])
def test_what_arrived_is_acknowledged_in_the_end(together: int, messages: int) -> None:
    """Frame by frame after `ACK_FRAMES`, batches after `DELIVERED_MESSAGES`: one link message downwards, and its bare ACK."""
    link, costs = _link(), []
    for number in range(messages // together):
        for place in range(together):
            link.say(100.0 * number + place, METER, 60.0)
        link.advance(100.0 * number + 90.0)
        costs.append(link.cost.total)
    growth = [later - earlier for earlier, later in pairwise(costs)]
    assert len(set(growth[:-1])) == 1
    assert 100 < growth[-1] - growth[0] < 140
