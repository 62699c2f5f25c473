"""The stations' sockets to the CSMS: opened, opened again, closed, and what each of that means for the station's upgrade at its edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ocppress_codecs.interface import Side
from ocppress_codecs.registry import open_endpoint
from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.channel import Channel
from ocppress_gateway.core.cloud_edges import CloudEdge
from ocppress_gateway.core.cloud_station import CloudStation, CsmsState
from ocppress_gateway.core.events import CloseCsms, CsmsClosed, CsmsOpened, CsmsRefused, Effect, Level, Note, OpenCsms
from ocppress_gateway.core.parts import Eject, EjectCode, Verdict, for_people
from ocppress_gateway.masking import carries_secret

__all__ = ["CsmsSockets"]

REFUSED_FOR_GOOD: Final = frozenset({400, 401, 403, 404, 410})
"""HTTP answers to a reopened CSMS socket after which the station has to ask for itself."""

WRONG_PASSWORD: Final = frozenset({401, 403})
"""Those that another password may change, where the station's was changed lately."""


class CsmsSockets:
    """Of all stations; numbers are given out here and never used again."""

    def __init__(self, back_off_s: Callable[[int], float], new_epoch: Callable[[], int]) -> None:
        """`back_off_s` says how long to wait before a socket is opened again, by how often that has been tried."""
        self._back_off_s = back_off_s
        self._new_epoch = new_epoch
        self._owners: dict[int, tuple[CloudEdge, CloudStation]] = {}
        self._newest = 0

    def __len__(self) -> int:
        """Sockets that are open, or being opened."""
        return len(self._owners)

    def owner(self, socket: int) -> tuple[CloudEdge, CloudStation] | None:
        """Whose it is; None once it is of no use to anybody."""
        return self._owners.get(socket)

    # --- what the cloud decides

    def open(self, edge: CloudEdge, station: CloudStation, out: list[Effect]) -> None:
        """Open a socket with the likeliest of the station's credentials."""
        self._newest += 1
        self._owners[self._newest] = (edge, station)
        station.socket = self._newest
        station.opened_with = station.credentials.first
        out.append(OpenCsms(station.socket, station.identity, station.offered, station.opened_with))

    def shut(self, station: CloudStation, code: int, reason: str, out: list[Effect]) -> None:
        """Close the station's CSMS socket, whatever its state, and forget what it had under way."""
        if self._owners.pop(station.socket, None) is not None:
            out.append(CloseCsms(station.socket, code, reason))
        station.shut()

    def eject(self, edge: CloudEdge, station: CloudStation, code: EjectCode, reason: str, now: float, out: list[Effect]) -> None:
        """The CSMS is not to be had for this station: it shall know."""
        out.append(Note(Level.WARNING, "station sent away", {"station": station.identity, "reason": reason}))
        edge.tell(Eject(station.slot, station.attachment, code, for_people(reason)), now)
        self.shut(station, 1001, reason, out)

    def give_up(self, station: CloudStation, now: float, out: list[Effect]) -> None:
        """The CSMS has fallen silent: its socket is closed, and another opened after a while."""
        self._owners.pop(station.socket, None)
        out.append(CloseCsms(station.socket, 1001, "no answer"))
        out.append(Note(Level.WARNING, "silent CSMS, its socket closed", {"station": station.identity}))
        self._wait(station, now)

    # --- what becomes of them

    def heard(
        self, event: CsmsOpened | CsmsRefused | CsmsClosed, edge: CloudEdge, station: CloudStation, now: float, out: list[Effect]
    ) -> None:
        """What has become of this station's socket."""
        if isinstance(event, CsmsOpened):
            self._opened(event, edge, station, now, out)
            return
        del self._owners[event.socket]
        if isinstance(event, CsmsRefused):
            self._refused(event, edge, station, now, out)
            return
        self._wait(station, now)
        fields = {"station": station.identity, "reason": event.reason, "retry_s": round(station.retry_at - now, 1)}
        out.append(Note(Level.WARNING, "CSMS socket lost", fields))

    def _opened(self, event: CsmsOpened, edge: CloudEdge, station: CloudStation, now: float, out: list[Effect]) -> None:
        version = next((version for version in OcppVersion if version.subprotocol == event.subprotocol), None)
        first = station.state is CsmsState.OPENING
        if version is None or event.subprotocol not in station.offered:
            chosen = {"station": station.identity, "chosen": event.subprotocol}
            out.append(Note(Level.WARNING, "the CSMS chose no common sub-protocol", chosen))
            if first:
                _tell_verdict(edge, station, 101, "", "no common sub-protocol", now)
                self.shut(station, 1002, "no common sub-protocol", out)
            else:
                self.eject(edge, station, 1002, "no common sub-protocol", now, out)
            return
        new_epoch = False
        if first:
            if not station.continues or (station.channel is not None and station.channel.version is not version):
                new_epoch = True
                station.context_lost()
                endpoint = open_endpoint(edge.codec, version, Side.CLOUD)
                station.channel = Channel(version, self._new_epoch(), endpoint, is_secret=carries_secret)
            _tell_verdict(edge, station, 101, version.value, "", now)
        elif version is not station.version:
            self.eject(edge, station, 1002, "the CSMS changed the sub-protocol", now, out)
            return
        station.csms_opened(version, now)
        station.offered = (version.subprotocol,)
        fields = {"station": station.identity, "ocpp": version.value, "again": not first, "new_epoch": new_epoch}
        out.append(Note(Level.INFO, "CSMS socket open", fields))
        station.put_calls(now, out)

    def _refused(self, event: CsmsRefused, edge: CloudEdge, station: CloudStation, now: float, out: list[Effect]) -> None:
        fields = {"station": station.identity, "status": event.status, "reason": event.reason}
        out.append(Note(Level.WARNING, "the CSMS refused", fields))
        if station.state is CsmsState.OPENING:
            status = 503 if event.status is None else event.status if 400 <= event.status <= 599 else 502
            _tell_verdict(edge, station, status, "", event.reason, now)
            station.shut()
        elif event.status in WRONG_PASSWORD and station.credentials.refused(station.opened_with):
            self.open(edge, station, out)
        elif event.status in REFUSED_FOR_GOOD:
            self.eject(edge, station, 1008, f"the CSMS refused: {event.reason}", now, out)
        else:
            self._wait(station, now)

    def _wait(self, station: CloudStation, now: float) -> None:
        retry_at = now + self._back_off_s(station.retries)
        station.retries += 1
        station.csms_lost(now, retry_at)


def _tell_verdict(edge: CloudEdge, station: CloudStation, status: int, version: str, reason: str, now: float) -> None:
    """Answer the station's upgrade."""
    if edge.link is None:
        return
    epoch = station.channel.epoch if station.channel is not None else 0
    delivered = station.delivery.tell() if station.delivery is not None else (0, 0)
    edge.tell(Verdict(station.slot, station.attachment, status, version, epoch, for_people(reason), delivered), now)
