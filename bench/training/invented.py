"""Traffic that nobody recorded: what stations and CSMSs of each version usually write, by the specification and its defaults.

Each message is (type, body). The values are of the usual kind and length; the same comes out each time.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any, Final

from ocppress_codecs.rpc import MessageType

__all__ = ["messages_of_v2", "messages_of_v16"]

Invented = tuple[MessageType, str]

_UUID: Final = "6f1c2f3e-9a51-4c0b-8a7e-2d35c1b7e90f"

_STATUS_V16: Final = (
    "Faulted",
    "Unavailable",
    "Reserved",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Preparing",
    "Charging",
    "Available",
)
_STATUS_V2: Final = ("Faulted", "Unavailable", "Reserved", "Occupied", "Available")
_CONFIGURATION: Final = (
    ("AuthorizeRemoteTxRequests", "false"),
    ("ClockAlignedDataInterval", "0"),
    ("ConnectionTimeOut", "60"),
    ("GetConfigurationMaxKeys", "50"),
    ("HeartbeatInterval", "300"),
    ("LocalAuthorizeOffline", "true"),
    ("LocalPreAuthorize", "false"),
    ("MeterValuesAlignedData", "Energy.Active.Import.Register"),
    ("MeterValuesSampledData", "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"),
    ("MeterValueSampleInterval", "60"),
    ("NumberOfConnectors", "1"),
    ("ResetRetries", "3"),
    ("StopTransactionOnEVSideDisconnect", "true"),
    ("StopTransactionOnInvalidId", "true"),
    ("StopTxnAlignedData", ""),
    ("StopTxnSampledData", "Energy.Active.Import.Register"),
    ("SupportedFeatureProfiles", "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"),
    ("TransactionMessageAttempts", "3"),
    ("TransactionMessageRetryInterval", "60"),
    ("UnlockConnectorOnEVSideDisconnect", "true"),
    ("WebSocketPingInterval", "60"),
    ("AuthorizationKey", ""),
    ("LocalAuthListEnabled", "true"),
    ("LocalAuthListMaxLength", "100"),
    ("SendLocalListMaxLength", "20"),
    ("ChargeProfileMaxStackLevel", "10"),
    ("ChargingScheduleAllowedChargingRateUnit", "Current,Power"),
    ("ChargingScheduleMaxPeriods", "24"),
    ("MaxChargingProfilesInstalled", "10"),
)
_VARIABLES: Final = (
    ("OCPPCommCtrlr", "HeartbeatInterval", "300", "ReadWrite"),
    ("OCPPCommCtrlr", "OfflineThreshold", "60", "ReadWrite"),
    ("OCPPCommCtrlr", "NetworkConfigurationPriority", "1", "ReadWrite"),
    ("OCPPCommCtrlr", "WebSocketPingInterval", "60", "ReadWrite"),
    ("AlignedDataCtrlr", "Interval", "0", "ReadWrite"),
    ("SampledDataCtrlr", "TxUpdatedInterval", "60", "ReadWrite"),
    ("SampledDataCtrlr", "TxUpdatedMeasurands", "Energy.Active.Import.Register", "ReadWrite"),
    ("TxCtrlr", "EVConnectionTimeOut", "60", "ReadWrite"),
    ("TxCtrlr", "TxStartPoint", "PowerPathClosed", "ReadWrite"),
    ("AuthCtrlr", "LocalPreAuthorize", "false", "ReadWrite"),
    ("SecurityCtrlr", "SecurityProfile", "1", "ReadOnly"),
    ("ChargingStation", "AvailabilityState", "Available", "ReadOnly"),
)
_SAMPLES: Final = (
    ("Voltage", "V", "229.8", ("L1", "L2", "L3")),
    ("Current.Import", "A", "15.92", ("L1", "L2", "L3")),
    ("Current.Offered", "A", "16.0", ()),
    ("Power.Active.Import", "W", "11040.0", ("L1", "L2", "L3")),
    ("Temperature", "Celsius", "31", ()),
    ("SoC", "Percent", "48", ()),
    ("Frequency", None, "50.01", ()),
    ("Energy.Active.Import.Register", "Wh", "1234567", ()),
)
"""Measurand, unit, value, phases."""


class _Clock:
    """Times of the messages: one minute after the other."""

    def __init__(self) -> None:
        self._minutes = itertools.count()

    def whole(self) -> str:
        minute = next(self._minutes)
        return f"2026-03-02T{8 + minute // 60:02}:{minute % 60:02}:07Z"

    def milliseconds(self) -> str:
        return self.whole().replace("Z", ".318Z")


def _call(action: str, payload: dict[str, Any]) -> Invented:
    return MessageType.CALL, f"{json.dumps(action)},{_text(payload)}"


def _result(payload: dict[str, Any]) -> Invented:
    return MessageType.CALLRESULT, _text(payload)


def _error(code: str, description: str) -> Invented:
    return MessageType.CALLERROR, f"{json.dumps(code)},{json.dumps(description)},{{}}"


def _text(payload: Any) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def messages_of_v16() -> Iterator[Invented]:
    """OCPP 1.6, the rarest first."""
    clock = _Clock()
    yield _result(
        {
            "configurationKey": [{"key": key, "readonly": key == "NumberOfConnectors", "value": value} for key, value in _CONFIGURATION],
            "unknownKey": [],
        }
    )
    for key, value in _CONFIGURATION:
        yield _call("ChangeConfiguration", {"key": key, "value": value})
        yield _call("GetConfiguration", {"key": [key]})
    for readonly in (False, True):
        yield _result({"configurationKey": [{"key": "Key", "readonly": readonly, "value": "1"}]})
        yield _result({"configurationKey": [{"key": "Key", "readonly": readonly, "value": "1"}], "unknownKey": []})
        yield _result({"configurationKey": [], "unknownKey": ["Key"]})
    yield _error("NotImplemented", "")
    yield _error("NotSupported", "")
    yield _error("InternalError", "")
    for purpose, kind, unit in (
        ("TxDefaultProfile", "Absolute", "W"),
        ("TxProfile", "Relative", "A"),
        ("ChargePointMaxProfile", "Absolute", "A"),
    ):
        schedule = {
            "duration": 86400,
            "startSchedule": clock.whole(),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 3600, "limit": 10.0, "numberPhases": 3}],
        }
        profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": kind}
        yield _call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile | {"chargingSchedule": schedule}})
    yield _call("ClearChargingProfile", {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0})
    yield _call("DataTransfer", {"vendorId": "com.example", "messageId": "message", "data": ""})
    yield _call("RemoteStartTransaction", {"connectorId": 1, "idTag": "04E8960AD2B580"})
    yield _call("RemoteStopTransaction", {"transactionId": 1})
    yield _call("Reset", {"type": "Soft"})
    for message in ("BootNotification", "Heartbeat", "MeterValues", "StatusNotification"):
        yield _call("TriggerMessage", {"requestedMessage": message})
        yield _call("TriggerMessage", {"requestedMessage": message, "connectorId": 1})
    yield _call(
        "BootNotification",
        {
            "chargePointVendor": "Vendor",
            "chargePointModel": "Model",
            "chargePointSerialNumber": "0123456789",
            "chargeBoxSerialNumber": "0123456789",
            "firmwareVersion": "1.0.0",
            "iccid": "",
            "imsi": "",
            "meterType": "",
            "meterSerialNumber": "",
        },
    )
    yield _call("BootNotification", {"chargePointModel": "Model", "chargePointVendor": "Vendor", "firmwareVersion": "1.0.0"})
    yield from _meter_values_v16(clock)
    yield _call("StartTransaction", {"connectorId": 1, "idTag": "04E8960AD2B580", "meterStart": 1234, "timestamp": clock.whole()})
    yield _result({"idTagInfo": {"status": "Accepted", "expiryDate": clock.whole(), "parentIdTag": "PARENT"}, "transactionId": 1})
    yield _result({"idTagInfo": {"status": "Accepted"}, "transactionId": 1})
    yield _result({"transactionId": 1, "idTagInfo": {"status": "Accepted"}})
    for reason in ("EVDisconnected", "Remote", "Local"):
        stop = {"idTag": "04E8960AD2B580", "meterStop": 5678, "timestamp": clock.whole(), "transactionId": 1, "reason": reason}
        yield _call("StopTransaction", stop)
        yield _call("StopTransaction", {"meterStop": 5678, "timestamp": clock.whole(), "transactionId": 1, "reason": reason})
    yield _call("Authorize", {"idTag": "04E8960AD2B580"})
    yield _result({"idTagInfo": {"status": "Accepted"}})
    for status in _STATUS_V16:
        start = {"connectorId": 1, "errorCode": "NoError"}
        yield _call(
            "StatusNotification", start | {"info": "", "status": status, "timestamp": clock.whole(), "vendorId": "", "vendorErrorCode": ""}
        )
        yield _call("StatusNotification", start | {"info": "", "status": status, "timestamp": clock.whole()})
        yield _call("StatusNotification", start | {"info": "", "status": status})
        yield _call("StatusNotification", start | {"status": status})
        yield _call("StatusNotification", start | {"status": status, "timestamp": clock.whole()})
    yield from _everyday({"currentTime": clock.whole(), "interval": 300, "status": "Accepted"}, clock)


def _meter_values_v16(clock: _Clock) -> Iterator[Invented]:
    for style in range(3):
        sampled = []
        for measurand, unit, value, phases in _SAMPLES:
            for phase in phases or (None,):
                sample: dict[str, Any] = {"value": value}
                if style != 1:
                    sample["context"] = "Sample.Periodic"
                if style == 2:
                    sample["format"] = "Raw"
                sample["measurand"] = measurand
                if phase:
                    sample["phase"] = phase
                if style == 2:
                    sample["location"] = "Outlet"
                if unit:
                    sample["unit"] = unit
                sampled.append(sample)
        for wanted in (sampled, sampled[:1], sampled[-1:]):
            values = [{"timestamp": clock.whole(), "sampledValue": wanted}]
            yield _call("MeterValues", {"connectorId": 1, "transactionId": 1, "meterValue": values})


def messages_of_v2() -> Iterator[Invented]:
    """OCPP 2.0.1 and 2.1, the rarest first."""
    clock = _Clock()
    report = [
        {
            "component": {"name": component},
            "variable": {"name": variable},
            "variableAttribute": [{"type": "Actual", "value": value, "mutability": mutability, "persistent": True, "constant": False}],
            "variableCharacteristics": {"dataType": "integer", "supportsMonitoring": False},
        }
        for component, variable, value, mutability in _VARIABLES
    ]
    for part in (report, report[:1]):
        yield _call("NotifyReport", {"requestId": 1, "generatedAt": clock.milliseconds(), "tbc": True, "seqNo": 0, "reportData": part})
    for component, variable, value, _ in _VARIABLES:
        place = {"component": {"name": component}, "variable": {"name": variable}}
        yield _call("GetVariables", {"getVariableData": [place]})
        yield _call("SetVariables", {"setVariableData": [{"attributeValue": value} | place]})
        yield _result({"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": value} | place]})
        yield _result({"setVariableResult": [{"attributeStatus": "Accepted"} | place]})
    yield _error("NotImplemented", "")
    yield _error("NotSupported", "")
    yield _error("InternalError", "")
    period = [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 3600, "limit": 10.0, "numberPhases": 3}]
    schedule = [
        {"id": 1, "startSchedule": clock.milliseconds(), "duration": 86400, "chargingRateUnit": "A", "chargingSchedulePeriod": period}
    ]
    profile = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute"}
    yield _call("SetChargingProfile", {"evseId": 1, "chargingProfile": profile | {"chargingSchedule": schedule}})
    token = {"idToken": "04E8960AD2B580", "type": "ISO14443"}
    yield _call("RequestStartTransaction", {"evseId": 1, "remoteStartId": 1, "idToken": token})
    yield _call("RequestStopTransaction", {"transactionId": _UUID})
    yield _result({"status": "Accepted", "transactionId": _UUID})
    yield _call("Reset", {"type": "Immediate"})
    for message in ("BootNotification", "Heartbeat", "MeterValues", "StatusNotification", "TransactionEvent"):
        yield _call("TriggerMessage", {"requestedMessage": message})
        yield _call("TriggerMessage", {"evse": {"id": 1}, "requestedMessage": message})
    station = {"serialNumber": "0123456789", "model": "Model", "vendorName": "Vendor", "firmwareVersion": "1.0.0"}
    yield _call("BootNotification", {"reason": "PowerUp", "chargingStation": station})
    yield from _transaction_events(clock, token)
    yield _call("Authorize", {"idToken": token})
    yield _result({"idTokenInfo": {"status": "Accepted"}})
    for status in _STATUS_V2:
        where = {"evseId": 1, "connectorId": 1}
        yield _call("StatusNotification", {"timestamp": clock.milliseconds(), "connectorStatus": status} | where)
    yield from _everyday({"currentTime": clock.milliseconds(), "interval": 300, "status": "Accepted"}, clock)


def _transaction_events(clock: _Clock, token: dict[str, str]) -> Iterator[Invented]:
    triggers = {
        "Started": ("Authorized", "CablePluggedIn", "RemoteStart"),
        "Ended": ("StopAuthorized", "EVDeparted", "RemoteStop"),
        "Updated": ("ChargingStateChanged", "MeterValueClock", "MeterValuePeriodic"),
    }
    contexts = {"Started": "Transaction.Begin", "Ended": "Transaction.End", "Updated": "Sample.Periodic"}
    for event, causes in triggers.items():
        for trigger, state in itertools.product(causes, ("SuspendedEV", "SuspendedEVSE", "EVConnected", "Charging", None)):
            time = clock.milliseconds()
            info: dict[str, Any] = {"transactionId": _UUID}
            if state:
                info["chargingState"] = state
            if event == "Ended":
                info["stoppedReason"] = {"StopAuthorized": "Local", "EVDeparted": "EVDisconnected", "RemoteStop": "Remote"}[trigger]
            payload: dict[str, Any] = {"eventType": event, "timestamp": time, "triggerReason": trigger, "seqNo": 1, "transactionInfo": info}
            if event != "Ended":
                payload["evse"] = {"id": 1, "connectorId": 1}
            if trigger in ("Authorized", "StopAuthorized"):
                payload["idToken"] = token
            if state in ("Charging", None):
                payload["meterValue"] = [{"timestamp": time, "sampledValue": _sampled_v2(contexts[event])}]
            yield _call("TransactionEvent", payload)


def _sampled_v2(context: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for measurand, unit, value, phases in _SAMPLES:
        for phase in phases or (None,):
            sample: dict[str, Any] = {"value": float(value), "context": context, "measurand": measurand}
            if phase:
                sample["phase"] = phase
            sample["location"] = "Outlet"
            if unit:
                sample["unitOfMeasure"] = {"unit": unit}
            found.append(sample)
    return found


def _everyday(boot_answer: dict[str, Any], clock: _Clock) -> Iterator[Invented]:
    """What each station has many times a day, or at least at its start."""
    yield _result(boot_answer)
    yield _result({"status": boot_answer["status"], "currentTime": clock.whole(), "interval": 60})
    yield _result({"currentTime": clock.whole(), "status": "Accepted"})
    for status in ("Scheduled", "Unlocked", "NotSupported", "NotImplemented", "Unknown", "RebootRequired", "Rejected", "Accepted"):
        yield _result({"status": status})
    yield _result({"currentTime": clock.whole()})
    yield _call("Heartbeat", {})
    yield _result({})
