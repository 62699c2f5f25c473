"""The two ends of a conversation between bare WebSockets, seen the same way, so that a test can play either part with either end."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from websockets.exceptions import ConnectionClosed

from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse, render
from tests.support.background import background
from tests.support.raw_peers import WAIT_S, RawCsms, RawStation

__all__ = ["CsmsEnd", "End", "StationEnd", "open_csms", "open_station"]


class End(abc.ABC):
    """One end. What arrives is kept in order until the test takes it."""

    @property
    @abc.abstractmethod
    def subprotocol(self) -> str | None:
        """What the handshake agreed on."""

    @property
    @abc.abstractmethod
    def nothing_waits(self) -> bool:
        """Whether the test has taken all that has arrived so far."""

    @abc.abstractmethod
    async def send(self, text: str) -> None:
        """Send a text."""

    @abc.abstractmethod
    async def receive(self) -> str:
        """The next text."""

    async def receive_message(self) -> tuple[str, Message]:
        """The next text as id and message."""
        return parse(await self.receive())

    async def receive_call(self, action: str, payload: str) -> str:
        """The next text, which must be this CALL; its id."""
        message_id, message = await self.receive_message()
        assert message == Message(MessageType.CALL, action, f'"{action}",{payload}'), message
        return message_id

    async def call(self, message_id: str, action: str, payload: str) -> None:
        await self.send(f'[2,"{message_id}","{action}",{payload}]')

    async def answer(self, message_id: str, payload: str) -> None:
        await self.send(render(message_id, Message(MessageType.CALLRESULT, "", payload)))


class StationEnd(End):
    """A station's end."""

    def __init__(self, station: RawStation) -> None:
        self._station = station
        self._arrived: asyncio.Queue[str] = asyncio.Queue()

    async def listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._arrived.put_nowait(await self._station.socket.recv(decode=True))

    @property
    def subprotocol(self) -> str | None:
        return self._station.socket.subprotocol

    @property
    def nothing_waits(self) -> bool:
        return self._arrived.empty()

    async def send(self, text: str) -> None:
        await self._station.send(text)

    async def receive(self) -> str:
        async with asyncio.timeout(WAIT_S):
            return await self._arrived.get()


class CsmsEnd(End):
    """A CSMS's end towards one station."""

    def __init__(self, csms: RawCsms, identity: str) -> None:
        self._csms = csms
        self._identity = identity
        self._taken = 0

    @property
    def subprotocol(self) -> str | None:
        return self._csms.sockets[self._identity].subprotocol

    @property
    def nothing_waits(self) -> bool:
        return len(self._csms.texts[self._identity]) == self._taken

    async def send(self, text: str) -> None:
        await self._csms.send(self._identity, text)

    async def receive(self) -> str:
        texts = await self._csms.received(self._identity, self._taken + 1)
        self._taken += 1
        return texts[self._taken - 1]


@contextlib.asynccontextmanager
async def open_station(url: str, identity: str, subprotocols: Sequence[str]) -> AsyncIterator[StationEnd]:
    """Connect as a station; `url` is without the identity."""
    async with RawStation(f"{url}/{identity}", subprotocols=subprotocols) as station:
        end = StationEnd(station)
        async with background(end.listen(), f"station {identity}"):
            yield end


class _ListeningCsms:
    """A CSMS that admits every station with a sub-protocol of one of its versions."""

    def __init__(self, csms: RawCsms) -> None:
        self._csms = csms
        self.url = csms.url.removesuffix("/{identity}")

    async def end(self, identity: str) -> CsmsEnd:
        """The end towards a station, once that is connected."""
        await self._csms.until(lambda: identity in self._csms.sockets)
        return CsmsEnd(self._csms, identity)


@contextlib.asynccontextmanager
async def open_csms(*versions: OcppVersion) -> AsyncIterator[_ListeningCsms]:
    """Listen as a CSMS of these versions."""

    def admit(_identity: str, _authorization: str | None, offered: Sequence[str]) -> str:
        return next((version.subprotocol for version in versions if version.subprotocol in offered), "")

    async with RawCsms(admit=admit) as csms:
        yield _ListeningCsms(csms)
