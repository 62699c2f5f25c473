"""HAProxy and nginx by the files in `deploy/loadbalancer`, with a real edge, cloud and station through them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import WAIT_S, Process, change, free_port, make_files
from tests.support.raw_peers import RawCsms, RawStation
from tests.support.tree import ROOT

FOLDER: Final = ROOT / "deploy/loadbalancer"
Balancer = Callable[[Path, int, int], tuple[list[str], list[str]]]
"""From a folder, the port to listen at and the cloud's: the command that checks the file, and the one that runs it."""

PATH: Final = "/usr/sbin:/usr/local/sbin:/usr/bin"


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"there is no {name} here")
    return found


async def _checked(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert "warn" not in out.decode().lower(), out.decode()


@contextlib.asynccontextmanager
async def _running(*command: str, port: int) -> AsyncIterator[None]:
    """A program in the foreground, from when it listens; killed in the end."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                assert process.returncode is None, process.stderr and (await process.stderr.read()).decode()
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _haproxy(folder: Path, port: int, cloud_port: int) -> tuple[list[str], list[str]]:
    program = _program("haproxy")
    text = (FOLDER / "haproxy.cfg").read_text().replace("bind :8886", f"bind 127.0.0.1:{port}")
    text = re.sub(r"server (cloud-\d) \S+", rf"server \1 127.0.0.1:{cloud_port}", text)
    text = text.replace("maxconn 20000", "maxconn 100")  # more than this machine may have open files for
    file = folder / "haproxy.cfg"
    file.write_text(text)
    return [program, "-c", "-f", str(file)], [program, "-db", "-f", str(file)]


def _nginx(folder: Path, port: int, cloud_port: int) -> tuple[list[str], list[str]]:
    program = _program("nginx")
    if not list(Path("/etc/nginx/modules-enabled").glob("*stream*")):
        pytest.skip("nginx has no stream module here")
    text = (FOLDER / "nginx.conf").read_text().replace("listen 8886", f"listen 127.0.0.1:{port}").replace("/var/log/nginx", str(folder))
    text = re.sub(r"server 10\.\S+", f"server 127.0.0.1:{cloud_port}", text)
    file = folder / "nginx.conf"
    file.write_text(f"pid {folder}/nginx.pid;\n{text}")
    common = [program, "-c", str(file), "-e", str(folder / "error.log")]
    return [*common, "-t"], [*common, "-g", "daemon off;"]


BALANCERS: Final = pytest.mark.parametrize("balancer", [_haproxy, _nginx], ids=["haproxy", "nginx"])


@BALANCERS
def test_the_file_itself_is_understood(balancer: Balancer, tmp_path: Path) -> None:
    checking, _ = balancer(tmp_path, 8886, 8886)
    ours = {str(tmp_path / name): str(FOLDER / name) for name in ("haproxy.cfg", "nginx.conf")}
    asyncio.run(_checked(*(ours.get(word, word) for word in checking)))


@BALANCERS
def test_a_link_goes_through(balancer: Balancer, tmp_path: Path) -> None:
    async def main() -> None:
        async with RawCsms() as csms:
            files = await make_files(tmp_path, csms.url, cloud_changes=[("#proxy_from = []", 'proxy_from = ["127.0.0.1/32"]')])
            port = await free_port()
            checking, running = balancer(tmp_path, port, files.cloud_port)
            await _checked(*checking)
            change(files.edge, (f"127.0.0.1:{files.cloud_port}/", f"127.0.0.1:{port}/"))
            async with contextlib.AsyncExitStack() as stack:
                cloud = await stack.enter_async_context(Process.running("cloud", "--config", files.cloud))
                await cloud.said("listening for edges")
                await stack.enter_async_context(_running(*running, port=port))
                edge = await stack.enter_async_context(Process.running("edge", "--config", files.edge))
                await edge.said("link up")
                async with RawStation(f"{files.url}/CP001") as station:
                    await station.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
                    assert await csms.received("CP001", 1)

    asyncio.run(main())
