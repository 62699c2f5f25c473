"""One link connection over a broker, at either end: a `Flow`, what has arrived, and somebody who carries the payloads."""

from __future__ import annotations

import abc
import asyncio
from collections import deque
from typing import Final

from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.transports.base import Connection, check_message
from ocppress_gateway.transports.mqtt.flow import Control, Flow, FlowError, Kind

__all__ = ["Carrier", "MqttConnection"]

TAKEN_WITHIN_S: Final = 60.0
"""How long a full window may stay full: the far end's TAKEN may be lost, and TCP's own time-out for a peer that takes nothing is as long."""


class Carrier(abc.ABC):
    """What a connection needs of the program's connection to the broker."""

    @abc.abstractmethod
    def publish(self, payload: bytes) -> asyncio.Future[None]:
        """Send to the far end of this connection; done when the kernel has it, or never will."""

    @abc.abstractmethod
    def over(self, reason: str, *, told: bool) -> None:
        """The connection is over, said once. `told`: the far end knows that."""

    @abc.abstractmethod
    async def ended(self) -> None:
        """Wait until nothing is left of it."""

    @abc.abstractmethod
    def set_keepalive(self, keepalive_s: int) -> None:
        """Probe after so much silence, where this end does."""

    @abc.abstractmethod
    def wire_count(self) -> WireCount | None:
        """What has been counted for this connection alone."""


class MqttConnection(Connection):
    """One end of a link connection."""

    def __init__(self, carrier: Carrier, number: int, *, peer: str, address: str) -> None:
        self.peer = peer
        self.address = address
        self.network = ""
        self.number = number
        self._carrier = carrier
        self._flow = Flow(number)
        self._arrived: deque[bytes] = deque()
        self.lost: str | None = None
        """Why it is over; None while it isn't."""
        self._closing: str | None = None  # the far end has closed, behind what has arrived
        self._changed = asyncio.Event()  # something arrived, or it is lost
        self._room = asyncio.Event()  # the far end has taken something, or it is lost
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(self, data: bytes) -> None:
        check_message(data)
        while not self._is_over and not self._flow.has_room(len(data)):
            self._room.clear()
            try:
                async with asyncio.timeout(TAKEN_WITHIN_S):
                    await self._room.wait()
            except TimeoutError:
                self.lose(f"the far end has taken nothing for {TAKEN_WITHIN_S:g} s")
        if not self._is_over:
            written = self._carrier.publish(self._flow.data(data))
            await asyncio.wait((written, self._over), return_when=asyncio.FIRST_COMPLETED)
        if self._is_over:
            raise LinkLost(self.lost or self._closing or "closed")

    async def receive(self) -> bytes:
        while not self._arrived and not self._is_over:
            self._changed.clear()
            await self._changed.wait()
        if not self._arrived and self._closing is not None:
            self.lose(self._closing, told=True)
        if self.lost is not None:
            raise LinkLost(self.lost)
        message = self._arrived.popleft()
        if (taken := self._flow.read(len(message))) is not None:
            self._carrier.publish(taken)
        return message

    async def close(self, reason: str) -> None:
        self.lose(f"closed here: {reason}")
        await self._carrier.ended()

    def set_keepalive(self, keepalive_s: int) -> None:
        self._carrier.set_keepalive(keepalive_s)

    def wire_count(self) -> WireCount | None:
        return self._carrier.wire_count()

    def hear(self, said: Control | tuple[int, int, bytes]) -> None:
        """What the far end has sent under this connection's number, but for an OPEN."""
        if self._is_over:
            return
        if isinstance(said, Control):
            if said.kind is Kind.TAKEN:
                self._flow.taken(said.body[0])
                self._room.set()
            else:
                self._closing = f"closed by the far end: {said.reason}" if said.reason else "the broker has lost the far end"
                self._changed.set()
                self._room.set()
            return
        _, sequence, message = said
        try:
            self._flow.accept(sequence, len(message))
        except FlowError as error:
            self.lose(str(error))
        else:
            self._arrived.append(message)
            self._changed.set()

    def lose(self, reason: str, *, told: bool = False) -> None:
        """From now on `send` and `receive` raise `LinkLost`. `told`: the far end knows."""
        if self.lost is None:
            self.lost = reason
            self._arrived.clear()
            self._changed.set()
            self._room.set()
            self._over.set_result(None)
            self._carrier.over(reason, told=told)

    @property
    def _is_over(self) -> bool:
        return self.lost is not None or self._closing is not None
