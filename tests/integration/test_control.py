"""The operator's socket: who finds it how, and what bad clients achieve."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ocppress_gateway.control import client, server
from ocppress_gateway.control.client import ask
from ocppress_gateway.control.place import SOCKET_PATH_BYTES_MAX, listen_at
from ocppress_gateway.control.protocol import REQUEST_BYTES_MAX, Answer, Request, Status
from ocppress_gateway.control.server import CONNECTIONS_MAX, ControlServer
from ocppress_gateway.errors import GatewayError, RequestRefused

WAIT_S = 10.0


async def _yes(request: Request) -> Answer:
    return Answer(lines=["yes"], data={"asked": type(request).__name__})


@contextlib.asynccontextmanager
async def _serving(folder: Path, answer: Callable[[Request], Awaitable[Answer]] = _yes) -> AsyncIterator[Path]:
    path = folder / "edge.sock"
    control = ControlServer(path, answer, logger=logging.getLogger("test"))
    await control.start()
    try:
        async with asyncio.timeout(WAIT_S):
            yield path
    finally:
        await control.close()


def _ask(path: Path) -> Answer:
    return ask(path, Status(), what="edge", answer_s=2.0)


async def _raw(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with _serving(tmp_path) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            answer = await asyncio.to_thread(_ask, path)
            assert (answer.lines, answer.data) == (["yes"], {"asked": "Status"})
        assert not path.exists()

    asyncio.run(main())


# --- the place


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "edge.sock"))

    async def main() -> None:
        with pytest.raises(GatewayError, match="no edge is running with the state folder"):
            await asyncio.to_thread(_ask, tmp_path / "edge.sock")
        async with _serving(tmp_path) as path:
            await asyncio.to_thread(_ask, path)

    asyncio.run(main())


def test_a_socket_of_a_living_process_is_not_taken(tmp_path: Path) -> None:
    async def main() -> None:
        async with _serving(tmp_path) as path:
            with pytest.raises(GatewayError, match="another process listens there"):
                await asyncio.to_thread(listen_at, path)
            await asyncio.to_thread(_ask, path)

    asyncio.run(main())


def test_nothing_but_a_socket_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    path.write_text("dear diary")
    with pytest.raises(GatewayError, match="no socket is in its place"):
        listen_at(path)
    assert path.read_text() == "dear diary"


def test_a_hanging_process_keeps_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocppress_gateway.control.place.CONNECT_S", 0.1)
    path = tmp_path / "edge.sock"
    with socket.socket(socket.AF_UNIX) as hanging, contextlib.ExitStack() as crowd:
        hanging.bind(str(path))
        hanging.listen(0)
        for _ in range(2):
            waiting = crowd.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(str(path))
        with pytest.raises(GatewayError, match="another process listens there"):
            listen_at(path)
    assert path.exists()


def test_a_path_that_is_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    longest = tmp_path / ("x" * (SOCKET_PATH_BYTES_MAX - len(os.fsencode(tmp_path)) - 1))
    listen_at(longest).close()
    too_long = longest.with_name(longest.name + "x")
    for attempt in (lambda: listen_at(too_long), lambda: _ask(too_long)):
        with pytest.raises(GatewayError, match=r"at most 107 bytes, this one has 108; set `state_folder` to a shorter one"):
            attempt()


def test_no_program_is_said(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=f"no edge is running with the state folder {tmp_path}"):
        _ask(tmp_path / "edge.sock")


# --- bad clients


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\n", "not understood"),
        (b"status\n", "not understood"),
        (b'{"ask":"rm"}\n', "Invalid value 'rm'"),
        (b'{"ask":"status","station":"a b"}\n', "matching regex"),
        (b'{"ask":"status","extra":1}\n', "unknown field `extra`"),
        (b'{"ask":"dead show","key":-1}\n', ">= 1"),
        (b'{"ask":"dead list","limit":1000000}\n', "<= 1000"),
        (b"[" * 4000 + b"\n", "not understood"),
        (b"\xff\xfe\n", "not understood"),
    ],
)
def test_nonsense_is_answered_with_why(data: bytes, reason: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with _serving(tmp_path) as path:
            answer = json.loads(await _raw(path, data))
            assert reason in answer["error"]
            await asyncio.to_thread(_ask, path)

    asyncio.run(main())


def test_one_who_says_nothing_or_too_much_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.1)

    async def main() -> None:
        async with _serving(tmp_path) as path:
            for said in (b"", b'{"ask":"sta', b"x" * (REQUEST_BYTES_MAX + 10) + b"\n"):
                assert await _raw(path, said) == b""

    asyncio.run(main())


def test_one_who_does_not_read_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_S", 0.2)

    async def long(request: Request) -> Answer:
        return Answer(lines=["x" * 4_000_000])

    async def main() -> None:
        async with _serving(tmp_path, long) as path:
            reader, writer = await asyncio.open_unix_connection(str(path), limit=1000)
            writer.write(b'{"ask":"status"}\n')
            assert len((await asyncio.to_thread(_ask, path)).lines[0]) == 4_000_000
            await asyncio.sleep(0.5)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(4_000_000)
            writer.close()

    asyncio.run(main())


def test_more_than_a_few_at_once_are_told_so(tmp_path: Path) -> None:
    asked = 0
    go_on = asyncio.Event()

    async def slow(request: Request) -> Answer:
        nonlocal asked
        asked += 1
        await go_on.wait()
        return Answer(lines=["at last"])

    async def main() -> None:
        async with _serving(tmp_path, slow) as path, asyncio.TaskGroup() as group:
            waiting = [group.create_task(_raw(path, b'{"ask":"status"}\n')) for _ in range(CONNECTIONS_MAX)]
            while asked < CONNECTIONS_MAX:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            with pytest.raises(RequestRefused, match=f"busy: {CONNECTIONS_MAX} others ask already"):
                await asyncio.to_thread(_ask, path)
            go_on.set()
            assert [await one for one in waiting] == [b'{"lines":["at last"]}\n'] * CONNECTIONS_MAX

    asyncio.run(main())


def test_one_who_goes_makes_room(tmp_path: Path) -> None:
    ended = 0

    async def slow(request: Request) -> Answer:
        nonlocal ended
        try:
            await asyncio.sleep(WAIT_S)
        finally:
            ended += 1
        return Answer()

    async def main() -> None:
        async with _serving(tmp_path, slow) as path:
            for _ in range(2 * CONNECTIONS_MAX):
                _, writer = await asyncio.open_unix_connection(str(path))
                writer.write(b'{"ask":"status"}\n')
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            while ended < 2 * CONNECTIONS_MAX:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_mistake_of_ours_is_an_answer_and_a_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Answer:
        raise RuntimeError("broken")

    async def main() -> None:
        async with _serving(tmp_path, broken) as path:
            for _ in range(2):
                with pytest.raises(RequestRefused, match="internal error"):
                    await asyncio.to_thread(_ask, path)

    asyncio.run(main())
    assert "RuntimeError: broken" in caplog.text


def test_closing_breaks_off_what_is_under_way(tmp_path: Path) -> None:
    async def never(request: Request) -> Answer:
        await asyncio.sleep(10 * WAIT_S)
        return Answer()

    async def main() -> None:
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            async with _serving(tmp_path, never) as path:
                asking = group.create_task(_raw(path, b'{"ask":"status"}\n'))
                await asyncio.sleep(0.1)
            assert await asking == b""

    asyncio.run(main())


def test_a_program_that_breaks_off_is_said(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b'{"lines":["y')
            writer.close()

        async with await asyncio.start_unix_server(serve, path=str(path)):
            with pytest.raises(GatewayError, match="broke off, or is of another version"):
                await asyncio.to_thread(_ask, path)

    asyncio.run(main())


def test_a_program_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_S", 0.1)
    path = tmp_path / "edge.sock"
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(path))
        hanging.listen(1)
        with pytest.raises(GatewayError, match="the edge doesn't answer"):
            ask(path, Status(), what="edge", answer_s=0.1)
