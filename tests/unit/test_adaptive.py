"""The codec `adaptive` at its two ends: sizes, state, limits, saving."""

from __future__ import annotations

import json
import random
from types import FunctionType

import pytest

from ocppress_codecs.adaptive import message
from ocppress_codecs.adaptive.coder import WORK_BASE, ZERO_BYTES_MAX
from ocppress_codecs.adaptive.model import FIELDS_MAX, SHAPES_MAX
from ocppress_codecs.adaptive.saving import MODEL_BYTES_MAX, TEXT_BYTES_MAX
from ocppress_codecs.calls import CallLog
from ocppress_codecs.errors import DecodeError, IntegrityError, LimitExceeded, Malformed, Truncated
from ocppress_codecs.interface import FRAME_BYTES_MAX, CodecName, Endpoint, Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse

HEARTBEAT = Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')


def pair(codec: CodecName = CodecName.ADAPTIVE) -> tuple[Endpoint, Endpoint]:
    return open_endpoint(codec, OcppVersion.V201, Side.EDGE), open_endpoint(codec, OcppVersion.V201, Side.CLOUD)


def result(body: str, call: int | None = None) -> Message:
    return Message(MessageType.CALLRESULT, "", body, call)


def transfer(data: str) -> Message:
    return parse(f'[2,"","DataTransfer",{{"vendorId":"x","data":{json.dumps(data)}}}]')[1]


def meter(number: int) -> Message:
    time = f"2026-03-02T{8 + number // 60:02}:{number % 60:02}:00Z"
    value = 230 + number % 3 / 10
    return parse(
        f'[2,"","MeterValues",{{"connectorId":1,"meterValue":[{{"timestamp":"{time}","sampledValue":['
        f'{{"value":"{value}","measurand":"Voltage","unit":"V"}}]}}]}}]'
    )[1]


def test_what_is_wholly_expected_takes_the_checksum_alone() -> None:
    edge, cloud = pair()
    sizes = []
    for _ in range(40):
        frame = edge.encoder.encode([HEARTBEAT])
        (call,) = cloud.decoder.decode(frame)
        answer = cloud.encoder.encode([result("{}", call.call)])
        assert edge.decoder.decode(answer) == [result("{}", call.call)]
        sizes.append((len(frame), len(answer)))
    assert sizes[-1] == (2, 2)
    assert sizes.count((2, 2)) >= 30


def test_both_ends_have_the_same_state_after_each_frame() -> None:
    edge, cloud = pair()
    for number in range(30):
        cloud.decoder.decode(edge.encoder.encode([meter(number), HEARTBEAT]))
        assert edge.encoder.saved() == cloud.decoder.saved()


@pytest.mark.parametrize("after", [0, 1, 17])
def test_a_saved_state_goes_on_at_either_end(after: int) -> None:
    edge, cloud = pair()
    for number in range(after):
        cloud.decoder.decode(edge.encoder.encode([meter(number)]))
        edge.decoder.decode(cloud.encoder.encode([result("{}", number)]))
    new_edge, new_cloud = pair()
    for old, new in ((edge.encoder, new_edge.encoder), (edge.decoder, new_edge.decoder)):
        saved = old.saved()
        assert saved is not None
        new.restore(saved)
        assert new.saved() == saved
    for old, new in ((cloud.encoder, new_cloud.encoder), (cloud.decoder, new_cloud.decoder)):
        new.restore(old.saved() or b"")
    assert new_edge.encoder.calls.count == after
    for number in range(after, after + 5):
        frame = new_edge.encoder.encode([meter(number)])
        assert frame == edge.encoder.encode([meter(number)])
        assert new_cloud.decoder.decode(frame) == cloud.decoder.decode(frame)
        answer = new_cloud.encoder.encode([result("{}", number)])
        assert answer == cloud.encoder.encode([result("{}", number)])
        assert new_edge.decoder.decode(answer) == edge.decoder.decode(answer)


