"""Every action of the three versions, requests and responses in both directions, made from OCPP's schemas: what arrives is what was sent.

The schemas don't tell which side sends what, and the gateway must not care, so each side sends everything.
"""

from __future__ import annotations

import asyncio
import json
import random

import jsonschema
import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from tests.support.dialogue import End, open_csms, open_station
from tests.support.foreign.paths import through_ocppress
from tests.support.schema_messages import Kind, Size, actions, payload_text, schema_of

ACTIONS = {OcppVersion.V16: 39, OcppVersion.V201: 64, OcppVersion.V21: 91}


def _payload(version: OcppVersion, action: str, kind: Kind, size: Size, salt: str) -> str | None:
    schema = schema_of(version, action, kind)
    return None if schema is None else payload_text(schema, random.Random(f"{version} {action} {kind} {size} {salt}"), size)


async def _exchange(sender: End, receiver: End, version: OcppVersion, action: str, size: Size, salt: str) -> None:
    request = _payload(version, action, Kind.REQUEST, size, salt)
    response = _payload(version, action, Kind.RESPONSE, size, salt)
    if response is None:
        await sender.send(f'[6,"id","{action}",{request}]')
        _, message = await receiver.receive_message()
        assert message == Message(MessageType.SEND, action, f'"{action}",{request}')
        return
    assert request is not None
    await sender.call("id", action, request)
    await receiver.answer(await receiver.receive_call(action, request), response)
    assert await sender.receive() == f'[3,"id",{response}]'


@pytest.mark.parametrize(("codec", "size"), [*((CodecName.CBOR_ZSTD, size) for size in Size), (CodecName.VERBATIM, Size.FULL)])
@pytest.mark.parametrize("version", OcppVersion)
def test_every_action_both_ways(version: OcppVersion, codec: CodecName, size: Size) -> None:
    async def run() -> None:
        async with (
            open_csms(version) as listening,
            through_ocppress(listening.url, codec=codec) as url,
            open_station(url, "CS-1", [version.subprotocol]) as station,
        ):
            csms = await listening.end("CS-1")
            for action in actions(version):
                await _exchange(station, csms, version, action, size, "up")
                await _exchange(csms, station, version, action, size, "down")

    asyncio.run(run())


@pytest.mark.parametrize("version", OcppVersion)
def test_the_messages_are_valid_and_all_there(version: OcppVersion) -> None:
    """What the other test sends is what OCPP means: checked by another implementation of JSON schema."""
    assert len(actions(version)) == ACTIONS[version]
    for action in actions(version):
        for kind in Kind:
            schema = schema_of(version, action, kind)
            if schema is None:
                assert (action, kind) == ("NotifyPeriodicEventStream", Kind.RESPONSE)
                continue
            validator = jsonschema.validators.validator_for(schema)(schema)
            for size in Size:
                payload = json.loads(_payload(version, action, kind, size, "up") or "")
                # 0.3 isn't a multiple of 0.1 in binary floating point.
                wrong = [error for error in validator.iter_errors(payload) if error.validator != "multipleOf"]
                assert not wrong, f"{action} {kind}: {wrong[0].message}"


def test_a_signed_meter_value_of_the_greatest_length() -> None:
    """2.1 allows 32,768 characters of signedMeterData; the generator reaches them."""
    payload = _payload(OcppVersion.V21, "MeterValues", Kind.REQUEST, Size.LONGEST, "up") or ""
    samples = json.loads(payload)["meterValue"][0]["sampledValue"]
    assert max(len(sample["signedMeterValue"]["signedMeterData"]) for sample in samples) == 32_768
