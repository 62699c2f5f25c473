"""What the foreign peers say to each other: a session as a list of steps, for each version of OCPP.

A step is one CALL and the answer that the other side's script gives to it. The same list drives the caller, scripts the answerer and is the
expectation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ocppress_codecs.rpc import OcppVersion
from tests.support.foreign.interface import Answer, Csms, Refusal, Station

__all__ = ["EARLY_ACTIONS", "SESSIONS", "CsmsCalls", "StationCalls", "Step", "is_early", "play", "scripts"]


@dataclass(frozen=True, slots=True)
class Step:
    """One CALL and its answer. With `handled` false the answerer has no handler, and what it says comes from the package itself."""

    action: str
    payload: dict[str, Any]
    answer: Answer
    handled: bool = True


class StationCalls(Step):
    """The station's CALL to the CSMS."""


class CsmsCalls(Step):
    """The CSMS's CALL to the station."""


def scripts(steps: Sequence[Step]) -> tuple[dict[str, list[Answer]], dict[str, list[Answer]]]:
    """What the station and what the CSMS has to answer, by action."""
    of_station: defaultdict[str, list[Answer]] = defaultdict(list)
    of_csms: defaultdict[str, list[Answer]] = defaultdict(list)
    for step in steps:
        if step.handled:
            (of_csms if isinstance(step, StationCalls) else of_station)[step.action].append(step.answer)
    return dict(of_station), dict(of_csms)


async def play(station: Station, csms: Csms, identity: str, steps: Sequence[Step], *, early: bool = False) -> None:
    """Run the steps one after the other and compare each answer; `early`: with what the edge answers by itself."""
    for step in steps:
        expected: Answer = {} if early and is_early(step) else step.answer
        if isinstance(step, StationCalls):
            answer = await station.call(step.action, step.payload)
        else:
            answer = await csms.call(identity, step.action, step.payload)
        assert answer == expected, f"{step.action}: {answer}, not {expected}"


def is_early(step: Step) -> bool:
    """Whether an accepted station gets an empty answer from the edge, whatever the CSMS says to it later."""
    if not isinstance(step, StationCalls):
        return False
    if step.action == "TransactionEvent":
        return (step.payload["eventType"], step.payload["triggerReason"]) == ("Updated", "MeterValuePeriodic")
    return step.action in EARLY_ACTIONS


EARLY_ACTIONS: Final = {
    "StatusNotification",
    "MeterValues",
    "DiagnosticsStatusNotification",
    "NotifyCustomerInformation",
    "NotifyPriorityCharging",
}


def _time(minute: int) -> str:
    return f"2026-03-01T08:{minute:02}:00Z"


_ACCEPTED: Final = {"status": "Accepted"}
_BOOT_ANSWER: Final = {"currentTime": _time(0), "interval": 300, "status": "Accepted"}


def _session_16() -> list[Step]:
    tag = {"idTag": "04A2B3C4D5E6F7"}
    accepted = {"idTagInfo": _ACCEPTED}

    def status(minute: int, value: str) -> Step:
        return StationCalls(
            "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": value, "timestamp": _time(minute)}, {}
        )

    def start(minute: int, transaction: int) -> Step:
        return StationCalls(
            "StartTransaction",
            {"connectorId": 1, **tag, "meterStart": 1200, "timestamp": _time(minute)},
            {"transactionId": transaction, **accepted},
        )

    def meter(minute: int, transaction: int) -> Step:
        sampled = [
            {"value": f"{1200 + 10 * minute}.0", "context": "Sample.Periodic", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": "230.10", "context": "Sample.Periodic", "measurand": "Voltage", "phase": "L1-N", "unit": "V"},
            {"value": "57", "context": "Sample.Periodic", "measurand": "SoC", "unit": "Percent"},
        ]
        value = {"timestamp": _time(minute), "sampledValue": sampled}
        return StationCalls("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": [value]}, {})

    def stop(minute: int, transaction: int, reason: str) -> Step:
        stopped = {"transactionId": transaction, "meterStop": 1500, "timestamp": _time(minute), "reason": reason, **tag}
        return StationCalls("StopTransaction", stopped, accepted)

    return [
        StationCalls("BootNotification", {"chargePointModel": "Model", "chargePointVendor": "Vendor"}, _BOOT_ANSWER),
        status(1, "Available"),
        StationCalls("Authorize", tag, accepted),
        status(2, "Preparing"),
        start(2, 4711),
        status(2, "Charging"),
        meter(3, 4711),
        meter(4, 4711),
        stop(5, 4711, "Local"),
        status(5, "Finishing"),
        CsmsCalls("RemoteStartTransaction", {"connectorId": 1, **tag}, _ACCEPTED),
        start(6, 4712),
        meter(7, 4712),
        CsmsCalls("RemoteStopTransaction", {"transactionId": 4712}, _ACCEPTED),
        stop(8, 4712, "Remote"),
        CsmsCalls("GetLocalListVersion", {}, Refusal("NotSupported")),
        CsmsCalls("ClearCache", {}, Refusal("NotImplemented"), handled=False),
        StationCalls("DataTransfer", {"vendorId": "com.example", "data": '{"n": 1.00}'}, Refusal("InternalError")),
        StationCalls("DiagnosticsStatusNotification", {"status": "Idle"}, Refusal("NotImplemented"), handled=False),
        status(9, "Available"),
    ]


