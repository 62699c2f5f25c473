"""OCPP-J messages as stations and CSMSs really write them."""

from __future__ import annotations

import pytest

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import MESSAGE_ID_CHARACTERS_MAX, Message, MessageType, OcppVersion, action_of, parse, payload_text, render


@pytest.mark.parametrize(
    ("text", "message_id", "expected"),
    [
        ('[2,"612","Heartbeat",{}]', "612", Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')),
        ('[ 2 , "a b" ,\n"Heartbeat",{ } ]', "a b", Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')),
        ('[3,"1",{"x" : 1.00}]', "1", Message(MessageType.CALLRESULT, "", '{"x":1.00}')),
        ('[4,"1","NotSupported","",{}]', "1", Message(MessageType.CALLERROR, "", '"NotSupported","",{}')),
        ('[4,"1","InternalError","","text"]', "1", Message(MessageType.CALLERROR, "", '"InternalError","","text"')),
        ('[4,"","InternalError"]', "", Message(MessageType.CALLERROR, "", '"InternalError"')),
        ('[5,"1","FormatViolation","",{}]', "1", Message(MessageType.CALLRESULTERROR, "", '"FormatViolation","",{}')),
        ('[6,"1","Notify",{"t":1}]', "1", Message(MessageType.SEND, "Notify", '"Notify",{"t":1}')),
        ('[2,"\\u0031","A\\"b",{"a":1,"a":2}]', "1", Message(MessageType.CALL, 'A"b', '"A\\"b",{"a":1,"a":2}')),
        ('[2,"1","A",{"nested":"[2,\\"1\\"]"}]', "1", Message(MessageType.CALL, "A", '"A",{"nested":"[2,\\"1\\"]"}')),
    ],
)
def test_messages_are_split_exactly(text: str, message_id: str, expected: Message) -> None:
    assert parse(text) == (message_id, expected)
    assert action_of(expected.type, expected.body) == expected.action
    assert parse(render(message_id, expected)) == (message_id, expected)


@pytest.mark.parametrize(
    ("text", "message_id", "answerable"),
    [
        ("", None, True),
        ("ping", None, True),
        ("{}", None, True),
        ("[]", None, True),
        ("[2]", None, True),
        ('[2,1,"A",{}]', None, True),
        ('[2,"1"]', "1", True),
        ('[2,"1","A"]', "1", True),
        ('[2,"1","A",[]]', "1", True),
        ('[2,"1","A",{},1]', "1", True),
        ('[2,"1",7,{}]', "1", True),
        ('[3,"1"]', "1", False),
        ('[3,"1",null]', "1", False),
        ("[3,1,{}]", None, False),
        ('[4,"1"]', "1", False),
        ('[4,"1",1,"",{}]', "1", False),
        ('[6,"1","A"]', "1", False),
        ('["2","1","A",{}]', "1", True),
        ('[2.0,"1","A",{}]', "1", True),
    ],
)
def test_other_text_says_how_to_answer(text: str, message_id: str | None, answerable: bool) -> None:
    with pytest.raises(NotOcppJ) as caught:
        parse(text)
    assert (caught.value.message_id, caught.value.answerable) == (message_id, answerable)
    assert not caught.value.well_formed_unknown


def test_an_unknown_type_is_told_apart() -> None:
    with pytest.raises(NotOcppJ) as caught:
        parse('[7,"1",{}]')
    assert caught.value.well_formed_unknown


def test_a_message_id_has_a_limit() -> None:
    assert parse(f'[3,"{"x" * MESSAGE_ID_CHARACTERS_MAX}",{{}}]')[0] == "x" * MESSAGE_ID_CHARACTERS_MAX
    with pytest.raises(NotOcppJ):
        parse(f'[3,"{"x" * (MESSAGE_ID_CHARACTERS_MAX + 1)}",{{}}]')


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ('[2,"1","A, {\\"b\\"}",{"x":[1,2]}]', '{"x":[1,2]}'),
        ('[6,"1","A",{}]', "{}"),
        ('[3,"1",{"x":1}]', '{"x":1}'),
        ('[4,"1","Code","",{}]', '"Code","",{}'),
    ],
)
def test_the_payload_is_found(text: str, payload: str) -> None:
    assert payload_text(parse(text)[1]) == payload


def test_an_id_is_escaped_when_written() -> None:
    assert render('a"\n', Message(MessageType.CALLRESULT, "", "{}")) == '[3,"a\\"\\n",{}]'


def test_subprotocols() -> None:
    assert [version.subprotocol for version in OcppVersion] == ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[2,"1","A",{}]}', "something follows the value at character 14"),
        ("hello", "not JSON at character 0"),
        ('[2,"1"', "the text ends too early at character 6"),
        ("[" * 1000, "nested deeper than"),
    ],
)
def test_text_that_cannot_be_read_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(NotOcppJ) as caught:
        parse(text)
    assert str(caught.value).startswith(reason)
