"""What an edge tells of itself once a day, and after an operator at the cloud has changed its plan: one CBOR array (RFC 8949, shortest form), at most
60 bytes.

    8d                  array of 13
       02               version of this format
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

A figure that is too large is told as the largest there is.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final

import cbor2
import msgspec

from ocppress_gateway.core.plan import PlanName

__all__ = ["REPORT_BYTES_MAX", "DiskHealth", "Report", "read_report", "report_fields", "write_report"]

REPORT_BYTES_MAX: Final = 60
"""All fields at their longest, which is what a daily report may cost at most; a usual one has 33."""

REPORT_VERSION: Final = 2

_FIRST_DAY: Final = date(2020, 1, 1)
_PLANS: Final = tuple(PlanName)
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

    @property
    def month_percent(self) -> int:
        """Of the budget."""
        return self.month_bytes // (10 * max(self.budget_kb, 1))


U16 = Annotated[int, msgspec.Meta(ge=0, le=_U16_MAX)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=_U32_MAX)]
PlanNumber = Annotated[int, msgspec.Meta(ge=0, lt=len(_PLANS))]


class _Wire(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    format: Annotated[int, msgspec.Meta(ge=REPORT_VERSION, le=REPORT_VERSION)]
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
    }


def read_report(data: bytes) -> Report:
    """The report in `data`, which comes from the far end. Raises `ValueError` for what `write_report` can't have written."""
    if len(data) > REPORT_BYTES_MAX:
        raise ValueError(f"a report of {len(data)} bytes")
    try:
        wire = msgspec.convert(cbor2.loads(data, max_depth=2), _Wire)
    except (cbor2.CBORError, RecursionError) as error:
        raise ValueError(f"a report that is no CBOR: {error}") from error
    if cbor2.dumps(msgspec.to_builtins(wire)) != data:
        raise ValueError("a report that isn't the shortest CBOR")
    return Report(
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