def _session_2(version: OcppVersion) -> list[Step]:
    token = {"idToken": "04A2B3C4D5E6F7", "type": "ISO14443"}
    accepted = {"idTokenInfo": _ACCEPTED}

    def status(minute: int, value: str) -> Step:
        return StationCalls("StatusNotification", {"timestamp": _time(minute), "connectorStatus": value, "evseId": 1, "connectorId": 1}, {})

    def event(kind: str, minute: int, seq_no: int, transaction: str, trigger: str, answer: Answer, **more: Any) -> Step:
        sampled = [
            {"value": 1200.5 + 10 * minute, "context": "Sample.Periodic", "measurand": "Energy.Active.Import.Register"},
            {"value": 16, "context": "Sample.Periodic", "measurand": "Current.Import", "phase": "L1", "unitOfMeasure": {"unit": "A"}},
            {"value": 57, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}},
        ]
        payload = {
            "eventType": kind,
            "timestamp": _time(minute),
            "triggerReason": trigger,
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": transaction, "chargingState": "Charging"},
            "meterValue": [{"timestamp": _time(minute), "sampledValue": sampled}],
            **more,
        }
        return StationCalls("TransactionEvent", payload, answer)

    first, second = "3f6c1b0e-7d3b-4a52-9f0b-0f5f0c2a7a11", "b1d0a5de-6c0f-4a86-8a46-3a2f5a9b7c22"
    evse = {"id": 1, "connectorId": 1}
    remote_start = {"remoteStartId": 17, "idToken": token, "evseId": 1}
    steps = [
        StationCalls(
            "BootNotification", {"reason": "PowerUp", "chargingStation": {"model": "Model", "vendorName": "Vendor"}}, _BOOT_ANSWER
        ),
        status(1, "Available"),
        StationCalls("Authorize", {"idToken": token}, accepted),
        status(2, "Occupied"),
        event("Started", 2, 0, first, "Authorized", accepted, idToken=token, evse=evse),
        event("Updated", 3, 1, first, "MeterValuePeriodic", {}),
        event("Updated", 4, 2, first, "MeterValuePeriodic", {"totalCost": 1.25}),
        event("Ended", 5, 3, first, "StopAuthorized", {"totalCost": 2.5, **accepted}, idToken=token),
        CsmsCalls("RequestStartTransaction", remote_start, {"status": "Accepted", "transactionId": second}),
        event("Started", 6, 0, second, "RemoteStart", accepted, idToken=token, evse=evse),
        event("Updated", 7, 1, second, "MeterValuePeriodic", {}),
        CsmsCalls("RequestStopTransaction", {"transactionId": second}, _ACCEPTED),
        event("Ended", 8, 2, second, "RemoteStop", {}),
        CsmsCalls("GetLocalListVersion", {}, Refusal("NotSupported")),
        StationCalls("DataTransfer", {"vendorId": "com.example", "data": {"n": 1.5}}, Refusal("InternalError")),
        status(9, "Available"),
    ]
    if version is OcppVersion.V201:
        # The package `ocpp` leaves a CALL of 2.1 without a handler unanswered.
        steps[-1:-1] = [
            CsmsCalls("ClearCache", {}, Refusal("NotImplemented"), handled=False),
            StationCalls("NotifyCustomerInformation", _CUSTOMER_INFORMATION, Refusal("NotImplemented"), handled=False),
        ]
    else:
        steps[-1:-1] = [
            CsmsCalls("UsePriorityCharging", {"transactionId": second, "activate": True}, _ACCEPTED),
            StationCalls("NotifyPriorityCharging", {"transactionId": second, "activated": True}, {}),
        ]
    return steps


_CUSTOMER_INFORMATION: Final = {"data": "…", "seqNo": 0, "generatedAt": _time(9), "requestId": 5}

SESSIONS: Final = {
    OcppVersion.V16: _session_16(),
    OcppVersion.V201: _session_2(OcppVersion.V201),
    OcppVersion.V21: _session_2(OcppVersion.V21),
}
