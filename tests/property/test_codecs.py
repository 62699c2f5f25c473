"""Any JSON, in any batch, in any order of the two directions, comes back; any bytes are decoded or refused, without harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppress_codecs.adaptive import skeletons
from ocppress_codecs.compact import members, pairs
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import CodecName, Endpoint, Side
from ocppress_codecs.jsontext import JsonError, minified, tokens
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_codecs.scalars import scalar_of, token_of
from ocppress_codecs.shapes import filled, split
from tests.support.strategies import JSON, NUMBERS, SCALARS, STRINGS, messages

STEPS = st.lists(st.tuples(st.booleans(), st.lists(messages(), min_size=1, max_size=4)), min_size=1, max_size=6)


def _pair(codec: CodecName) -> tuple[Endpoint, Endpoint]:
    return open_endpoint(codec, OcppVersion.V16, Side.EDGE), open_endpoint(codec, OcppVersion.V16, Side.CLOUD)


def _numbered(batch: list[Message], count: int) -> list[Message]:
    found = []
    for message in batch:
        is_call = message.type is MessageType.CALL
        found.append(Message(message.type, message.action, message.body, count if is_call else message.call))
        count += is_call
    return found


@pytest.mark.parametrize("codec", CodecName)
@settings(deadline=None)
@given(steps=STEPS)
def test_what_goes_in_comes_out(codec: CodecName, steps: list[tuple[bool, list[Message]]]) -> None:
    edge, cloud = _pair(codec)
    for up, batch in [*steps, *steps]:  # the second time everything is known
        sender, receiver = (edge, cloud) if up else (cloud, edge)
        expected = _numbered(batch, sender.encoder.calls.count)
        assert receiver.decoder.decode(sender.encoder.encode(batch)) == expected
        assert receiver.decoder.calls.count == sender.encoder.calls.count


@pytest.mark.parametrize("codec", CodecName)
@settings(deadline=None)
@given(batch=st.lists(messages(), min_size=1, max_size=3), data=st.data())
def test_a_changed_frame_is_refused_or_harmless(codec: CodecName, batch: list[Message], data: st.DataObject) -> None:
    sender, receiver = _pair(codec)
    receiver.decoder.decode(sender.encoder.encode(batch))
    first = _numbered(batch, sender.encoder.calls.count)
    frame = sender.encoder.encode(batch)
    changed = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed)))
        piece = data.draw(st.binary(max_size=2))
        changed[place : place + data.draw(st.integers(0, 2))] = piece
    if bytes(changed) != frame:
        try:
            # One in 65,536 changes meets its checksum by chance, and some say the same in other words.
            receiver.decoder.decode(bytes(changed))
        except DecodeError:
            assert receiver.decoder.decode(frame) == first


@pytest.mark.parametrize("codec", CodecName)
@given(frame=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda rest: b"\xfd\x00\x00" + rest)))
def test_any_bytes_are_decoded_or_refused(codec: CodecName, frame: bytes) -> None:
    sender, receiver = _pair(codec)
    heartbeat = Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')
    try:
        receiver.decoder.decode(frame)
    except DecodeError:
        assert receiver.decoder.decode(sender.encoder.encode([heartbeat]))[0].call == 0


@given(text=JSON)
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text
    assert minified(" " + " ".join(tokens(text)) + "\n") == text


@given(array=st.lists(JSON, min_size=1, max_size=4), data=st.data())
def test_members_of_a_compact_array_are_those_of_its_tokens(array: list[str], data: st.DataObject) -> None:
    text = "[" + ",".join(array) + "]"
    assert members(text, 4) == array
    place = data.draw(st.integers(1, len(text)))
    changed = (
        text[:place]
        + data.draw(st.sampled_from(["", ",", "]", "}", "[", '"', " ", "1", ":"]))
        + text[place + data.draw(st.integers(0, 1)) :]
    )
    compact = _tokenised(changed) and minified(changed) == changed and changed[0] == "[" and changed != "[]"
    assert (members(changed, len(changed)) is not None) == compact


@given(names=st.lists(st.one_of(STRINGS, st.just('""')), max_size=4), data=st.data())
def test_pairs_of_a_compact_object_are_those_of_its_tokens(names: list[str], data: st.DataObject) -> None:
    expected = [(name, data.draw(JSON)) for name in names]
    text = "{" + ",".join(f"{name}:{value}" for name, value in expected) + "}"
    assert pairs(text) == expected
    place = data.draw(st.integers(1, len(text)))
    changed = (
        text[:place]
        + data.draw(st.sampled_from(["", ",", "]", "}", "{", '"', " ", "1", ":"]))
        + text[place + data.draw(st.integers(0, 1)) :]
    )
    compact = _tokenised(changed) and minified(changed) == changed and changed[0] == "{"
    assert (pairs(changed) is not None) == compact


@given(text=st.text(st.sampled_from('{}[],:"\\ue01-.+tfn \n'), max_size=20))
def test_tokens_accept_what_json_accepts(text: str) -> None:
    try:
        json.loads(text)
        valid = True
    except ValueError:
        valid = False
    assert _tokenised(text) == valid


def _tokenised(text: str) -> bool:
    try:
        tokens(text)
    except JsonError:
        return False
    return True


@given(token=st.one_of(STRINGS, NUMBERS))
def test_values_come_back_as_written(token: str) -> None:
    assert token_of(scalar_of(token)) == token


@settings(max_examples=200)
@given(message=messages())
def test_shapes_and_values_come_back(message: Message) -> None:
    shape, values = split(message.type, message.body)
    assert filled(shape, values) == message.body


@settings(max_examples=200)
@given(known=messages(), message=messages(), data=st.data())
def test_what_fits_a_skeleton_is_of_it(known: Message, message: Message, data: st.DataObject) -> None:
    skeleton, values = skeletons.split(known.type, known.body)
    segments = skeleton[1:].split(skeletons.HOLE)
    keys = skeletons.keys_before(segments)
    others = [data.draw(SCALARS) for _ in values]
    for body in (known.body, message.body, skeletons.filled(segments, others)):
        found = skeletons.fitted(segments, keys, body)
        if found is not None:
            assert skeletons.split(known.type, body) == (skeleton, found)
