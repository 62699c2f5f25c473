"""A real Redis or Valkey on a free port of loopback, that writes each command to its disk."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ocppress_gateway.positions.server import ServerPlace
from tests.support.mosquitto import steady_port

__all__ = ["RedisServer", "needs_redis", "running_redis"]

WAIT_S = 10.0

_PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server")

needs_redis = pytest.mark.skipif(_PROGRAM is None, reason="there is no redis-server or valkey-server here")


class RedisServer:
    """A server whose data outlives its processes."""

    def __init__(self, folder: Path, *settings: str) -> None:
        """`settings` as on its command line."""
        self.port = steady_port()
        self.place = ServerPlace(url=f"redis://127.0.0.1:{self.port}/0")
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it answers."""
        assert _PROGRAM is not None, "tests that need it are skipped without"
        self._folder.mkdir(exist_ok=True)
        command = [_PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        self._process = subprocess.Popen([*command, *self._settings], stdout=subprocess.DEVNULL)
        until = time.monotonic() + WAIT_S
        while not self.answers():
            assert time.monotonic() < until, "it doesn't answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """As `kill -9` does; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        """To look at what is there."""
        return redis.Redis(**self.place.options())

    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError, OSError), socket.create_connection(("127.0.0.1", self.port)), self.client() as client:
            return bool(client.ping())
        return False


@contextlib.contextmanager
def running_redis(folder: Path, *settings: str) -> Iterator[RedisServer]:
    """A server that runs until the block ends."""
    server = RedisServer(folder, *settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()
