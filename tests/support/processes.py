"""Edge and cloud as a person runs them: two processes, on files that `ocppress ca` made."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ocppress_gateway import cli
from tests.support.background import background
from tests.support.mosquitto import steady_port

__all__ = ["WAIT_S", "Files", "Gateway", "Lives", "Process", "change", "free_port", "make_files", "ocppress", "open_gateway", "until"]

WAIT_S = 30.0
"""How long to wait for anything; reached only when something is broken."""

Change = tuple[str, str]
"""What stands once in a configuration, and what is to stand there."""


class Process:
    """A running `ocppress`; `lines` is what it has said on standard error."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._changed = asyncio.Condition()
        self.lines: list[str] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, *arguments: str | Path, environment: Mapping[str, str] | None = None, python: str | Path = sys.executable
    ) -> AsyncIterator[Self]:
        """Start it; killed when the block ends if it hasn't ended by then."""
        process = await asyncio.create_subprocess_exec(
            python,
            *("-m", "ocppress_gateway", *map(str, arguments)),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONASYNCIODEBUG": "", **(environment or {})},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        own = cls(process)
        try:
            async with background(own._listen(), "stderr"):
                yield own
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def said(self, words: str, count: int = 1) -> str:
        """Wait for so many lines with these words; the last of them. Fails if it ends before."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: len(self._with(words)) >= count or not self.is_running)
        assert len(self._with(words)) >= count, self.lines
        return self._with(words)[count - 1]

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the exit code."""
        self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the exit code; all has been said then."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: self._process.returncode is not None)
        assert self._process.returncode is not None
        return self._process.returncode

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def memory_mb(self) -> float:
        """What it has of the machine's memory now."""
        (line,) = (line for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000

    @property
    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def _with(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            await self._note(line.decode().removesuffix("\n"))
        await self._process.wait()
        await self._note(None)

    async def _note(self, line: str | None) -> None:
        async with self._changed:
            if line is not None:
                self.lines.append(line)
            self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Both ends, linked. `url` is for stations, without the identity; `cloud_port` is that of the link."""

    edge: Process
    cloud: Process
    url: str
    edge_port: int
    cloud_port: int


def ocppress(*arguments: str | Path) -> None:
    """Run a command that must succeed; in this process, for that is over sooner."""
    assert cli.main([str(argument) for argument in arguments]) == cli.OK


@dataclass(frozen=True, slots=True)
class Files:
    """Configurations of an edge and its cloud."""

    edge: Path
    cloud: Path
    edge_port: int
    cloud_port: int

    @property
    def broker(self) -> Path:
        """The broker's folder."""
        return self.cloud.parent.parent / "broker"

    @property
    def url(self) -> str:
        """For stations, without the identity."""
        return f"ws://127.0.0.1:{self.edge_port}"


async def make_files(
    folder: Path,
    csms_url: str,
    *,
    log_level: str = "info",
    edge_changes: Sequence[Change] = (),
    cloud_changes: Sequence[Change] = (),
    broker: bool = False,
) -> Files:
    """What the README's commands make in `folder`, but for ports, log level and these changes. With a `broker`, its port is the cloud's."""
    authority = folder / "ocppress-ca"
    edge_port, cloud_port = steady_port(), steady_port()
    level = ('#level = "info"', f'level = "{log_level}"')
    ocppress("ca", "init", "--dir", authority, "--host", "127.0.0.1", "--csms-url", csms_url, *(["--broker"] if broker else []))
    if broker:
        change(authority / "broker" / "mosquitto.conf", ("listener 8883", f"listener {cloud_port} 127.0.0.1"))
    port = (":8883/", f":{cloud_port}/") if broker else ("#port = 8886", f"port = {cloud_port}")
    cloud_file = change(authority / "cloud" / "cloud.toml", port, level, *cloud_changes)
    ocppress("ca", "issue", "site-1", "--dir", authority, "--stations", "*")
    edge_file = authority / "edges" / "site-1" / "edge.toml"
    change(edge_file, ("#port = 8887", f"port = {edge_port}"), ('#host = "0.0.0.0"', 'host = "127.0.0.1"'), level, *edge_changes)
    return Files(edge_file, cloud_file, edge_port, cloud_port)


@contextlib.asynccontextmanager
async def open_gateway(
    folder: Path, csms_url: str, *, log_level: str = "info", edge_changes: Sequence[Change] = (), cloud_changes: Sequence[Change] = ()
) -> AsyncIterator[Gateway]:
    """Edge and cloud on `make_files`."""
    files = await make_files(folder, csms_url, log_level=log_level, edge_changes=edge_changes, cloud_changes=cloud_changes)
    async with Process.running("cloud", "--config", files.cloud) as cloud:
        await cloud.said("listening for edges")
        async with Process.running("edge", "--config", files.edge) as edge:
            await edge.said("link up")
            listening = await edge.said("listening for stations url=")
            url = listening.partition("url=")[2].partition("/IDENTITY")[0]
            yield Gateway(edge, cloud, url, files.edge_port, files.cloud_port)


class Lives:
    """A program that is killed and started again; an asynchronous context in which it has been started once. `lines` is what its past lives said."""

    def __init__(self, *arguments: str | Path, ready: str, environment: Mapping[str, str] | None = None) -> None:
        """`ready`: the words by which it says that it has begun."""
        self._arguments = arguments
        self._ready = ready
        self._environment = environment or {}
        self._stack = contextlib.AsyncExitStack()
        self.lines: list[str] = []
        self.kills = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()
        self.lines += self.process.lines

    async def start(self) -> None:
        self.process = await self._stack.enter_async_context(Process.running(*self._arguments, environment=self._environment))
        await self.process.said(self._ready)

    async def kill(self) -> None:
        """As `kill -9` does; returns when it is gone."""
        self.kills += 1
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """As an init system does; returns when it is gone."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        await self.process.end(number)
        await self._stack.aclose()
        self.lines += self.process.lines


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - another process knows of no event of ours
            await asyncio.sleep(0.05)


async def free_port() -> int:
    """A port that nobody listens on."""
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
    return port


def change(file: Path, *changes: Change) -> Path:
    """Change a configuration."""
    text = file.read_text()
    for before, after in changes:
        assert text.count(before) == 1, f"{before!r} in {file}"
        text = text.replace(before, after)
    file.write_text(text)
    return file
