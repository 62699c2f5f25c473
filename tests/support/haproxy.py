"""A real HAProxy in front of clouds, with the file in `deploy/loadbalancer`, but for ports and servers."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.support.mosquitto import steady_port
from tests.support.processes import until
from tests.support.tree import ROOT

__all__ = ["Haproxy", "listens", "needs_haproxy", "running_haproxy"]

CONFIGURATION = ROOT / "deploy" / "loadbalancer" / "haproxy.cfg"

_PROGRAM = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")

needs_haproxy = pytest.mark.skipif(_PROGRAM is None, reason="there is no haproxy here")


class Haproxy:
    """A balancer that can be killed and started again."""

    def __init__(self, folder: Path, cloud_ports: Sequence[int]) -> None:
        self.port = steady_port()
        self._file = folder / "haproxy.cfg"
        self._file.write_text(_configuration(self.port, cloud_ports))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; returns when it listens."""
        assert _PROGRAM is not None, "tests that need it are skipped without"
        self._process = await asyncio.create_subprocess_exec(_PROGRAM, "-db", "-f", str(self._file), stderr=asyncio.subprocess.DEVNULL)
        await until(lambda: listens(self.port))

    async def kill(self) -> None:
        """As `kill -9` does; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@contextlib.asynccontextmanager
async def running_haproxy(folder: Path, cloud_ports: Sequence[int]) -> AsyncIterator[Haproxy]:
    """A balancer that runs until the block ends."""
    balancer = Haproxy(folder, cloud_ports)
    await balancer.start()
    try:
        yield balancer
    finally:
        await balancer.kill()


def _configuration(port: int, cloud_ports: Sequence[int]) -> str:
    text = CONFIGURATION.read_text(encoding="utf-8")
    assert text.count("bind :8886 ") == 1
    head, servers = re.subn(r"^    server .*\n", "", text, flags=re.MULTILINE)
    assert servers == 3
    lines = [f"    server cloud-{number} 127.0.0.1:{cloud_port}\n" for number, cloud_port in enumerate(cloud_ports, 1)]
    ours = head.replace("bind :8886 ", f"bind 127.0.0.1:{port} ").replace("maxconn 20000 ", "maxconn 1000 ")
    return ours + "".join(lines)


def listens(port: int) -> bool:
    """Whether somebody does, by the kernel's table: a connection would be the first to be balanced."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()
