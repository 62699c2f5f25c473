"""A station's month under a plan: its messages from a workload, their bytes from the codec by kind, the link and the plan in virtual time.

What the codec makes of a month can't be had in seconds. So it codes three days at each step of the plan, as the edge would frame them (the
chatty station: three times four hours, as it is live all the time). The second one gives the mean bytes of each kind of message, which the month
is then made of, and the third one says how far off that is.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from random import Random
from typing import Any, Final

import msgspec

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse
from ocppress_gateway.core.events import Level, Note
from ocppress_gateway.core.ledger import Ledger, LedgerSettings
from ocppress_gateway.core.ledger_events import InterfaceCounted, LinkCounted
from ocppress_gateway.core.plan import DELAYS_S, STEPS, Plan, PlanName, PlanSettings
from ocppress_gateway.core.policy import MessageClass, class_of, is_urgent
from ocppress_gateway.core.smart_charging import steers
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.cost.planned import Kind, PlannedLink
from ocppress_gateway.cost.wire import DAY_S, ByteCount, Conditions
from ocppress_gateway.tools.coding import encoded
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.tools.frames import Agreement
from ocppress_gateway.tools.schedule import Batch
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import Direction, TraceRecord

__all__ = ["CHATTY", "SITES", "Month", "Passage", "Sizes", "chatty_records", "measured_sizes", "month", "passages", "records"]

TICK_S: Final = 600.0
"""How often ledger and plan are looked at; in the edge each minute, which changes nothing but how long the simulation takes."""

_VERSION: Final = OcppVersion.V201
_SEED: Final = 1
_STATION: Final = "STATION"
_SAMPLES: Final = 3

CHATTY: Final = replace(WORKLOADS["dc10"], name="chatty", sessions_a_day=6, session_s=7200, interval_s=1)
"""Meter values each second, twelve hours a day."""

_STORM_EVERY_S: Final = 3600.0
_STORM_MESSAGES: Final = 60
_STORM_INTERVAL_S: Final = 5.0
_PROFILE_EVERY_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A message that crosses the link, when. `message` is there where a codec is to see it."""

    at_s: float
    kind: Kind
    steers: bool = False
    begins: int = 0
    """Transactions that begin with it, less those that end."""
    message: Message | None = None


def records(site: str, days: int) -> Iterator[TraceRecord]:
    """The traffic of one of `SITES`."""
    return chatty_records(days) if site == CHATTY.name else generate(WORKLOADS[site], days=days, seed=_SEED)


SITES: Final = (*WORKLOADS, CHATTY.name)


def chatty_records(days: int) -> Iterator[TraceRecord]:
    """A station that says everything all the time: Heartbeats each 10 s, meter values each second, a storm of statuses each hour; and a CSMS
    that sets a charging profile for the transaction every two minutes."""
    begin_s = next(generate(CHATTY, days=1, seed=_SEED)).ts or 0.0
    return heapq.merge(
        generate(CHATTY, days=days, seed=_SEED),
        _exchanges(begin_s, days, 10.0, lambda at_s, number: (Direction.UP, "Heartbeat", {}, {"currentTime": _stamp(at_s)})),
        _storms(begin_s, days),
        _exchanges(begin_s, days, _PROFILE_EVERY_S, _profile),
        key=lambda record: record.ts or 0.0,
    )


Exchange = tuple[Direction, str, object, object]
"""Who calls, the action, the payloads of CALL and CALLRESULT."""


def _exchanges(begin_s: float, days: float, every_s: float, make: Callable[[float, int], Exchange]) -> Iterator[TraceRecord]:
    for number in range(1, int(days * DAY_S / every_s)):
        yield from _exchange(begin_s + number * every_s, *make(begin_s + number * every_s, number))


def _exchange(at_s: float, direction: Direction, action: str, call: object, answer: object) -> Iterator[TraceRecord]:
    message_id = f"{action}-{at_s}"
    yield TraceRecord(at_s, direction, msgspec.json.encode([2, message_id, action, call]).decode())
    yield TraceRecord(at_s + 0.05, direction.opposite, msgspec.json.encode([3, message_id, answer]).decode())


