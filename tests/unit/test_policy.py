"""Classes and lanes: against the schemas, the published list of empty answers, and payloads meant to confuse."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse
from ocppress_gateway.core.empty_answers import EMPTY_ANSWER_ACTIONS
from ocppress_gateway.core.policy import SENT_BY_CSMS, MessageClass, Turn, class_of, is_transaction, is_urgent, own_members, turn_of
from scripts.empty_answers import TARGET, module_text

ROOT = Path(__file__).parents[2]

COMMON_2X = {
    "ClearedChargingLimit",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "MeterValues",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
    "StatusNotification",
}
BATCHED_BY_HAND = {
    OcppVersion.V16: {
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
        "StatusNotification",
    },
    OcppVersion.V201: COMMON_2X,
    OcppVersion.V21: COMMON_2X
    | {"BatterySwap", "ClosePeriodicEventStream", "NotifyDERAlarm", "NotifyDERStartStop", "NotifyPriorityCharging", "ReportDERControl"},
}
"""Counted out from Part 2 of each edition, not from the schemas, so that the two check each other."""


def call(action: str, payload: str = "{}") -> Message:
    return Message(MessageType.CALL, action, f'"{action}",{payload}')


def actions_of(version: OcppVersion) -> set[str]:
    folder = {OcppVersion.V16: "ocpp.v16", OcppVersion.V201: "ocpp.v201", OcppVersion.V21: "ocpp.v21"}[version]
    names = {
        file.name.removesuffix(".json") for file in (importlib.resources.files(folder) / "schemas").iterdir() if file.name.endswith(".json")
    }
    return {name.removesuffix("Request") for name in names if not name.endswith("Response")}


def test_the_data_module_is_what_the_script_writes() -> None:
    assert (ROOT / TARGET).read_text(encoding="utf-8") == module_text()


@pytest.mark.parametrize("version", OcppVersion)
def test_every_action_of_the_schemas_has_the_class_that_the_specification_gives_it(version: OcppVersion) -> None:
    actions = actions_of(version)
    assert len(actions) >= 28
    batched = {action for action in actions if class_of(version, call(action)) is MessageClass.BATCH}
    assert batched == BATCHED_BY_HAND[version]
    assert {action for action in actions if class_of(version, call(action)) is MessageClass.HEARTBEAT} == {"Heartbeat"}


def test_the_exceptions_are_actions_with_an_empty_answer() -> None:
    assert set.union(*(set(actions) for actions in EMPTY_ANSWER_ACTIONS.values())) >= SENT_BY_CSMS


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('{"eventType":"Updated","triggerReason":"MeterValuePeriodic"}', MessageClass.BATCH),
        ('{"eventType":"Updated","triggerReason":"MeterValueClock","offline":true}', MessageClass.BATCH),
        ('{"triggerReason":"ChargingStateChanged","eventType":"Updated"}', MessageClass.BATCH),
        (r'{"\u0065ventType":"\u0055pdated","triggerReason":"MeterValueClock"}', MessageClass.BATCH),
        ('{"eventType":"Updated","triggerReason":"MeterValueClock","customData":{"idToken":"x","eventType":"Ended"}}', MessageClass.BATCH),
        ('{"eventType":"Started","triggerReason":"MeterValuePeriodic"}', MessageClass.RELAY),
        ('{"eventType":"Ended","triggerReason":"MeterValuePeriodic"}', MessageClass.RELAY),
        ('{"eventType":"Updated","triggerReason":"EnergyLimitReached"}', MessageClass.RELAY),
        ('{"eventType":"Updated","triggerReason":"Authorized","idToken":{"idToken":"A","type":"Central"}}', MessageClass.RELAY),
        ('{"eventType":"Updated","triggerReason":"MeterValuePeriodic","idToken":{"idToken":"A","type":"Central"}}', MessageClass.RELAY),
        (r'{"eventType":"Updated","triggerReason":"MeterValuePeriodic","idTo\u006ben":null}', MessageClass.RELAY),
        ('{"eventType":"Updated","eventType":"Ended","triggerReason":"MeterValuePeriodic"}', MessageClass.RELAY),
        ('{"eventType":"Ended","triggerReason":"MeterValuePeriodic","eventType":"Updated"}', MessageClass.RELAY),
        ('{"eventType":"Updated","triggerReason":"Deauthorized","triggerReason":"MeterValuePeriodic"}', MessageClass.RELAY),
        ('{"eventType":"Updated"}', MessageClass.RELAY),
        ('{"customData":{"eventType":"Updated","triggerReason":"MeterValuePeriodic"}}', MessageClass.RELAY),
        ('{"eventType":["Updated"],"triggerReason":"MeterValuePeriodic"}', MessageClass.RELAY),
        ('{"eventType":1e5,"triggerReason":null}', MessageClass.RELAY),
        ("{}", MessageClass.RELAY),
    ],
)
def test_only_a_plain_periodic_update_of_a_transaction_may_be_batched(payload: str, expected: MessageClass) -> None:
    for version in (OcppVersion.V201, OcppVersion.V21):
        assert class_of(version, call("TransactionEvent", payload)) is expected
    assert class_of(OcppVersion.V16, call("TransactionEvent", payload)) is MessageClass.RELAY


def test_answers_and_sends_are_relayed_and_express() -> None:
    for text in (
        '[3,"1",{"status":"Accepted"}]',
        '[4,"1","NotSupported","",{}]',
        '[5,"1","FormatViolation","",{}]',
        '[6,"1","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2026-01-01T00:00:00Z","data":[]}]',
    ):
        _, message = parse(text)
        assert class_of(OcppVersion.V21, message) is MessageClass.RELAY
        assert not is_transaction(message)
        assert turn_of(OcppVersion.V21, message) is Turn.PROMPT


@pytest.mark.parametrize(
    ("version", "action", "payload", "turn"),
    [
        (OcppVersion.V16, "StartTransaction", "{}", Turn.ORDERED),
        (OcppVersion.V16, "StopTransaction", "{}", Turn.ORDERED),
        (OcppVersion.V16, "MeterValues", '{"connectorId":1,"transactionId":7,"meterValue":[]}', Turn.ORDERED),
        (OcppVersion.V16, "MeterValues", '{"connectorId":1,"transactionId":0,"meterValue":[]}', Turn.ORDERED),
        (OcppVersion.V16, "MeterValues", '{"connectorId":1,"transactionId":null,"meterValue":[]}', Turn.EXPRESS),
        (OcppVersion.V16, "MeterValues", '{"connectorId":1,"meterValue":[{"transactionId":1}]}', Turn.EXPRESS),
        (OcppVersion.V16, "MeterValues", r'{"connectorId":1,"\u0074ransactionId":1}', Turn.ORDERED),
        (OcppVersion.V16, "StatusNotification", "{}", Turn.EXPRESS),
        (OcppVersion.V16, "BootNotification", "{}", Turn.PROMPT),
        (OcppVersion.V16, "Authorize", "{}", Turn.PROMPT),
        (OcppVersion.V16, "DataTransfer", "{}", Turn.PROMPT),
        (OcppVersion.V16, "Heartbeat", "{}", Turn.PROMPT),
        (OcppVersion.V201, "TransactionEvent", "{}", Turn.ORDERED),
        (OcppVersion.V201, "MeterValues", '{"evseId":1,"meterValue":[]}', Turn.EXPRESS),
        (OcppVersion.V201, "NotifyReport", "{}", Turn.EXPRESS),
        (OcppVersion.V21, "TransactionEvent", "{}", Turn.ORDERED),
        (OcppVersion.V21, "Authorize", "{}", Turn.PROMPT),
        # From a CSMS: one order for all of its commands.
        (OcppVersion.V21, "CostUpdated", "{}", Turn.PROMPT),
        (OcppVersion.V16, "UpdateFirmware", "{}", Turn.PROMPT),
        (OcppVersion.V16, "Reset", "{}", Turn.PROMPT),
    ],
)
def test_whose_turn_it_is(version: OcppVersion, action: str, payload: str, turn: Turn) -> None:
    assert is_transaction(call(action, payload)) is (turn is Turn.ORDERED)
    assert turn_of(version, call(action, payload)) is turn


@pytest.mark.parametrize("version", OcppVersion)
def test_what_is_stored_is_counted_in_the_same_lane_whatever_its_station_speaks_by_then(version: OcppVersion) -> None:
    for stored_as in OcppVersion:
        for action in EMPTY_ANSWER_ACTIONS[stored_as] | {"TransactionEvent"}:
            message = call(action, '{"transactionId":7}')
            assert (turn_of(version, message) is Turn.ORDERED) is (turn_of(stored_as, message) is Turn.ORDERED)


def test_own_members_are_all_of_a_name_in_order_and_none_from_within() -> None:
    payload = r'{"id":1,"data":{"id":2},"\u0069d":"three","ids":[{"id":4}]}'
    assert own_members(call("DataTransfer", payload)) == {"id": ["1", '"three"'], "data": ['{"id":2}'], "ids": ['[{"id":4}]']}


def test_each_message_is_read_once_and_taken_for_no_other() -> None:
    payloads = [f'{{"eventType":"{kind}","triggerReason":"ChargingStateChanged"}}' for kind in ("Updated", "Ended", "Updated")]
    before = own_members.cache_info().misses
    found = []
    for payload in payloads:
        message = call("TransactionEvent", payload)
        assert is_urgent(message)
        assert turn_of(OcppVersion.V201, message) is Turn.ORDERED
        found.append(class_of(OcppVersion.V201, message))
    assert found == [MessageClass.BATCH, MessageClass.RELAY, MessageClass.BATCH]
    assert own_members.cache_info().misses - before == len(payloads)


@given(
    st.sampled_from(list(OcppVersion)),
    st.sampled_from(list(MessageType)),
    st.sampled_from(["TransactionEvent", "MeterValues", "StatusNotification", "Heartbeat", "x"]) | st.text(),
    st.text(),
)
def test_no_text_makes_it_raise(version: OcppVersion, message_type: MessageType, action: str, body: str) -> None:
    message = Message(message_type, action, body)
    assert class_of(version, message) in MessageClass
    assert (turn_of(version, message) is Turn.ORDERED) is is_transaction(message)
