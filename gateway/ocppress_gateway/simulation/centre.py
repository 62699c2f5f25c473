"""What all edges of a simulated world have in common: virtual time, the cloud with its disk, the CSMS's sockets.

World, World, …   an edge each, with its stations, its disk, and its link
  └──────┴──────► Centre ◄──── CSMS
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final, Protocol

from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.events import (
    Bury,
    CloseCsms,
    CloseLink,
    ContextsFound,
    CsmsClosed,
    CsmsOpened,
    CsmsText,
    Effect,
    Event,
    ExpectSigns,
    KeepReport,
    LoadPositions,
    Note,
    OpenCsms,
    SaveContext,
    SavePosition,
    SendCsms,
    SendLink,
    SizeTransfer,
    Stop,
    Tick,
    TransferSized,
)
from ocppress_gateway.core.machine import Machine
from ocppress_gateway.simulation.stores import VirtualPositions

__all__ = ["Centre", "CsmsActor", "EdgeSide"]

AT_ONCE_MAX: Final = 10_000
"""Events at one moment; more is a machine that spins."""


STOP_S: Final = 6.0
"""How long after SIGTERM the next cloud begins; what hasn't been closed by then is lost as with a kill."""


class CsmsActor(Protocol):
    """What the world tells the CSMS."""

    def opened(self, socket: int, identity: str) -> None: ...
    def text(self, socket: int, text: str) -> None: ...
    def closed(self, socket: int) -> None: ...


class EdgeSide(Protocol):
    """An edge and its link, as the cloud's side sees it."""

    def step_cloud(self, event: Event) -> None: ...
    def send_down(self, effect: SendLink) -> bool: ...
    def close_down(self, effect: CloseLink) -> bool: ...
    def cut(self, notice_s: float | None = None, *, edge_died: bool = False, cloud_died: bool = False) -> None: ...


class Centre:
    """Time, and the cloud's side."""

    def __init__(self, seed: int, make_cloud: Callable[[Random], CloudMachine]) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.notes: list[tuple[float, str, Note]] = []
        self.edges: list[EdgeSide] = []
        self.positions = VirtualPositions(self.random)
        self.cloud: CloudMachine = make_cloud(self.random)
        self.csms: CsmsActor | None = None
        self.links = 0
        """The newest number of a connection at the cloud."""
        self._make_cloud = make_cloud
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = 0
        self._timers: dict[int, float] = {}
        self._csms_open: dict[int, str] = {}
        self._csms_sockets = 0
        self._csms_newest = 0

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

    def arm(self, machine: Machine, step: Callable[[Event], None]) -> None:
        """Have it told when its deadline comes; one that has died hears nothing."""
        deadline = machine.next_deadline()
        if deadline is None or self._timers.get(id(machine)) == deadline:
            return
        self._timers[id(machine)] = deadline

        def ring() -> None:
            if self._timers.get(id(machine)) == deadline:
                del self._timers[id(machine)]
                step(Tick())

        self.at(max(0.0, deadline - self.now), ring)

    def disarm(self, machine: Machine) -> None:
        """It has died."""
        self._timers.pop(id(machine), None)

    # --- the cloud's effects

    def _step(self, event: Event) -> None:
        """The first edge's world steps the cloud where an event concerns none, so that whoever looks on sees all of its steps."""
        self.edges[0].step_cloud(event)

    def execute(self, machine: Machine, effect: Effect) -> None:
        """Run an effect of this cloud."""

        def lives() -> bool:
            return machine is self.cloud

        def tell(event: Event) -> None:
            if lives():
                self._step(event)

        match effect:
            case SendLink():
                any(edge.send_down(effect) for edge in self.edges)
            case CloseLink():
                any(edge.close_down(effect) for edge in self.edges)
            case OpenCsms():
                socket = self._csms_sockets + effect.socket
                self._csms_newest = max(self._csms_newest, socket)
                self.at(0.02, lambda: self._open_csms(lives, socket, effect))
            case LoadPositions() | SavePosition() | Bury() | SaveContext():
                self.positions.carry_out(effect, self.now, self.at, lives, tell)
            case SendCsms():
                self.at(0.01, partial(self._csms_text, self._csms_sockets + effect.socket, effect.text))
            case CloseCsms():
                socket = self._csms_sockets + effect.socket
                if self._csms_open.pop(socket, None) is not None and self.csms is not None:
                    self.csms.closed(socket)
            case ExpectSigns() | KeepReport():
                pass  # whoever cuts a link here tells both ends, and nobody looks on
            case SizeTransfer():
                self.at(0.1, lambda: tell(TransferSized(effect.identity, effect.ticket, None, "there is no such server")))
            case _:
                raise TypeError(f"a cloud cannot do {type(effect).__name__}")

    # --- the CSMS's side

    # The CSMS's numbers for its sockets go on where a cloud that died stopped: `_csms_sockets` is what its successor's begin after.

    def _open_csms(self, lives: Callable[[], bool], socket: int, effect: OpenCsms) -> None:
        if not lives():
            return
        self._csms_open[socket] = effect.identity
        if self.csms is not None:
            self.csms.opened(socket, effect.identity)
        self._step(CsmsOpened(effect.socket, effect.subprotocols[0]))

    def _csms_text(self, socket: int, text: str) -> None:
        if socket in self._csms_open and self.csms is not None:
            self.csms.text(socket, text)

    def csms_sends(self, socket: int, text: str) -> None:
        """The CSMS says something."""
        if socket in self._csms_open:
            self._step(CsmsText(socket - self._csms_sockets, text))

    def csms_closes(self, socket: int) -> None:
        """The CSMS's socket is lost."""
        if self._csms_open.pop(socket, None) is not None:
            if self.csms is not None:
                self.csms.closed(socket)
            self._step(CsmsClosed(socket - self._csms_sockets, "lost"))

    def restart_cloud(self) -> None:
        """The cloud dies, and another begins with nothing but its disk."""
        for edge in self.edges:
            edge.cut(cloud_died=True)
        self.disarm(self.cloud)
        for socket in list(self._csms_open):
            del self._csms_open[socket]
            if self.csms is not None:
                self.csms.closed(socket)
        self._csms_sockets = self._csms_newest
        self.cloud = self._make_cloud(self.random)
        contexts = self.positions.take_contexts()
        if contexts:
            self._step(ContextsFound(contexts))
        self.arm(self.cloud, self._step)

    def stop_cloud(self) -> None:
        """The cloud gets SIGTERM, and some seconds later another one begins."""
        stopping = self.cloud
        self._step(Stop())
        self.at(STOP_S, lambda: self.restart_cloud() if self.cloud is stopping else None)
