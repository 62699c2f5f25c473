"""The edge's end of a link in an enemy's hands: real TLS with whatever certificate it has, and link messages as it likes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self, TypeVar

from ocppress_codecs.interface import CodecName, Side
from ocppress_codecs.registry import offers, open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, action_of
from ocppress_gateway.core.channel import Channel
from ocppress_gateway.core.clock import LinkClock
from ocppress_gateway.core.lanes import Outgoing
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Attach,
    Goodbye,
    Hello,
    KnownStation,
    Part,
    Verdict,
    Welcome,
    read_parts,
    write_parts,
)
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.tls import ResumingContext, link_client_context
from ocppress_gateway.transports.websocket import WebSocketConnector

__all__ = ["RogueEdge", "connector"]

WAIT_S = 20.0
"""How long to wait for anything; reached only when something is broken."""

VERSION = OcppVersion.V201

Wanted = TypeVar("Wanted", bound=Part)


def connector(port: int, context: ResumingContext | Path) -> WebSocketConnector:
    """To the cloud on this port; with the certificate in an edge's folder, or in a context that may remember a session."""
    if isinstance(context, Path):
        context = link_client_context(ca_file=context / "ca.pem", certificate_file=context / "edge.pem", key_file=context / "edge.key")
    return WebSocketConnector(f"wss://127.0.0.1:{port}/", context)


class RogueEdge:
    """One connection that the cloud has accepted."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._clock = LinkClock(0.0, 0.0)
        self._channel: Channel | None = None
        self._waiting: list[Part] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, to: WebSocketConnector) -> AsyncIterator[Self]:
        """Raises what `Connector.connect` does."""
        connection = await to.connect()
        try:
            yield cls(connection)
        finally:
            await connection.close("the test ends")

    async def send(self, *parts: Part) -> None:
        await self.connection.send(write_parts(parts))

    async def hello(
        self, *stations: KnownStation, edge: str = "", codec: CodecName = CodecName.ADAPTIVE, incarnation: bytes = b""
    ) -> Welcome:
        """Say hello, and wait for the welcome."""
        codecs = [(str(name), print_) for name, print_ in offers() if name is codec]
        await self.send(Hello(PROTOCOL_VERSION, edge, codecs, list(stations), incarnation))
        return await self.told(Welcome)

    async def attach(self, identity: str, attachment: int = 1, slot: int = 0) -> Verdict:
        """Ask for a station's upgrade, and wait for what the CSMS says."""
        await self.send(Attach(slot, attachment, identity, [VERSION.subprotocol], None, 0))
        verdict = await self.told(Verdict)
        if verdict.status == 101:
            self._channel = Channel(VERSION, verdict.epoch, open_endpoint(CodecName.ADAPTIVE, VERSION, Side.EDGE))
        return verdict

    def frame(self, body: str) -> Part:
        """The next frame of the station attached last, with one CALL of this body."""
        assert self._channel is not None, "attach first"
        self._channel.encode([Outgoing(Message(MessageType.CALL, action_of(MessageType.CALL, body), body, None), 30.0)])
        return self._channel.next_part(0, self._clock, 0.0)

    async def told(self, kind: type[Wanted]) -> Wanted:
        """The next part of this kind, whatever comes before. Raises `LinkLost`, with the goodbye if one was said."""
        goodbye = ""
        async with asyncio.timeout(WAIT_S):
            while True:
                for place, part in enumerate(self._waiting):
                    if isinstance(part, kind):
                        del self._waiting[: place + 1]
                        return part
                    if isinstance(part, Goodbye):
                        goodbye = part.reason
                try:
                    self._waiting += read_parts(await self.connection.receive())
                except LinkLost as error:
                    raise LinkLost(goodbye or str(error)) from error

    async def ended(self) -> str:
        """Why the cloud has ended it: its goodbye, or what the transport says."""
        try:
            await self.told(Hello)  # which no cloud says
        except LinkLost as error:
            return str(error)
        raise AssertionError("a hello from a cloud")
