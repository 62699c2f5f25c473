"""The program's end of the socket, in its event loop: bounded in size, number and time, so that whoever asks, however badly, costs nothing.

Who can open the socket is the program's own user; what he sends is read like a stranger's all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from ocppress_gateway.control.place import listen_at
from ocppress_gateway.control.protocol import ANSWER_BYTES_MAX, REQUEST_BYTES_MAX, Answer, Request, read_request, write_line

__all__ = ["CONNECTIONS_MAX", "ControlServer"]

CONNECTIONS_MAX: Final = 8
"""People and a monitor; more are told so, and go."""

CROWD_MAX: Final = 4 * CONNECTIONS_MAX
"""Connections that still get an answer, if only that; more are closed."""

REQUEST_S: Final = 5.0
"""A request is written in one go."""

ANSWER_S: Final = 600.0
"""A dead letter may wait for its turn and for the CSMS."""

SEND_S: Final = 10.0
"""A client that doesn't read its answer."""


class ControlServer:
    """Answers requests at `path`."""

    def __init__(self, path: Path, answer: Callable[[Request], Awaitable[Answer]], *, logger: logging.Logger) -> None:
        """`answer` runs in the event loop; what it raises is a mistake of ours, logged and not fatal."""
        self._path = path
        self._answer = answer
        self._logger = logger
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; raises `GatewayError` if that can't be."""
        listener = await asyncio.to_thread(listen_at, self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=REQUEST_BYTES_MAX)

    async def close(self) -> None:
        """Listen no more, and break off what is under way. Safe to call twice, and before `start`."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            self._connections.add(task)
            if len(self._connections) <= CROWD_MAX:
                await self._converse(reader, writer)
        except asyncio.CancelledError:
            return  # by `close`: asyncio would log it as an error
        finally:
            self._connections.discard(task)
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            else:
                writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                line = await reader.readuntil(b"\n")
        except (asyncio.LimitOverrunError, asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            return
        if len(self._connections) > CONNECTIONS_MAX:
            await self._send(writer, Answer(error=f"busy: {CONNECTIONS_MAX} others ask already"))
            return
        try:
            request = read_request(line)
        except ValueError as error:
            await self._send(writer, Answer(error=str(error)))
            return
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self._answered(request), name="control request")
            gone = group.create_task(_gone(reader), name="control client")
            # Once nobody waits for the answer any more, this ends; what was begun elsewhere goes on.
            await asyncio.wait((asking, gone), timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                await self._send(writer, asking.result())
            asking.cancel()
            gone.cancel()

    async def _answered(self, request: Request) -> Answer:
        try:
            return await self._answer(request)
        except Exception:
            self._logger.exception("a request could not be answered")
            return Answer(error="internal error; the program's log has it")

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        line = write_line(answer)
        if len(line) > ANSWER_BYTES_MAX:
            line = write_line(Answer(error=f"the answer is longer than {ANSWER_BYTES_MAX} bytes"))
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write(line)
            async with asyncio.timeout(SEND_S):
                await _drained(writer)


async def _gone(reader: asyncio.StreamReader) -> None:
    """Until the client says more than it may, or goes."""
    with contextlib.suppress(ConnectionError):
        await reader.read(1)


async def _drained(writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(high=0)
    await writer.drain()
