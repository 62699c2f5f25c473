"""Unchanged meter values outside a transaction, which a station may discard (2.x J01; rule R9): opt-in, never anything of a transaction.

A MeterValues is dropped if the CSMS has had one of the same connector or EVSE with the same set of values, each of which lies within its measurand's
band of what was *sent* last, and that is no longer ago than the longest silence. Whatever isn't understood to the last member goes: signed values,
values that somebody asked for, customData, text that is no number.

A MeterValues doesn't always say that there is a transaction: 2.x has no member for it, and in 1.6 it is optional. So nothing at all is dropped of a
station while one of its transactions is known to run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

import msgspec

from ocppress_codecs.rpc import Message, payload_text

__all__ = ["Suppression", "SuppressionSettings"]

CONNECTORS_REMEMBERED_MAX: Final = 64
"""Connectors or EVSEs of one station, the one sent longest ago forgotten first."""


@dataclass(frozen=True, slots=True)
class SuppressionSettings:
    """What counts as unchanged. `bands`: by measurand, in the unit that the station uses; without one a value has to be equal."""

    silence_s: float
    """How long nothing at all may be heard of a connector."""
    bands: Mapping[str, float] = field(default_factory=dict)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What has a member that isn't named here is not understood."""


class _Unit(_Strict, frozen=True):
    unit: str = "Wh"
    multiplier: int = 0


class _Sample(_Strict, frozen=True):
    value: Decimal
    context: Literal["Sample.Periodic", "Sample.Clock"] = "Sample.Periodic"
    measurand: str = "Energy.Active.Import.Register"
    phase: str | None = None
    location: str = "Outlet"
    unit: str | None = None
    """1.6"""
    format: Literal["Raw"] = "Raw"
    """1.6"""
    unit_of_measure: _Unit | None = None
    """2.x"""


class _MeterValue(_Strict, frozen=True):
    timestamp: str
    sampled_value: list[_Sample]


class _MeterValues(_Strict, frozen=True):
    meter_value: list[_MeterValue]
    connector_id: int | None = None
    """1.6"""
    evse_id: int | None = None
    """2.x"""


_Key = tuple[object, ...]
_Values = dict[_Key, Decimal]


class Suppression:
    """What was sent last of one station's connectors. `now` in seconds of the machine's clock."""

    def __init__(self, settings: SuppressionSettings) -> None:
        self._settings = settings
        self._sent: OrderedDict[tuple[int | None, int | None], tuple[_Values, float]] = OrderedDict()

    def is_unchanged(self, message: Message, now: float) -> bool:
        """Whether a MeterValues without a transaction may be dropped; if not, it counts as sent."""
        try:
            request = msgspec.json.decode(payload_text(message), type=_MeterValues)
        except (ValueError, RecursionError):
            self.forget()
            return False
        connector = request.connector_id, request.evse_id
        rows = [_by_key(meter_value.sampled_value) for meter_value in request.meter_value]
        if not rows or None in rows:
            self.forget()
            return False
        known = self._sent.get(connector)
        if known is not None and now - known[1] < self._settings.silence_s and all(self._is_near(row, known[0]) for row in rows if row):
            return True
        last = rows[-1]
        assert last is not None, "rows that aren't understood end it above"
        self._sent[connector] = last, now
        self._sent.move_to_end(connector)
        if len(self._sent) > CONNECTORS_REMEMBERED_MAX:
            self._sent.popitem(last=False)
        return False

    def forget(self) -> None:
        """The CSMS has heard something else of the station's meters: the next values go."""
        self._sent.clear()

    def _is_near(self, values: _Values, sent: _Values) -> bool:
        return values.keys() == sent.keys() and all(self._within(key, value, sent[key]) for key, value in values.items())

    def _within(self, key: _Key, value: Decimal, sent: Decimal) -> bool:
        band = self._settings.bands.get(str(key[0]))
        # As floats, which are never too large to compare; a band is no matter of the last digit.
        return value == sent if band is None else abs(float(value) - float(sent)) <= band


def _by_key(samples: list[_Sample]) -> _Values | None:
    """Values by all that tells them apart; None if two are told apart by nothing, if there is none, or if one is no number."""
    values: _Values = {}
    for sample in samples:
        key = sample.measurand, sample.phase, sample.location, sample.context, sample.unit, sample.unit_of_measure
        if key in values or not sample.value.is_finite():
            return None
        values[key] = sample.value
    return values or None
