"""What property tests draw: JSON of any spelling, messages of any kind."""

from __future__ import annotations

import json
import random

from hypothesis import strategies as st

from ocppress_codecs.jsontext import JsonError, minified
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse
from tests.support.odd_json import odd_message
from tests.support.schema_messages import Kind, Size, actions, payload_text, schema_of

__all__ = ["JSON", "NUMBERS", "SCALARS", "STRINGS", "any_messages", "messages", "odd_messages", "schema_messages"]

WORDS = st.sampled_from(["status", "Accepted", "timestamp", "value", "transactionId", "Wh", "x", "true"])
NUMBERS = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
).filter(lambda text: _is_json(text))
TIMES = st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds") + "Z")
PLAIN = st.one_of(
    WORDS,
    NUMBERS,
    TIMES,
    st.text(max_size=12),
    st.uuids().map(str),
    st.binary(max_size=30).map(bytes.hex),
    st.text("ABab01+/=", max_size=40),
)
STRINGS = st.one_of(
    PLAIN.map(json.dumps),
    PLAIN.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)).map(
        lambda text: json.dumps(text, ensure_ascii=False)
    ),
    st.from_regex(r'"(\\u[0-9a-fA-F]{4}|\\/|\\n|[ -!#-\[\]-~]){0,6}"', fullmatch=True),
)
SCALARS = st.one_of(STRINGS, NUMBERS, st.sampled_from(["true", "false", "null"]))


def _is_json(text: str) -> bool:
    try:
        return minified(text) == text
    except JsonError:
        return False


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in members) + "}"


def _values(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arrays = st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]")
    return st.one_of(arrays, st.lists(st.tuples(STRINGS, inner), max_size=4).map(_object))


JSON = st.recursive(SCALARS, _values, max_leaves=12)
OBJECTS = st.lists(st.tuples(STRINGS, JSON), max_size=5).map(_object)
CALLS = st.one_of(st.none(), st.integers(0, 12), st.integers(0, 2**32 - 1))
ACTIONS = st.one_of(st.sampled_from(["Heartbeat", "StatusNotification", "Vendor.Own"]), st.text(max_size=5))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message of JSON in any spelling."""
    kind = draw(st.sampled_from(MessageType))
    if kind in (MessageType.CALL, MessageType.SEND):
        body = f"{json.dumps(draw(ACTIONS))},{draw(OBJECTS)}"
    elif kind is MessageType.CALLRESULT:
        body = draw(OBJECTS)
    else:
        body = ",".join([draw(STRINGS), draw(STRINGS), draw(JSON)][: draw(st.integers(1, 3))])
    message = parse(f'[{kind.value},"",{body}]')[1]
    return Message(kind, message.action, message.body, None if kind is MessageType.SEND else draw(CALLS))


@st.composite
def odd_messages(draw: st.DrawFn) -> Message:
    """What only an attacker writes."""
    message = parse(odd_message(random.Random(draw(st.integers(0, 2**32)))))[1]
    return Message(message.type, message.action, message.body, None if message.type is MessageType.SEND else draw(CALLS))


@st.composite
def schema_messages(draw: st.DrawFn) -> Message:
    """A valid request or response of any action."""
    version = draw(st.sampled_from(OcppVersion))
    action = draw(st.sampled_from(actions(version)))
    request, response = (schema_of(version, action, kind) for kind in Kind)
    source = random.Random(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([Size.LEAST, Size.FULL]))
    assert request is not None, "every action has a request"
    if response is not None and draw(st.booleans()):
        return Message(MessageType.CALLRESULT, "", payload_text(response, source, size), draw(CALLS))
    kind = MessageType.SEND if response is None else MessageType.CALL
    return Message(kind, action, f'"{action}",{payload_text(request, source, size)}')


def any_messages() -> st.SearchStrategy[Message]:
    """All of these."""
    return st.one_of(messages(), odd_messages(), schema_messages())
