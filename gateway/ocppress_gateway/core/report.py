"""What an edge tells of itself once a day, and after an operator at the cloud has changed its plan: one CBOR array (RFC 8949, shortest form), at most
139 bytes.

    91               array of 17
       03               version of this format
       19 0922          day of the ledger, from 1 January 2020: here 27 May 2026
       1a 0001c138      ours that day, IP bytes
       f6               others that day, IP bytes; here null: the SIM's interface isn't known
       1a 002625a0      the billing month so far, bytes
       19 61a8          its budget, in units of 1,000 bytes
       19 17ce          the month at this pace, likewise; null while there is no pace
       05               plan: 0 transparent, 1 live, 2 2min, 3 5min, 4 saver, 5 auto
       02               its present step, likewise
       00               messages in the outbox
       22               the edge's clock less the CSMS's, in seconds; null if unknown
       01               disk: 0 unknown, 1 good, 2 worn, 3 failing
       65 302e332e31    version of the program
       87 …             ours that day by layer, in the order of `Layer`, both directions, in units of 100 bytes
       84 19 0213 07 …  the actions with the most payload: the number of the name among the codec's words (null: another), and its units of 100 bytes
       19 04ec          what that day would have been without the gateway, plain, in units of 1,000 bytes; null if it wasn't reckoned
       18 e0            the same with permessage-deflate

A figure that is too large is told as the largest there is. Version 2, which the cloud may still have of former days, ends after the program's.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Annotated, Final

import cbor2
import msgspec

from ocppress_codecs.names import names
from ocppress_gateway.core.ledger_day import Layer
from ocppress_gateway.core.plan import PlanName

__all__ = ["ACTIONS_TOLD_MAX", "REPORT_BYTES_MAX", "UNIT_BYTES", "DiskHealth", "Report", "read_report", "report_fields", "write_report"]

REPORT_BYTES_MAX: Final = 139
"""All fields at their longest, which is what a daily report may cost at most; a usual one has 64."""

REPORT_VERSION: Final = 3

ACTIONS_TOLD_MAX: Final = 4
"""Actions that are told, the largest first: most stations say no more than these each day."""

UNIT_BYTES: Final = 100
"""Of layers and actions: a day has some thousand bytes, and a chart a few hundred pixels."""

_FORMER_VERSION: Final = 2

_FIRST_DAY: Final = date(2020, 1, 1)
_PLANS: Final = tuple(PlanName)
_LAYERS: Final = tuple(Layer)
_U16_MAX: Final = 2**16 - 1
_U32_MAX: Final = 2**32 - 1
_VERSION_CHARACTERS_MAX: Final = 16


class DiskHealth(enum.IntEnum):
    """Of the disk that the outbox is on."""

    UNKNOWN = 0
    GOOD = 1
    WORN = 2
    """Eight tenths of its life or more are used, by its own account."""
    FAILING = 3
    """Writing has failed, or is too slow to answer early."""


@dataclass(frozen=True, slots=True)
class Report:
    """One day of an edge. Bytes are IP bytes of both directions; None for what isn't known."""

    day: date
    ours_bytes: int
    others_bytes: int | None
    month_bytes: int
    """The billing month so far."""
    budget_kb: int
    """Units of 1,000 bytes, like the next."""
    projection_kb: int | None
    plan: PlanName
    step: PlanName
    outbox_messages: int
    clock_offset_s: int | None
    disk: DiskHealth
    version: str
    layers: Mapping[Layer, int] = field(default_factory=dict)
    """Ours, as counted, by layer, in whole hundreds; nothing where the edge hasn't told."""
    actions: Mapping[str, int] = field(default_factory=dict)
    """Payload of the largest actions, likewise; "" for what has no name of OCPP's."""
    plain_kb: int | None = None
    """What the day would have been without the gateway; units of 1,000 bytes, like the next."""
    deflate_kb: int | None = None
    """With permessage-deflate."""

    @property
    def month_percent(self) -> int:
        """Of the budget."""
        return self.month_bytes // (10 * max(self.budget_kb, 1))


U16 = Annotated[int, msgspec.Meta(ge=0, le=_U16_MAX)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=_U32_MAX)]
PlanNumber = Annotated[int, msgspec.Meta(ge=0, lt=len(_PLANS))]


