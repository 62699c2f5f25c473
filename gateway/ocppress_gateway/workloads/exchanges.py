"""A trace as exchanges: each CALL with the answer that it got.

up   2 "17" MeterValues ─┐              Exchange(MeterValues, answer after 40 ms)
down 3 "17" {}  ─────────┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, MessageType, parse
from ocppress_gateway.workloads.traces import INFERENCE_MESSAGES, Direction, TraceRecord, iso_time

__all__ = ["Exchange", "exchanges", "with_boot"]

ANSWER_AFTER: Final = 64
"""Exchanges after which a CALL without an answer counts as never answered."""

DEFAULT_ANSWER_S: Final = 0.05
"""How long an answer takes where the recorder didn't know."""


@dataclass(slots=True, eq=False)
class Exchange:
    """A CALL or SEND as it was recorded, and its answer; `at_s` in Unix seconds. No `answer`: none came, or none comes."""

    at_s: float
    direction: Direction
    text: str
    message: Message
    answer: Message | None = None
    answer_s: float = DEFAULT_ANSWER_S


def exchanges(records: Iterable[TraceRecord]) -> Iterator[Exchange]:
    """In the CALLs' order, lazily. What is no OCPP-J, and answers to nothing, are left out; a null `ts` counts as the one before."""
    found: deque[Exchange] = deque()
    unanswered: dict[tuple[Direction, str], Exchange] = {}
    at_s = 0.0
    for record in records:
        at_s = at_s if record.ts is None else max(at_s, record.ts)
        try:
            message_id, message = parse(record.text)
        except NotOcppJ:
            continue
        if message.type in (MessageType.CALL, MessageType.SEND):
            exchange = Exchange(at_s, record.direction, record.text, message)
            found.append(exchange)
            if message.type is MessageType.CALL:
                unanswered[record.direction, message_id] = exchange
        elif message.type is not MessageType.CALLRESULTERROR:
            call = unanswered.pop((record.direction.opposite, message_id), None)
            if call is not None:
                call.answer, call.answer_s = message, max(0.001, at_s - call.at_s)
        while found and (len(found) > ANSWER_AFTER or found[0].answer is not None or found[0].message.type is MessageType.SEND):
            yield found.popleft()
    yield from found


def with_boot(records: Iterable[TraceRecord]) -> Iterator[TraceRecord]:
    """The same, behind a boot that is accepted if the recording begins without one: before it nothing is answered early (rule R2)."""
    records = iter(records)
    first = list(islice(records, INFERENCE_MESSAGES))
    at_s = next((record.ts for record in first if record.ts is not None), 0.0)
    if first and not any('"BootNotification"' in record.text for record in first):
        answer = f'{{"currentTime":"{iso_time(at_s)}","interval":300,"status":"Accepted"}}'
        yield TraceRecord(at_s, Direction.UP, f'[2,"boot","BootNotification",{_BOOT}]')
        yield TraceRecord(at_s, Direction.DOWN, f'[3,"boot",{answer}]')
    yield from chain(first, records)


_BOOT: Final = '{"chargingStation":{"model":"Recorded","vendorName":"ocppress"},"reason":"PowerUp"}'
