"""An edge in virtual time, and a link to the cloud that can be slow, stalled, cut and refused.

Faults of the link:
  cut      what is on its way is lost; the two ends notice apart, each after up to `notice_s_max`; until then they send into the void
  stall    for a while nothing is delivered, then all of it at once and in order, as TCP does on a bad cellular link
  refuse   connections can't be made for a while
  lose     one link message vanishes, as only a fault of ours could make it
  restart  either program dies at once and begins with what is on its disk; its sockets are gone, and the far end of the link notices later
  stop     the cloud gets SIGTERM, says goodbye, and another begins
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final, Protocol

from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.events import (
    AdmitStation,
    CloseLink,
    CloseStation,
    Effect,
    Event,
    ForgetStored,
    LinkClosed,
    LinkHeard,
    LinkMessage,
    LinkOpened,
    LinkSent,
    LoadStored,
    Note,
    OpenLink,
    PauseStation,
    PlanWanted,
    RefuseStation,
    RememberStation,
    ResumeStation,
    SendLink,
    SendStation,
    StationGone,
    StationText,
    StoreMessage,
    TakeRenewal,
    TellReport,
)
from ocppress_gateway.core.ledger_events import TransferBegan, TransferEnded
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.ledger.keeper import SAVE_S
from ocppress_gateway.simulation.centre import Centre, CsmsActor
from ocppress_gateway.simulation.sim import Sim
from ocppress_gateway.simulation.stores import VirtualOutbox, VirtualPositions
from ocppress_gateway.workloads.traces import Direction

__all__ = ["EDGE_NAME", "StationActor", "World"]

EDGE_NAME: Final = "edge"

LINK_BYTES_A_SECOND: Final = 20_000

KERNEL_BYTES: Final = 16 * 1024
"""What a socket's kernel buffer takes before the sender has to wait."""


class StationActor(Protocol):
    """What the world tells a station; sockets are the world's numbers."""

    def admitted(self, subprotocol: str) -> None: ...
    def refused(self, status: int) -> None: ...
    def text(self, text: str) -> None: ...
    def closed(self, code: int) -> None: ...
    def paused(self, paused: bool) -> None: ...
    def edge_died(self) -> None: ...


@dataclass(eq=False)
class _Connection:
    """A link connection and what is on its way; each end has a number of its own for it, for either may be restarted."""

    link: int
    number: int
    edge_open: bool = True
    cloud_open: bool = False
    cut: bool = False
    free_at: dict[str, float] = field(default_factory=lambda: {"up": 0.0, "down": 0.0})
    messages: int = 0


