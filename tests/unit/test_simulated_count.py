"""A simulated kernel counts what the wire's cost model says."""

from __future__ import annotations

from random import Random

from ocppress_gateway.core.ledger_events import Way
from ocppress_gateway.cost.wire import FULL_HANDSHAKE, SYN_OPTION_BYTES, Conditions, WireMessage, handshake_bytes, messages_ip_bytes
from ocppress_gateway.simulation.counting import SimulatedCount
from ocppress_gateway.workloads.traces import Direction

CONDITIONS = Conditions()


def passed(counter: SimulatedCount, now: float) -> int:
    return sum(counter.passed_bytes(way, now) for way in Way)


def test_a_handshake() -> None:
    counter = SimulatedCount(CONDITIONS, FULL_HANDSHAKE, at_s=0.0)
    assert passed(counter, 0.0) + 2 * SYN_OPTION_BYTES == handshake_bytes(FULL_HANDSHAKE, CONDITIONS)


def test_messages_and_probes() -> None:
    random = Random(1)
    counter = SimulatedCount(CONDITIONS, FULL_HANDSHAKE, at_s=0.0)
    before = passed(counter, 0.0)
    messages: list[WireMessage] = []
    at_s, probes = 0.0, 0
    for _ in range(500):
        idle_s = random.choice([0.02, 1.0, 700.0, 1499.0, 1501.0, 4000.0])
        at_s += idle_s
        probes += int(idle_s // CONDITIONS.keepalive_s)
        way = random.choice(list(Way))
        message_bytes = random.choice([3, 100, 200, 5000])
        messages.append(WireMessage(at_s, Direction.UP if way is Way.UP else Direction.DOWN, message_bytes))
        counter.message(way, message_bytes, at_s=at_s)
    assert passed(counter, at_s) - before == messages_ip_bytes(messages, CONDITIONS).total + probes * CONDITIONS.probe_bytes
    count = counter.count(at_s)
    assert (count.sent_segments + count.received_segments) * count.header_bytes + count.sent_bytes + count.received_bytes == passed(
        counter, at_s
    )


def test_what_nobody_hears_is_sent_again() -> None:
    counter = SimulatedCount(CONDITIONS, FULL_HANDSHAKE, at_s=0.0)
    before = counter.count(0.0)
    counter.message(Way.UP, 100, at_s=1.0, lost=True)
    count = counter.count(1.0)
    stream_bytes = 100 + 6 + 22
    assert count.sent_bytes - before.sent_bytes == 2 * stream_bytes
    assert (count.retransmitted_segments, count.retransmitted_bytes) == (1, stream_bytes)
    assert count.received_segments == before.received_segments