def test_other_states_are_refused() -> None:
    edge, _ = pair()
    edge.encoder.encode([HEARTBEAT])
    saved = edge.encoder.saved()
    assert saved is not None
    for data, error in (
        (b"", Malformed),
        (saved[:-1], IntegrityError),
        (b"\xff" + saved[1:], Malformed),
        (saved[:1] + bytes(16) + saved[17:], IntegrityError),
        (saved[:5000] + bytes((saved[5000] ^ 1,)) + saved[5001:], IntegrityError),
    ):
        with pytest.raises(error):
            edge.encoder.restore(data)
        assert edge.encoder.saved() == saved
    for codec in (CodecName.VERBATIM, CodecName.CBOR_ZSTD):
        other, _ = pair(codec)
        assert other.encoder.saved() is None
        assert other.decoder.saved() is None
        for half in (other.encoder, other.decoder):
            with pytest.raises(Malformed):
                half.restore(saved)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0",
        bytes(2),
        bytes(100),
        bytes(100_000),
        b"\xff" * 100,
        b"\xff" * 100_000,
        *(bytes([byte]) * 40 for byte in range(1, 255, 7)),
    ],
    ids=lambda frame: f"{len(frame)} x {frame[:1].hex()}",
)
def test_a_frame_of_nothing_ends_at_once_and_changes_nothing(frame: bytes) -> None:
    edge, cloud = pair()
    first = [meter(number) for number in range(5)]
    cloud.decoder.decode(edge.encoder.encode(first))
    before = cloud.decoder.saved()
    with pytest.raises(DecodeError):
        cloud.decoder.decode(frame)
    assert cloud.decoder.saved() == before


def test_frames_that_are_too_short_or_go_on_are_refused() -> None:
    edge, cloud = pair()
    frame = edge.encoder.encode([meter(1)])
    with pytest.raises(Truncated):
        cloud.decoder.decode(b"\0")
    with pytest.raises(Malformed):
        cloud.decoder.decode(frame[:-2] + bytes(ZERO_BYTES_MAX) + frame[-2:])
    assert cloud.decoder.decode(frame)[0].body == meter(1).body


def test_a_checksum_of_four_bytes_for_a_long_text() -> None:
    edge, cloud = pair()
    batch = [transfer("a text of some length, " * 200)]
    frame = edge.encoder.encode(batch)
    assert cloud.decoder.decode(frame)[0].body == batch[0].body
    again = edge.encoder.encode(batch)
    assert len(again) < 60, "the text is remembered"
    with pytest.raises(DecodeError):
        cloud.decoder.decode(again[:-3] + bytes((again[-3] ^ 1,)) + again[-2:])
    assert cloud.decoder.decode(again)[0].body == batch[0].body


def test_contexts_that_differ_are_found() -> None:
    edge, cloud = pair()
    other, _ = pair()
    cloud.decoder.decode(edge.encoder.encode([meter(1)]))
    other.encoder.encode([meter(2)])
    with pytest.raises(DecodeError):
        cloud.decoder.decode(other.encoder.encode([meter(3)]))


def test_an_answer_may_refer_to_any_call_or_none() -> None:
    edge, cloud = pair()
    cloud.decoder.decode(edge.encoder.encode([HEARTBEAT] * 200))
    for call in (199, 0, None, 100, 2**32 - 1, 135, 136):
        assert edge.decoder.decode(cloud.encoder.encode([result("{}", call)])) == [result("{}", call)]


def test_calls_keep_their_notes_in_the_next_epoch() -> None:
    edge, cloud = pair()
    cloud.decoder.decode(edge.encoder.encode([HEARTBEAT]))
    sent, received = edge.encoder.calls, cloud.decoder.calls
    assert sent.note(0) == received.note(0) != 0
    edge = open_endpoint(CodecName.ADAPTIVE, OcppVersion.V201, Side.EDGE, sent, CallLog())
    cloud = open_endpoint(CodecName.ADAPTIVE, OcppVersion.V201, Side.CLOUD, CallLog(), received)
    assert edge.decoder.decode(cloud.encoder.encode([result("{}", 0)])) == [result("{}", 0)]
    assert cloud.decoder.decode(edge.encoder.encode([HEARTBEAT]))[0].call == 1


@pytest.mark.parametrize(
    "data",
    [
        "x" * 10_000,
        random.Random(1).randbytes(6000).hex(),
        "é漢🔌" * 2000,
        "-----BEGIN CERTIFICATE-----\n" + "MIIB" * 1500 + "\n-----END CERTIFICATE-----\n",
        "".join(chr(random.Random(2).randrange(32, 0xD000)) for _ in range(3000)),
        "\u0000\u0001",
    ],
    ids=["repeated", "hex", "wide", "certificate", "anything", "control"],
)
def test_large_and_odd_literals_come_back(data: str) -> None:
    edge, cloud = pair()
    sizes = []
    for _ in range(2):
        frame = edge.encoder.encode([transfer(data)])
        assert cloud.decoder.decode(frame)[0].body == transfer(data).body
        sizes.append(len(frame))
    assert sizes[1] < 80, "content that was carried before is referred to"


