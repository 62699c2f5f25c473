"""A machine that changes nothing: what a station says goes to its CSMS, what the CSMS says to the station, and each text is shown to a recorder.

    station asks ──► OpenCsms ──opened──► AdmitStation, with the CSMS's sub-protocol
                        └──refused──► RefuseStation, with the CSMS's status

Message ids, pings and closes are each socket's own; a socket that closes takes the other one with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ocppress_gateway.core.events import (
    AdmitStation,
    CloseCsms,
    CloseStation,
    CsmsClosed,
    CsmsOpened,
    CsmsRefused,
    CsmsText,
    Effect,
    Event,
    Level,
    Note,
    Observe,
    OpenCsms,
    RefuseStation,
    SendCsms,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
    Stop,
    Tick,
    Watch,
)
from ocppress_gateway.core.limits import STATIONS_PER_EDGE_MAX

__all__ = ["ObservingMachine"]

_STOPPING: Final = "the gateway is stopping"


@dataclass(slots=True, eq=False)
class _Pair:
    """A station's socket, and its CSMS socket of the same number."""

    identity: str
    admitted: bool = False
    csms_there: bool = True


class ObservingMachine:
    """Decide nothing. No I/O, no clock."""

    def __init__(self) -> None:
        self._pairs: dict[int, _Pair] = {}
        self._stopping = False

    def next_deadline(self) -> float | None:
        """Nothing is ever due: connecting, pings and closing have their time-outs where they are done."""
        return None

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take one event; run the effects in order."""
        match event:
            case StationArrived():
                return self._arrived(event)
            case StationText() | CsmsText():
                return self._text(event)
            case CsmsOpened() | CsmsRefused() | CsmsClosed():
                pair = self._pairs.get(event.socket)
                return [] if pair is None else self._csms(event, pair)
            case StationGone():
                return self._gone(event)
            case Stop():
                return self._stop()
            case Tick() | Watch():  # everything is observed
                return []
            case _:
                raise TypeError(f"who only observes has no {type(event).__name__}")

    def _arrived(self, event: StationArrived) -> list[Effect]:
        if self._stopping or len(self._pairs) >= STATIONS_PER_EDGE_MAX:
            return [RefuseStation(event.socket, 503, _STOPPING if self._stopping else "too many stations")]
        out: list[Effect] = []
        for socket, old in self._pairs.items():
            if old.identity == event.identity:
                out.append(CloseStation(socket, 1000, "the station has connected again"))
        self._pairs[event.socket] = _Pair(event.identity)
        return [*out, OpenCsms(event.socket, event.identity, event.subprotocols, event.authorization)]

    def _csms(self, event: CsmsOpened | CsmsRefused | CsmsClosed, pair: _Pair) -> list[Effect]:
        if isinstance(event, CsmsOpened):
            pair.admitted = True
            return [_note("station connected", pair, subprotocol=event.subprotocol), AdmitStation(event.socket, event.subprotocol)]
        pair.csms_there = False
        if isinstance(event, CsmsRefused):
            note = _note("station refused", pair, Level.WARNING, status=event.status, reason=event.reason)
            return [note, RefuseStation(event.socket, 502 if event.status is None or event.status < 400 else event.status, event.reason)]
        return [_note("the CSMS has closed", pair, reason=event.reason), CloseStation(event.socket, 1001, "the CSMS has closed")]

    def _text(self, event: StationText | CsmsText) -> list[Effect]:
        pair = self._pairs.get(event.socket)
        if pair is None or not pair.admitted or not pair.csms_there:
            return []
        up = isinstance(event, StationText)
        forward = SendCsms(event.socket, event.text) if up else SendStation(event.socket, event.text)
        return [forward, Observe(pair.identity, up, event.text)]

    def _gone(self, event: StationGone) -> list[Effect]:
        pair = self._pairs.pop(event.socket, None)
        if pair is None:
            return []
        out: list[Effect] = [_note("station gone", pair, reason=event.reason)] if pair.admitted else []
        return [*out, CloseCsms(event.socket, 1000, "the station has gone")] if pair.csms_there else out

    def _stop(self) -> list[Effect]:
        self._stopping = True
        return [CloseStation(socket, 1001, _STOPPING) for socket in self._pairs]


def _note(words: str, pair: _Pair, level: Level = Level.INFO, **fields: Any) -> Note:
    return Note(level, words, {"station": pair.identity, **fields})