def _storms(begin_s: float, days: int) -> Iterator[TraceRecord]:
    for storm in range(1, int(days * DAY_S / _STORM_EVERY_S)):
        for number in range(_STORM_MESSAGES):
            at_s = begin_s + storm * _STORM_EVERY_S + number * _STORM_INTERVAL_S
            status = ("Faulted", "Available")[number % 2]
            payload = {"timestamp": _stamp(at_s), "connectorStatus": status, "evseId": 1, "connectorId": 1}
            yield from _exchange(at_s, Direction.UP, "StatusNotification", payload, {})


def _profile(at_s: float, number: int) -> Exchange:
    limit = Random(number).randrange(60, 320) / 10
    period = {"startPeriod": 0, "limit": limit}
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    profile = {
        "id": number,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [schedule],
    }
    return Direction.DOWN, "SetChargingProfile", {"evseId": 1, "chargingProfile": profile}, {"status": "Accepted"}


def _stamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# --- what crosses the link


def passages(trace: Iterable[TraceRecord], *, with_messages: bool = False) -> Iterator[Passage]:
    """The messages of a trace that cross the link when the edge answers early: no Heartbeat, and no answer to what it has answered."""
    if not with_messages:
        return (passage for _, passage in _crossing(trace))
    crossing = list(_crossing(trace))
    said = Conversation(_VERSION).follow(record for record, _ in crossing)
    return (replace(passage, message=one.message) for (_, passage), one in zip(crossing, said, strict=True))


def _crossing(trace: Iterable[TraceRecord]) -> Iterator[tuple[TraceRecord, Passage]]:
    known: dict[str, tuple[MessageClass, Passage]] = {}
    answers: dict[str, Kind | None] = {}
    for record in trace:
        decoded = msgspec.json.decode(record.text)
        if decoded[0] == MessageType.CALL:
            _, message_id, action, payload = decoded
            name = " ".join([record.direction, action, *(str(payload[key]) for key in ("eventType", "triggerReason") if key in payload)])
            if name not in known:
                known[name] = _known(name, record, payload)
            message_class, passage = known[name]
            answers[message_id] = _answer(passage.kind, action) if message_class is MessageClass.RELAY else None
            if message_class is not MessageClass.HEARTBEAT:
                yield record, replace(passage, at_s=record.ts or 0.0)
        else:
            answer = answers.pop(decoded[1])
            if answer is not None:
                yield record, Passage(record.ts or 0.0, answer)


def _known(name: str, record: TraceRecord, payload: dict[str, object]) -> tuple[MessageClass, Passage]:
    """The class of a message, which all of its kind have; its length is near theirs."""
    _, message = parse(record.text)
    up = record.direction is Direction.UP
    message_class = class_of(_VERSION, message) if up else MessageClass.RELAY
    waits = message_class is MessageClass.BATCH
    kind = Kind(name, record.direction, waits, waits and is_urgent(message), len(message.body.encode()))
    begins = {"Started": 1, "Ended": -1}.get(str(payload.get("eventType")), 0)
    return message_class, Passage(0.0, kind, not up and steers(message), begins)


def _answer(call: Kind, action: str) -> Kind:
    direction = call.direction.opposite
    return Kind(f"{direction} answer to {action}", direction, waits=False, urgent=False, text_bytes=40)


# --- what the codec makes of it


@dataclass(frozen=True, slots=True)
class Sizes:
    """Mean bytes of a message in a frame, by the plan's delay and by kind; and by how much frames made of them differ from real ones."""

    mean_bytes: dict[float, dict[str, float]]
    error_percent: dict[float, float]

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Sizes:
        """From a results file, where numbers that are keys have become text."""
        means, errors = recorded["mean_bytes"], recorded["error_percent"]
        return cls(
            {float(delay_s): sizes for delay_s, sizes in means.items()}, {float(delay_s): error for delay_s, error in errors.items()}
        )

    def frame_bytes(self, kinds: Sequence[Kind], delay_s: float) -> float:
        """Of a frame at a plan's delay."""
        means = self.mean_bytes.get(delay_s, self.mean_bytes[DELAYS_S[PlanName.LIVE]])
        return sum(means[kind.name] for kind in kinds)