def test_a_report_is_referred_to_at_the_next_boot() -> None:
    items = [{"key": f"Vendor.Own.Key.{number}", "readonly": False, "value": str(number * 7919)} for number in range(150)]
    report = result(json.dumps({"configurationKey": items}, separators=(",", ":")))
    edge, cloud = pair()
    sizes = []
    for _ in range(2):
        frame = edge.encoder.encode([report])
        assert cloud.decoder.decode(frame) == [report]
        sizes.append(len(frame))
    assert sizes[1] < 200 < sizes[0]


def hostile(number: int) -> Message:
    """Ever new shapes, fields, words and strings."""
    source = random.Random(number)
    members: dict[str, str | float] = {
        f"key {source.randrange(10**9)}": f"value {source.randrange(10**12)} {'x' * source.randrange(60)}" for _ in range(6)
    }
    members |= {f"n{source.randrange(10**6)}": source.random() for _ in range(3)}
    return result(json.dumps(members | {"timestamp": "2026-03-02T08:00:00Z"}, separators=(",", ":")))


def test_the_state_is_bounded_whatever_is_carried() -> None:
    edge, cloud = pair()
    for number in range(0, 260, 4):
        batch = [hostile(place) for place in range(number, number + 4)]
        cloud.decoder.decode(edge.encoder.encode(batch))
    saved = cloud.decoder.saved()
    assert saved is not None
    assert saved == edge.encoder.saved()
    model_bytes = int.from_bytes(saved[17:21], "big")
    text_bytes = int.from_bytes(saved[21 + model_bytes : 25 + model_bytes], "big")
    assert 40_000 < model_bytes <= MODEL_BYTES_MAX
    assert 40_000 < text_bytes <= TEXT_BYTES_MAX
    model = cloud.decoder._direction.model  # type: ignore[attr-defined]
    assert len(model.shapes.numbers) == SHAPES_MAX
    assert len(model.fields.numbers) == FIELDS_MAX
    _, other = pair()
    other.decoder.restore(saved)
    assert other.decoder.saved() == saved
    frame = edge.encoder.encode([hostile(7)])
    assert other.decoder.decode(frame) == cloud.decoder.decode(frame)


def test_more_messages_than_zeros_can_say() -> None:
    edge, cloud = pair()
    cloud.decoder.decode(edge.encoder.encode([HEARTBEAT] * 3000))
    frame = edge.encoder.encode([HEARTBEAT] * 3000)
    assert len(frame) < 40
    assert len(cloud.decoder.decode(frame)) == 3000


def test_a_batch_of_more_new_text_than_can_be_modelled_goes_all_the_same() -> None:
    source = random.Random(5)
    batch = [transfer("".join(source.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=100))) for _ in range(800)]
    edge, cloud = pair()
    frame = edge.encoder.encode(batch)
    assert [back.body for back in cloud.decoder.decode(frame)] == [given.body for given in batch]
    assert edge.encoder.saved() == cloud.decoder.saved()


def test_a_few_bytes_cannot_ask_for_a_long_text() -> None:
    edge, cloud = pair()
    text = "\\u0000 漢 " * 120
    for _ in range(4):
        cloud.decoder.decode(edge.encoder.encode([transfer(text)]))
    exceeded = []
    for number in range(400):
        try:
            cloud.decoder.decode(number.to_bytes(2, "big") + bytes(2))
        except LimitExceeded as error:
            exceeded.append(error)
        except DecodeError:
            continue
    assert "work" in {error.limit for error in exceeded}
    assert max(error.maximum for error in exceeded if error.limit == "work") < 2 * WORK_BASE


@pytest.mark.skipif(not isinstance(message.code_message, FunctionType), reason="compiled code can't be patched")
def test_any_interruption_leaves_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    edge, cloud = pair()
    cloud.decoder.decode(edge.encoder.encode([meter(1)]))
    before = edge.encoder.saved()
    with monkeypatch.context() as patched:
        patched.setattr(message, "filled", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            edge.encoder.encode([meter(2)])
    assert edge.encoder.saved() == before
    frame = edge.encoder.encode([meter(2)])
    with monkeypatch.context() as patched:
        patched.setattr(message, "filled", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            cloud.decoder.decode(frame)
    assert cloud.decoder.saved() == before
    cloud.decoder.decode(frame)
    assert cloud.decoder.saved() == edge.encoder.saved()


def _interrupted(segments: list[str], values: list[str]) -> str:
    raise KeyboardInterrupt


def test_a_limit_is_named() -> None:
    _, cloud = pair()
    with pytest.raises(LimitExceeded) as caught:
        cloud.decoder.decode(bytes(FRAME_BYTES_MAX + 1))
    assert caught.value.limit == "frame_bytes"
