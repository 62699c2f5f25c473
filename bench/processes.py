"""The programs that a measurement starts: their files and ports, and what the kernel says that they took."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["HOST", "Started", "changed", "disk_bytes", "free_port", "kib", "processor_s", "started"]

HOST: Final = "127.0.0.1"
_START_S: Final = 30.0


@dataclass(slots=True)
class Started:
    """A program that runs."""

    pid: int
    listens_at: float = 0.0


def changed(file: Path, before: str, after: str) -> None:
    """Put `after` in the one place of `before`."""
    text = file.read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise RuntimeError(f"{before!r} stands {text.count(before)} times in {file.name}")
    file.write_text(text.replace(before, after), encoding="utf-8")


async def free_port() -> int:
    """One that nobody has at present."""
    async with await asyncio.start_server(lambda *_: None, HOST, 0) as server:
        port: int = server.sockets[0].getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def started(name: str, module: Sequence[str], ready: str) -> AsyncIterator[Started]:
    """Run a module, with its arguments, from when it has said `ready` until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *module),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None, "it was asked for"
    program = Started(process.pid)
    lines: list[str] = []
    changed = asyncio.Event()

    async def listen(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            lines.append(line.decode())
            if "listening for" in lines[-1]:
                program.listens_at = time.monotonic()
            if ready in lines[-1]:
                changed.set()
        changed.set()

    try:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen(process.stderr), name=name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_START_S):
                    await changed.wait()
            if not any(ready in line for line in lines):
                raise RuntimeError(f"the {name} has not begun; it said: {''.join(lines)}")
            yield program
            listening.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def kib(pid: int, name: str, *, of: str = "status") -> int:
    """A line of /proc/PID/status or of another file there, in KiB."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/{of}").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, "Linux has it"
    return int(found[1])


def processor_s(pid: int) -> float:
    """User and system time of a process, its threads that have ended left out where the kernel counts nanoseconds, and in ticks of 10 ms where it doesn't."""
    counts = [file.read_text(encoding="utf-8").split()[0] for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    if counts:
        return sum(map(int, counts)) / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(pid: int) -> int:
    """What the kernel has to write for it."""
    found = re.search(r"^write_bytes: (\d+)$", Path(f"/proc/{pid}/io").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, "Linux has it"
    return int(found[1])
