"""A fleet as it is run: clouds behind a balancer, a server that they share, edges with names of their own, all of them processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.haproxy import Haproxy, running_haproxy
from tests.support.mosquitto import steady_port
from tests.support.processes import Change, Lives, change, ocppress
from tests.support.redis_server import RedisServer, running_redis

__all__ = ["Fleet", "open_fleet"]

HOST = "cloud.fleet.example"
"""Nobody's: the edges' processes look its names up in `_NAMES`."""

_NAMES = f"""\
import socket
ask = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **named: ask("127.0.0.1" if str(host).endswith(".{HOST}") else host, *rest, **named)
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """`urls` are those for stations, without the identity, by edge."""

    clouds: tuple[Lives, ...]
    edges: tuple[Lives, ...]
    urls: tuple[str, ...]
    balancer: Haproxy
    store: RedisServer

    @property
    def lines(self) -> list[str]:
        """What all programs have said."""
        ends = (*self.clouds, *self.edges)
        return [line for end in ends for line in (*end.lines, *(end.process.lines if end.process.is_running else ()))]


@contextlib.asynccontextmanager
async def open_fleet(
    folder: Path, csms_url: str, *, clouds: int, edges: int, edge_changes: Sequence[Change], cloud_changes: Sequence[Change]
) -> AsyncIterator[Fleet]:
    """So many clouds and edges; any edge may speak for any station."""
    authority = folder / "ca"
    ocppress("ca", "init", "--dir", authority, "--host", f"*.{HOST}", "--csms-url", csms_url)
    cloud_ports = [steady_port() for _ in range(clouds)]
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context(running_redis(folder / "store", "--appendonly", "yes", "--appendfsync", "always"))
        balancer = await stack.enter_async_context(running_haproxy(folder, cloud_ports))
        edge_ports = [steady_port() for _ in range(edges)]
        edge_files = []
        for number, port in enumerate(edge_ports, 1):
            name = f"site-{number}"
            ocppress("ca", "issue", name, "--dir", authority, "--stations", "*")
            edge_files.append(authority / "edges" / name / "edge.toml")
            change(
                edge_files[-1],
                ("#port = 8887", f"port = {port}"),
                ('#host = "0.0.0.0"', 'host = "127.0.0.1"'),
                (f"{name}.{HOST}:8886/", f"{name}.{HOST}:{balancer.port}/"),
                *edge_changes,
            )
        cloud_lives = []
        for number, port in enumerate(cloud_ports, 1):
            shutil.copytree(authority / "cloud", folder / f"cloud-{number}")
            file = change(
                folder / f"cloud-{number}" / "cloud.toml",
                ("#port = 8886", f"port = {port}"),
                ("#proxy_from = []", 'proxy_from = ["127.0.0.0/8"]'),
                ("#[fleet]", "[fleet]"),
                ("#store =", f'store = "redis://127.0.0.1:{store.port}/0"'),
                *cloud_changes,
            )
            cloud_lives.append(await stack.enter_async_context(Lives("cloud", "--config", file, ready="listening for edges")))
        (folder / "names").mkdir()
        (folder / "names" / "sitecustomize.py").write_text(_NAMES)
        environment = {"PYTHONPATH": os.pathsep.join([str(folder / "names"), *sys.path])}
        edge_lives = [
            await stack.enter_async_context(Lives("edge", "--config", file, ready="listening for stations", environment=environment))
            for file in edge_files
        ]
        urls = tuple(f"ws://127.0.0.1:{port}" for port in edge_ports)
        yield Fleet(tuple(cloud_lives), tuple(edge_lives), urls, balancer, store)
