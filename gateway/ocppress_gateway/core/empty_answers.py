"""The actions whose answer carries nothing: its schema has no field but `customData`.

Written by `scripts/empty_answers.py` from the schemas; both directions, as the schemas don't tell which end sends what.
"""

from __future__ import annotations

from typing import Final

from ocppress_codecs.rpc import OcppVersion

__all__ = ["EMPTY_ANSWER_ACTIONS"]

EMPTY_ANSWER_ACTIONS: Final[dict[OcppVersion, frozenset[str]]] = {
    OcppVersion.V16: frozenset(
        {
            "DiagnosticsStatusNotification",
            "FirmwareStatusNotification",
            "LogStatusNotification",
            "MeterValues",
            "SecurityEventNotification",
            "SignedFirmwareStatusNotification",
            "StatusNotification",
            "UpdateFirmware",
        }
    ),
    OcppVersion.V201: frozenset(
        {
            "ClearedChargingLimit",
            "CostUpdated",
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
    ),
    OcppVersion.V21: frozenset(
        {
            "BatterySwap",
            "ClearedChargingLimit",
            "ClosePeriodicEventStream",
            "CostUpdated",
            "FirmwareStatusNotification",
            "LogStatusNotification",
            "MeterValues",
            "NotifyChargingLimit",
            "NotifyCustomerInformation",
            "NotifyDERAlarm",
            "NotifyDERStartStop",
            "NotifyDisplayMessages",
            "NotifyEvent",
            "NotifyMonitoringReport",
            "NotifyPriorityCharging",
            "NotifyReport",
            "NotifyWebPaymentStarted",
            "PublishFirmwareStatusNotification",
            "ReportChargingProfiles",
            "ReportDERControl",
            "ReservationStatusUpdate",
            "SecurityEventNotification",
            "StatusNotification",
        }
    ),
}