@dataclass(frozen=True, slots=True)
class _Spoken(Kind):
    """A kind with one of its messages."""

    message: Message


def measured_sizes(site: str, conditions: Conditions) -> Sizes:
    """Codes three samples at each step: one for the codec to know the station, one for the means, one for their error."""
    sample_s, steps = (DAY_S / 6, STEPS[:1]) if site == CHATTY.name else (DAY_S, STEPS)
    begin_s = next(records(site, 1)).ts or 0.0
    trace = takewhile(lambda record: (record.ts or 0.0) < begin_s + _SAMPLES * sample_s, records(site, _SAMPLES))
    said = list(passages(trace, with_messages=True))
    means: dict[float, dict[str, float]] = {}
    errors: dict[float, float] = {}
    for step in steps:
        delay_s = DELAYS_S[step]
        link = PlannedLink(conditions, lambda kinds: 0.0, at_s=said[0].at_s)
        link.keep_frames = True
        for passage in said:
            link.say(passage.at_s, _spoken(passage), delay_s)
        link.advance(said[-1].at_s + DAY_S)
        samples: list[list[tuple[tuple[Kind, ...], int]]] = [[] for _ in range(_SAMPLES)]
        sent = encoded(map(_batch, link.frames), Agreement(CodecName.ADAPTIVE, _VERSION))
        for (at_s, _, kinds), frame in zip(link.frames, sent, strict=True):
            samples[min(int((at_s - begin_s) / sample_s), _SAMPLES - 1)].append((kinds, len(frame.frame)))
        means[delay_s] = {**_means(samples[0]), **_means(samples[1])}
        predicted = sum(means[delay_s][kind.name] for kinds, _ in samples[2] for kind in kinds)
        actual = sum(size for _, size in samples[2])
        errors[delay_s] = round(100 * (predicted - actual) / actual, 2)
    return Sizes(means, errors)


def _spoken(passage: Passage) -> _Spoken:
    kind = passage.kind
    assert passage.message is not None, "asked for"
    return _Spoken(kind.name, kind.direction, kind.waits, kind.urgent, kind.text_bytes, passage.message)


def _batch(frame: tuple[float, Direction, tuple[Kind, ...]]) -> Batch:
    at_s, direction, kinds = frame
    return Batch(at_s, direction, tuple(kind.message for kind in kinds if isinstance(kind, _Spoken)))


def _means(counted: Sequence[tuple[Sequence[Kind], int]]) -> dict[str, float]:
    """Bytes a message by kind, from the frames that have one kind; where a kind is never alone, what the others leave of its frames."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for kinds, size in counted:
        if len({kind.name for kind in kinds}) == 1:
            total = totals[kinds[0].name]
            total[0] += size
            total[1] += len(kinds)
    means = {name: size / count for name, (size, count) in totals.items()}
    for kinds, size in counted:
        strangers = [kind.name for kind in kinds if kind.name not in means]
        rest = size - sum(means.get(kind.name, 0.0) for kind in kinds)
        means.update(dict.fromkeys(strangers, max(1.0, rest / max(1, len(strangers)))))
    return {name: round(mean, 3) for name, mean in means.items()}


# --- a month


@dataclass(slots=True)
class Month:
    """What has come of it. Bytes are IP bytes of both directions, seconds of virtual time from the begin."""

    cost: ByteCount
    waited_s: list[float]
    steps: list[tuple[float, PlanName]]
    notes: list[tuple[float, Note]] = field(default_factory=list)
    used_by_day: list[int] = field(default_factory=list)
    """What had been used at each day's end, others' bytes included."""

    def share_of(self, step: PlanName, span_s: float) -> float:
        """Of the time that this step was in force."""
        ends = [*(at_s for at_s, _ in self.steps[1:]), span_s]
        return sum(end_s - at_s for (at_s, name), end_s in zip(self.steps, ends, strict=True) if name is step) / span_s

    @property
    def warnings(self) -> list[tuple[float, Note]]:
        """What the operator is told that he should do something about."""
        return [(at_s, note) for at_s, note in self.notes if note.level >= Level.WARNING]


def month(
    said: Iterable[Passage],
    sizes: Sizes,
    *,
    plan: PlanName,
    budget_bytes: int,
    conditions: Conditions,
    days: float,
    others_day_bytes: float = 0.0,
) -> Month:
    """Runs link, plan and ledger over these messages, which begin at the first one's time."""
    return _Run(sizes, plan, budget_bytes, conditions, others_day_bytes).run(said, days)