class World:
    """An edge, its link to the cloud, and whoever is at either side; with a `centre` beside other edges of the same cloud."""

    def __init__(
        self,
        seed: int,
        make_edge: Callable[[Random], EdgeMachine],
        make_cloud: Callable[[Random], CloudMachine],
        *,
        name: str = EDGE_NAME,
        centre: Centre | None = None,
        sim: Sim | None = None,
    ) -> None:
        """`name` is what its certificate calls the edge. A given `centre` has a seed and a cloud. `make_edge` is called again after a
        restart, when `sim` has its ledger and plan again."""
        self.name = name
        self.centre = Centre(seed, make_cloud) if centre is None else centre
        self.centre.edges.append(self)
        self.latency_s = 0.08
        self.notice_s_max = 20.0
        self.refuse_until = 0.0
        self.stalled_until = 0.0
        self.cuts = 0
        self.sim = sim
        self._make_edge = make_edge
        self.outbox = VirtualOutbox(self.random)
        if sim is not None:
            sim.begin(lambda: self.now)
        self.edge: EdgeMachine = make_edge(self.random)
        self.stations: dict[int, StationActor] = {}
        self._losing: set[str] = set()
        self._connection: _Connection | None = None
        self._sockets = 0
        self._begin_edge()
        if sim is not None:
            self._keep_account(sim)

    # --- the centre's

    @property
    def random(self) -> Random:
        return self.centre.random

    @property
    def now(self) -> float:
        return self.centre.now

    @now.setter
    def now(self, now: float) -> None:
        self.centre.now = now

    @property
    def notes(self) -> list[tuple[float, str, Note]]:
        return self.centre.notes

    @property
    def cloud(self) -> CloudMachine:
        return self.centre.cloud

    @property
    def positions(self) -> VirtualPositions:
        return self.centre.positions

    @property
    def csms(self) -> CsmsActor | None:
        return self.centre.csms

    @csms.setter
    def csms(self, csms: CsmsActor) -> None:
        self.centre.csms = csms

    def at(self, delay_s: float, action: Callable[[], object]) -> None:
        """Do something later; equal times keep their order."""
        self.centre.at(delay_s, action)

    def run(self, until: float, after_each: Callable[[], None] | None = None) -> None:
        """Let time pass."""
        self.centre.run(until, after_each)

    def csms_sends(self, socket: int, text: str) -> None:
        """The CSMS says something."""
        self.centre.csms_sends(socket, text)

    def csms_closes(self, socket: int) -> None:
        """The CSMS's socket is lost."""
        self.centre.csms_closes(socket)

    def restart_cloud(self) -> None:
        """The cloud dies, and another begins with nothing but its disk."""
        self.centre.restart_cloud()

    def stop_cloud(self) -> None:
        """The cloud stops in an orderly way, and another begins with what it has left."""
        self.centre.stop_cloud()

    # --- steps

    def step(self, machine: Machine, event: Event) -> None:
        """Give a machine an event and run its effects; one that has died hears nothing."""
        if not self._lives(machine):
            return
        if self.sim is not None and machine is self.edge:
            self._watch(self.sim, event)
        for effect in machine.step(event, self.now):
            self._run(machine, effect)
        self._arm(machine)

    def _watch(self, sim: Sim, event: Event) -> None:
        """What the edge's server tells of its stations' sockets."""
        match event:
            case StationText():
                sim.reader.station_said(event.socket, Direction.UP, event.text)
            case StationGone():
                sim.reader.station_gone(event.socket)

    def step_cloud(self, event: Event) -> None:
        """The same for the cloud."""
        self.step(self.cloud, event)

    def _arm(self, machine: Machine) -> None:
        self.centre.arm(machine, partial(self.step, machine))

    def _lives(self, machine: Machine) -> bool:
        return machine is self.edge or machine is self.cloud

    # --- effects

    def _run(self, machine: Machine, effect: Effect) -> None:
        if isinstance(effect, Note):
            self.notes.append((self.now, "edge" if machine is self.edge else "cloud", effect))
        elif machine is self.cloud:
            self.centre.execute(machine, effect)
        else:
            self._run_edges(effect)

    def _run_edges(self, effect: Effect) -> None:
        edge = self.edge
        match effect:
            case LinkHeard():
                if self.sim is not None:
                    self.sim.heard(effect)
            case OpenLink():
                self._open_link(effect.link)
            case SendLink():
                self._send_up(effect)
            case CloseLink():
                if self._connection is not None and effect.link == self._connection.link:
                    self.cut(notice_s=0.01)
            case StoreMessage() | LoadStored() | ForgetStored() | RememberStation():
                self.outbox.carry_out(effect, self.now, self.at, partial(self.step, edge))
            case AdmitStation():
                if self.sim is not None:
                    self.sim.reader.station_connected(effect.socket)
                self._tell(effect.socket, lambda station: station.admitted(effect.subprotocol))
            case RefuseStation():
                self._tell(effect.socket, lambda station: station.refused(effect.status))
            case SendStation():
                if self.sim is not None:
                    self.sim.reader.station_said(effect.socket, Direction.DOWN, effect.text)
                self._tell(effect.socket, lambda station: station.text(effect.text))
            case CloseStation():
                self._tell(effect.socket, lambda station: station.closed(effect.code))
            case PauseStation() | ResumeStation():
                self._tell(effect.socket, lambda station: station.paused(isinstance(effect, PauseStation)))
            case TransferBegan() | TransferEnded():
                if self.sim is not None:
                    self.sim.reader.transfer(effect)
            case TakeRenewal() | PlanWanted():
                pass  # no certificate is needed here, and nobody operates it
            case _:
                raise TypeError(f"an edge cannot do {type(effect).__name__}")

    def new_socket(self, station: StationActor) -> int:
        """A number for a station's socket."""
        self._sockets += 1
        self.stations[self._sockets] = station
        return self._sockets

    def _tell(self, socket: int, say: Callable[[StationActor], None]) -> None:
        def deliver() -> None:
            if socket in self.stations:
                say(self.stations[socket])

        self.at(0.001, deliver)

    # --- the SIM

    def _keep_account(self, sim: Sim) -> None:
        """Read and save again and again, as the keeper does."""

        def read() -> None:
            sim.read()
            self._report(sim.report_due(self.edge.view(self.now)))
            self.at(sim.read_s, read)

        def save() -> None:
            sim.save()
            self.at(SAVE_S, save)

        self.at(sim.read_s, read)
        self.at(SAVE_S, save)

    def _report(self, report: bytes | None) -> None:
        if report is not None:
            self.step(self.edge, TellReport(report))

    # --- restarts

    def restart_edge(self) -> None:
        """The edge dies, and another begins with nothing but its disks; stations' sockets are gone."""
        self.cut(edge_died=True)
        self.centre.disarm(self.edge)
        died, self.stations = self.stations, {}
        if self.sim is not None:
            self.sim.begin(lambda: self.now)
        self.edge = self._make_edge(self.random)
        self._begin_edge()
        for station in {id(station): station for station in died.values()}.values():
            station.edge_died()

    def _begin_edge(self) -> None:
        if self.edge.settings.outbox:
            self.step(self.edge, self.outbox.opened())
        self._arm(self.edge)

    # --- the link

    def _open_link(self, link: int) -> None:
        self.centre.links += 1
        connection = _Connection(link, self.centre.links)
        edge = self.edge
        if self.sim is not None:
            self.sim.dialled(link)

        def accepted() -> None:
            if not self._lives(edge):
                return
            if self.now < self.refuse_until:
                if self.sim is not None:
                    self.sim.ended(link)
                self.step(edge, LinkClosed(link, "refused"))
                return
            self._connection = connection
            connection.cloud_open = True
            self.step(self.cloud, LinkOpened(connection.number, self.name))
            self.at(self.latency_s, opened)

        def opened() -> None:
            if connection.edge_open and not connection.cut and self._lives(edge):
                if self.sim is not None:
                    self.sim.opened(link)
                self.step(edge, LinkOpened(link))

        self.at(self.latency_s, accepted)

    def _send_up(self, effect: SendLink) -> None:
        connection = self._connection
        if connection is None or effect.link != connection.link:
            return
        if self.sim is not None:
            self.sim.sends(effect, lost=connection.cut)
        self._send_link("up", effect, connection)

    def send_down(self, effect: SendLink) -> bool:
        """The cloud sends; whether it is on this link."""
        connection = self._connection
        if connection is None or effect.link != connection.number:
            return False
        self._send_link("down", effect, connection)
        return True

    def close_down(self, effect: CloseLink) -> bool:
        """The cloud closes; whether it is this link."""
        if self._connection is None or effect.link != self._connection.number:
            return False
        self.cut(notice_s=0.01)
        return True

    def _send_link(self, direction: str, effect: SendLink, connection: _Connection) -> None:
        machine, peer = (self.edge, self.cloud) if direction == "up" else (self.cloud, self.edge)
        arrives = max(self.now + self.latency_s, self.stalled_until, connection.free_at[direction]) + len(effect.data) / LINK_BYTES_A_SECOND
        taken = arrives - self.latency_s - KERNEL_BYTES / LINK_BYTES_A_SECOND
        self.at(max(taken - self.now, 0.001), lambda: self.step(machine, LinkSent(effect.link)))
        if connection.cut:
            return
        connection.free_at[direction] = arrives
        connection.messages += 1

        def arrive() -> None:
            if direction in self._losing:
                self._losing.remove(direction)
            elif not connection.cut:
                if self.sim is not None and direction == "down":
                    self.sim.receives(connection.link, len(effect.data))
                self.step(peer, LinkMessage(self._number(peer, connection), effect.data))

        self.at(arrives - self.now, arrive)

    def _number(self, machine: Machine, connection: _Connection) -> int:
        return connection.link if machine is self.edge else connection.number

    def lose(self, direction: str) -> None:
        """The next link message that would arrive in this direction ("up" or "down") doesn't."""
        self._losing.add(direction)

    def stall(self, seconds: float) -> None:
        """Deliver nothing that is sent from now on until then."""
        self.stalled_until = self.now + seconds

    def cut(self, notice_s: float | None = None, *, edge_died: bool = False, cloud_died: bool = False) -> None:
        """Lose the connection and what is on its way; an end that died notices nothing."""
        connection = self._connection
        if connection is None or connection.cut:
            return
        connection.cut = True
        self.cuts += 1

        edge, cloud = self.edge, self.cloud

        def edge_notices() -> None:
            connection.edge_open = False
            if self.sim is not None and self._lives(edge):
                self.sim.ended(connection.link)
            self.step(edge, LinkClosed(connection.link, "cut"))

        def cloud_notices() -> None:
            if connection.cloud_open:
                connection.cloud_open = False
                self.step(cloud, LinkClosed(connection.number, "cut"))

        if not edge_died:
            self.at(self.random.uniform(0, self.notice_s_max) if notice_s is None else notice_s, edge_notices)
        if not cloud_died:
            self.at(self.random.uniform(0, self.notice_s_max) if notice_s is None else notice_s, cloud_notices)
