"""Which messages share a frame: tables by hand, and rules that hold for any conversation."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.tools.conversation import Conversation, Said
from ocppress_gateway.tools.schedule import WAITING_TEXT_BYTES_MAX, Batch, schedule
from ocppress_gateway.workloads.traces import Direction, TraceRecord

UP, DOWN = Direction.UP, Direction.DOWN

CALLS = {"hb": "Heartbeat", "st": "StatusNotification", "mv": "MeterValues", "au": "Authorize"}


def records(script: str) -> list[TraceRecord]:
    """`0 up hb a` is a Heartbeat at 0 s with id a; `1 down = a` an answer with id a; `2 down ! a` a CALL of the CSMS; `-` for a null time."""
    found = []
    for entry in script.split(";"):
        at, direction, what, message_id = entry.split()
        if what == "=":
            text = f'[3,"{message_id}",{{}}]'
        elif what == "!":
            text = f'[2,"{message_id}","UnlockConnector",{{}}]'
        else:
            text = f'[2,"{message_id}","{CALLS[what]}",{{}}]'
        found.append(TraceRecord(None if at == "-" else float(at), Direction(direction), text))
    return found


def frames(script: str, max_delay_s: float) -> list[str]:
    """The frames as `at direction message…`, a CALL by its number, an answer by `=` and that of its CALL."""
    conversation = Conversation(OcppVersion.V16)
    shown = []
    for batch in schedule(conversation.follow(records(script)), max_delay_s):
        messages = [("" if message.type is MessageType.CALL else "=") + str(message.call) for message in batch.messages]
        shown.append(" ".join([f"{batch.at_s:g}", batch.direction, *messages]))
    return shown


@pytest.mark.parametrize(
    ("script", "max_delay_s", "expected"),
    [
        # No delay: a frame each, even at the same time.
        ("0 up hb a;0 up hb b;0 down = a", 0, ["0 up 0", "0 up 1", "0 down =0"]),
        # A lone Heartbeat and its answer wait as long as they may; the answer's own delay ends later.
        ("0 up hb a;1 down = a", 900, ["900 up 0", "901 down =0"]),
        # Within the delay they share a frame.
        ("0 up hb a;1 down = a;300 up st b;301 down = b", 900, ["900 up 0 1", "901 down =0 =1"]),
        # One that arrives just as the delay ends still joins; one later doesn't.
        ("0 up hb a;900 up hb b;901 up hb c", 900, ["900 up 0 1", "1801 up 2"]),
        # One that can't wait takes along what waits in its direction, and only there.
        ("0 up hb a;1 down = a;2 up au b", 900, ["2 up 0 1", "901 down =0"]),
        # Its answer can't wait either and takes along the waiting answers.
        ("0 up hb a;1 down = a;2 up au b;3 down = b", 900, ["2 up 0 1", "3 down =0 =1"]),
        # A CSMS's CALL takes along a waiting answer, whose CALL is flushed first.
        ("0 up hb a;1 down = a;2 down ! x", 900, ["2 up 0", "2 down =0 0"]),
        # A station's answer to the CSMS can't wait.
        ("0 up hb a;1 down ! x;2 up = x", 900, ["1 down 0", "2 up 0 =0"]),
        # What comes after a flush waits anew.
        ("0 up hb a;1 down = a;2 up hb b;3 down = b;4 up au c;902 up hb d", 900, ["4 up 0 1 2", "901 down =0 =1", "1802 up 3"]),
        # An answer that joins others whose delay ends before that of its own CALL.
        ("0 up hb a;1 down = a;4 up au b;600 up hb c;601 down = c", 900, ["4 up 0 1", "901 up 2", "901 down =0 =2"]),
        # An answer that the trace has before its CALL, or without one, can't wait.
        ("0 down = a;1 up hb a", 900, ["0 down =None", "901 up 0"]),
        # A null time counts as the one before; a clock set back is no time.
        ("5 up hb a;- up au b", 900, ["5 up 0 1"]),
        ("- up au a;5 up au b;3 up au c;4 up au d", 900, ["0 up 0", "5 up 1", "5 up 2", "6 up 3"]),
    ],
)
def test_frames_of_a_script(script: str, max_delay_s: float, expected: list[str]) -> None:
    assert frames(script, max_delay_s) == expected


def test_nothing_said_is_no_frame() -> None:
    assert list(schedule([], 900)) == []


def test_what_waits_leaves_early_when_it_grows_too_large() -> None:
    text = "x" * (WAITING_TEXT_BYTES_MAX // 2)
    message = Message(MessageType.CALL, "MeterValues", f'"MeterValues",{{"x":"{text}"}}')
    said = [Said(float(at_s), UP, "", message, True) for at_s in range(3)]
    assert [(batch.at_s, len(batch.messages)) for batch in schedule(said, 900)] == [(1, 2), (902, 1)]


@st.composite
def conversations(draw: st.DrawFn) -> list[TraceRecord]:
    """Any mixture of CALLs and answers both ways, answered late, twice, never or out of nowhere, with ids used again."""
    found = []
    at_s = 0.0
    for _ in range(draw(st.integers(0, 30))):
        at_s += draw(st.sampled_from([0, 0, 1, 7, 100]))
        direction = draw(st.sampled_from(list(Direction)))
        message_id = draw(st.sampled_from("abc"))
        action = draw(st.sampled_from(["Heartbeat", "StatusNotification", "MeterValues", "Authorize", "", ""]))
        text = f'[2,"{message_id}","{action}",{{}}]' if action else f'[3,"{message_id}",{{}}]'
        found.append(TraceRecord(draw(st.sampled_from([at_s, at_s, None])), direction, text))
    return found


@given(conversations(), st.sampled_from([0.0, 1.0, 10.0, 900.0]))
def test_the_rules_hold_for_any_conversation(trace: list[TraceRecord], max_delay_s: float) -> None:
    said = list(Conversation(OcppVersion.V201).follow(trace))
    batches = list(schedule(said, max_delay_s))

    assert all(earlier.at_s <= later.at_s for earlier, later in itertools.pairwise(batches)), "frames leave in order of time"
    assert all(batch.messages for batch in batches)
    for direction in Direction:
        spoken = [one for one in said if one.direction is direction]
        sent = [(batch, message) for batch in batches if batch.direction is direction for message in batch.messages]
        assert [one.message for one in spoken] == [message for _, message in sent], "a direction keeps its order"
        for one, (batch, _) in zip(spoken, sent, strict=True):
            assert one.at_s <= batch.at_s <= one.at_s + (max_delay_s if one.may_wait else 0)
    assert_no_answer_before_its_call(batches)


def assert_no_answer_before_its_call(batches: list[Batch]) -> None:
    calls: dict[Direction, set[int | None]] = {direction: set() for direction in Direction}
    for batch in batches:
        for message in batch.messages:
            if message.type is MessageType.CALL:
                calls[batch.direction].add(message.call)
            elif message.call is not None:
                assert message.call in calls[batch.direction.opposite]
