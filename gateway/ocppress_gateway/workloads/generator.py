"""Generated traffic of OCPP 2.0.1 stations: the four workloads that costs are compared on.

A workload begins with a boot, then runs for days: heartbeats, and sessions spread over each connector's day. A session is a status, Authorize, Started with
its idToken, a change to Charging, a meter reading each interval, a change to SuspendedEV, Ended, a status. The same seed gives the
same records; they come lazily, as a month has over a hundred thousand.

Each exchange is as a recorder between station and CSMS would see it: one CALL at a time, its answer some tens of milliseconds later.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from ocppress_gateway.workloads.meter import AcMeter, DcMeter, Meter, sampled_value
from ocppress_gateway.workloads.traces import Direction, TraceRecord, iso_time

__all__ = ["WORKLOADS", "Workload", "generate"]

START_MS: Final = 1_767_571_200_000
"""2026-01-05T00:00:00Z, when every workload begins, in Unix milliseconds."""

DAY_MS: Final = 86_400_000

TIMER_JITTER_MS: Final = 50
"""By how much a station's timers fire late."""

WRITE_MS: Final = (2, 15)
"""From a payload's timestamp to its message on the wire."""

ANSWER_MS: Final = (25, 400)
"""How long a CSMS takes, fastest and slowest; most answers are near the fastest."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a station does every day. Sessions of a connector lie in equal slots of the day; times in seconds."""

    name: str
    connectors: int
    sessions_a_day: int
    session_s: int
    """Mean length of the charging; the single ones differ from it by up to a tenth."""
    interval_s: int
    start_spread_s: int
    """How far into its slot a session may begin."""
    connector_offset_s: int
    """By how much each further connector's slots begin later."""
    cards: int
    """How many different idTokens charge here."""
    meter: Callable[[Random], Meter]
    heartbeat_s: int = 300


_HOME: Final = Workload(
    "home",
    connectors=1,
    sessions_a_day=2,
    session_s=3 * 3600,
    interval_s=60,
    start_spread_s=6 * 3600,
    connector_offset_s=0,
    cards=2,
    meter=partial(AcMeter, phases=1, full_ma=16_000, low_ma=6_000, taper_from_percent=90),
)
_LEV: Final = Workload(
    "lev",
    connectors=1,
    sessions_a_day=8,
    session_s=3600,
    interval_s=60,
    start_spread_s=3600,
    connector_offset_s=0,
    cards=40,
    meter=partial(AcMeter, phases=1, full_ma=3_500, low_ma=600, taper_from_percent=60),
)
_AC22: Final = Workload(
    "ac22",
    connectors=2,
    sessions_a_day=4,
    session_s=2 * 3600,
    interval_s=30,
    start_spread_s=600,
    # Two hours each, the second connector an hour after the first: four times three hours in which some connector charges.
    connector_offset_s=3600,
    cards=60,
    meter=partial(AcMeter, phases=3, full_ma=32_000, low_ma=8_000, taper_from_percent=80),
)
_DC10: Final = Workload(
    "dc10",
    connectors=1,
    sessions_a_day=12,
    session_s=1800,
    interval_s=10,
    start_spread_s=3600,
    connector_offset_s=0,
    cards=300,
    meter=DcMeter,
)

WORKLOADS: Final = {workload.name: workload for workload in (_HOME, _LEV, _AC22, _DC10)}
"""The four workloads by name."""


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    """A CALL that the station wants to make; ordered by time, and by its source where that is the same."""

    at_ms: int
    source: int
    action: str
    payload: str
    answer: str
    """The answer's payload, or a text with `{now}` where the CSMS puts its clock."""


