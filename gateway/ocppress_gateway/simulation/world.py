"""Virtual time, and a link between the two machines that can be slow, stalled, cut and refused.

Faults of the link:
  cut      what is on its way is lost; the two ends notice apart, each after up to `notice_s_max`; until then they send into the void
  stall    for a while nothing is delivered, then all of it at once and in order, as TCP does on a bad cellular link
  refuse   connections can't be made for a while
  lose     one link message vanishes, as only a fault of ours could make it
  restart  either program dies at once and begins with nothing; its sockets are gone, and the far end of the link notices later
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final, Protocol

from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.events import (
    AdmitStation,
    Bury,
    CloseCsms,
    CloseLink,
    CloseStation,
    CsmsClosed,
    CsmsOpened,
    CsmsText,
    Effect,
    Event,
    ForgetStored,
    LinkClosed,
    LinkHeard,
    LinkMessage,
    LinkOpened,
    LinkSent,
    LoadPositions,
    LoadStored,
    Note,
    OpenCsms,
    OpenLink,
    PauseStation,
    RefuseStation,
    RememberStation,
    ResumeStation,
    SavePosition,
    SendCsms,
    SendLink,
    SendStation,
    StoreMessage,
    Tick,
)
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.simulation.stores import VirtualOutbox, VirtualPositions

__all__ = ["EDGE_NAME", "CsmsActor", "StationActor", "World"]

EDGE_NAME: Final = "edge"

LINK_BYTES_A_SECOND: Final = 20_000

KERNEL_BYTES: Final = 16 * 1024
"""What a socket's kernel buffer takes before the sender has to wait."""

AT_ONCE_MAX: Final = 10_000
"""Events at one moment; more is a machine that spins."""


class StationActor(Protocol):
    """What the world tells a station; sockets are the world's numbers."""

    def admitted(self, subprotocol: str) -> None: ...
    def refused(self, status: int) -> None: ...
    def text(self, text: str) -> None: ...
    def closed(self, code: int) -> None: ...
    def paused(self, paused: bool) -> None: ...
    def edge_died(self) -> None: ...


