"""Calls on one socket: ids in and out, one outstanding, late answers, complaints."""

from __future__ import annotations

import itertools
import math

import pytest

from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.calls import (
    ANSWERED_KEPT,
    INCOMING_OPEN_MAX,
    LATE_KEPT,
    WAITING_MAX,
    IncomingCalls,
    OutgoingCall,
    OutgoingCalls,
    StoredCall,
)
from ocppress_gateway.core.lanes import Relay
from ocppress_gateway.core.limits import WAITING_TEXT_MAX
from ocppress_gateway.core.policy import Turn
from ocppress_gateway.core.stored import Lane

TIMEOUT_S = 30.0


def relay(message_id: str, expires_at: float = 60.0, number: int | None = None, fingerprint: bytes | None = None) -> Relay:
    return Relay(1, message_id, expires_at, fingerprint, number)


def outgoing() -> OutgoingCalls:
    ids = itertools.count(1)
    return OutgoingCalls(lambda: f"g{next(ids)}", TIMEOUT_S)


def call(number: int | None, *, turn: Turn = Turn.PROMPT, expires_at: float = 30.0, body: str = '"A",{}') -> OutgoingCall:
    message_type = MessageType.CALL if number is not None else MessageType.SEND
    return OutgoingCall(number, Message(message_type, "A", body, number), expires_at, turn)


# --- incoming


def stored(position: int) -> OutgoingCall:
    return OutgoingCall(
        None, Message(MessageType.CALL, "A", '"A",{}'), math.inf, Turn.ORDERED, stored=StoredCall(bytes(8), Lane.ORDERED, position)
    )


def test_an_answer_goes_out_once() -> None:
    calls = IncomingCalls()
    first = relay("1")
    calls.begin(first)
    assert calls.is_open("1")
    assert calls.finish(first)
    assert not calls.is_open("1")
    assert not calls.finish(first)


def test_a_call_given_up_is_not_open_but_a_late_answer_is_passed_on() -> None:
    calls = IncomingCalls()
    first, second = relay("1", 10.0), relay("2", 20.0)
    calls.begin(first)
    calls.begin(second)
    assert calls.next_expiry() == 10.0
    calls.expire(10.0)
    assert not calls.is_open("1")
    assert calls.is_open("2")
    assert len(calls) == 1
    assert calls.next_expiry() == 20.0
    assert calls.finish(first)
    assert not calls.finish(first)


def test_an_id_used_again_is_another_call() -> None:
    calls = IncomingCalls()
    first = relay("1", 10.0)
    calls.begin(first)
    calls.expire(10.0)
    second = relay("1", 70.0)
    calls.begin(second)
    assert not calls.finish(first)
    with pytest.raises(AssertionError, match="open already"):
        calls.begin(relay("1"))
    assert calls.finish(second)


def test_an_abandoned_call_gets_no_answer() -> None:
    calls = IncomingCalls()
    first, second = relay("1", 10.0), relay("2", 20.0)
    calls.begin(first)
    calls.begin(second)
    calls.expire(10.0)
    calls.abandon(first)
    calls.abandon(second)
    calls.abandon(relay("2"))
    assert not calls.finish(first)
    assert not calls.finish(second)


def test_calls_of_the_same_content_are_found_open_or_late() -> None:
    calls = IncomingCalls()
    first, second = relay("1", 10.0, fingerprint=b"f"), relay("2", 20.0, fingerprint=b"f")
    for each in (first, second, relay("3", fingerprint=b"g")):
        calls.begin(each)
    calls.expire(10.0)
    assert set(calls.with_fingerprint(b"f")) == {first, second}


def test_one_complaint_for_each_answer() -> None:
    calls = IncomingCalls()
    answered = relay("1", number=7)
    calls.begin(answered)
    assert calls.take_answered_number("1") is None
    calls.finish(answered)
    assert calls.take_answered_number("1") == 7
    assert calls.take_answered_number("1") is None


def test_a_lost_context_takes_what_has_left_and_no_more() -> None:
    calls = IncomingCalls()
    answered, left, late, waiting = relay("1", number=0), relay("2", number=1), relay("3", 10.0, number=2), relay("4")
    for each in (answered, left, late, waiting):
        calls.begin(each)
    calls.finish(answered)
    calls.expire(10.0)
    calls.context_lost()
    assert not calls.finish(left)
    assert not calls.finish(late)
    assert calls.finish(waiting)
    assert calls.take_answered_number("1") is None, "its number is another CALL's in the next context"


def test_what_is_remembered_of_incoming_calls_is_bounded() -> None:
    calls = IncomingCalls()
    gone = [relay(str(number), 1.0) for number in range(LATE_KEPT + 1)]
    for each in gone:
        calls.begin(each)
    calls.expire(1.0)
    assert not calls.finish(gone[0])
    assert calls.finish(gone[1])
    answered = [relay(f"a{number}", number=number) for number in range(ANSWERED_KEPT + 1)]
    for each in answered:
        calls.begin(each)
        calls.finish(each)
    assert calls.take_answered_number("a0") is None
    assert calls.take_answered_number("a1") == 1
    for number in range(INCOMING_OPEN_MAX):
        assert not calls.full
        calls.begin(relay(f"o{number}"))
    assert calls.full


