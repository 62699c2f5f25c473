"""A repeated transaction message is known by its content, `offline` left out, and its answer is remembered within bounds."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.jsontext import tokens
from ocppress_codecs.rpc import Message, MessageType
from ocppress_gateway.core.limits import REPEAT_MEMORY_S, REPEATS_REMEMBERED_MAX, REPEATS_TEXT_MAX
from ocppress_gateway.core.repeats import RepeatMemory, fingerprint


def event(payload: str, action: str = "TransactionEvent") -> bytes:
    return fingerprint(Message(MessageType.CALL, action, f'"{action}",{payload}'))


@pytest.mark.parametrize(
    "payload",
    [
        '{"offline":true,"seqNo":1,"n":{"offline":true}}',
        '{"seqNo":1,"offline":false,"n":{"offline":true}}',
        '{"seqNo":1,"n":{"offline":true},"offline":true}',
        '{"offline":true,"seqNo":1,"n":{"offline":true},"offline":false}',
        '{"seqNo":1,"offline":true,"offline":true,"n":{"offline":true}}',
    ],
)
def test_offline_anywhere_is_left_out(payload: str) -> None:
    assert event(payload) == event('{"seqNo":1,"n":{"offline":true}}')


def test_offline_alone() -> None:
    assert event('{"offline":true}') == event("{}")


@pytest.mark.parametrize(
    "payload",
    [
        '{"seqNo":2}',
        '{"seqNo":1,"n":{"offline":true}}',
        '{"seqNo":1,"n":["offline",true]}',
        '{"seqNo":1,"offline":null}',
        '{"seqNo":1,"offline":"true"}',
        '{"seqNo":"offline"}',
        '{"a":"offline","seqNo":1}',
        '{"seqNo":1.0}',
        '{ "seqNo":1,"x":[]}',
    ],
)
def test_all_else_counts(payload: str) -> None:
    assert event(payload) != event('{"seqNo":1}')


def test_the_action_counts_even_if_it_is_called_offline() -> None:
    assert event('{"a":1}', "offline") != event('{"a":1}', "online")
    assert event("{}", "StartTransaction") != event("{}", "StopTransaction")


SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from(["offline", "x", ""])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["offline", "a", "b"]), inner))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), VALUES), max_size=5), st.data())
def test_offline_inserted_at_any_place_changes_nothing(members: list[tuple[str, object]], data: st.DataObject) -> None:
    texts = [f'"{name}":{json.dumps(value, separators=(",", ":"))}' for name, value in members]
    with_offline = list(texts)
    with_offline.insert(data.draw(st.integers(0, len(texts))), f'"offline":{data.draw(st.sampled_from(["true", "false"]))}')
    assert event("{" + ",".join(texts) + "}") == event("{" + ",".join(with_offline) + "}")


@given(st.dictionaries(st.sampled_from(["offline", "a", '\\"offline\\"', "b"]), VALUES))
def test_what_is_on_disk_is_known_however_it_is_reckoned(payload: dict[str, object]) -> None:
    """An outbox keeps fingerprints over restarts: always those of the tokens, joined."""
    body = f'"TransactionEvent",{json.dumps(payload, separators=(",", ":"))}'
    without = {name: value for name, value in payload.items() if name != "offline" or not isinstance(value, bool)}
    kept = "".join(tokens(f'["TransactionEvent",{json.dumps(without)}]'))
    assert fingerprint(Message(MessageType.CALL, "TransactionEvent", body)) == hashlib.blake2b(kept.encode(), digest_size=16).digest()


# --- memory


def result(body: str = "{}") -> Message:
    return Message(MessageType.CALLRESULT, "", body)


def test_an_answer_is_remembered_for_a_day() -> None:
    memory = RepeatMemory()
    memory.answered(b"a", result(), 100.0)
    assert memory.answer(b"a", 100.0 + REPEAT_MEMORY_S - 1) == result()
    assert memory.answer(b"a", 100.0 + REPEAT_MEMORY_S) is None
    assert memory.answer(b"b", 100.0) is None


def test_empty_answers_share_one_object() -> None:
    memory = RepeatMemory()
    empty = [Message(MessageType.CALLRESULT, "", "{}", call=number) for number in range(2)]
    for key, answer in zip((b"a", b"b"), empty, strict=True):
        memory.answered(key, answer, 0.0)
    memory.answered(b"c", result('{"idTagInfo":{}}'), 0.0)
    assert memory.answer(b"a", 1.0) is memory.answer(b"b", 1.0)
    assert memory.answer(b"c", 1.0) == result('{"idTagInfo":{}}')


def test_the_oldest_is_forgotten_first() -> None:
    memory = RepeatMemory()
    for number in range(REPEATS_REMEMBERED_MAX):
        memory.answered(b"%d" % number, result(), 0.0)
    memory.answered(b"0", result('{"again":1}'), 1.0)
    memory.answered(b"new", result(), 2.0)
    assert memory.answer(b"0", 3.0) == result('{"again":1}')
    assert memory.answer(b"1", 3.0) is None
    assert memory.answer(b"2", 3.0) == result()


def test_text_is_bounded_and_a_huge_answer_alone_is_not_remembered() -> None:
    memory = RepeatMemory()
    half = "x" * (REPEATS_TEXT_MAX // 2)
    for key in (b"a", b"b", b"c"):
        memory.answered(key, result(half), 0.0)
    assert [memory.answer(key, 1.0) is not None for key in (b"a", b"b", b"c")] == [False, True, True]
    memory.answered(b"b", result("x"), 1.0)
    memory.answered(b"d", result(half[1:]), 1.0)
    assert [memory.answer(key, 1.0) is not None for key in (b"b", b"c", b"d")] == [True, True, True], "replaced text no longer counts"
    memory.answered(b"e", result("x" * (REPEATS_TEXT_MAX + 1)), 2.0)
    assert memory.answer(b"e", 2.0) is None
    memory.answered(b"f", result(half), 3.0)
    assert memory.answer(b"f", 3.0) is not None
