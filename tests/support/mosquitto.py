"""A real broker on a free port of loopback, with the files that `ocppress ca` makes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ocppress_gateway.core.broker_topics import Topics
from ocppress_gateway.provisioning.mosquitto import access_list, mosquitto_conf
from tests.support.background import background

__all__ = ["Mosquitto", "free_port", "made_mosquitto", "needs_mosquitto", "running_mosquitto", "steady_port"]

WAIT_S = 10.0

_PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")

needs_mosquitto = pytest.mark.skipif(_PROGRAM is None, reason="there is no mosquitto here")


class Mosquitto:
    """A broker; `lines` is what it has said."""

    def __init__(self, port: int, conf: Path) -> None:
        self.port = port
        self.lines: list[str] = []
        self._conf = conf
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Start it; returns when it listens."""
        assert _PROGRAM is not None, "tests that need it are skipped without"
        process = await asyncio.create_subprocess_exec(
            _PROGRAM, "-v", "-c", str(self._conf), cwd=self._conf.parent, stderr=asyncio.subprocess.PIPE
        )
        running = asyncio.Event()

        async def listen() -> None:
            assert process.stderr is not None
            while line := await process.stderr.readline():
                self.lines.append(line.decode(errors="replace").rstrip())
                if "running" in self.lines[-1]:
                    running.set()

        async def stop() -> None:
            if process.returncode is None:
                process.kill()
            await process.wait()

        await self._stack.enter_async_context(background(listen(), "mosquitto"))
        self._stack.push_async_callback(stop)
        async with asyncio.timeout(WAIT_S):
            await running.wait()

    async def kill(self) -> None:
        """As `kill -9` does."""
        await self._stack.aclose()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def steady_port() -> int:
    """A port that nobody listens on, and that no outgoing connection is given while whoever listens there is away."""
    for _ in range(1000):
        port = random.randint(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@contextlib.asynccontextmanager
async def running_mosquitto(
    folder: Path, *, tls: bool, prefix: str = "", port: int | None = None, more: str = ""
) -> AsyncIterator[Mosquitto]:
    """Certificates stand in `folder` already: ca.pem, broker.pem and broker.key. `more` lines of configuration follow ours."""
    port = port or free_port()
    if tls:
        (folder / "acl").write_text(access_list(Topics(prefix)))
        text = mosquitto_conf(port=port, folder=str(folder), host="127.0.0.1")
    else:
        text = f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
    (folder / "mosquitto.conf").write_text(text + more)
    async with made_mosquitto(folder, port) as broker:
        yield broker


@contextlib.asynccontextmanager
async def made_mosquitto(folder: Path, port: int) -> AsyncIterator[Mosquitto]:
    """With the `mosquitto.conf` in a folder, which has this port."""
    conf = folder / "mosquitto.conf"
    conf.write_text(f"user root\n{conf.read_text()}")  # as root, it would take another name, which can't read our files
    broker = Mosquitto(port, conf)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()
