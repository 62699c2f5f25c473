"""Numbering of CALLs, references to them, and the chain of checksums."""

from __future__ import annotations

import pytest

from ocppress_codecs.carriage import (
    CALL_NUMBER_MAX,
    SHORT_TEXT_BYTES_MAX,
    Progress,
    checked,
    checksum,
    covered,
    numbered,
    reference,
    resolved,
    validated,
)
from ocppress_codecs.errors import EncodeError, IntegrityError, Malformed
from ocppress_codecs.rpc import Message, MessageType

HEARTBEAT = Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')


def _answer(call: int | None) -> Message:
    return Message(MessageType.CALLRESULT, "", "{}", call)


@pytest.mark.parametrize(
    ("calls", "numbers"),
    [
        ([0, 1, 2], [0, 0, 0]),
        ([2, 0, 1, 3], [6, 7, 0, 4]),
        ([None, 0], [1, 0]),
        ([CALL_NUMBER_MAX, 0], [2 + 2 * CALL_NUMBER_MAX, 2 + 2 * (CALL_NUMBER_MAX + 1) - 1]),
    ],
)
def test_answers_refer_to_what_is_expected(calls: list[int | None], numbers: list[int]) -> None:
    there, back = Progress(), Progress()
    for call, expected in zip(calls, numbers, strict=True):
        number, there = reference(_answer(call), there)
        assert number == expected
        assert resolved(MessageType.CALLRESULT, number, back) == (call, there)
        back = there


def test_a_callresulterror_refers_to_the_newest_call_of_its_direction() -> None:
    progress = Progress(call_count=5, next_answer=2)
    complaint = Message(MessageType.CALLRESULTERROR, "", '"GenericError","",{}', 4)
    assert reference(complaint, progress) == (0, progress)
    assert resolved(MessageType.CALLRESULTERROR, 3, progress) == (3, progress)


@pytest.mark.parametrize(
    ("kind", "number"), [(MessageType.CALL, 1), (MessageType.SEND, 2), (MessageType.CALLRESULT, 3), (MessageType.CALLERROR, 2**35)]
)
def test_impossible_references_are_refused(kind: MessageType, number: int) -> None:
    with pytest.raises(Malformed):
        resolved(kind, number, Progress())


def test_calls_are_numbered_whatever_they_say() -> None:
    send = Message(MessageType.SEND, "A", '"A",{}', 9)
    assert [message.call for message in numbered([HEARTBEAT, send, HEARTBEAT], Progress(call_count=7))] == [7, None, 8]


@pytest.mark.parametrize("batch", [[], [_answer(-1)], [_answer(CALL_NUMBER_MAX + 1)]])
def test_a_batch_that_nobody_can_carry(batch: list[Message]) -> None:
    with pytest.raises(EncodeError):
        numbered(batch, Progress())


def test_the_text_of_a_frame() -> None:
    assert covered([Message(MessageType.CALL, "A", '"A",{}', 12), _answer(None)]) == b'[2,"12","A",{}]\n[3,"",{}]\n'
    with pytest.raises(EncodeError):
        covered([Message(MessageType.CALL, "A", '"A",{"x":"\ud800"}', 12)])


def test_checksums_are_longer_for_long_texts() -> None:
    assert len(checksum(b"x" * SHORT_TEXT_BYTES_MAX, Progress())[0]) == 2
    assert len(checksum(b"x" * (SHORT_TEXT_BYTES_MAX + 1), Progress())[0]) == 4


def test_the_chain_finds_an_earlier_difference() -> None:
    mark, after = checksum(covered([_answer(0)]), Progress())
    assert checked([_answer(0)], mark, Progress()) == after
    _, elsewhere = checksum(covered([_answer(1)]), Progress())
    second, _ = checksum(covered([_answer(1)]), after)
    with pytest.raises(IntegrityError):
        checked([_answer(1)], second, elsewhere)


@pytest.mark.parametrize("body", ["", "{} ", "{},{}", "{}]\n[3", "[]", '{"a":}'])
def test_a_body_that_came_as_text_is_checked(body: str) -> None:
    assert validated(MessageType.CALLRESULT, "{}") == ""
    with pytest.raises(Malformed):
        validated(MessageType.CALLRESULT, body)
