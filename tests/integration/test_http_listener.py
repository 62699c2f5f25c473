"""Connections that ask for nothing, or never finish asking, don't stay; those that ask are aiohttp's alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from ocppress_gateway.driver import Driver
from ocppress_gateway.edge.server import StationServer
from ocppress_gateway.http_listener import HttpListener
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketListener
from tests.support.link_ends import WAIT_S, make_tls_files
from tests.support.scripted_machine import ScriptedMachine

SOON_S = 0.1
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@contextlib.asynccontextmanager
async def _listening(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], *, request_within_s: float = SOON_S, newcomers_max: int = 100
) -> AsyncIterator[int]:
    listener = HttpListener(request_within_s=request_within_s, newcomers_max=newcomers_max)
    server = web.Server(listener.handler(handle), access_log=None)
    await listener.listen(server, "127.0.0.1", 0, None)
    try:
        yield listener.port
    finally:
        listener.stop()
        await server.shutdown(0.1)


@contextlib.asynccontextmanager
async def _connected(port: int) -> AsyncIterator[tuple[Reader, Writer]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _gone(reader: Reader) -> bool:
    """Wait for the end of a connection on which nothing comes; true if so it was."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await work()

    asyncio.run(main())


async def _say_hello(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello")


def test_a_connection_that_sends_nothing_is_closed() -> None:
    async def work() -> None:
        async with _listening(_say_hello) as port, _connected(port) as (reader, _):
            assert await _gone(reader)

    _run(work)


def test_a_request_that_never_ends_is_no_request() -> None:
    async def work() -> None:
        async with _listening(_say_hello) as port, _connected(port) as (reader, writer):
            async with asyncio.TaskGroup() as tasks:
                gone = tasks.create_task(_gone(reader), name="reader")
                writer.write(b"GET / HTTP/1.1\r\n")
                while not gone.done():
                    writer.write(b"X-More: again\r\n")
                    await asyncio.wait((gone,), timeout=SOON_S / 10)
            assert gone.result()

    _run(work)


def test_a_connection_is_closed_with_its_answer() -> None:
    async def work() -> None:
        async with _listening(_say_hello, request_within_s=WAIT_S) as port, _connected(port) as (reader, writer):
            writer.write(REQUEST)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert answer.endswith(b"hello")

    _run(work)


def test_who_has_asked_may_take_any_time() -> None:
    async def work() -> None:
        late = asyncio.Event()

        async def wait(_: web.BaseRequest) -> web.StreamResponse:
            await late.wait()
            return web.Response(text="at last")

        async with _listening(wait) as port, _connected(port) as (reader, writer):
            writer.write(REQUEST)
            async with _connected(port) as (silent, _):
                assert await _gone(silent), "the time has passed for one that came later"
            late.set()
            assert (await reader.read()).endswith(b"at last")

    _run(work)


def test_one_newcomer_too_many_is_closed_at_once() -> None:
    async def work() -> None:
        waiting = asyncio.Event()

        async def wait(_: web.BaseRequest) -> web.StreamResponse:
            await waiting.wait()
            return web.Response(text="served")

        async with _listening(wait, request_within_s=2 * WAIT_S, newcomers_max=2) as port, contextlib.AsyncExitStack() as stack:
            first, writer = await stack.enter_async_context(_connected(port))
            async with _connected(port):
                async with _connected(port) as (third, _):
                    assert await _gone(third)
                writer.write(REQUEST)  # the first is no newcomer any more
                while True:  # until the server has read it
                    fourth, _ = await stack.enter_async_context(_connected(port))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(SOON_S):
                            assert await _gone(fourth)
                            continue
                    break
            waiting.set()
            assert (await first.read()).endswith(b"served")

    _run(work)


def test_a_tls_handshake_that_never_comes_is_given_up(tmp_path: Path) -> None:
    async def work() -> None:
        edge, cloud = make_tls_files(tmp_path)
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def handler(connection: Connection) -> None:
            done.set_result(connection.peer)

        listener = WebSocketListener(
            host="127.0.0.1", port=0, ssl_context=link_server_context(**cloud.arguments()), request_within_s=SOON_S
        )
        await listener.serve(handler)
        try:
            async with _connected(listener.port) as (silent, _):
                assert await _gone(silent)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=link_client_context(**edge.arguments()))
            assert await _gone(reader), "a handshake isn't a request yet"
            writer.transport.abort()
            assert not done.done()
        finally:
            await listener.close()

    _run(work)


def test_both_listeners_have_it() -> None:
    async def handler(_: Connection) -> None:
        raise AssertionError("nobody asked")

    async def work() -> None:
        link = WebSocketListener(host="127.0.0.1", port=0, request_within_s=SOON_S)
        machine = ScriptedMachine()
        stations = StationServer(
            Driver(machine, lambda _: None, logger=logging.getLogger("test")),
            host="127.0.0.1",
            port=0,
            request_within_s=SOON_S,
        )
        await link.serve(handler)
        await stations.start()
        try:
            for port in (link.port, stations.port):
                async with _connected(port) as (reader, _):
                    assert await _gone(reader)
        finally:
            await link.close()
            await stations.close()
        assert not machine.events

    _run(work)
