"""Who plays: the shipped recordings, a generated `home` station, a recording of the user's own, and how fast time passes for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.cost.wire import DAY_S
from ocppress_gateway.demo.replay import Script
from ocppress_gateway.errors import UsageError
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.generator import WORKLOADS, generate
from ocppress_gateway.workloads.traces import TraceRecord, infer_version, read_trace

__all__ = ["HOME", "Role", "cast"]

HOME: Final = "home"
"""The station whose month counts, at an edge of its own: the recordings were made with tests in mind, are short and say something every few
seconds, and where stations share a link, what one says makes the others' wait shorter."""

CAR_PARK: Final = "car-park"
"""The edge of the recorded stations."""

OWN_TRACE: Final = "own-trace"

HOME_DAYS: Final = 3
"""What the home station plays where no end is set."""

HOME_DAYS_MAX: Final = 10_000
"""What it could play until an end that is set: more than any."""

HOME_SEED: Final = 1

RECORDING_SHARE: Final = 0.75
"""Part of the time that recordings are to take, so that they are over before it is on a slow machine too."""


@dataclass(frozen=True, slots=True)
class Role:
    """One station: the identity that it connects with, its name in the table, the edge it is at, and what it says."""

    identity: str
    name: str
    edge: str
    script: Script
    speed: float
    """Seconds of the recording in one second of the demo."""

    @property
    def version(self) -> OcppVersion:
        return self.script.version


def cast(trace: Path | None, *, sending_s: float, endless: bool) -> list[Role]:
    """The roles, made to fill `sending_s`; `endless`: the home station goes on until it is stopped. Raises `UsageError` for a bad trace."""
    roles = [_recorded(name, name, CAR_PARK, recordings.load(name), recordings.version(name), sending_s) for name in recordings.names()]
    home = generate(WORKLOADS[HOME], days=HOME_DAYS_MAX if endless else HOME_DAYS, seed=HOME_SEED)
    roles.append(Role(HOME, HOME, HOME, Script(home, OcppVersion.V201), HOME_DAYS * DAY_S / sending_s))
    if trace is not None:
        records = _read(trace)
        version = infer_version(records)
        if next(Script(records, version).turns(), None) is None:
            raise UsageError(f"{trace}: nothing to replay, no CALL in it has its answer")
        roles.append(_recorded(OWN_TRACE, trace.name, OWN_TRACE, records, version, sending_s))
    return roles


def _recorded(identity: str, name: str, edge: str, records: Sequence[TraceRecord], version: OcppVersion, sending_s: float) -> Role:
    times_s = [turn.at_s for turn in Script(records, version).turns()]
    return Role(identity, name, edge, Script(records, version), max(1.0, (times_s[-1] - times_s[0]) / (RECORDING_SHARE * sending_s)))


def _read(trace: Path) -> list[TraceRecord]:
    try:
        return list(read_trace(trace))
    except OSError as error:
        raise UsageError(f"{trace}: {error.strerror or error}") from error
