"""Whether a CSMS steers a station's charging now: load management on stale currents acts wrongly.

A charging profile that is for the transaction at hand steers it, and so do 2.1's UpdateDynamicSchedule and AFRRSignal, which change a running
schedule. Defaults and limits don't: they stand for days, and are sent at a boot.

    purpose                              1.6   2.0.1  2.1   steers
    TxProfile                             ×      ×     ×    yes
    LocalGeneration                                    ×    yes: what the roof gives, from minute to minute
    TxDefaultProfile                      ×      ×     ×    no: for transactions to come
    PriorityCharging                                   ×    no: for when priority is asked for
    ChargePointMaxProfile                 ×                 no: the station's limit
    ChargingStationMaxProfile                    ×     ×    no: likewise
    ChargingStationExternalConstraints           ×     ×    no: an external system's limit, not the CSMS's (K01.FR.22)
"""

from __future__ import annotations

from typing import Final

import msgspec

from ocppress_codecs.rpc import Message, MessageType, payload_text

__all__ = ["steers"]

_STEERING_ACTIONS: Final = frozenset({"UpdateDynamicSchedule", "AFRRSignal"})
_STEERING_PURPOSES: Final = frozenset({"TxProfile", "LocalGeneration"})


class _Profile(msgspec.Struct, rename="camel"):
    charging_profile_purpose: str


class _SetChargingProfile(msgspec.Struct, rename="camel"):
    cs_charging_profiles: _Profile | None = None
    """1.6"""
    charging_profile: _Profile | None = None
    """2.x"""


def steers(message: Message) -> bool:
    """Whether a CSMS's `message` steers; whether the station accepts it is for its answer to say."""
    if message.type is not MessageType.CALL:
        return False
    if message.action in _STEERING_ACTIONS:
        return True
    if message.action != "SetChargingProfile":
        return False
    try:
        request = msgspec.json.decode(payload_text(message), type=_SetChargingProfile)
    except (ValueError, RecursionError):
        return False  # for the station to refuse
    profile = request.charging_profile or request.cs_charging_profiles
    return profile is not None and profile.charging_profile_purpose in _STEERING_PURPOSES
