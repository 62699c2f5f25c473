"""Which transactions run, by what is said of them."""

from __future__ import annotations

import pytest

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.transactions import REMEMBERED_MAX, SILENCE_S, Transactions


def event(kind: str, transaction: str) -> Message:
    info = f'{{"transactionId":"{transaction}"}}'
    return Message(MessageType.CALL, "TransactionEvent", f'"TransactionEvent",{{"eventType":"{kind}","transactionInfo":{info}}}')


def old(action: str, transaction: int) -> Message:
    return Message(MessageType.CALL, action, f'"{action}",{{"transactionId":{transaction}}}')


def test_transactions_of_2_x() -> None:
    running = Transactions()
    counts = []
    for kind, transaction in (("Started", "A"), ("Started", "B"), ("Updated", "A"), ("Ended", "A"), ("Ended", "C"), ("Ended", "B")):
        running.take(event(kind, transaction), 0.0)
        counts.append(running.count(0.0))
    assert counts == [1, 2, 2, 1, 1, 0]


def test_transactions_of_1_6_have_their_id_from_the_csms() -> None:
    running = Transactions()
    running.take(Message(MessageType.CALL, "StartTransaction", '"StartTransaction",{"connectorId":1,"idTag":"x"}'), 0.0)
    assert running.count(0.0) == 0
    running.started(Message(MessageType.CALLRESULT, "", '{"transactionId":7,"idTagInfo":{"status":"Accepted"}}'), 1.0)
    running.take(old("MeterValues", 7), 2.0)
    running.take(old("MeterValues", 8), 2.0)
    assert running.count(2.0) == 2
    running.take(old("StopTransaction", 7), 3.0)
    running.take(old("StopTransaction", 8), 3.0)
    assert running.count(3.0) == 0


def test_one_that_is_not_heard_of_for_a_day_has_ended() -> None:
    running = Transactions()
    running.take(event("Started", "A"), 0.0)
    running.take(event("Updated", "A"), 60.0)
    assert [running.count(SILENCE_S + late) for late in (0.0, 59.0, 60.0)] == [1, 1, 0]


@pytest.mark.parametrize("odd", ["{}", '{"transactionInfo":7}', '{"transactionInfo":{}}', '{"eventType":"Ended"}', "[]", "7"])
def test_one_without_an_id_is_none(odd: str) -> None:
    running = Transactions()
    running.take(Message(MessageType.CALL, "TransactionEvent", f'"TransactionEvent",{odd}'), 1.0)
    assert running.count(1.0) == 0


def test_of_repeated_members_the_last_counts() -> None:
    running = Transactions()
    info = r'"transactionInfo":{"transactionId":"A"},"\u0074ransactionInfo":{"transactionId":"A","transactionId":"B"}'
    running.take(
        Message(MessageType.CALL, "TransactionEvent", f'"TransactionEvent",{{"eventType":"Ended",{info},"eventType":"Updated"}}'), 0.0
    )
    assert running.count(0.0) == 1
    running.take(event("Ended", "A"), 0.0)
    assert running.count(0.0) == 1
    running.take(event("Ended", "B"), 0.0)
    assert running.count(0.0) == 0


def test_they_are_bounded() -> None:
    running = Transactions()
    for number in range(3 * REMEMBERED_MAX):
        running.take(event("Started", str(number)), 0.0)
    assert running.count(0.0) == REMEMBERED_MAX
