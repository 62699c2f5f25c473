"""What a CSMS's message has a station do past the gateway, in the three versions' own spelling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse
from ocppress_gateway.core.bypass import (
    CONCERNED,
    STATUSES,
    TRANSFERS,
    Phase,
    Route,
    Transfer,
    phase_of,
    routes_of,
    routes_taken,
    transfer_accepted,
    transfer_of,
)
from ocppress_gateway.core.ledger_events import Way
from tests.support.schema_messages import Kind, actions, schema_of

V16, V201, V21 = OcppVersion
URL = "https://firmware.example.com/fw.bin"
NIGHT, NIGHT_S = "2026-03-02T01:30:00Z", 1_772_415_000.0
FIRMWARE = {"location": URL, "retrieveDateTime": NIGHT, "signingCertificate": "c", "signature": "s"}
LOG = {"log": {"remoteLocation": URL}, "logType": "DiagnosticsLog", "requestId": 1}

ASKED: list[tuple[OcppVersion, str, dict[str, Any], float | None]] = [
    (V16, "UpdateFirmware", {"location": URL, "retrieveDate": NIGHT}, NIGHT_S),
    (V16, "SignedUpdateFirmware", {"requestId": 1, "firmware": FIRMWARE}, NIGHT_S),
    (V16, "GetDiagnostics", {"location": URL, "startTime": NIGHT}, None),
    (V16, "GetLog", LOG, None),
    *((version, "UpdateFirmware", {"requestId": 1, "firmware": FIRMWARE}, NIGHT_S) for version in (V201, V21)),
    *((version, "PublishFirmware", {"location": URL, "checksum": "0", "requestId": 1}, None) for version in (V201, V21)),
    *((version, "GetLog", LOG, None) for version in (V201, V21)),
]


def _call(action: str, payload: object) -> Message:
    return parse(json.dumps([2, "1", action, payload]))[1]


def _result(payload: object) -> Message:
    return Message(MessageType.CALLRESULT, "", json.dumps(payload))


def _validate(version: OcppVersion, action: str, kind: Kind, payload: object) -> None:
    schema = schema_of(version, action, kind)
    assert schema is not None
    jsonschema.validators.validator_for(schema)(schema).validate(payload)


@pytest.mark.parametrize(("version", "action", "payload", "begins_at_s"), ASKED)
def test_transfers(version: OcppVersion, action: str, payload: dict[str, Any], begins_at_s: float | None) -> None:
    _validate(version, action, Kind.REQUEST, payload)
    assert transfer_of(_call(action, payload)) == Transfer(action, TRANSFERS[action], URL, begins_at_s)


def _places(schema: object) -> Iterator[tuple[str, Any]]:
    """All properties in a schema, by name."""
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties.items()
        for part in (*schema.values(), *properties.values()):
            yield from _places(part)


def test_every_message_that_names_the_place_of_a_file_is_known() -> None:
    found = {
        action
        for version in OcppVersion
        for action in actions(version)
        for name, property_ in _places(schema_of(version, action, Kind.REQUEST))
        if name in ("location", "remoteLocation") and property_.get("type") == "string" and "enum" not in property_
    }
    assert found == set(TRANSFERS)


def test_the_url_is_never_shown_by_accident() -> None:
    transfer = transfer_of(_call("GetLog", LOG))
    assert transfer is not None
    assert URL not in repr(transfer) + repr(Route("x", URL))


@pytest.mark.parametrize("moment", ["2026-03-02T01:30:00", "2026-03-02T02:30:00.000+01:00"])
def test_times_as_stations_are_told_them(moment: str) -> None:
    transfer = transfer_of(_call("UpdateFirmware", {"location": URL, "retrieveDate": moment}))
    assert transfer is not None
    assert transfer.begins_at_s == NIGHT_S


@pytest.mark.parametrize(
    "moment", ["soon", "", 7, None, [], "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z"]
)
def test_a_time_that_is_none_is_no_reason_to_stumble(moment: object) -> None:
    transfer = transfer_of(_call("UpdateFirmware", {"location": URL, "retrieveDate": moment}))
    assert transfer is not None


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        '{"location":7}',
        '{"location":""}',
        '{"location":null}',
        '{"firmware":{}}',
        '{"firmware":{"location":{}}}',
        '{"firmware":[],"location":"http://h/"}',
        '{"log":7}',
        '{"log":{"remoteLocation":[]}}',
        '{"location":"\\ud800"}',
        '{"connectionData":{"ocppCsmsUrl":7}}',
        '{"connectionData":7}',
        '{"key":7,"value":"ws://h/"}',
        '{"key":"k","value":{}}',
        '{"setVariableData":7}',
        '{"setVariableData":[{"variable":7}]}',
        '{"a":' + "[" * 60 + "]" * 60 + "}",
    ],
)
def test_whatever_a_csms_sends_is_no_reason_to_stumble(payload: str) -> None:
    for action in CONCERNED:
        message = parse(f'[2,"1","{action}",{payload}]')[1]
        assert transfer_of(message) is None
        assert routes_of(message) == ()
    for action in STATUSES:
        assert phase_of(parse(f'[2,"1","{action}",{payload}]')[1]) is None


def test_answers_ask_for_nothing() -> None:
    assert transfer_of(_result(LOG)) is None
    assert routes_of(_result({"key": "x", "value": "ws://h/"})) == ()
    assert transfer_of(_call("DataTransfer", {"location": URL})) is None


@pytest.mark.parametrize(
    ("version", "action", "answer", "expected"),
    [
        (V16, "UpdateFirmware", {}, True),
        (V16, "GetDiagnostics", {"fileName": "log.zip"}, True),
        (V16, "GetDiagnostics", {}, False),
        (V201, "UpdateFirmware", {"status": "Accepted"}, True),
        (V21, "GetLog", {"status": "AcceptedCanceled"}, True),
        (V201, "PublishFirmware", {"status": "Rejected"}, False),
        (V16, "SignedUpdateFirmware", {"status": "InvalidCertificate"}, False),
    ],
)
def test_what_a_station_accepts(version: OcppVersion, action: str, answer: dict[str, Any], expected: bool) -> None:
    _validate(version, action, Kind.RESPONSE, answer)
    assert transfer_accepted(action, _result(answer)) is expected
    assert not transfer_accepted(action, Message(MessageType.CALLERROR, "", '"InternalError","",{}'))
    assert not transfer_accepted(action, _result({"status": 7, "fileName": 7}))


def _statuses(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a status may be: in place, or among the definitions."""
    for name, part in (*schema["properties"].items(), *schema.get("definitions", {}).items()):
        if "enum" in part:
            yield name, part


