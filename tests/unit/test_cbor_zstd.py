"""Frames of `cbor-zstd` (`codecs/vectors` has their bytes), and what an encoder does with what it can't carry."""

from __future__ import annotations

import pytest

from ocppress_codecs import messages
from ocppress_codecs.dictionary import Dictionary
from ocppress_codecs.errors import DecodeError, EncodeError, IntegrityError, LimitExceeded, Malformed
from ocppress_codecs.interface import FRAME_BYTES_MAX, FRAME_TEXT_BYTES_MAX, CodecName, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion

HEARTBEAT = Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')


def _open(name: CodecName = CodecName.CBOR_ZSTD) -> Endpoint:
    return open_endpoint(name, OcppVersion.V16, Side.EDGE, dictionary=Dictionary())


def _result(body: str, call: int | None = None) -> Message:
    return Message(MessageType.CALLRESULT, "", body, call)


def test_what_repeats_takes_one_byte_and_a_checksum() -> None:
    encoder = _open().encoder
    encoder.encode([HEARTBEAT])
    assert len(encoder.encode([HEARTBEAT])) == 3
    assert len(encoder.encode([HEARTBEAT] * 10)) == 12


def test_a_large_text_takes_zstd_and_a_longer_checksum() -> None:
    end = _open()
    message = _result('{"x":"' + "a configuration " * 1000 + '"}')
    frame = end.encoder.encode([message])
    assert frame[0] == 0xFF
    assert len(frame) < 100
    assert _open().decoder.decode(frame) == [message]


@pytest.mark.parametrize("name", CodecName)
@pytest.mark.parametrize(
    "message",
    [
        _result("{} "),
        _result(""),
        _result("[]"),
        _result('{"x":"\ud800"}'),
        _result("{}", -1),
        Message(MessageType.CALL, "Other", '"Heartbeat",{}'),
        Message(MessageType.CALL, "Heartbeat", "{}"),
    ],
)
def test_an_encoder_refuses_what_is_not_a_message_and_goes_on(name: CodecName, message: Message) -> None:
    end, other = _open(name), _open(name)
    first = end.encoder.encode([HEARTBEAT])
    with pytest.raises(EncodeError):
        end.encoder.encode([HEARTBEAT, message])
    assert end.encoder.calls.count == 1
    assert [other.decoder.decode(frame)[0].call for frame in (first, end.encoder.encode([HEARTBEAT]))] == [0, 1]


@pytest.mark.parametrize("name", CodecName)
def test_an_encoder_refuses_too_much_text(name: CodecName) -> None:
    fits = '{"x":"' + "é" * ((FRAME_TEXT_BYTES_MAX - 20) // 2) + '"}'
    frame = _open(name).encoder.encode([_result(fits)])
    assert len(frame) <= FRAME_BYTES_MAX
    assert _open(name).decoder.decode(frame) == [_result(fits)]
    with pytest.raises(EncodeError):
        _open(name).encoder.encode([_result(fits), _result(fits)])


@pytest.mark.parametrize("name", CodecName)
def test_a_decoder_refuses_a_frame_that_is_too_long(name: CodecName) -> None:
    with pytest.raises(LimitExceeded) as caught:
        _open(name).decoder.decode(bytes(FRAME_BYTES_MAX + 1))
    assert (caught.value.limit, caught.value.maximum, caught.value.actual) == ("frame_bytes", FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1)


def test_repeated_shapes_cannot_expand_beyond_the_limit() -> None:
    end = _open()
    text = '{"' + "k" * 8000 + '":true}'
    frame = end.encoder.encode([_result(text)])
    decoder = _open().decoder
    decoder.decode(frame)
    with pytest.raises(LimitExceeded):
        decoder.decode(b"\xfe" + b"\x00" * 1_000_000 + b"\0\0\0\0")


@pytest.mark.parametrize("name", CodecName)
def test_a_lost_frame_is_found(name: CodecName) -> None:
    end = _open(name)
    frames = [end.encoder.encode([HEARTBEAT]) for _ in range(4)]
    decoder = _open(name).decoder
    decoder.decode(frames[0])
    decoder.decode(frames[1])
    with pytest.raises(IntegrityError if name is not CodecName.ADAPTIVE else DecodeError):
        decoder.decode(frames[3])
    assert decoder.decode(frames[2])[0].call == 2


def test_a_message_whose_items_are_wrong_goes_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    end, other = _open(), _open()
    monkeypatch.setattr(messages, "write_values", lambda body, context: [b"\xa0"])
    batch = [_result('{"x":1}', 0), _result('{"x":2}', 1), HEARTBEAT]
    assert [message.body for message in other.decoder.decode(end.encoder.encode(batch))] == [message.body for message in batch]
    assert len(end.encoder.encode([_result('{"x":9}', 2)])) == 4, "a rank, a change, a checksum: what went as text is known all the same"


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (Message(MessageType.CALL, "Own.Action", '"Own.Action",{}'), "20c4820005"),
        (Message(MessageType.SEND, "Own.Action", '"Own.Action",{"x":1}'), "2001c4820005"),
        (Message(MessageType.CALLERROR, "", '"Own.Code","",{}'), "2001c4820005"),
        (Message(MessageType.CALLERROR, "", '"GenericError","own words",{}'), "20c4820005"),
        (Message(MessageType.CALLRESULTERROR, "", '"Own.Code","",{}'), "2001c4820005"),
    ],
)
def test_an_action_or_error_code_cannot_become_a_number(message: Message, changes: str) -> None:
    end, other = _open(), _open()
    other.decoder.decode(end.encoder.encode([message]))
    with pytest.raises(Malformed, match="not OCPP-J"):
        other.decoder.decode(bytes.fromhex(changes) + b"\0\0")
    other.decoder.decode(end.encoder.encode([message]))
