"""Opening codecs by name, and what two ends compare."""

from __future__ import annotations

import pytest

from ocppress_codecs.dictionary import Dictionary, shipped
from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import FINGERPRINT_BYTES, fingerprint, offers, open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion

HEARTBEAT = Message(MessageType.CALL, "Heartbeat", '"Heartbeat",{}')


def test_offers_name_each_codec_once_with_its_fingerprint() -> None:
    assert [name for name, _ in offers()] == [CodecName.ADAPTIVE, CodecName.CBOR_ZSTD, CodecName.VERBATIM]
    assert {len(mark) for _, mark in offers()} == {FINGERPRINT_BYTES}
    assert fingerprint(CodecName.CBOR_ZSTD) != fingerprint(CodecName.VERBATIM)


@pytest.mark.parametrize("name", CodecName)
@pytest.mark.parametrize("version", OcppVersion)
def test_two_ends_carry_a_call_and_its_answer(name: CodecName, version: OcppVersion) -> None:
    edge, cloud = open_endpoint(name, version, Side.EDGE), open_endpoint(name, version, Side.CLOUD)
    (call,) = cloud.decoder.decode(edge.encoder.encode([HEARTBEAT]))
    assert (call.body, call.action, call.call) == (HEARTBEAT.body, "Heartbeat", 0)
    assert edge.encoder.calls.count == cloud.decoder.calls.count == 1
    answer = Message(MessageType.CALLRESULT, "", '{"currentTime":"2026-03-02T08:00:00Z"}', call.call)
    assert edge.decoder.decode(cloud.encoder.encode([answer])) == [answer]
    assert cloud.encoder.calls.count == edge.decoder.calls.count == 0


def test_endpoints_share_nothing() -> None:
    first, second = (open_endpoint(CodecName.CBOR_ZSTD, OcppVersion.V16, Side.EDGE).encoder for _ in range(2))
    assert first.encode([HEARTBEAT]) == second.encode([HEARTBEAT])


def test_a_dictionary_file_comes_back() -> None:
    assert shipped().for_version(OcppVersion.V16) != shipped().for_version(OcppVersion.V21)
    assert shipped().for_version(OcppVersion.V201) == shipped().for_version(OcppVersion.V21)
    assert Dictionary(b"a", b"bc").data.hex() == "824161426263"
