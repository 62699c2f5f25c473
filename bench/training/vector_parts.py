"""Pieces of the codec `adaptive` for those who build it: values of functions, messages and a state taken apart, frames decision by decision."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any, Final

from librt.vecs import vec
from mypy_extensions import i64

from bench.training.sessions import Session, for_all
from ocppress_codecs.adaptive.coder import WORK_MAX, BitReader, BitWriter, Coder
from ocppress_codecs.adaptive.contexts import (
    GRAMMAR_BASE,
    GRAMMAR_SIZE,
    OWN_BASE,
    OWN_SIZE,
    SHARED_SIZE,
    TABLE_SIZE,
    UNKNOWN,
    mixed,
    text_hash,
)
from ocppress_codecs.adaptive.fields import cost_of
from ocppress_codecs.adaptive.frames import Direction as Side
from ocppress_codecs.adaptive.history import History
from ocppress_codecs.adaptive.logistic import STRETCHED, squash
from ocppress_codecs.adaptive.message import code_message
from ocppress_codecs.adaptive.model import frame_context
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma, code_residual
from ocppress_codecs.adaptive.plans import plan_of
from ocppress_codecs.adaptive.prior import shipped
from ocppress_codecs.adaptive.skeletons import lexemes, split
from ocppress_codecs.adaptive.table import RATES, Table
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import covered, numbered
from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX, CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_codecs.rpc import parse
from ocppress_codecs.scalars import Number, Scalar, Time
from ocppress_gateway.workloads.traces import Direction

__all__ = ["parts", "trace"]

_BODIES: Final = (
    '[2,"","Heartbeat",{}]',
    '[3,"",{"currentTime":"2026-03-02T08:00:31.250Z"}]',
    '[3,"",{"idTagInfo":{"status":"Accepted","expiryDate":"2026-03-02T08:00:31+01:00","parentIdTag":"0042"}}]',
    '[4,"","NotSupported","no \\"such\\" action",{"code":1.50}]',
    '[2,"","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"2026-03-02T08:00:00.000Z"}]',
    '[2,"","StatusNotification",{"connectorId":12,"errorCode":"NoError","info":"","status":"Charging","vendorErrorCode":"Vendor.Own"}]',
    (
        '[2,"","MeterValues",{"connectorId":1,"transactionId":7,"meterValue":[{"timestamp":"2026-03-02T08:00:00Z","sampledValue":['
        '{"value":"1000","context":"Sample.Periodic","unit":"kWh"},{"value":"230.1","measurand":"Voltage","phase":"L1-N","unit":"V"},'
        '{"value":"7.2","measurand":"Power.Active.Import","unit":"kW"},{"value":"16","measurand":"Current.Import","phase":"L2"},'
        '{"value":"0.98","measurand":"Power.Factor"},{"value":"55","measurand":"SoC","location":"EV","unit":"Percent"}]},'
        '{"timestamp":"2026-03-02T08:01:00Z","sampledValue":[{"value":"230.2","measurand":"Voltage","phase":"L1-N","unit":"V"}]}]}]'
    ),
    (
        '[2,"","TransactionEvent",{"eventType":"Updated","timestamp":"2026-03-02T08:00:00Z","seqNo":100,"evse":{"id":2,"connectorId":1},"meterValue":['
        '{"timestamp":"2026-03-02T08:00:00Z","sampledValue":[{"value":11.25,"measurand":"Power.Active.Import",'
        '"unitOfMeasure":{"unit":"kW","multiplier":0}}]}]}]'
    ),
    (
        '[2,"","DataTransfer",{"vendorId":"x","numbers":[-0,2e+01,1.00,281474976710655,281474976710656,-0.50],"strings":["12","12.5",'
        '"2026-02-30T08:00:00Z","2026-03-02T08:00:00.12345678Z"],"value":["12",{"value":"0"}],"mixed":[true,false,null,{},[],[[]]]}]'
    ),
)


def parts() -> dict[str, Any]:
    """The content of `adaptive-parts.json`."""
    contexts = (0, 1, 0x12345678, 0xFFFFFFFF)
    return {
        "codec": CodecName.ADAPTIVE.value,
        "fingerprint": fingerprint(CodecName.ADAPTIVE).hex(),
        "mix": [[context, value, mixed(context, value)] for context in contexts for value in contexts],
        "hash": {text: f"{text_hash(text):08x}" for text in ("", "123456789", '"Heartbeat"', '"value"', "é", '2"Heartbeat",{}')},
        "rates": list(RATES),
        "cost": {
            "0 to 255": [cost_of(error) for error in range(256)],
            "others": [[error, cost_of(error)] for error in (-1, -255, 256, 511, 512, 65_535, 65_536, -(1 << 40))],
        },
        "squash": [[x, squash(x)] for x in (-3000, -2047, -1000, -129, -128, -127, -1, 0, 1, 64, 500, 2047, 3000)],
        "stretch": list(STRETCHED),
        "decisions": list(_decisions()),
        "numerals": list(_numerals()),
        "skeletons": [_taken_apart(body) for body in _BODIES],
        "remembered text": _remembered(),
        "prior": _prior(),
        "saved": _saved(),
    }


def _fresh() -> Table:
    """A table of even odds."""
    return Table(vec[i64]([UNKNOWN] * TABLE_SIZE))


def _decisions() -> Iterator[dict[str, Any]]:
    """Sequences of decisions with given probabilities of a 1, or raw bits, and what a writer makes of them."""
    some = [(32768, 1), (65504, 1), (32, 0), (40000, 0), (32, 1), (32767, 0), (12345, 1)]
    for decisions in ([], [(65504, 1)] * 1000, [(65504, 0)], some, some * 20, [(65504, 1)] * 600 + [(65504, 0)], [(32768, 0)] * 24):
        writer = BitWriter(_fresh())
        for probability, bit in decisions:
            writer.code(probability, bit)
        yield {"decisions": [[probability, bit, len(list(group))] for (probability, bit), group in itertools.groupby(decisions)]} | {
            "frame": writer.finish().hex()
        }
    for count, value in ((8, 0), (16, 0xABCD), (12, 0xFFF), (62, 0x123456789ABCDEF), (48, (1 << 48) - 1), (62, 0)):
        writer = BitWriter(_fresh())
        writer.raw(count, value)
        yield {"raw": [count, value], "frame": writer.finish().hex()}


def _numerals() -> Iterator[dict[str, Any]]:
    """Numerals, one after the other in one table that begins at even odds."""
    table = _fresh()
    writer = BitWriter(table)
    steps: list[list[Any]] = []
    for value in (0, 1, 5, 6, 7, 200, 1 << 40, 0, 0, 0):
        code_gamma(writer, 1000, value)
        steps.append(["gamma", 1000, value])
        code_choice(writer, 2000, 3, value % 8)
        steps.append(["choice", 2000, 3, value % 8])
    for expected, lean, value in (
        (0, 4, 0),
        (1, 2, -1),
        (1, 2, 1),
        (3, 4, 0),
        (3, 4, -7),
        (3, 4, 1000),
        (24, 4, -(1 << 61)),
        (9, 4, 3),
        (0, 7, 3),
    ):
        code_residual(writer, 3000, 4000, expected, lean, value)
        steps.append(["residual", 3000, 4000, expected, lean, value])
    yield {"steps": steps, "frame": writer.finish().hex(), "table": _digest(b"".join(state.to_bytes(3, "big") for state in table.states()))}


def _taken_apart(text: str) -> dict[str, Any]:
    message = parse(text)[1]
    skeleton, values = split(message.type.value, message.body)
    plan = plan_of(skeleton)
    holes = [
        {
            "name": f"{hole.name:08x}",
            "field": f"{hole.field:08x}",
            "measure": f"{hole.measure:08x}",
            "role": hole.role,
            "phase": hole.phase,
            "group": hole.group,
            "kilo": hole.kilo,
        }
        for hole in plan.holes
    ]
    return {
        "type": message.type.value,
        "body": message.body,
        "skeleton": skeleton,
        "context": f"{text_hash(skeleton):08x}",
        "tokens": lexemes(skeleton),
        "values": [_value(value) for value in values],
        "holes": holes,
        "order": plan.order,
    }


def _value(value: Scalar) -> list[Any]:
    if isinstance(value, Number):
        return ["number", value.quoted, value.scale, value.mantissa]
    if isinstance(value, Time):
        return ["timestamp", value.digits, value.ending, value.value]
    return ["text", value.token]


def _remembered() -> dict[str, Any]:
    """What is remembered of texts, the last of which makes it too long, and where `find` stood last."""
    history = History()
    texts = [f"{place}: {'confirmation configuration '[: 5 + place % 22]}" for place in range(900)]
    for text in texts:
        history.add(text.encode())
    found = {four: history.own.find(four.encode()) for four in ("conf", "899:", "888:", " con", "onfi", "none", "12: ")}
    return {"texts": len(texts), "first": texts[0], "last": texts[-1], "bytes": len(history.own.text)} | {
        "hash": _digest(history.own.text),
        "find": found,
    }


def _prior() -> dict[str, Any]:
    known = shipped()
    return {
        "hash": known.fingerprint.hex(),
        "words": len(known.words),
        "first words": known.words[:8],
        "text": len(known.known.text),
        "lists of successors": len(known.following),
    }


def _saved() -> dict[str, Any]:
    """The parts of the saved state of what goes up in the session "worked example", after all of it."""
    side = _sides(_worked_example())[Direction.UP]
    data = side.saved()
    model_bytes = int.from_bytes(data[17:21], "big")
    at = 21

    def part(size: int) -> bytes:
        nonlocal at
        at += size
        return data[at - size : at]

    return {
        "state": data[-16:].hex(),
        "bytes": len(data),
        "probabilities": _digest(part(18_432 * 2)),
        "counts": _digest(part(18_432 * 6 // 8)),
        "weights": _digest(part(144 * 4)),
        "successors of shapes": _digest(part(128 * 8)),
        "successors of words": _digest(part(256 * 8)),
        "numbers": part(7 * 8).hex(),
        "fields": part(21 + model_bytes - at).hex(),
        "text": part(4 + int.from_bytes(data[at : at + 4], "big")).hex(),
        "rest": data[at:-16].hex(),
    }


def _digest(data: bytes) -> str:
    return hashlib.blake2s(data, digest_size=16).hexdigest()


def _worked_example() -> Session:
    return next(session for session in for_all() if session.name == "worked example")


def _sides(session: Session, traced: list[dict[str, Any]] | None = None) -> dict[Direction, Side]:
    """Both directions after a session; `traced` gets what was decided in each frame."""
    logs = {direction: CallLog() for direction in Direction}
    sides = {direction: Side(shipped(), logs[direction], logs[direction.opposite]) for direction in Direction}
    for place, step in enumerate(session.steps):
        side = sides[step.direction]
        batch = numbered(step.messages, side.progress)
        frame, notes, progress = side.write(batch, covered(batch), False)
        if traced is not None:
            side.model.undo()
            traced.append({"session": session.name, "place": place, "frame": frame.hex(), "decisions": _decided(side, frame)})
        side.advance(batch, notes, progress)
    return sides


def _decided(side: Side, frame: bytes) -> list[list[Any]]:
    """What is decided in a frame with one message; the model has learned from it."""
    model = side.model
    tracer, decisions = _tracer(model.table, frame[:-2])
    code_message(tracer, model, None, False, side.progress, side.answered, FRAME_TEXT_BYTES_MAX)
    context = frame_context(model.lengths, 1)
    tracer.pair(mixed(context, model.subject), mixed(context, 120), 0)
    model.lengths = (model.lengths & 0xFFFF) << 16 | 1
    return decisions


def _tracer(table: Table, data: bytes) -> tuple[Coder, list[list[Any]]]:
    """A reader that writes down what it decides. Its class is made here, as a compiled one has no subclasses, and whoever imports this needn't trace."""

    reader = BitReader(table, data)
    decisions: list[list[Any]] = []

    class Tracer(Coder):
        """Asks `reader`, and appends to `decisions`."""

        _how: tuple[Any, ...] = ("character",)

        def bit(self, context: int, bit: int) -> int:
            self._how = ("bit", context % SHARED_SIZE)
            return super().bit(context, bit)

        def pair(self, own: int, shared: int, bit: int) -> int:
            self._how = ("pair", OWN_BASE + own % OWN_SIZE, shared % SHARED_SIZE)
            return super().pair(own, shared, bit)

        def grammar(self, own: int, shared: int, bit: int) -> int:
            self._how = ("pair", GRAMMAR_BASE + own % GRAMMAR_SIZE, shared % SHARED_SIZE)
            return super().grammar(own, shared, bit)

        def code(self, probability: int, bit: int) -> int:
            bit = reader.code(probability, bit)
            how, *places = self._how
            self._how = ("character",)
            decisions.append([how, probability, bit, *places])
            return bit

        def raw(self, count: int, value: int) -> int:
            value = super().raw(count, value)
            decisions.append(["raw", count, value])
            return value

        def uniform(self, count: int, value: int) -> int:
            return reader.uniform(count, value)

    return Tracer(table, writing=False, work_max=WORK_MAX), decisions


def trace() -> dict[str, Any]:
    """The content of `adaptive-trace.json`."""
    traced: list[dict[str, Any]] = []
    _sides(_worked_example(), traced)
    return {"codec": CodecName.ADAPTIVE.value, "fingerprint": fingerprint(CodecName.ADAPTIVE).hex(), "frames": traced}