class _Former(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    format: int
    day: U16
    ours_bytes: U32
    others_bytes: U32 | None
    month_bytes: U32
    budget_kb: U32
    projection_kb: U32 | None
    plan: PlanNumber
    step: PlanNumber
    outbox_messages: U32
    clock_offset_s: Annotated[int, msgspec.Meta(ge=-_U32_MAX - 1, le=_U32_MAX)] | None
    disk: DiskHealth
    version: Annotated[str, msgspec.Meta(pattern=rf"^[ -~]{{1,{_VERSION_CHARACTERS_MAX}}}\Z")]


class _Wire(_Former, array_like=True, forbid_unknown_fields=True, frozen=True):
    layers: Annotated[list[U32], msgspec.Meta(max_length=len(_LAYERS))]
    actions: Annotated[list[U32 | None], msgspec.Meta(max_length=2 * ACTIONS_TOLD_MAX)]
    plain_kb: U32 | None
    deflate_kb: U32 | None


def write_report(report: Report) -> bytes:
    """The report's bytes; what doesn't fit is cut to what does."""
    offset_s = report.clock_offset_s
    wire = _Wire(
        format=REPORT_VERSION,
        day=min(max((report.day - _FIRST_DAY).days, 0), _U16_MAX),
        ours_bytes=min(report.ours_bytes, _U32_MAX),
        others_bytes=None if report.others_bytes is None else min(report.others_bytes, _U32_MAX),
        month_bytes=min(report.month_bytes, _U32_MAX),
        budget_kb=min(report.budget_kb, _U32_MAX),
        projection_kb=None if report.projection_kb is None else min(report.projection_kb, _U32_MAX),
        plan=_PLANS.index(report.plan),
        step=_PLANS.index(report.step),
        outbox_messages=min(report.outbox_messages, _U32_MAX),
        clock_offset_s=None if offset_s is None else min(max(offset_s, -_U32_MAX - 1), _U32_MAX),
        disk=report.disk,
        version=report.version[:_VERSION_CHARACTERS_MAX],
        layers=[_units(report.layers.get(layer, 0)) for layer in _LAYERS] if report.layers else [],
        actions=_written_actions(report.actions),
        plain_kb=None if report.plain_kb is None else min(report.plain_kb, _U32_MAX),
        deflate_kb=None if report.deflate_kb is None else min(report.deflate_kb, _U32_MAX),
    )
    data = cbor2.dumps(msgspec.to_builtins(wire))
    assert len(data) <= REPORT_BYTES_MAX, "every field is bounded"
    return data


def report_fields(report: Report) -> dict[str, str | int | None]:
    """For log lines and status."""
    return {
        "day": report.day.isoformat(),
        "ours_bytes": report.ours_bytes,
        "others_bytes": report.others_bytes,
        "month_bytes": report.month_bytes,
        "budget_kb": report.budget_kb,
        "projection_kb": report.projection_kb,
        "month_percent": report.month_percent,
        "plan": report.plan.value,
        "step": report.step.value,
        "outbox_messages": report.outbox_messages,
        "clock_offset_s": report.clock_offset_s,
        "disk": report.disk.name.lower(),
        "version": report.version,
        "plain_kb": report.plain_kb,
        "deflate_kb": report.deflate_kb,
    }


def read_report(data: bytes) -> Report:
    """The report in `data`, which comes from the far end. Raises `ValueError` for what `write_report` can't have written."""
    if len(data) > REPORT_BYTES_MAX:
        raise ValueError(f"a report of {len(data)} bytes")
    try:
        found = cbor2.loads(data, max_depth=3)
        wire = msgspec.convert(found, _Former if isinstance(found, list) and found[:1] == [_FORMER_VERSION] else _Wire)
    except (cbor2.CBORError, RecursionError) as error:
        raise ValueError(f"a report that is no CBOR: {error}") from error
    if cbor2.dumps(msgspec.to_builtins(wire)) != data:
        raise ValueError("a report that isn't the shortest CBOR")
    report = Report(
        day=_FIRST_DAY + timedelta(days=wire.day),
        ours_bytes=wire.ours_bytes,
        others_bytes=wire.others_bytes,
        month_bytes=wire.month_bytes,
        budget_kb=wire.budget_kb,
        projection_kb=wire.projection_kb,
        plan=_PLANS[wire.plan],
        step=_PLANS[wire.step],
        outbox_messages=wire.outbox_messages,
        clock_offset_s=wire.clock_offset_s,
        disk=wire.disk,
        version=wire.version,
    )
    if not isinstance(wire, _Wire):
        return report
    if wire.format != REPORT_VERSION:
        raise ValueError(f"a report of version {wire.format}")
    if len(wire.layers) not in (0, len(_LAYERS)):
        raise ValueError(f"a report of {len(wire.layers)} layers")
    return replace(
        report,
        layers={layer: units * UNIT_BYTES for layer, units in zip(_LAYERS, wire.layers, strict=False)},
        actions=_read_actions(wire.actions),
        plain_kb=wire.plain_kb,
        deflate_kb=wire.deflate_kb,
    )


def _units(count: int) -> int:
    return min((count + UNIT_BYTES // 2) // UNIT_BYTES, _U32_MAX)


def _written_actions(actions: Mapping[str, int]) -> list[int | None]:
    """The largest, those without a number together."""
    numbers = names().word_numbers
    counts: dict[int | None, int] = {}
    for name, count in actions.items():
        number = numbers.get(name)
        counts[number] = counts.get(number, 0) + count
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0] is None, item[0] or 0))
    return [value for number, count in largest[:ACTIONS_TOLD_MAX] if _units(count) for value in (number, _units(count))]


def _read_actions(written: Sequence[int | None]) -> dict[str, int]:
    words = names().words
    actions: dict[str, int] = {}
    for number, units in zip(written[::2], written[1::2], strict=True):
        if units is None or (number is not None and number >= len(words)):
            raise ValueError(f"an action that isn't there: {number}, {units}")
        name = "" if number is None else words[number]
        if name in actions:
            raise ValueError("an action that stands there twice")
        actions[name] = units * UNIT_BYTES
    return actions
