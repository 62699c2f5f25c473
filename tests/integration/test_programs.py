"""The two programs, each a process by itself: what it says at its start, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import closing
from pathlib import Path

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.core.events import DistrustOutbox, Tick
from ocppress_gateway.edge.program import EdgeProgram
from ocppress_gateway.errors import StoreDamaged
from ocppress_gateway.outbox.sqlite import SqliteOutboxStore
from ocppress_gateway.positions.sqlite import SqlitePositionsStore
from ocppress_gateway.transports.memory import MemoryNetwork
from tests.support.processes import Process, free_port
from tests.support.scripted_machine import ScriptedMachine

EDGE = """
[stations]
host = "127.0.0.1"
port = {port}
[link]
url = "ws://127.0.0.1:9/"
edge = "edge-1"
"""

CLOUD = """
[link]
host = "127.0.0.1"
port = {port}
[csms]
url = "ws://127.0.0.1:9/ocpp/{{identity}}"
"""


def _config(name: str, text: str, port: int, folder: Path) -> Path:
    file = folder / f"{name}.toml"
    file.write_text(text.format(port=port))
    return file


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("edge", EDGE, "INFO ocppress.edge listening for stations url=ws://127.0.0.1:{port}/IDENTITY cloud=ws://127.0.0.1:9/"),
        ("cloud", CLOUD, "INFO ocppress.cloud listening for edges address=ws://127.0.0.1:{port}/ csms=ws://127.0.0.1:9/ocpp/{{identity}}"),
    ],
    ids=["edge", "cloud"],
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_program_says_its_urls_and_ends_at_a_signal(
    name: str, text: str, says: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    async def main() -> None:
        port = await free_port()
        async with Process.running(name, "--config", _config(name, text, port, tmp_path)) as process:
            assert (await process.said("listening")).endswith(says.format(port=port))
            assert await process.end(number) == code
        assert "not encrypted" in process.lines[0]
        assert "stopping" in "".join(process.lines)
        assert "Traceback" not in "".join(process.lines)

    asyncio.run(main())


@pytest.mark.parametrize(("name", "text"), [("edge", EDGE), ("cloud", CLOUD)], ids=["edge", "cloud"])
def test_a_port_that_is_taken_is_said_in_one_line(name: str, text: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with Process.running(name, "--config", _config(name, text, port, tmp_path)) as process:
                assert await process.ended() == 69
        assert process.lines[-1].startswith("ocppress: cannot listen for ")
        assert "in use" in process.lines[-1]
        assert "Traceback" not in "".join(process.lines)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "text", "store"), [("edge", EDGE, SqliteOutboxStore), ("cloud", CLOUD, SqlitePositionsStore)], ids=["edge", "cloud"]
)
def test_a_store_that_is_in_use_is_said_in_one_line(
    name: str, text: str, store: type[SqliteOutboxStore] | type[SqlitePositionsStore], tmp_path: Path
) -> None:
    async def main() -> None:
        port = await free_port()
        config = f'state_folder = "{tmp_path}/state"\n{text}'
        with closing(store(tmp_path / "state")) as other:
            other.open()
            async with Process.running(name, "--config", _config(name, config, port, tmp_path)) as process:
                assert await process.ended() == 69
        assert process.lines[-1].rstrip().endswith(f"in use by another process ({os.getpid()})")
        assert "Traceback" not in "".join(process.lines)

    asyncio.run(main())


def test_an_outbox_that_is_not_trusted_any_more_ends_the_edge_with_its_reason(tmp_path: Path) -> None:
    settings = EdgeSettings(
        edge="",
        codec=CodecName.VERBATIM,
        linger_s=0.0,
        station_timeout_s=60.0,
        command_timeout_s=30.0,
        upgrade_wait_s=8.0,
        link_grace_s=60.0,
        reconnect_min_s=1.0,
        reconnect_max_s=20.0,
        outbox=True,
    )

    async def main() -> None:
        machine = EdgeMachine(settings, random=lambda: 0.5, random_bytes=os.urandom)
        store = SqliteOutboxStore(tmp_path)
        program = EdgeProgram(machine, MemoryNetwork().connector, host="127.0.0.1", port=0, outbox=store, shutdown_s=0.1)
        async with asyncio.timeout(20), program:
            program._execute(DistrustOutbox("it went back in time"))
            await program.ended()

    with pytest.raises(StoreDamaged, match="it went back in time"):
        asyncio.run(main())
    with closing(SqliteOutboxStore(tmp_path)) as store:
        store.open()
        assert store.opened is not None
        assert store.opened.fault is not None


@pytest.mark.parametrize(("name", "text"), [("edge", EDGE), ("cloud", CLOUD)], ids=["edge", "cloud"])
def test_systemd_hears_of_a_program_s_life(name: str, text: str, tmp_path: Path) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
            manager.bind(str(tmp_path / "notify"))

            async def heard() -> bytes:
                async with asyncio.timeout(20):
                    return await asyncio.get_running_loop().sock_recv(manager, 1000)

            environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
            file = _config(name, text, await free_port(), tmp_path)
            async with Process.running(name, "--config", file, environment=environment) as process:
                assert await heard() == b"READY=1"
                await process.said("listening")
                assert [await heard() for _ in range(5)] == [b"WATCHDOG=1"] * 5
                os.kill(process.pid, signal.SIGSTOP)
                while True:  # what was said before
                    try:
                        async with asyncio.timeout(1):
                            await asyncio.get_running_loop().sock_recv(manager, 1000)
                    except TimeoutError:
                        break
                os.kill(process.pid, signal.SIGCONT)
                assert await heard() == b"WATCHDOG=1"
                assert await process.end(signal.SIGTERM) == 0
                while (said := await heard()) != b"STOPPING=1":
                    assert said == b"WATCHDOG=1"

    asyncio.run(main())


def test_a_sign_of_life_is_a_step_of_the_machine() -> None:
    async def main() -> None:
        machine = ScriptedMachine()
        async with asyncio.timeout(20), EdgeProgram(machine, MemoryNetwork().connector, host="127.0.0.1", port=0) as program:
            for count in 1, 2, 3:
                await program.stepped()
                assert [type(event) for event in machine.events] == [Tick] * count

    asyncio.run(main())
