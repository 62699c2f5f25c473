"""A link inside one process, with seeded faults: for tests, the demo and simulation.

The faults it can produce, all drawn from one seed:

- a connect is refused (`refuse_share`),
- a connection is cut at its n-th message, whichever direction that one takes (`messages_until_cut`); the message is lost, with all that is
  under way or unread,
- the two ends notice a cut at different times, and send into the void meanwhile (`notice_s`),
- messages take a while, in order (`delay_s`).

Time is the event loop's, so a loop with virtual time runs it at any speed. Not produced: reordering, repetition, damage; TCP and TLS
exclude them.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.transports.base import Connection, ConnectionHandler, Connector, Listener, check_message

__all__ = ["FaultPlan", "MemoryConnection", "MemoryConnector", "MemoryListener", "MemoryNetwork"]

MESSAGES_UNDER_WAY_MAX: Final = 8
"""Messages sent and not yet received, per direction; then `send` waits, as a kernel's full buffer makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Which faults, and the seed that they are drawn from. Ranges are inclusive; seconds are the event loop's."""

    seed: int = 0
    refuse_share: float = 0.0
    messages_until_cut: tuple[int, int] | None = None
    notice_s: tuple[float, float] = (0.0, 0.0)
    delay_s: tuple[float, float] = (0.0, 0.0)


class MemoryNetwork:
    """Both sides of one link: give `connector` to the edge, `listener` to the cloud. `peer` is the name that the cloud sees for the
    edge."""

    def __init__(self, faults: FaultPlan | None = None, *, peer: str = "") -> None:
        self.faults = faults or FaultPlan()
        self.peer = peer
        self.random = random.Random(self.faults.seed)
        self.connector = MemoryConnector(self)
        self.listener = MemoryListener()
        self.connects_count = 0
        self._wires: set[_Wire] = set()

    def cut(self) -> None:
        """Cut every connection now."""
        for wire in list(self._wires):
            wire.cut()

    def connect(self) -> MemoryConnection:
        """A new connection, its far end with the listener's handler. Raises `LinkLost`."""
        self.connects_count += 1
        if self.random.random() < self.faults.refuse_share:
            raise LinkLost("connection refused, as the fault plan has it")
        handler = self.listener.handler
        if handler is None:
            raise LinkLost("nobody listens")
        wire = _Wire(self, self._wires)
        self._wires.add(wire)
        address = f"memory:{self.connects_count}"
        near, far = wire.ends = (MemoryConnection(wire, "", address), MemoryConnection(wire, self.peer, address))
        self.listener.accept(far, handler)
        return near


class MemoryConnector(Connector):
    """The edge's side of a `MemoryNetwork`."""

    address = "memory"
    looks_up = False

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    async def connect(self) -> MemoryConnection:
        await asyncio.sleep(0)
        return self._network.connect()


