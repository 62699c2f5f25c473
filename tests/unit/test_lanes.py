"""What waits for the link: two lanes, batches, and what is dropped."""

from __future__ import annotations

import math

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.lanes import DEADLINE_SPREAD_S, Lanes, Outgoing
from ocppress_gateway.core.limits import BATCH_TEXT_BYTES, LANES_MESSAGES_MAX, WAITING_TEXT_MAX
from ocppress_gateway.core.policy import Turn


def call(name: str, expires_at: float = 30.0, *, fill: int = 0) -> Outgoing:
    return Outgoing(Message(MessageType.CALL, name, f'"{name}",{{"fill":"{"x" * fill}"}}'), expires_at)


def answer(name: str) -> Outgoing:
    return Outgoing(Message(MessageType.CALLRESULT, "", f'{{"of":"{name}"}}', 0))


def names(outgoings: list[Outgoing]) -> list[str]:
    return [outgoing.message.action or outgoing.message.body for outgoing in outgoings]


def test_who_is_waited_for_goes_first_and_each_queue_is_in_order() -> None:
    lanes = Lanes()
    for name, turn in (
        ("A", Turn.ORDERED),
        ("1", Turn.EXPRESS),
        ("b", Turn.PROMPT),
        ("C", Turn.ORDERED),
        ("2", Turn.EXPRESS),
        ("d", Turn.PROMPT),
    ):
        lanes.add(call(name), turn)
    assert names(lanes.take_batch()) == ["b", "d", "1", "2", "A", "C"]
    assert len(lanes) == 0


def test_what_is_over_time_is_dropped_and_answers_never_are() -> None:
    lanes = Lanes()
    lanes.add(call("late", 10.0), Turn.PROMPT)
    lanes.add(answer("x"), Turn.PROMPT)
    lanes.add(call("just", 10.1), Turn.ORDERED)
    lanes.add(call("behind", 10.0), Turn.ORDERED)
    assert lanes.expires_at == 10.0
    assert lanes.take_over_time(9.9) == []
    assert names(lanes.take_over_time(10.0)) == ["late", "behind"]
    assert lanes.expires_at == 10.1
    assert names(lanes.take_batch()) == ['{"of":"x"}', "just"]
    assert lanes.expires_at == math.inf


def test_a_batch_ends_at_its_size_and_a_longer_message_goes_alone() -> None:
    lanes = Lanes()
    for name, fill in (
        ("A", 100),
        ("B", BATCH_TEXT_BYTES),
        ("C", BATCH_TEXT_BYTES // 2),
        ("D", BATCH_TEXT_BYTES // 3),
        ("E", BATCH_TEXT_BYTES // 4),
    ):
        lanes.add(call(name, fill=fill), Turn.ORDERED)
    assert [names(lanes.take_batch()) for _ in range(4)] == [["A"], ["B"], ["C", "D"], ["E"]]


def test_the_size_of_a_batch_is_in_bytes() -> None:
    lanes = Lanes()
    for name in "AB":
        lanes.add(Outgoing(Message(MessageType.CALL, name, f'"{name}",{{"a":"{"é" * (BATCH_TEXT_BYTES // 3)}"}}'), 30.0), Turn.ORDERED)
    assert names(lanes.take_batch()) == ["A"]


def test_calls_share_a_frame_only_if_their_deadlines_are_near() -> None:
    lanes = Lanes()
    lanes.add(call("A", 30.0), Turn.ORDERED)
    lanes.add(answer("x"), Turn.ORDERED)
    lanes.add(call("B", 30.0 + DEADLINE_SPREAD_S), Turn.ORDERED)
    lanes.add(call("C", 30.1 + DEADLINE_SPREAD_S), Turn.ORDERED)
    lanes.add(call("D", 29.0), Turn.ORDERED)
    assert [names(lanes.take_batch()) for _ in range(3)] == [["A", '{"of":"x"}', "B"], ["C"], ["D"]]


def test_dropping_calls_or_answers_keeps_the_rest_in_order() -> None:
    lanes = Lanes()
    for outgoing, turn in ((call("A"), Turn.PROMPT), (answer("x"), Turn.PROMPT), (call("B"), Turn.ORDERED), (answer("y"), Turn.ORDERED)):
        lanes.add(outgoing, turn)
    lanes.drop_calls()
    assert names(lanes.take_batch()) == ['{"of":"x"}', '{"of":"y"}']
    lanes.add(answer("z"), Turn.PROMPT)
    lanes.add(call("C"), Turn.ORDERED)
    lanes.drop_answers()
    assert names(lanes.take_batch()) == ["C"]
    lanes.add(call("D"), Turn.ORDERED)
    lanes.keep_stored()
    assert lanes.take_batch() == []


def test_load_counts_messages_and_text() -> None:
    lanes = Lanes()
    for number in range(LANES_MESSAGES_MAX):
        assert lanes.load < 1
        lanes.add(call(f"A{number}"), Turn.ORDERED)
    assert lanes.load >= 1
    lanes.drop_calls()
    assert lanes.load == 0
    lanes.add(call("A", fill=WAITING_TEXT_MAX), Turn.ORDERED)
    assert lanes.load >= 1
    lanes.take_batch()
    assert lanes.load == 0
    lanes.add(call("A", 1.0, fill=WAITING_TEXT_MAX), Turn.ORDERED)
    lanes.take_over_time(2.0)
    assert lanes.load == 0
    lanes.add(call("A", fill=WAITING_TEXT_MAX), Turn.PROMPT)
    lanes.keep_stored()
    assert lanes.load == 0
