"""Answers find their CALLs without ids, whatever stations do with ids."""

from __future__ import annotations

import pytest

from ocppress_codecs.calls import CallLog
from ocppress_codecs.rpc import OcppVersion, parse
from ocppress_gateway.tools.conversation import Conversation, Identities
from ocppress_gateway.workloads.traces import Direction, TraceRecord

UP, DOWN = Direction.UP, Direction.DOWN


def numbers(*texts: str) -> list[int | None]:
    """The CALL numbers of texts that begin with `up ` or `down `."""
    return [said.message.call for said in Conversation(OcppVersion.V21).follow(map(record, texts))]


def record(text: str) -> TraceRecord:
    direction, _, rest = text.partition(" ")
    return TraceRecord(None, Direction(direction), rest)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (['up [2,"a","X",{}]', 'up [2,"b","X",{}]', 'down [3,"b",{}]', 'down [3,"a",{}]'], [0, 1, 1, 0]),
        # The same id in both directions.
        (['up [2,"a","X",{}]', 'down [2,"a","Y",{}]', 'down [3,"a",{}]', 'up [3,"a",{}]'], [0, 0, 0, 0]),
        # An id used again: the latest CALL without an answer.
        (['up [2,"a","X",{}]', 'up [2,"a","X",{}]', 'down [3,"a",{}]', 'down [4,"a","E","",{}]', 'down [3,"a",{}]'], [0, 1, 1, 0, None]),
        # Orphans: no such CALL, one answered already, one of the same direction.
        (['down [3,"a",{}]', 'up [2,"a","X",{}]', 'up [3,"a",{}]', 'down [3,"a",{}]', 'down [3,"a",{}]'], [None, 0, None, 0, None]),
        # CALLRESULTERROR complains of the result of its own direction's CALL; a SEND refers to nothing.
        (['up [2,"a","X",{}]', 'down [3,"a",{}]', 'up [5,"a","E","",{}]', 'down [5,"a","E","",{}]'], [0, 0, 0, None]),
        (['up [5,"a","E","",{}]', 'up [6,"a","X",{}]'], [None, None]),
    ],
)
def test_an_answer_belongs_to_the_latest_open_call_with_its_id(texts: list[str], expected: list[int | None]) -> None:
    assert numbers(*texts) == expected


def test_what_was_answered_is_forgotten_beyond_a_codecs_reach() -> None:
    texts = [text for number in range(CallLog.REACH + 1) for text in (f'up [2,"{number}","X",{{}}]', f'down [3,"{number}",{{}}]')]
    assert numbers(*texts, 'up [5,"0","E","",{}]', 'up [5,"1","E","",{}]')[-2:] == [None, 1]


def test_what_is_not_ocpp_is_counted_and_left_out() -> None:
    conversation = Conversation(OcppVersion.V16)
    said = list(conversation.follow(map(record, ["up garbage", 'up [2,"a","X",{}]', 'down [9,"a",{}]'])))
    assert [one.message.body for one in said] == ['"X",{}']
    assert conversation.skipped == 2


def test_fresh_ids_are_unique_and_tie_answers_to_calls() -> None:
    texts = [
        'up [2,"1","X",{}]',
        'down [2,"1","Y",{}]',
        'up [2,"1","Z",{}]',
        'down [3,"1",{"to":"Z"}]',
        'up [3,"1",{"to":"Y"}]',
        'down [4,"1","E","",{"to":"X"}]',
        'down [3,"1",{"to":"nothing"}]',
        'up [5,"1","E","",{"to":"X"}]',
        'up [6,"1","W",{}]',
        'down [6,"1","V",{}]',
    ]
    identities = Identities()
    back = []
    for said in Conversation(OcppVersion.V21).follow(map(record, texts)):
        back.append((said.direction, *parse(identities.text(said.direction, said.message))))
    ids = {message.body: message_id for _, message_id, message in back}
    calls = {ids['"X",{}'], ids['"Y",{}'], ids['"Z",{}']}
    assert len(calls) == 3
    assert ids['{"to":"Z"}'] == ids['"Z",{}']
    assert ids['{"to":"Y"}'] == ids['"Y",{}']
    assert ids['"E","",{"to":"X"}'] == ids['"X",{}']
    alone = {ids['{"to":"nothing"}'], ids['"W",{}'], ids['"V",{}']}
    assert len(alone) == 3
    assert not alone & calls
    assert [message.body for _, _, message in back] == [parse(record(text).text)[1].body for text in texts]
