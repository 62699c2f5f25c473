"""How much is new in a generated message, in bits: what its generator draws at random, and a reader who knows all else couldn't foresee.

A lower bound, never an estimate from above: hidden states (drift, the vehicle's current) count as known, and what follows from other values (power,
energy, state of charge) as nothing. Message ids aren't carried, so they count for nothing either.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from ocppress_gateway.workloads.generator import TIMER_JITTER_MS, Workload
from ocppress_gateway.workloads.meter import AcMeter, DcMeter, shown

__all__ = ["message_bits", "noise_bits"]

UUID4_BITS: Final = 122
"""RFC 9562 5.4."""

_PLUGGED_TO_STARTED: Final = 16_001
"""Milliseconds that the generator chooses from, of the longest of the random times between two messages with a timestamp."""
_STARTED_TO_CHARGING: Final = 3_001
_LENGTHS: Final = 201
_SUSPENDED_TO_ENDED: Final = 110_001
_ENDED_TO_AVAILABLE: Final = 1_301


@lru_cache(maxsize=64)
def noise_bits(noise_milli: int, decimals: int) -> float:
    """Entropy of a value with even noise of so many thousandths to either side, as it is shown; the least over all places of the true value."""
    step: int = 10 ** (3 - decimals)
    places = range(10 * noise_milli, 10 * noise_milli + step)
    return min(_entropy(Counter(shown(place + noise, decimals) for noise in range(-noise_milli, noise_milli + 1))) for place in places)


def _entropy(counts: Counter[int]) -> float:
    total = counts.total()
    return -sum(count / total * math.log2(count / total) for count in counts.values())


def message_bits(workload: Workload, action: str, payload: Mapping[str, Any]) -> float:
    """Of a station's CALL; `payload` is decoded. Answers of the workloads' CSMS have nothing new that is carried."""
    if action == "StatusNotification":
        return math.log2(workload.start_spread_s * 1000 if payload["connectorStatus"] == "Occupied" else _ENDED_TO_AVAILABLE)
    if action == "Authorize":
        return math.log2(workload.cards)
    if action != "TransactionEvent":
        return 0.0
    if payload["eventType"] == "Started":
        return UUID4_BITS + math.log2(_PLUGGED_TO_STARTED)
    if payload["eventType"] == "Ended":
        return math.log2(_SUSPENDED_TO_ENDED)
    if payload["triggerReason"] != "MeterValuePeriodic":
        charging = payload["transactionInfo"]["chargingState"] == "Charging"
        return math.log2(_STARTED_TO_CHARGING if charging else _LENGTHS)
    return math.log2(TIMER_JITTER_MS) + sum(map(_value_bits, payload["meterValue"][0]["sampledValue"]))


def _value_bits(sampled: Mapping[str, Any]) -> float:
    meter = AcMeter if "phase" in sampled else DcMeter
    if sampled["measurand"] == "Voltage":
        return noise_bits(meter.VOLTAGE_NOISE_MV, 1)
    if sampled["measurand"] == "Current.Import":
        return noise_bits(meter.CURRENT_NOISE_MA, 2 if meter is AcMeter else 1)
    return 0.0