def generate(workload: Workload, *, days: int, seed: int) -> Iterator[TraceRecord]:
    """The records of one station over `days`, in order of time."""
    sources = [_boot(workload), _heartbeats(workload.heartbeat_s * 1000, Random(f"{workload.name} {seed} heartbeats"))]
    for connector in range(workload.connectors):
        sources.append(_sessions(workload, connector, Random(f"{workload.name} {seed} connector {connector}")))
    random = Random(f"{workload.name} {seed} line")
    free_ms = 0
    for due in heapq.merge(*sources):
        if due.at_ms >= START_MS + days * DAY_MS:
            return
        # One CALL at a time: what is due meanwhile waits for the answer.
        sent_ms = max(due.at_ms, free_ms) + random.randint(*WRITE_MS)
        fastest, slowest = ANSWER_MS
        answered_ms = sent_ms + fastest + (slowest - fastest) * random.randrange(1000) ** 3 // 10**9
        message_id = _uuid(random)
        answer = due.answer.replace("{now}", _timestamp(answered_ms - fastest // 2))
        yield TraceRecord(sent_ms / 1000, Direction.UP, f'[2,"{message_id}","{due.action}",{due.payload}]')
        yield TraceRecord(answered_ms / 1000, Direction.DOWN, f'[3,"{message_id}",{answer}]')
        free_ms = answered_ms


def _boot(workload: Workload) -> Iterator[_Due]:
    station = '{"chargingStation":{"model":"Workload","vendorName":"ocppress"},"reason":"PowerUp"}'
    yield _Due(START_MS, 0, "BootNotification", station, '{"currentTime":"{now}","interval":' f'{workload.heartbeat_s},"status":"Accepted"}}')
    for connector in range(workload.connectors):
        yield _status(START_MS + 1000, connector, "Available")


def _heartbeats(interval_ms: int, random: Random) -> Iterator[_Due]:
    at_ms = START_MS
    while True:
        at_ms += interval_ms
        yield _Due(at_ms + random.randrange(TIMER_JITTER_MS), 0, "Heartbeat", "{}", '{"currentTime":"{now}"}')


def _sessions(workload: Workload, connector: int, random: Random) -> Iterator[_Due]:
    meter = workload.meter(random)
    cards = [f"04{random.getrandbits(48):012X}" for _ in range(workload.cards)]
    slot_ms = DAY_MS // workload.sessions_a_day
    slot_begins_ms = START_MS + 60_000 + connector * workload.connector_offset_s * 1000
    while True:
        plugged_ms = slot_begins_ms + random.randrange(workload.start_spread_s * 1000)
        length_ms = workload.session_s * random.randint(900, 1100)
        yield from _session(workload, connector, random, meter, random.choice(cards), plugged_ms, length_ms)
        slot_begins_ms += slot_ms


def _session(
    workload: Workload, connector: int, random: Random, meter: Meter, card: str, plugged_ms: int, length_ms: int
) -> Iterator[_Due]:
    source = connector + 1
    token = f'{{"idToken":"{card}","type":"ISO14443"}}'
    transaction_id = _uuid(random)
    sequence = 0

    def event(at_ms: int, kind: str, trigger: str, state: str, rest: str, answer: str = "{}") -> _Due:
        nonlocal sequence
        payload = (
            f'{{"eventType":"{kind}","timestamp":"{_timestamp(at_ms)}","triggerReason":"{trigger}","seqNo":{sequence},'
            f'"transactionInfo":{{"transactionId":"{transaction_id}","chargingState":"{state}"'
            f'{_STOPPED if kind == "Ended" else ""}}},"evse":{{"id":{connector + 1},"connectorId":1}}{rest}}}'
        )
        sequence += 1
        return _Due(at_ms, source, "TransactionEvent", payload, answer)

    def register(at_ms: int, context: str) -> str:
        value = sampled_value("Energy.Active.Import.Register", str(meter.register_wh), "Wh", context=context)
        return f',"meterValue":[{{"timestamp":"{_timestamp(at_ms)}","sampledValue":[{value}]}}]'

    at_ms = plugged_ms
    yield _status(at_ms, connector, "Occupied")
    at_ms += random.randint(4_000, 20_000)
    yield _Due(at_ms, source, "Authorize", f'{{"idToken":{token}}}', _ACCEPTED)
    at_ms += random.randint(800, 1_500)
    yield event(at_ms, "Started", "Authorized", "EVConnected", f',"idToken":{token}{register(at_ms, "Transaction.Begin")}', _ACCEPTED)
    at_ms += random.randint(2_000, 5_000)
    yield event(at_ms, "Updated", "ChargingStateChanged", "Charging", "")
    begun_ms = read_ms = at_ms
    meter.begin()
    interval_ms = workload.interval_s * 1000
    for tick_ms in range(interval_ms, length_ms, interval_ms):
        at_ms = begun_ms + tick_ms + random.randrange(TIMER_JITTER_MS)
        values = meter.read(at_ms - read_ms, tick_ms * 1_000_000 // length_ms)
        read_ms = at_ms
        reading = f',"meterValue":[{{"timestamp":"{_timestamp(at_ms)}","sampledValue":[{",".join(values)}]}}]'
        yield event(at_ms, "Updated", "MeterValuePeriodic", "Charging", reading)
    at_ms = begun_ms + length_ms
    yield event(at_ms, "Updated", "ChargingStateChanged", "SuspendedEV", "")
    at_ms += random.randint(10_000, 120_000)
    yield event(at_ms, "Ended", "EVCommunicationLost", "Idle", register(at_ms, "Transaction.End"))
    at_ms += random.randint(200, 1_500)
    yield _status(at_ms, connector, "Available")


_ACCEPTED: Final = '{"idTokenInfo":{"status":"Accepted"}}'
_STOPPED: Final = ',"stoppedReason":"EVDisconnected"'


def _status(at_ms: int, connector: int, status: str) -> _Due:
    payload = f'{{"timestamp":"{_timestamp(at_ms)}","connectorStatus":"{status}","evseId":{connector + 1},"connectorId":1}}'
    return _Due(at_ms, connector + 1, "StatusNotification", payload, "{}")


def _timestamp(at_ms: int) -> str:
    return iso_time(at_ms / 1000)


def _uuid(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)