class _Run:
    def __init__(self, sizes: Sizes, plan: PlanName, budget_bytes: int, conditions: Conditions, others_day_bytes: float) -> None:
        self._sizes = sizes
        self._conditions = conditions
        self._others_day_bytes = others_day_bytes
        self._ledger = Ledger(LedgerSettings(budget_bytes, UTC))
        self._plan = Plan(PlanSettings(plan, budget_bytes), keepalive_s=conditions.keepalive_s, now=0.0)
        self._began = datetime(2026, 3, 1, tzinfo=UTC)
        self.done = Month(ByteCount(), [], [(0.0, self._plan.view(0.0).step)])

    def run(self, said: Iterable[Passage], days: float) -> Month:
        messages = iter(said)
        first = next(messages)
        begin_s = first.at_s
        end_s = begin_s + days * DAY_S
        self._delay_s = DELAYS_S[STEPS[0]]
        link = PlannedLink(self._conditions, lambda kinds: self._sizes.frame_bytes(kinds, self._delay_s), at_s=begin_s)
        tick_s = begin_s
        transactions = 0
        for passage in heapq.merge([first], messages, key=lambda passage: passage.at_s):
            if passage.at_s >= end_s:
                break
            while tick_s <= passage.at_s:
                link.advance(tick_s)
                self._tick(link, tick_s - begin_s)
                tick_s += TICK_S
            now = passage.at_s - begin_s
            if passage.steers:
                self._plan.smart_charging(_STATION, now)
            if passage.begins:
                transactions += passage.begins
                self._plan.charging(_STATION, transactions=transactions)
            delay_s = self._plan.delay_s(_STATION, now)
            assert delay_s is not None, "a plan that answers early"
            self._delay_s = delay_s
            link.say(passage.at_s, passage.kind, delay_s)
        link.advance(end_s)
        self._tick(link, end_s - begin_s)
        self.done.cost = link.cost
        self.done.waited_s = link.waited_s
        return self.done

    def _tick(self, link: PlannedLink, now: float) -> None:
        wall = self._began + timedelta(seconds=now)
        ours = int(link.cost.total)
        count = WireCount(
            sent_segments=0,
            received_segments=0,
            sent_data_segments=0,
            received_data_segments=0,
            sent_bytes=ours,
            received_bytes=0,
            retransmitted_segments=0,
            retransmitted_bytes=0,
            header_bytes=self._conditions.segment_bytes,
        )
        self._ledger.step(LinkCounted(1, count), now, wall)
        if self._others_day_bytes:
            self._ledger.step(InterfaceCounted("boot", int(self._others_day_bytes * now / DAY_S), ours), now, wall)
        self._plan.spent(self._ledger.take_spent(), now)
        notes = [*self._ledger.tick(now, wall), *self._plan.tick(now, self._ledger.month())]
        self.done.notes += [(now, note) for note in notes]
        if now > 0 and now % DAY_S == 0 and len(self.done.used_by_day) < now / DAY_S:
            self.done.used_by_day.append(round(ours + self._others_day_bytes * now / DAY_S))
        step = self._plan.view(now).step
        if step is not self.done.steps[-1][1]:
            self.done.steps.append((now, step))
