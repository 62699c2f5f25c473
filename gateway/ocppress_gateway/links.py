"""The link connections of one program, edge or cloud: events from them, effects to them.

Each connection has a reader, which is the task that calls `carry` or `dial`, and a writer, which sends what the kernel doesn't take at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Final, Protocol

from ocppress_gateway.begun import begun
from ocppress_gateway.core.events import LinkClosed, LinkMessage, LinkOpened, LinkSent
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.deadline import Deadline
from ocppress_gateway.driver import Driver
from ocppress_gateway.errors import LinkError, LinkLost, LinkRefused
from ocppress_gateway.transports.base import Connection, Connector

__all__ = ["LinkWatch", "Links"]

LAST_MESSAGE_S: Final = 2.0
"""How long the last message before a close may take to leave; a longer wait holds up the next connection."""

LOOKS: Final = 6
"""How often the kernel's counter is read within the silence that means a dead link: what is found dead is so at most a sixth later."""

COUNTS_REMEMBERED_MAX: Final = 1000
"""Closed connections whose counters are kept for the account; at a few reconnects a day that is months."""


class LinkWatch(Protocol):
    """Whoever keeps account of connections; told at once, and never waits."""

    def dialled(self, number: int, *, looks_up: bool) -> None:
        """A connection is about to be made, with a look-up of its name or without; `ended` follows, whatever becomes of it."""

    def opened(self, number: int, connection: Connection) -> None:
        """A connection is up, and nothing has been sent on it."""

    def ended(self, number: int, connection: Connection | None, *, refused: bool) -> None:
        """It is gone; `connection` still has its counters. None: it wasn't made, and if `refused`, TLS or HTTP was why."""


class _Link:
    """One connection, or an attempt at one."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.messages: asyncio.Queue[bytes | Awaitable[None] | None] = asyncio.Queue()
        """For the writer: a message, the rest of one's sending, or None to close."""
        self.writer_idle = False
        self.deadline = Deadline()
        self.close_reason: str | None = None
        self.within_s = 0.0
        self.segments = -1
        self.heard_at = 0.0


class Links:
    """Link connections by number."""

    def __init__(self, driver: Driver) -> None:
        self.watch: LinkWatch | None = None
        self._driver = driver
        self._links: dict[int, _Link] = {}
        self._counts: deque[WireCount] = deque(maxlen=COUNTS_REMEMBERED_MAX)

    def __len__(self) -> int:
        return len(self._links)

    def wire_counts(self) -> list[WireCount]:
        """What each connection has cost so far, closed ones first."""
        connections = [link.connection for link in self._links.values() if link.connection is not None]
        return [*self._counts, *(count for connection in connections if (count := connection.wire_count()) is not None)]

    def wire_count(self) -> WireCount | None:
        """What the newest connection has cost so far; None without one."""
        connection = next((link.connection for link in reversed(self._links.values()) if link.connection is not None), None)
        return None if connection is None else connection.wire_count()

    def begin(self, number: int) -> None:
        """From now on there is this connection; after this you must run `dial` for it."""
        self._links[number] = _Link()

    async def dial(self, number: int, connector: Connector) -> None:
        """Connect and carry the connection until it is gone, whatever becomes of it. Ends with `LinkClosed`."""
        link = self._links[number]
        if self.watch is not None:
            self.watch.dialled(number, looks_up=connector.looks_up)
        try:
            async with link.deadline.limit():
                connection = await connector.connect()
        except (LinkError, TimeoutError) as error:
            self._closed(number, link.close_reason or str(error), refused=isinstance(error, LinkRefused))
        except BaseException:
            self._closed(number, "the program ends")
            raise
        else:
            await self._carry(number, link, connection)

    async def carry(self, number: int, connection: Connection) -> None:
        """Carry an accepted connection until it is gone. Begins with `LinkOpened`, ends with `LinkClosed`."""
        link = self._links[number] = _Link()
        await self._carry(number, link, connection)

    def send(self, number: int, data: bytes) -> None:
        """Send a message, and post `LinkSent`; dropped if the connection has gone."""
        link = self._links.get(number)
        if link is None:
            return
        if link.connection is None or not link.writer_idle or link.messages.qsize():
            link.messages.put_nowait(data)
            return
        try:
            rest = begun(link.connection.send(data))
        except LinkLost:
            return  # the reader sees it, too, and has the reason
        if rest is None:
            # Not at once: what other events of this turn bring goes together in the next message.
            asyncio.get_running_loop().call_soon(self._driver.post_now, LinkSent(number))
        else:
            link.messages.put_nowait(rest)

    def close(self, number: int, reason: str) -> None:
        """Close after what was sent before; `LinkClosed` follows. Nothing happens if the connection has gone."""
        link = self._links.get(number)
        if link is None or link.close_reason is not None:
            return
        link.close_reason = reason
        link.messages.put_nowait(None)
        link.deadline.end_within(LAST_MESSAGE_S if link.connection is not None else 0)

    def expect(self, number: int, within_s: float) -> None:
        """Close the connection when nothing has come for so long, not even a probe, which only the kernel sees; nothing where it doesn't count."""
        link = self._links.get(number)
        if link is not None and link.connection is not None and link.connection.wire_count() is not None:
            link.within_s = within_s
            self._look(number, link)

    def _look(self, number: int, link: _Link) -> None:
        if self._links.get(number) is not link or link.connection is None:
            return
        loop = asyncio.get_running_loop()
        count = link.connection.wire_count()
        segments = 0 if count is None else count.received_segments
        if segments != link.segments:
            link.segments, link.heard_at = segments, loop.time()
        if loop.time() - link.heard_at >= link.within_s:
            self.close(number, f"nothing was heard of it for {link.within_s:g} s")
            return
        loop.call_later(link.within_s / LOOKS, self._look, number, link)

    async def _carry(self, number: int, link: _Link, connection: Connection) -> None:
        link.connection = connection
        if self.watch is not None:
            self.watch.opened(number, connection)
        reason = "the program ends"
        self._driver.post_now(LinkOpened(number, connection.peer, connection.certificate))
        try:
            async with link.deadline.limit(), asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(number, link, connection), name=f"link {number} writer")
                try:
                    while True:
                        await self._driver.post(LinkMessage(number, await connection.receive()))
                except LinkLost as error:
                    reason = str(error)
                writer.cancel()
        except TimeoutError:
            reason = "its last message didn't leave in time"
        finally:
            try:
                await connection.close(link.close_reason or reason)
            finally:
                if (count := connection.wire_count()) is not None:
                    self._counts.append(count)
                self._closed(number, link.close_reason or reason)

    async def _write(self, number: int, link: _Link, connection: Connection) -> None:
        try:
            while True:
                link.writer_idle = True
                item = await link.messages.get()
                link.writer_idle = False
                if item is None:
                    break
                await (connection.send(item) if isinstance(item, bytes) else item)
                self._driver.post_now(LinkSent(number))
        except LinkLost:
            return  # the reader sees it, too, and has the reason
        await connection.close(link.close_reason or "")

    def _closed(self, number: int, reason: str, *, refused: bool = False) -> None:
        link = self._links.pop(number)
        if self.watch is not None:
            self.watch.ended(number, link.connection, refused=refused)
        self._driver.post_now(LinkClosed(number, reason, refused))
