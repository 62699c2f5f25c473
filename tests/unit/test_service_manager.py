"""What systemd hears, on a real socket of the kind that it listens on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocppress_gateway.service_manager import ServiceManager


@contextlib.contextmanager
def _manager(address: str | bytes) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)
        yield manager


def _heard(manager: socket.socket) -> list[bytes]:
    heard = []
    with contextlib.suppress(BlockingIOError):
        while True:
            heard.append(manager.recv(1000))
    return heard


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_what_is_said(kind: str, tmp_path: Path) -> None:
    name = f"@{secrets.token_hex(8)}" if kind == "abstract" else str(tmp_path / "notify")
    with _manager(name.replace("@", "\0")) as manager:
        told = ServiceManager({"NOTIFY_SOCKET": name})
        told.ready()
        told.stopping()
        assert _heard(manager) == [b"READY=1", b"STOPPING=1"]
        assert told.watchdog_s is None


def test_a_beat_follows_each_sign_of_life(tmp_path: Path) -> None:
    async def main() -> None:
        with _manager(str(tmp_path / "notify")) as manager:
            told = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000", "WATCHDOG_PID": str(os.getpid())})
            assert told.watchdog_s == 0.03
            signs = 0

            async def alive() -> None:
                nonlocal signs
                signs += 1
                if signs == 4:
                    await asyncio.Event().wait()  # hangs

            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await told.beat(alive)
            assert signs == 4
            assert _heard(manager) == [b"WATCHDOG=1"] * 3

    asyncio.run(main())


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "1000"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "-1000"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "1000"},
    ],
)
def test_where_nobody_watches_nothing_beats(environment: dict[str, str]) -> None:
    async def alive() -> None:
        pytest.fail("nobody wants to know")

    told = ServiceManager(environment)
    assert told.watchdog_s is None
    asyncio.run(told.beat(alive))


def test_a_manager_that_has_gone_is_missed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    told.ready()
    told.stopping()
    assert [record.message for record in caplog.records] == ["the service manager can't be told"]
