"""A site in words, as `ocppress estimate` takes it, and the traffic of one of its stations.

    # site.toml
    stations = 10
    connectors = 1
    sessions_a_day = 3        # of each connector
    session_min = 60
    interval_s = 60
    measurands = ["V", "A", "W", "Wh", "SoC"]
    ocpp = "2.0.1"

All members may be missing. The messages are those of `generator`: an ordinary 2.0.1 station, whose values move as a real meter's.
"""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.workloads.generator import Workload
from ocppress_gateway.workloads.meter import AcMeter, DcMeter, Meter, sampled_value

__all__ = ["MEASURANDS", "Site", "read_site", "workload_of"]

SITE_BYTES_MAX: Final = 64 * 1024
"""Of a file that describes a site: some lines of text."""

MEASURANDS: Final = {
    "V": "Voltage",
    "A": "Current.Import",
    "W": "Power.Active.Import",
    "Wh": "Energy.Active.Import.Register",
    "SoC": "SoC",
}
"""What a reading may hold, by its unit."""

DAY_MIN: Final = 1440

Measurand = Literal["V", "A", "W", "Wh", "SoC"]


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stations of one kind behind one SIM each, or behind one edge. Raises `ValueError` for sessions that don't fit into a day."""

    stations: Annotated[int, Meta(ge=1, le=10_000)] = 1
    connectors: Annotated[int, Meta(ge=1, le=16)] = 1
    sessions_a_day: Annotated[int, Meta(ge=1, le=200)] = 2
    session_min: Annotated[float, Meta(ge=1, le=DAY_MIN)] = 180
    interval_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    measurands: Annotated[tuple[Measurand, ...], Meta(min_length=1, max_length=5)] = ("V", "A", "W", "Wh")
    heartbeat_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    phases: Literal[1, 3] = 1
    current: Literal["ac", "dc"] = "ac"
    ocpp: Literal["2.0.1", "2.1"] = "2.0.1"

    def __post_init__(self) -> None:
        if self.sessions_a_day * self.session_min * 1.1 + 3 * self.sessions_a_day > DAY_MIN:
            raise ValueError(
                f"{self.sessions_a_day} sessions of {self.session_min:g} min, by up to a tenth longer and with 3 min between, don't fit into a day"
            )

    @property
    def version(self) -> OcppVersion:
        """`ocpp`."""
        return OcppVersion(self.ocpp)


def read_site(path: Path) -> Site:
    """The site in a file. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            content = file.read(SITE_BYTES_MAX + 1)
        if len(content) > SITE_BYTES_MAX:
            raise ConfigError(path, "", f"larger than {SITE_BYTES_MAX} bytes")
        return msgspec.convert(tomllib.loads(content.decode()), Site)
    except OSError as error:
        raise ConfigError(path, "", error.strerror or str(error)) from None
    except ValueError as error:
        raise ConfigError(path, "", str(error)) from None


def workload_of(site: Site) -> Workload:
    """What one of its stations does. Sessions begin anywhere in their part of the day."""
    slot_s = 86_400 // site.sessions_a_day
    session_s = round(site.session_min * 60)
    return Workload(
        "site",
        connectors=site.connectors,
        sessions_a_day=site.sessions_a_day,
        session_s=session_s,
        interval_s=site.interval_s,
        start_spread_s=max(1, slot_s - round(1.1 * session_s) - 180),
        connector_offset_s=slot_s // (2 * site.connectors) if site.connectors > 1 else 0,
        cards=max(2, 5 * site.sessions_a_day),
        meter=partial(_SelectedMeter, current=site.current, phases=site.phases, measurands=frozenset(site.measurands)),
        heartbeat_s=site.heartbeat_s,
    )


class _SelectedMeter(Meter):
    """A meter that says some of what another one reads; an AC station knows the state of charge, if it does, from the vehicle."""

    def __init__(self, random: Random, *, current: str, phases: int, measurands: frozenset[str]) -> None:
        super().__init__(random)
        self._meter = DcMeter(random) if current == "dc" else AcMeter(random, phases=phases, full_ma=16_000, low_ma=6_000, taper_from_percent=90)
        self._names = tuple(f'"measurand":"{MEASURANDS[one]}"' for one in measurands)
        self._says_charge = "SoC" in measurands and current == "ac"
        self._begins_percent = 0

    @property
    def register_wh(self) -> int:
        return self._meter.register_wh

    def begin(self) -> None:
        self._meter.begin()
        self._begins_percent = self._random.randint(20, 50)

    def read(self, elapsed_ms: int, done_ppm: int) -> list[str]:
        values = [value for value in self._meter.read(elapsed_ms, done_ppm) if any(name in value for name in self._names)]
        if self._says_charge:
            percent = self._begins_percent + (95 - self._begins_percent) * done_ppm // 1_000_000
            values.append(sampled_value("SoC", str(percent), "Percent"))
        return values