# --- outgoing


def test_one_call_outstanding_express_first() -> None:
    calls = outgoing()
    ordered, express = call(0, turn=Turn.ORDERED), call(1)
    assert calls.add(ordered)
    assert calls.add(express)
    assert calls.next(0.0) == ("g1", express)
    assert calls.next(0.0) is None
    assert calls.answer("g1") is express
    assert calls.next(0.0) == ("g2", ordered)
    assert calls.answer("g1") is None, "answered already"
    assert calls.answer("nobody") is None


def test_a_send_does_not_wait_for_an_answer_but_for_its_place() -> None:
    calls = outgoing()
    first, send, second, later_send = call(0), call(None), call(1), call(None)
    for each in (first, send, second, later_send):
        calls.add(each)
    assert calls.next(0.0) == ("g1", first)
    assert calls.next(0.0) == ("g2", send)
    assert calls.next(0.0) is None, "the next CALL is first in its lane"
    calls.answer("g1")
    assert calls.next(0.0) == ("g3", second)
    assert calls.next(0.0) == ("g4", later_send)


def test_an_unanswered_call_makes_room_and_its_late_answer_is_known() -> None:
    calls = outgoing()
    first, second = call(0), call(1)
    calls.add(first)
    calls.next(5.0)
    calls.add(second)
    assert calls.take_unanswered(5.0 + TIMEOUT_S - 0.1) is None
    assert calls.next_deadline() == second.expires_at
    assert calls.take_unanswered(5.0 + TIMEOUT_S) is first
    assert calls.next(5.0 + TIMEOUT_S) == ("g2", second)
    assert calls.answer("g1") is first
    assert calls.answer("g1") is None
    assert calls.answer("g2") is second


def test_deadlines_of_what_waits_and_of_what_is_outstanding() -> None:
    calls = outgoing()
    assert calls.next_deadline() is None
    calls.add(call(0))
    calls.next(0.0)
    assert calls.next_deadline() == TIMEOUT_S
    calls.add(call(1, expires_at=8.0))
    calls.add(call(2, expires_at=9.0, turn=Turn.ORDERED))
    assert calls.next_deadline() == 8.0
    assert [expired.number for expired in calls.take_expired(8.0)] == [1]
    assert [expired.number for expired in calls.take_expired(9.0)] == [2]
    assert calls.take_expired(1000.0) == [], "the outstanding one has been put"


def test_a_lost_socket_takes_the_outstanding_call_and_leaves_the_waiting_ones() -> None:
    calls = outgoing()
    first, second = call(0), call(1)
    calls.add(first)
    calls.add(second)
    calls.next(0.0)
    assert calls.socket_lost() is first
    assert calls.socket_lost() is None
    assert calls.answer("g1") is None
    assert calls.next(0.0) == ("g2", second)
    calls.add(call(2))
    calls.clear()
    assert calls.next(0.0) is None


def test_after_a_lost_context_the_peer_still_has_one_call_outstanding() -> None:
    calls = outgoing()
    for number in range(2):
        calls.add(call(number))
    calls.next(0.0)
    calls.context_lost()
    fresh = call(0)
    calls.add(fresh)
    assert calls.next(0.0) is None
    forgotten = calls.answer("g1")
    assert forgotten is not None
    assert forgotten.number is None, "its answer belongs to no CALL any more"
    assert calls.next(0.0) == ("g2", fresh)
    assert calls.take_answered_id(0) is None


def test_one_complaint_for_each_answer_of_the_peer() -> None:
    calls = outgoing()
    calls.add(call(4))
    calls.next(0.0)
    assert calls.take_answered_id(4) is None
    calls.answer("g1")
    assert calls.take_answered_id(4) == "g1"
    assert calls.take_answered_id(4) is None
    assert calls.take_answered_id(None) is None


def test_what_waits_is_bounded_in_number_and_text() -> None:
    calls = outgoing()
    assert all(calls.add(call(number, turn=list(Turn)[number % 3])) for number in range(WAITING_MAX))
    assert not calls.add(call(WAITING_MAX))
    calls = outgoing()
    assert calls.add(call(0, body="x" * WAITING_TEXT_MAX))
    assert not calls.add(call(1))


def test_what_leaves_makes_room_and_stored_ones_take_none() -> None:
    def fill() -> int:
        return sum(calls.add(call(number, expires_at=float(1 + number % 2))) for number in range(2 * WAITING_MAX))

    calls = outgoing()
    for position in range(1, WAITING_MAX + 1):
        assert calls.add(stored(position))
    assert fill() == WAITING_MAX
    assert len(calls) == 2 * WAITING_MAX
    assert calls.next(0.0) is not None
    assert fill() == 1, "one has been put"
    halves = len(calls.take_expired(1.0))
    assert fill() == halves, "those over time have gone"
    calls.context_lost()
    assert calls.next_deadline() == TIMEOUT_S, "only the outstanding one is left"
    assert fill() == WAITING_MAX


def test_stored_ones_never_expire() -> None:
    calls = outgoing()
    calls.add(stored(1))
    assert calls.next_deadline() is None
    assert calls.take_expired(1e12) == []
    assert len(calls) == 1
