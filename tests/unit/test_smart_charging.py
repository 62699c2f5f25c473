"""Which messages of a CSMS steer a station."""

from __future__ import annotations

import json

import pytest

from ocppress_codecs.rpc import parse
from ocppress_gateway.core.smart_charging import steers


def _steers(action: str, payload: object) -> bool:
    return steers(parse(json.dumps([2, "1", action, payload]))[1])


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ("TxProfile", True),
        ("LocalGeneration", True),
        ("TxDefaultProfile", False),
        ("PriorityCharging", False),
        ("ChargePointMaxProfile", False),
        ("ChargingStationMaxProfile", False),
        ("ChargingStationExternalConstraints", False),
    ],
)
@pytest.mark.parametrize("name", ["chargingProfile", "csChargingProfiles"])
def test_profiles_by_purpose(purpose: str, expected: bool, name: str) -> None:
    profile = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": purpose, "chargingSchedule": [{"id": 1}]}
    assert _steers("SetChargingProfile", {"evseId": 1, name: profile}) is expected


@pytest.mark.parametrize(("action", "expected"), [("UpdateDynamicSchedule", True), ("AFRRSignal", True), ("GetChargingProfiles", False)])
def test_other_actions(action: str, expected: bool) -> None:
    assert _steers(action, {"chargingProfile": {"chargingProfilePurpose": "TxProfile"}}) is expected


@pytest.mark.parametrize("text", ['[3,"1",{"chargingProfile":{"chargingProfilePurpose":"TxProfile"}}]', '[3,"1",{}]'])
def test_answers_do_not_steer(text: str) -> None:
    assert not steers(parse(text)[1])


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        '{"chargingProfile":null}',
        '{"chargingProfile":[]}',
        '{"chargingProfile":{"chargingProfilePurpose":7}}',
        '{"chargingProfile":{"chargingProfilePurpose":"\\ud800"}}',
        '{"a":' + "[" * 60 + "]" * 60 + "}",
    ],
)
def test_whatever_a_csms_sends_is_no_reason_to_stumble(payload: str) -> None:
    assert not steers(parse(f'[2,"1","SetChargingProfile",{payload}]')[1])
