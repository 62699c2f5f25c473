"""The vectors in `codecs/vectors`, both ways: what implementers in other languages test against."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from bench.training import vectors
from bench.training.vector_parts import parts, trace
from bench.training.vectors import PARTS, SPECIFICATION, TRACE, VECTORS_FOLDER
from ocppress_codecs.adaptive.coder import Coder
from ocppress_codecs.calls import CallLog
from ocppress_codecs.dictionary import Dictionary, shipped
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import CodecName, Decoder, Encoder, Endpoint, Side
from ocppress_codecs.registry import fingerprint, open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of

CODECS: Final = sorted(CodecName)
ZSTD_MARKS: Final = (0xFD, 0xFF)
STATE_HASH_BYTES: Final = 16


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS_FOLDER / f"{name}.json").read_text())
    return content


CONTENT: Final = {codec: load(codec) for codec in CODECS}


def _cases(kind: str) -> list[Any]:
    return [pytest.param(codec, case, id=f"{codec}: {case['name']}") for codec in CODECS for case in CONTENT[codec][kind]]


def _messages(listed: list[dict[str, Any]]) -> list[Message]:
    return [
        Message(MessageType(entry["type"]), action_of(MessageType(entry["type"]), entry["body"]), entry["body"], entry["call"])
        for entry in listed
    ]


@dataclass
class End:
    """One end of a case's link; `direction` of a step says which of its halves is meant."""

    codec: CodecName
    case: dict[str, Any]
    side: Side
    open: Endpoint = field(init=False)

    def __post_init__(self) -> None:
        self._begin(CallLog(), CallLog())

    def _begin(self, sent: CallLog, received: CallLog) -> None:
        dictionary = shipped() if self.case.get("dictionary") == "shipped" else Dictionary()
        version = OcppVersion(self.case.get("version", "1.6"))
        self.open = open_endpoint(self.codec, version, self.side, sent, received, dictionary=dictionary)

    def follow(self, step: dict[str, Any]) -> None:
        """Begin a new epoch, if one begins with this step."""
        if step.get("new_epoch"):
            self._begin(self.open.encoder.calls, self.open.decoder.calls)

    def restart(self) -> None:
        """Go on from what was saved, in a new endpoint."""
        before = self.open
        self._begin(CallLog(), CallLog())
        for half, old in ((self.open.encoder, before.encoder), (self.open.decoder, before.decoder)):
            saved = old.saved()
            assert saved is not None
            half.restore(saved)


def _state(half: Encoder | Decoder) -> str | None:
    saved = half.saved()
    return None if saved is None else saved[-STATE_HASH_BYTES:].hex()


def _carry(end: End, step: dict[str, Any], packed: bool) -> None:
    """Encode or decode one frame of a session, whichever this end does."""
    end.follow(step)
    messages = _messages(step["messages"])
    expected = bytes.fromhex(step["frame"])
    if (step["direction"] == "up") != (end.side is Side.EDGE):
        assert end.open.decoder.decode(expected) == messages
        assert _state(end.open.decoder) == step.get("state")
        return
    frame = end.open.encoder.encode(messages)
    if end.codec is CodecName.CBOR_ZSTD and expected[0] in ZSTD_MARKS:
        # zstd's releases may choose other matches; what they expand to is checked by decoding.
        assert frame[0] == expected[0]
        assert len(frame) <= len(expected) + 8
    elif not packed:
        assert frame == expected
        assert _state(end.open.encoder) == step.get("state")


def test_there_are_vectors_for_each_codec_and_nothing_else() -> None:
    assert sorted(file.stem for file in VECTORS_FOLDER.glob("*.json")) == sorted([*CODECS, PARTS, TRACE])


def test_vectors_stay_small() -> None:
    assert sum(file.stat().st_size for file in VECTORS_FOLDER.iterdir()) < 2_000_000


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("codec", "case"), _cases("sessions"))
def test_each_end_of_a_session_does_as_the_vectors_say(codec: CodecName, case: dict[str, Any], side: Side) -> None:
    end = End(codec, case, side)
    for step in case["frames"]:
        _carry(end, step, case.get("packed", False))


@pytest.mark.parametrize("case", CONTENT[CodecName.ADAPTIVE]["sessions"], ids=lambda case: case["name"])
def test_a_session_goes_on_from_saved_states(case: dict[str, Any]) -> None:
    end = End(CodecName.ADAPTIVE, case, Side.CLOUD)
    places = {len(case["frames"]) // 3, 2 * len(case["frames"]) // 3}
    for place, step in enumerate(case["frames"]):
        if place in places and not step.get("new_epoch"):
            end.restart()
        _carry(end, step, case.get("packed", False))


@pytest.mark.parametrize(("codec", "case"), _cases("acceptances"))
def test_what_no_encoder_writes_is_taken(codec: CodecName, case: dict[str, Any]) -> None:
    messages = _messages(case["messages"])
    decoder = End(codec, case, Side.CLOUD).open.decoder
    assert decoder.decode(bytes.fromhex(case["frame"])) == messages
    assert _state(decoder) == case.get("state")
    assert End(codec, case, Side.EDGE).open.encoder.encode(messages) != bytes.fromhex(case["frame"])


@pytest.mark.parametrize(("codec", "case"), _cases("rejections"))
def test_bad_frames_are_refused_and_change_nothing(codec: CodecName, case: dict[str, Any]) -> None:
    end = End(codec, case, Side.CLOUD)
    for step in case["after"]:
        _carry(end, step, False)
    with pytest.raises(DecodeError) as caught:
        end.open.decoder.decode(bytes.fromhex(case["frame"]))
    assert caught.value.code == case["error"]
    _carry(end, case["then"], False)


@pytest.mark.parametrize("codec", CODECS)
def test_vectors_belong_to_this_release(codec: CodecName) -> None:
    assert CONTENT[codec]["fingerprint"] == fingerprint(codec).hex()


def test_parts_and_trace_belong_to_this_release() -> None:
    assert {load(name)["fingerprint"] for name in (PARTS, TRACE)} == {fingerprint(CodecName.ADAPTIVE).hex()}


def test_verbatim_vectors_come_out_again() -> None:
    file = VECTORS_FOLDER / f"{CodecName.VERBATIM}.json"
    assert file.read_text() == vectors.vectors_text(CodecName.VERBATIM)


def test_parts_come_out_again() -> None:
    assert (VECTORS_FOLDER / f"{PARTS}.json").read_text() == vectors.text_of(parts())


@pytest.mark.skipif(
    Coder.__dict__.get("__mypyc_attrs__") is not None, reason="compiled classes have no subclasses that write down what they do"
)
def test_the_trace_comes_out_again() -> None:
    assert (VECTORS_FOLDER / f"{TRACE}.json").read_text() == vectors.text_of(trace())


def test_the_example_of_the_specification_is_that_of_the_trace() -> None:
    text = SPECIFICATION.read_text()
    assert text.count("\n    frame ") == 4
    assert vectors.with_trace(text, load(TRACE)) == text
