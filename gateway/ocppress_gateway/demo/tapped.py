"""The link's connector with a listener on it: every link message is shown to the tally as it passes the edge's end."""

from __future__ import annotations

from collections.abc import Callable

from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.transports.base import Connection, Connector
from ocppress_gateway.workloads.traces import Direction

__all__ = ["TappedConnector"]

Listen = Callable[[Direction, bytes], None]
"""Takes each link message that the connection has carried."""


class TappedConnector(Connector):
    """Another connector, overheard."""

    def __init__(self, connector: Connector, listen: Listen) -> None:
        self.address = connector.address
        self._connector = connector
        self._listen = listen

    @property
    def looks_up(self) -> bool:
        return self._connector.looks_up

    async def connect(self) -> Connection:
        return _TappedConnection(await self._connector.connect(), self._listen)


class _TappedConnection(Connection):
    def __init__(self, connection: Connection, listen: Listen) -> None:
        self.peer = connection.peer
        self.address = connection.address
        self.network = connection.network
        self._connection = connection
        self._listen = listen

    async def send(self, data: bytes) -> None:
        # Before it is sent: what it says of may have come true, and been answered, before `send` returns.
        self._listen(Direction.UP, data)
        await self._connection.send(data)

    async def receive(self) -> bytes:
        data = await self._connection.receive()
        self._listen(Direction.DOWN, data)
        return data

    async def close(self, reason: str) -> None:
        await self._connection.close(reason)

    def set_keepalive(self, keepalive_s: int) -> None:
        self._connection.set_keepalive(keepalive_s)

    def wire_count(self) -> WireCount | None:
        return self._connection.wire_count()
