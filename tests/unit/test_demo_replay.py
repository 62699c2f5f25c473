"""A recording becomes a script that two players can play without ever having two CALLs open on one side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from ocppress_codecs.rpc import MessageType, OcppVersion, parse
from ocppress_gateway.demo.replay import Script, Turn
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, TraceRecord

UP, DOWN = Direction.UP, Direction.DOWN

Line = tuple[Direction, str]


def _records(lines: Iterable[Line]) -> list[TraceRecord]:
    return [TraceRecord(float(place), direction, text) for place, (direction, text) in enumerate(lines)]


def _played(lines: list[Line], version: OcppVersion = OcppVersion.V16) -> tuple[list[str], int]:
    script = Script(_records(lines), version)
    return [turn.text for turn in script.turns()], script.left_out


CALL_1, CALL_2, CALL_3 = (f'[2,"{number}","StatusNotification",{{"n":{number}}}]' for number in (1, 2, 3))
ANSWER_1, ANSWER_2, ANSWER_3 = (f'[3,"{number}",{{}}]' for number in (1, 2, 3))


def test_what_is_in_order_stays_as_it_is() -> None:
    lines = [(UP, CALL_1), (DOWN, CALL_1), (UP, ANSWER_1), (DOWN, ANSWER_1), (UP, CALL_2), (DOWN, ANSWER_2)]
    assert _played(lines) == ([text for _, text in lines], 0)


def test_pipelined_calls_wait_for_the_answer_before_them() -> None:
    lines = [(UP, CALL_1), (UP, CALL_2), (UP, CALL_3), (DOWN, ANSWER_3), (DOWN, ANSWER_1), (DOWN, ANSWER_2)]
    assert _played(lines) == ([CALL_1, ANSWER_1, CALL_2, ANSWER_2, CALL_3, ANSWER_3], 0)


def test_a_call_that_waited_is_open_until_its_own_answer() -> None:
    lines = [(UP, CALL_1), (UP, CALL_2), (DOWN, ANSWER_1), (UP, CALL_3), (DOWN, ANSWER_2), (DOWN, ANSWER_3)]
    assert _played(lines) == ([CALL_1, ANSWER_1, CALL_2, ANSWER_2, CALL_3, ANSWER_3], 0)


def test_what_nobody_answered_and_answers_to_nothing_are_left_out() -> None:
    lines = [(UP, CALL_1), (UP, CALL_2), (DOWN, ANSWER_2), (DOWN, ANSWER_3), (UP, CALL_3), (UP, "[2,")]
    assert _played(lines) == ([CALL_2, ANSWER_2], 4)


def test_a_repeated_transaction_message_is_left_out_with_its_answer() -> None:
    start = '"StartTransaction",{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":"2026-01-01T00:00:00Z"}]'
    first, again = f'[2,"1",{start}', f'[2,"2",{start}'
    accepted = '{"transactionId":1,"idTagInfo":{"status":"Accepted"}}]'
    lines = [(UP, first), (DOWN, f'[3,"1",{accepted}'), (UP, again), (DOWN, f'[3,"2",{accepted}')]
    assert _played(lines) == ([first, f'[3,"1",{accepted}'], 2)


def test_a_transaction_message_repeated_because_nobody_answered_is_played_once() -> None:
    stop = '"StopTransaction",{"meterStop":5,"timestamp":"2026-01-01T00:00:00Z","transactionId":1}]'
    lines = [(UP, f'[2,"1",{stop}'), (UP, f'[2,"2",{stop}'), (DOWN, ANSWER_2)]
    assert _played(lines) == ([f'[2,"2",{stop}', ANSWER_2], 1)


def test_messages_of_2_1_that_nobody_answers() -> None:
    send = '[6,"s","NotifyPeriodicEventStream",{"id":1}]'
    complaint = '[5,"1","FormatViolation","",{}]'
    lines = [(UP, CALL_1), (UP, send), (DOWN, ANSWER_1), (UP, complaint)]
    assert _played(lines, OcppVersion.V21) == ([CALL_1, send, ANSWER_1, complaint], 0)


@pytest.mark.parametrize("name", recordings.names())
def test_shipped_recordings_are_played_whole(name: str) -> None:
    records = recordings.load(name)
    script = Script(records, recordings.version(name))
    turns = list(script.turns())
    assert script.left_out == 0
    assert sorted(turn.text for turn in turns) == sorted(record.text for record in records)
    _assert_one_call_open(turns)


def test_the_generated_station_is_played_as_it_comes() -> None:
    # Ten years: this ends only if no more is generated than is asked for.
    records = generate(WORKLOADS["home"], days=3650, seed=1)
    turns = list(itertools.islice(Script(records, OcppVersion.V201).turns(), 1000))
    _assert_one_call_open(turns)
    assert [turn.text for turn in turns] == [record.text for record in itertools.islice(generate(WORKLOADS["home"], days=3, seed=1), 1000)]


def _assert_one_call_open(turns: list[Turn]) -> None:
    waiting: dict[Direction, str] = {}
    for turn in turns:
        message_id, message = parse(turn.text)
        if message.type is MessageType.CALL:
            assert turn.direction not in waiting
            waiting[turn.direction] = message_id
        else:
            assert waiting.pop(turn.direction.opposite) == message_id