class MemoryListener(Listener):
    """The cloud's side of a `MemoryNetwork`."""

    def __init__(self) -> None:
        self.handler: ConnectionHandler | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return "memory"

    async def serve(self, handler: ConnectionHandler) -> None:
        self.handler = handler

    def refuse(self) -> None:
        self.handler = None

    async def close(self) -> None:
        self.handler = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def accept(self, connection: MemoryConnection, handler: ConnectionHandler) -> None:
        """Run `handler` for a connection in a task of its own."""
        task = asyncio.get_running_loop().create_task(self._handle(connection, handler), name=f"link {connection.address}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, connection: MemoryConnection, handler: ConnectionHandler) -> None:
        try:
            await handler(connection)
        finally:
            await connection.close("the handler has returned")


class _Wire:
    """What lies between two ends: counts the messages up to the cut, and holds the ends."""

    ends: tuple[MemoryConnection, MemoryConnection]

    def __init__(self, network: MemoryNetwork, wires: set[_Wire]) -> None:
        self._random = network.random
        self._faults = network.faults
        self._wires = wires
        limits = self._faults.messages_until_cut
        self._messages_left = None if limits is None else self._random.randint(*limits)
        self.broken = False

    def other(self, end: MemoryConnection) -> MemoryConnection:
        near, far = self.ends
        return far if end is near else near

    def count_message(self) -> None:
        """One message enters the wire; cuts it if this one is the last."""
        if self._messages_left is not None and not self.broken:
            self._messages_left -= 1
            if self._messages_left <= 0:
                self.cut()

    def delay_s(self) -> float:
        return self._random.uniform(*self._faults.delay_s)

    def cut(self) -> None:
        """Lose what is under way and unread; each end notices in its own time."""
        self.broken = True
        self._wires.discard(self)
        for end in self.ends:
            end.discard()
            notice_s = self._random.uniform(*self._faults.notice_s)
            if notice_s > 0:
                asyncio.get_running_loop().call_later(notice_s, end.lose, "the connection was cut")
            else:
                end.lose("the connection was cut")

    def forget(self) -> None:
        self._wires.discard(self)


class MemoryConnection(Connection):
    """One end of a connection in memory."""

    def __init__(self, wire: _Wire, peer: str, address: str) -> None:
        self.peer = peer
        self.address = address
        self.network = ""
        self._wire = wire
        self._arrived: deque[bytes | None] = deque()  # None: the far end has closed
        self._under_way: deque[tuple[asyncio.TimerHandle, bytes | None]] = deque()
        self._due = 0.0
        self._lost: str | None = None
        self._changed = asyncio.Event()  # at this end: something arrived, or it is lost
        self._room = asyncio.Event()  # towards this end: something was taken, or it is lost

    async def send(self, data: bytes) -> None:
        check_message(data)
        far = self._wire.other(self)
        while self._lost is None and not self._wire.broken and far.waiting_count >= MESSAGES_UNDER_WAY_MAX:
            far._room.clear()
            await far._room.wait()
        if self._lost is not None:
            raise LinkLost(self._lost)
        self._wire.count_message()
        if not self._wire.broken:
            far.carry(bytes(data), self._wire.delay_s())
        await asyncio.sleep(0)

    async def receive(self) -> bytes:
        while True:
            if self._lost is not None:
                raise LinkLost(self._lost)
            if self._arrived:
                message = self._arrived.popleft()
                self._room.set()
                if message is not None:
                    return message
                self.lose("closed by the far end")
            else:
                self._changed.clear()
                await self._changed.wait()

    async def close(self, reason: str) -> None:
        if self._lost is None:
            self.lose(f"closed here: {reason}")
            if not self._wire.broken:
                self._wire.other(self).carry(None, self._wire.delay_s())
        self._wire.forget()

    def set_keepalive(self, keepalive_s: int) -> None:
        """Nobody probes here."""

    def wire_count(self) -> WireCount | None:
        return None

    @property
    def waiting_count(self) -> int:
        """Messages on their way to this end, and arrived ones that nobody has received."""
        return len(self._under_way) + len(self._arrived)

    def carry(self, message: bytes | None, delay_s: float) -> None:
        """Let a message arrive at this end after `delay_s`, and after those before it."""
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() + delay_s)
        if delay_s <= 0 and not self._under_way:
            self._arrive(message)
        else:
            self._under_way.append((loop.call_at(self._due, self._arrive_next), message))

    def discard(self) -> None:
        """Drop what is on its way to this end or unread."""
        for timer, _ in self._under_way:
            timer.cancel()
        self._under_way.clear()
        self._arrived.clear()

    def lose(self, reason: str) -> None:
        """From now on `send` and `receive` raise `LinkLost`, those that wait already too."""
        if self._lost is None:
            self._lost = reason
            self.discard()
            for event in (self._changed, self._room, self._wire.other(self)._room):
                event.set()

    def _arrive_next(self) -> None:
        _, message = self._under_way.popleft()  # not the timer's own: timers due at the same time run in any order
        self._arrive(message)

    def _arrive(self, message: bytes | None) -> None:
        if self._lost is None:
            self._arrived.append(message)
            self._changed.set()
