"""A real nginx in front of clouds, with the file in `deploy/loadbalancer`, but for ports, servers and places of files."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.haproxy import listens
from tests.support.mosquitto import free_port
from tests.support.processes import until
from tests.support.tree import ROOT

__all__ = ["Nginx", "needs_nginx", "running_nginx"]

CONFIGURATION = ROOT / "deploy" / "loadbalancer" / "nginx.conf"

_PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
_STREAM = list(Path("/etc/nginx/modules-enabled").glob("*stream*"))

needs_nginx = pytest.mark.skipif(_PROGRAM is None or not _STREAM, reason="there is no nginx with its stream module here")


@dataclass(frozen=True, slots=True)
class Nginx:
    """A balancer that runs."""

    port: int


@contextlib.asynccontextmanager
async def running_nginx(folder: Path, cloud_ports: Sequence[int]) -> AsyncIterator[Nginx]:
    """A balancer that runs until the block ends."""
    assert _PROGRAM is not None, "tests that need it are skipped without"
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(f"pid {folder}/nginx.pid;\n{_configuration(port, cloud_ports, folder)}")
    process = await asyncio.create_subprocess_exec(
        _PROGRAM, "-c", str(file), "-e", str(folder / "error.log"), "-g", "daemon off; master_process off;"
    )
    try:
        await until(lambda: listens(port))
        yield Nginx(port)
    finally:
        process.kill()
        await process.wait()


def _configuration(port: int, cloud_ports: Sequence[int], folder: Path) -> str:
    text = CONFIGURATION.read_text(encoding="utf-8")
    assert text.count("listen 8886 ") == 1
    ports = iter(cloud_ports)
    text, servers = re.subn(r"server 10\.\S+", lambda _: f"server 127.0.0.1:{next(ports)}", text)
    assert servers == len(cloud_ports)
    return text.replace("listen 8886 ", f"listen 127.0.0.1:{port} ").replace("/var/log/nginx", str(folder)).replace("65536", "1024")
