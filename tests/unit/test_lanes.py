"""What waits for the link: two lanes, batches, and what is dropped."""

from __future__ import annotations

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.lanes import DEADLINE_SPREAD_S, Lanes, Outgoing
from ocppress_gateway.core.limits import BATCH_TEXT_BYTES, LANES_MESSAGES_MAX, WAITING_TEXT_MAX


def call(name: str, expires_at: float = 30.0, *, fill: int = 0) -> Outgoing:
    return Outgoing(Message(MessageType.CALL, name, f'"{name}",{{"fill":"{"x" * fill}"}}'), expires_at)


def answer(name: str) -> Outgoing:
    return Outgoing(Message(MessageType.CALLRESULT, "", f'{{"of":"{name}"}}', 0))


def names(outgoings: list[Outgoing]) -> list[str]:
    return [outgoing.message.action or outgoing.message.body for outgoing in outgoings]


def test_express_first_each_lane_in_order() -> None:
    lanes = Lanes()
    for name, express in (("A", False), ("b", True), ("C", False), ("d", True)):
        lanes.add(call(name), express=express)
    batch, dropped = lanes.take_batch(0.0)
    assert names(batch) == ["b", "d", "A", "C"]
    assert dropped == []
    assert len(lanes) == 0


def test_what_is_over_time_is_dropped_and_answers_never_are() -> None:
    lanes = Lanes()
    lanes.add(call("late", 10.0), express=True)
    lanes.add(answer("x"), express=True)
    lanes.add(call("just", 10.1), express=False)
    batch, dropped = lanes.take_batch(10.0)
    assert names(dropped) == ["late"]
    assert names(batch) == ['{"of":"x"}', "just"]


def test_a_batch_ends_at_its_size_and_a_longer_message_goes_alone() -> None:
    lanes = Lanes()
    for name, fill in (("A", 100), ("B", BATCH_TEXT_BYTES), ("C", BATCH_TEXT_BYTES // 2), ("D", BATCH_TEXT_BYTES // 3), ("E", 900)):
        lanes.add(call(name, fill=fill), express=False)
    assert [names(lanes.take_batch(0.0)[0]) for _ in range(4)] == [["A"], ["B"], ["C", "D"], ["E"]]


def test_the_size_of_a_batch_is_in_bytes() -> None:
    lanes = Lanes()
    for name in "AB":
        lanes.add(Outgoing(Message(MessageType.CALL, name, f'"{name}",{{"a":"{"é" * (BATCH_TEXT_BYTES // 3)}"}}'), 30.0), express=False)
    assert names(lanes.take_batch(0.0)[0]) == ["A"]


def test_calls_share_a_frame_only_if_their_deadlines_are_near() -> None:
    lanes = Lanes()
    lanes.add(call("A", 30.0), express=False)
    lanes.add(answer("x"), express=False)
    lanes.add(call("B", 30.0 + DEADLINE_SPREAD_S), express=False)
    lanes.add(call("C", 30.1 + DEADLINE_SPREAD_S), express=False)
    lanes.add(call("D", 29.0), express=False)
    assert [names(lanes.take_batch(0.0)[0]) for _ in range(3)] == [["A", '{"of":"x"}', "B"], ["C"], ["D"]]


def test_dropping_calls_or_answers_keeps_the_rest_in_order() -> None:
    lanes = Lanes()
    for outgoing, express in ((call("A"), True), (answer("x"), True), (call("B"), False), (answer("y"), False)):
        lanes.add(outgoing, express=express)
    lanes.drop_calls()
    assert names(lanes.take_batch(0.0)[0]) == ['{"of":"x"}', '{"of":"y"}']
    lanes.add(answer("z"), express=True)
    lanes.add(call("C"), express=False)
    lanes.drop_answers()
    assert names(lanes.take_batch(0.0)[0]) == ["C"]
    lanes.add(call("D"), express=False)
    lanes.keep_stored()
    assert lanes.take_batch(0.0) == ([], [])


def test_load_counts_messages_and_text() -> None:
    lanes = Lanes()
    for number in range(LANES_MESSAGES_MAX):
        assert lanes.load < 1
        lanes.add(call(f"A{number}"), express=False)
    assert lanes.load >= 1
    lanes.drop_calls()
    assert lanes.load == 0
    lanes.add(call("A", fill=WAITING_TEXT_MAX), express=False)
    assert lanes.load >= 1
    lanes.take_batch(0.0)
    assert lanes.load == 0
    lanes.add(call("A", 1.0, fill=WAITING_TEXT_MAX), express=False)
    lanes.take_batch(2.0)
    assert lanes.load == 0
    lanes.add(call("A", fill=WAITING_TEXT_MAX), express=True)
    lanes.keep_stored()
    assert lanes.load == 0
