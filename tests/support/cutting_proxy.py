"""A TCP proxy on loopback that breaks its connections, each after a drawn number of bytes: inside a frame, a TLS record, a handshake.

How a connection breaks is drawn too:
  reset    both ends get an RST at once, what was on its way is lost
  silence  nothing is passed on any more; each end gets its RST in a while of its own, and sends into the void until then
And now and then it stalls first: nothing moves for a while, then all of it, in order, as TCP does on a bad cellular link.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

__all__ = ["CuttingProxy", "Faults", "cutting_proxy"]

HANDSHAKE_BYTES = 3000
"""No stall before so much: TLS and hello, during which nothing can get old."""

CHUNK_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Ranges are inclusive; `stalls` is how many connections stall in the proxy's life."""

    bytes_until_cut: tuple[int, int] = (200, 40_000)
    silence_share: float = 0.3
    silence_s: tuple[float, float] = (0.0, 0.1)
    stalls: int = 0
    stall_s: float = 0.0


class CuttingProxy:
    """What `cutting_proxy` yields. `cuts` counts the connections that it broke."""

    def __init__(self, random: Random, faults: Faults, target_port: int) -> None:
        self.port = 0
        self.cuts = 0
        self.stalls = 0
        self.calm = False
        """Set it, and connections made from then on aren't broken any more."""
        self._random = random
        self._faults = faults
        self._target_port = target_port
        self._open: set[_Pipe] = set()

    def cut(self) -> None:
        """Break what is open now."""
        for pipe in list(self._open):
            pipe.cut()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One accepted connection, until both its sides are gone."""
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except ConnectionRefusedError:
            _reset(writer)
            return
        pipe = _Pipe(self, (reader, writer), (far_reader, far_writer))
        self._open.add(pipe)
        try:
            await pipe.run()
        finally:
            self._open.discard(pipe)

    def draw(self) -> tuple[float, float]:
        """After how many bytes to break a connection, and after how many to stall it."""
        if self.calm:
            return float("inf"), float("inf")
        low, high = self._faults.bytes_until_cut
        until_cut = low * (high / low) ** self._random.random()  # as many short lives as long ones
        stalls = self.stalls < self._faults.stalls and until_cut > 2 * HANDSHAKE_BYTES
        return until_cut, self._random.uniform(HANDSHAKE_BYTES, until_cut) if stalls else float("inf")

    def draw_silence_s(self) -> tuple[float, float] | None:
        """When each side hears of the break; None if both do at once."""
        if self._random.random() >= self._faults.silence_share:
            return None
        return self._random.uniform(*self._faults.silence_s), self._random.uniform(*self._faults.silence_s)

    @property
    def stall_s(self) -> float:
        return self._faults.stall_s


class _Pipe:
    """Both sockets of one connection and what flows between them."""

    def __init__(
        self,
        proxy: CuttingProxy,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far
        self._bytes_left, self._until_stall = proxy.draw()
        self._cut = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def run(self) -> None:
        writers = self._near[1], self._far[1]
        try:
            async with asyncio.TaskGroup() as group:
                copies = [
                    group.create_task(self._copy(self._near[0], self._far[1]), name="up"),
                    group.create_task(self._copy(self._far[0], self._near[1]), name="down"),
                ]
                cut = group.create_task(self._cut.wait(), name="cut")
                await asyncio.wait((*copies, cut), return_when=asyncio.FIRST_COMPLETED)
                if cut.done():
                    self._proxy.cuts += 1
                    silence_s = self._proxy.draw_silence_s()
                    if silence_s is not None:
                        group.create_task(_reset_later(writers[0], silence_s[0]), name="near end hears of it")
                        group.create_task(_reset_later(writers[1], silence_s[1]), name="far end hears of it")
                for task in (*copies, cut):
                    task.cancel()
        finally:
            for writer in writers:
                _reset(writer)

    def cut(self) -> None:
        self._cut.set()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one side closes or the connection is cut; a clean close of one side is a reset for the other, which is no worse."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                self._until_stall -= len(chunk)
                if self._until_stall < 0 and self._flowing.is_set():
                    self._until_stall = float("inf")
                    self._flowing.clear()
                    self._proxy.stalls += 1
                    asyncio.get_running_loop().call_later(self._proxy.stall_s, self._flowing.set)
                await self._flowing.wait()
                writer.write(chunk if self._bytes_left >= len(chunk) else chunk[: max(0, int(self._bytes_left))])
                self._bytes_left -= len(chunk)
                if self._bytes_left < 0:
                    self._cut.set()
                    await asyncio.Event().wait()  # for the end, which cancels this
                await writer.drain()


async def _reset_later(writer: asyncio.StreamWriter, seconds: float) -> None:
    await asyncio.sleep(seconds)
    _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with an RST instead of a FIN, unsent bytes lost."""
    connection = writer.get_extra_info("socket")
    if not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def cutting_proxy(random: Random, faults: Faults, target_port: int) -> AsyncIterator[CuttingProxy]:
    """A proxy on a free port of loopback towards `target_port`, for as long as the block."""
    proxy = CuttingProxy(random, faults, target_port)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio's server runs this in a task"
        serving.add(task)
        try:
            await proxy.serve(reader, writer)
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
