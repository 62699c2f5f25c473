"""Sessions to disturb: the frames of one station's traffic, both directions, as an encoder made them.

recording sim-microocpp-1.6, 900 s     what station programs said, each message alone or batched
workload home, 0 s                     the first hours of a generated day
schemas 2.1, 3                         valid messages of any action, some as long as allowed
odd 2.0.1, 5                           JSON that only an attacker writes
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import Message, OcppVersion
from ocppress_gateway.tools.coding import encoded
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.tools.frames import Agreement
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, TraceRecord
from tests.support.odd_json import odd_message
from tests.support.schema_messages import Kind, Size, actions, payload_text, schema_of

__all__ = ["COMMON_NAMES", "NAMES", "QUICK_NAMES", "Session", "Step", "session"]

WORKLOAD_RECORDS: Final = 500
"""Hours in which a car charges; later ones say nothing new."""

VARIANTS: Final = 6
"""Sessions of each kind that is drawn by chance."""

SCHEMA_ACTIONS: Final = 16
ODD_MESSAGES: Final = 40

_DELAYS_S: Final = (0, 900)
_SIZES: Final = (Size.LEAST, Size.LEAST, Size.LEAST, Size.FULL, Size.FULL, Size.LONGEST)

QUICK_NAMES: Final = (
    "recording sim-microocpp-1.6, 900 s",
    "recording sim-ocppgo-2.0.1, 0 s",
    "workload home, 0 s",
    "odd 2.0.1, 0",
)
"""Those that are soon made."""

NAMES: Final = (
    *(f"recording {name}, {delay_s} s" for name in recordings.names() for delay_s in _DELAYS_S),
    *(f"workload {name}, {delay_s} s" for name in WORKLOADS for delay_s in _DELAYS_S),
    *(f"{kind} {version}, {variant}" for kind in ("schemas", "odd") for version in OcppVersion for variant in range(VARIANTS)),
)
"""All sessions."""

COMMON_NAMES: Final = tuple(name for name in NAMES if name.endswith(", 0 s"))
"""One message a frame, as most frames are."""


@dataclass(frozen=True, slots=True)
class Step:
    """One frame, and the messages that a decoder of its direction must find in it."""

    direction: Direction
    frame: bytes
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """One epoch of one station, in the order of the link."""

    name: str
    codec: CodecName
    version: OcppVersion
    steps: tuple[Step, ...]


@functools.cache
def session(name: str, codec: CodecName) -> Session:
    """One of `NAMES`; the same each time."""
    kind, what, last = _split(name)
    delay_s = 0
    if kind == "recording":
        version = recordings.version(what)
        records: Iterable[TraceRecord] = recordings.load(what)
        delay_s = int(last.removesuffix(" s"))
    elif kind == "workload":
        version = OcppVersion.V201
        records = islice(generate(WORKLOADS[what], days=1, seed=1), WORKLOAD_RECORDS)
        delay_s = int(last.removesuffix(" s"))
    else:
        version = OcppVersion(what)
        source = random.Random(name)
        records = _schema_records(version, source) if kind == "schemas" else _odd_records(source)
    batches = list(schedule(Conversation(version).follow(records), delay_s))
    frames = encoded(batches, Agreement(codec, version))
    steps = tuple(Step(batch.direction, sent.frame, batch.messages) for batch, sent in zip(batches, frames, strict=True))
    return Session(name, codec, version, steps)


def _split(name: str) -> tuple[str, str, str]:
    first, last = name.split(", ")
    kind, what = first.split(" ")
    return kind, what, last


def _schema_records(version: OcppVersion, source: random.Random) -> Iterator[TraceRecord]:
    for place, action in enumerate(source.choices(actions(version), k=SCHEMA_ACTIONS)):
        size = source.choice(_SIZES)
        request, response = (schema_of(version, action, kind) for kind in Kind)
        assert request is not None, "every action has a request"
        payload = payload_text(request, source, size)
        way = source.choice(list(Direction))
        if response is None:
            yield TraceRecord(place, way, f'[6,"{place}","{action}",{payload}]')
            continue
        yield TraceRecord(place, way, f'[2,"{place}","{action}",{payload}]')
        yield TraceRecord(place, way.opposite, f'[3,"{place}",{payload_text(response, source, size)}]')


def _odd_records(source: random.Random) -> Iterator[TraceRecord]:
    for place in range(ODD_MESSAGES):
        # Some twice: what is known by then is coded in another way.
        text = odd_message(source)
        for _ in range(source.randint(1, 2)):
            yield TraceRecord(place, source.choice(list(Direction)), text)
