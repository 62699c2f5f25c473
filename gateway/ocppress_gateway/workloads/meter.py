"""Meters whose values move as real ones do, in integers: millivolts, milliamperes, milliwatts, watt-milliseconds.

Voltage drifts slowly and has noise in its last digits, current holds its set point and tapers towards the end, power is the
product of the two as they are shown, and the energy register only grows, from session to session.
"""

from __future__ import annotations

import abc
from random import Random
from typing import Final

__all__ = ["AcMeter", "DcMeter", "Meter", "sampled_value"]

_WMS_PER_WH: Final = 3_600_000


def sampled_value(measurand: str, value: str, unit: str, *, phase: str = "", context: str = "Sample.Periodic") -> str:
    """One SampledValueType of OCPP 2.0.1 as JSON text; `value` is the number's spelling."""
    on_phase = f'"phase":"{phase}",' if phase else ""
    return f'{{"value":{value},"context":"{context}","measurand":"{measurand}",{on_phase}"unitOfMeasure":{{"unit":"{unit}"}}}}'


def spelled(milli: int, decimals: int) -> str:
    """Thousandths of a unit, not negative, rounded to one to three decimals and written with all of them, as meters do: 230040, 1 → 230.0"""
    whole, fraction = divmod(shown(milli, decimals), 1000)
    return f"{whole}.{fraction // 10 ** (3 - decimals):0{decimals}d}"


def shown(milli: int, decimals: int) -> int:
    """Thousandths of a unit as they are shown with so many decimals: rounded, half a step up."""
    step: int = 10 ** (3 - decimals)
    return (milli + step // 2) // step * step


class Meter(abc.ABC):
    """The meter of one connector."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._register_wms = random.randrange(100_000, 9_000_000) * _WMS_PER_WH

    @property
    def register_wh(self) -> int:
        """The energy register in whole Wh."""
        return self._register_wms // _WMS_PER_WH

    @abc.abstractmethod
    def begin(self) -> None:
        """Another vehicle starts to charge."""

    @abc.abstractmethod
    def read(self, elapsed_ms: int, done_ppm: int) -> list[str]:
        """The sampled values, `elapsed_ms` after the last reading, when `done_ppm` millionths of the session have passed."""

    def _add_energy(self, power_mw: int, elapsed_ms: int) -> None:
        self._register_wms += power_mw * elapsed_ms // 1000


class AcMeter(Meter):
    """One or three phases of 230 V; a vehicle's current per phase falls to `low_ma` from `taper_from_percent` of the session on.

    A vehicle takes `full_ma` or up to a quarter less.
    """

    VOLTAGE_NOISE_MV: Final = 350
    CURRENT_NOISE_MA: Final = 60

    def __init__(self, random: Random, *, phases: int, full_ma: int, low_ma: int, taper_from_percent: int) -> None:
        super().__init__(random)
        self._drift_mv = [random.randint(-3_000, 3_000) for _ in range(phases)]
        self._full_ma = full_ma
        self._low_ma = low_ma
        self._taper_from_percent = taper_from_percent
        self._vehicle_ma = full_ma

    def begin(self) -> None:
        self._vehicle_ma = self._full_ma - self._random.randrange(self._full_ma // 4)

    def read(self, elapsed_ms: int, done_ppm: int) -> list[str]:
        random = self._random
        taper_from_ppm = self._taper_from_percent * 10_000
        past_ppm = max(0, done_ppm - taper_from_ppm)
        set_point_ma = self._vehicle_ma - (self._vehicle_ma - self._low_ma) * past_ppm // (1_000_000 - taper_from_ppm)
        voltages_mv, currents_ma = [], []
        for phase, drift_mv in enumerate(self._drift_mv):
            self._drift_mv[phase] = max(-4_000, min(4_000, drift_mv + random.randint(-120, 120)))
            voltages_mv.append(shown(230_000 + self._drift_mv[phase] + random.randint(-self.VOLTAGE_NOISE_MV, self.VOLTAGE_NOISE_MV), 1))
            currents_ma.append(shown(set_point_ma + random.randint(-self.CURRENT_NOISE_MA, self.CURRENT_NOISE_MA), 2))
        power_mw = sum(voltage * current for voltage, current in zip(voltages_mv, currents_ma, strict=True)) // 1000
        self._add_energy(power_mw, elapsed_ms)
        return [
            *(sampled_value("Voltage", spelled(mv, 1), "V", phase=f"L{phase}-N") for phase, mv in enumerate(voltages_mv, start=1)),
            *(sampled_value("Current.Import", spelled(ma, 2), "A", phase=f"L{phase}") for phase, ma in enumerate(currents_ma, start=1)),
            sampled_value("Power.Active.Import", str((power_mw + 500) // 1000), "W"),
            sampled_value("Energy.Active.Import.Register", str(self.register_wh), "Wh"),
        ]


class DcMeter(Meter):
    """A fast charger: constant current until the battery is half full, then less and less; voltage rises with the state of charge."""

    BATTERY_WMS: Final = 60_000 * _WMS_PER_WH
    VOLTAGE_NOISE_MV: Final = 300
    CURRENT_NOISE_MA: Final = 600

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._charge_wms = 0

    def begin(self) -> None:
        self._charge_wms = self.BATTERY_WMS * self._random.randint(250, 500) // 1000

    def read(self, elapsed_ms: int, done_ppm: int) -> list[str]:
        random = self._random
        charged_permille = min(1000, self._charge_wms * 1000 // self.BATTERY_WMS)
        set_point_ma = 125_000 - 190 * max(0, charged_permille - 500)
        voltage_mv = shown(365_000 + 45 * charged_permille + random.randint(-self.VOLTAGE_NOISE_MV, self.VOLTAGE_NOISE_MV), 1)
        current_ma = shown(set_point_ma + random.randint(-self.CURRENT_NOISE_MA, self.CURRENT_NOISE_MA), 1)
        power_mw = voltage_mv * current_ma // 1000
        self._add_energy(power_mw, elapsed_ms)
        self._charge_wms += power_mw * elapsed_ms // 1000
        return [
            sampled_value("Voltage", spelled(voltage_mv, 1), "V"),
            sampled_value("Current.Import", spelled(current_ma, 1), "A"),
            sampled_value("Power.Active.Import", str((power_mw + 500) // 1000), "W"),
            sampled_value("Energy.Active.Import.Register", str(self.register_wh), "Wh"),
            sampled_value("SoC", str(min(100, self._charge_wms * 100 // self.BATTERY_WMS)), "Percent"),
        ]