@pytest.mark.parametrize("version", OcppVersion)
def test_every_status_of_every_version_has_its_phase(version: OcppVersion) -> None:
    under_way, no_news = {"Downloading", "Uploading"}, {"DownloadScheduled", "DownloadPaused", "AcceptedCanceled"}
    for action in STATUSES:
        schema = schema_of(version, action, Kind.REQUEST)
        if schema is None:
            continue
        (statuses,) = [part["enum"] for name, part in _statuses(schema)]
        assert "Idle" in statuses
        for status in statuses:
            expected = Phase.UNDER_WAY if status in under_way else None if status in no_news else Phase.OVER
            assert phase_of(_call(action, {"status": status})) is expected
    assert phase_of(_call("StatusNotification", {"status": "Downloading"})) is None


# --- routes

PROFILE = {
    "ocppVersion": "OCPP20",
    "ocppTransport": "JSON",
    "ocppCsmsUrl": "wss://csms.example.com/",
    "messageTimeout": 30,
    "securityProfile": 1,
    "ocppInterface": "Wireless0",
}


def _set(name: str, value: str, component: str = "OCPPCommCtrlr") -> dict[str, Any]:
    return {"attributeValue": value, "component": {"name": component}, "variable": {"name": name}}


@pytest.mark.parametrize("version", [V201, V21])
def test_a_network_profile_is_a_route(version: OcppVersion) -> None:
    payload = {"configurationSlot": 1, "connectionData": PROFILE}
    _validate(version, "SetNetworkProfile", Kind.REQUEST, payload)
    routes = routes_of(_call("SetNetworkProfile", payload))
    assert routes == (Route("ocppCsmsUrl", "wss://csms.example.com/"),)
    assert routes_taken(routes, _result({"status": "Accepted"})) == routes
    for status in ("Rejected", "Failed"):
        assert routes_taken(routes, _result({"status": status})) == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("wss://csms.example.com/", True), ("ws://h", True), (" WS://h", True), ("https://h/", False), ("300", False), ("", False)],
)
def test_a_vendors_key_that_holds_an_address_is_a_route(value: str, expected: bool) -> None:
    routes = routes_of(_call("ChangeConfiguration", {"key": "BackendURL", "value": value}))
    assert routes == ((Route("BackendURL", value),) if expected else ())
    assert routes_taken(routes, _result({"status": "RebootRequired"})) == routes
    assert routes_taken(routes, _result({"status": "NotSupported"})) == ()


@pytest.mark.parametrize("version", [V201, V21])
def test_variables_that_hold_an_address_are_routes_by_their_own_answers(version: OcppVersion) -> None:
    data = [
        _set("HeartbeatInterval", "300"),
        _set("OcppCsmsUrl", "ws://csms.example.com/", "NetworkConfiguration"),
        _set("NetworkConfigurationPriority", "2,1"),
    ]
    _validate(version, "SetVariables", Kind.REQUEST, {"setVariableData": data})
    routes = routes_of(_call("SetVariables", {"setVariableData": data}))
    assert routes == (Route("OcppCsmsUrl", "ws://csms.example.com/"), Route("NetworkConfigurationPriority", ""))

    def answer(*statuses: str) -> Message:
        results = [{**one, "attributeStatus": status} for one, status in zip(data, statuses, strict=True)]
        for result in results:
            del result["attributeValue"]
        payload = {"setVariableResult": results}
        _validate(version, "SetVariables", Kind.RESPONSE, payload)
        return _result(payload)

    assert routes_taken(routes, answer("Accepted", "Rejected", "NotSupportedAttributeType")) == ()
    assert routes_taken(routes, answer("Rejected", "Accepted", "Rejected")) == routes[:1]
    assert routes_taken(routes, answer("Rejected", "Rejected", "RebootRequired")) == routes[1:]
    assert routes_taken(routes, _result({"setVariableResult": 7})) == ()
    assert routes_taken(routes, Message(MessageType.CALLERROR, "", '"InternalError","",{}')) == ()


def test_ways() -> None:
    assert {action for action, way in TRANSFERS.items() if way is Way.UP} == {"GetLog", "GetDiagnostics"}