class CsmsActor(Protocol):
    """What the world tells the CSMS."""

    def opened(self, socket: int, identity: str) -> None: ...
    def text(self, socket: int, text: str) -> None: ...
    def closed(self, socket: int) -> None: ...


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
    """Both machines, the link between them, and whoever is at either side."""

    def __init__(self, seed: int, make_edge: Callable[[Random], EdgeMachine], make_cloud: Callable[[Random], CloudMachine]) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.latency_s = 0.08
        self.notice_s_max = 20.0
        self.refuse_until = 0.0
        self.stalled_until = 0.0
        self.cuts = 0
        self.notes: list[tuple[float, str, Note]] = []
        self._make_edge = make_edge
        self._make_cloud = make_cloud
        self.outbox = VirtualOutbox(self.random)
        self.positions = VirtualPositions(self.random)
        self.edge: EdgeMachine = make_edge(self.random)
        self.cloud: CloudMachine = make_cloud(self.random)
        self.stations: dict[int, StationActor] = {}
        self.csms: CsmsActor | None = None
        self._csms_open: dict[int, str] = {}
        self._csms_sockets = 0
        self._csms_newest = 0
        self._losing: set[str] = set()
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = 0
        self._timers: dict[int, float] = {}
        self._connection: _Connection | None = None
        self._links = 0
        self._sockets = 0
        self._begin_edge()

    # --- time

    def at(self, delay_s: float, action: Callable[[], object]) -> None:
        """Do something later; equal times keep their order."""
        self._order += 1
        heapq.heappush(self._queue, (self.now + delay_s, self._order, action))

    def run(self, until: float, after_each: Callable[[], None] | None = None) -> None:
        """Let time pass."""
        at_once = 0
        while self._queue and self._queue[0][0] <= until:
            at_once = at_once + 1 if self._queue[0][0] == self.now else 0
            assert at_once < AT_ONCE_MAX, "a machine asks for a deadline that its step doesn't move"
            self.now, _, action = heapq.heappop(self._queue)
            action()
            if after_each is not None:
                after_each()
        self.now = until

    def _arm(self, machine: Machine) -> None:
        deadline = machine.next_deadline()
        if deadline is None or self._timers.get(id(machine)) == deadline:
            return
        self._timers[id(machine)] = deadline

        def ring() -> None:
            if self._lives(machine) and self._timers.get(id(machine)) == deadline:
                del self._timers[id(machine)]
                self.step(machine, Tick())

        self.at(max(0.0, deadline - self.now), ring)

    def step(self, machine: Machine, event: Event) -> None:
        """Give a machine an event and run its effects; one that has died hears nothing."""
        if not self._lives(machine):
            return
        for effect in machine.step(event, self.now):
            self._run(machine, effect)
        self._arm(machine)

    def _lives(self, machine: Machine) -> bool:
        return machine is self.edge or machine is self.cloud

    # --- effects

    def _run(self, machine: Machine, effect: Effect) -> None:
        match effect:
            case Note():
                self.notes.append((self.now, "edge" if machine is self.edge else "cloud", effect))
            case LinkHeard():
                pass
            case OpenLink():
                self._open_link(effect.link)
            case SendLink():
                self._send_link("up" if machine is self.edge else "down", effect)
            case CloseLink():
                if self._connection is not None and effect.link == self._number(machine, self._connection):
                    self.cut(notice_s=0.01)
            case OpenCsms():
                socket = self._csms_sockets + effect.socket
                self._csms_newest = max(self._csms_newest, socket)
                self.at(0.02, lambda: self._open_csms(machine, socket, effect))
            case StoreMessage() | LoadStored() | ForgetStored() | RememberStation():
                self.outbox.carry_out(effect, self.now, self.at, partial(self._lives, machine), partial(self.step, machine))
            case LoadPositions() | SavePosition() | Bury():
                self.positions.carry_out(effect, self.now, self.at, partial(self._lives, machine), partial(self.step, machine))
            case SendCsms():
                socket = self._csms_sockets + effect.socket
                self.at(0.01, lambda: self._csms_text(socket, effect.text))
            case CloseCsms():
                socket = self._csms_sockets + effect.socket
                if self._csms_open.pop(socket, None) is not None and self.csms is not None:
                    self.csms.closed(socket)
            case AdmitStation():
                self._tell(effect.socket, lambda station: station.admitted(effect.subprotocol))
            case RefuseStation():
                self._tell(effect.socket, lambda station: station.refused(effect.status))
            case SendStation():
                self._tell(effect.socket, lambda station: station.text(effect.text))
            case CloseStation():
                self._tell(effect.socket, lambda station: station.closed(effect.code))
            case PauseStation() | ResumeStation():
                self._tell(effect.socket, lambda station: station.paused(isinstance(effect, PauseStation)))

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

    # --- the CSMS's side

    # The CSMS's numbers for its sockets go on where a cloud that died stopped: `_csms_sockets` is what its successor's begin after.

    def _open_csms(self, machine: Machine, socket: int, effect: OpenCsms) -> None:
        if not self._lives(machine):
            return
        self._csms_open[socket] = effect.identity
        if self.csms is not None:
            self.csms.opened(socket, effect.identity)
        self.step(machine, CsmsOpened(effect.socket, effect.subprotocols[0]))

    def _csms_text(self, socket: int, text: str) -> None:
        if socket in self._csms_open and self.csms is not None:
            self.csms.text(socket, text)

    def csms_sends(self, socket: int, text: str) -> None:
        """The CSMS says something."""
        if socket in self._csms_open:
            self.step(self.cloud, CsmsText(socket - self._csms_sockets, text))

    def csms_closes(self, socket: int) -> None:
        """The CSMS's socket is lost."""
        if self._csms_open.pop(socket, None) is not None:
            if self.csms is not None:
                self.csms.closed(socket)
            self.step(self.cloud, CsmsClosed(socket - self._csms_sockets, "lost"))

    # --- restarts

    def restart_cloud(self) -> None:
        """The cloud dies, and another begins with nothing."""
        self.cut(cloud_died=True)
        self._timers.pop(id(self.cloud), None)
        for socket in list(self._csms_open):
            del self._csms_open[socket]
            if self.csms is not None:
                self.csms.closed(socket)
        self._csms_sockets = self._csms_newest
        self.cloud = self._make_cloud(self.random)
        self._arm(self.cloud)

    def restart_edge(self) -> None:
        """The edge dies, and another begins with nothing; stations' sockets are gone."""
        self.cut(edge_died=True)
        self._timers.pop(id(self.edge), None)
        died, self.stations = self.stations, {}
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
        self._links += 1
        connection = _Connection(link, self._links)
        edge = self.edge

        def accepted() -> None:
            if not self._lives(edge):
                return
            if self.now < self.refuse_until:
                self.step(edge, LinkClosed(link, "refused"))
                return
            self._connection = connection
            connection.cloud_open = True
            self.step(self.cloud, LinkOpened(connection.number, EDGE_NAME))
            self.at(self.latency_s, opened)

        def opened() -> None:
            if connection.edge_open and not connection.cut:
                self.step(edge, LinkOpened(link))

        self.at(self.latency_s, accepted)

    def _send_link(self, direction: str, effect: SendLink) -> None:
        connection = self._connection
        machine, peer = (self.edge, self.cloud) if direction == "up" else (self.cloud, self.edge)
        if connection is None or effect.link != self._number(machine, connection):
            return
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
            self.step(edge, LinkClosed(connection.link, "cut"))

        def cloud_notices() -> None:
            if connection.cloud_open:
                connection.cloud_open = False
                self.step(cloud, LinkClosed(connection.number, "cut"))

        if not edge_died:
            self.at(self.random.uniform(0, self.notice_s_max) if notice_s is None else notice_s, edge_notices)
        if not cloud_died:
            self.at(self.random.uniform(0, self.notice_s_max) if notice_s is None else notice_s, cloud_notices)
