"""The two programs as processes: what they say at their start, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.tree import ROOT

WAIT_S = 30.0

EDGE = """
state_dir = "state"
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

MAIN = """
import logging, sys
from pathlib import Path
from ocppress_gateway.config import LogConfig, load_{name}
from ocppress_gateway.{name}.program import run
from ocppress_gateway.log import set_up
set_up(LogConfig())
try:
    sys.exit(run(load_{name}(Path(sys.argv[1]))))
except KeyboardInterrupt:
    sys.exit(130)
"""


async def _start(name: str, text: str, port: int, folder: Path) -> asyncio.subprocess.Process:
    file = folder / f"{name}.toml"
    file.write_text(text.format(port=port))
    path = os.pathsep.join([str(ROOT / "gateway"), str(ROOT / "codecs")])
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MAIN.format(name=name),
        str(file),
        env={**os.environ, "PYTHONPATH": path, "PYTHONASYNCIODEBUG": ""},
        stderr=asyncio.subprocess.PIPE,
    )


async def _free_port() -> int:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("edge", EDGE, "ocppress.edge listening for stations url=ws://127.0.0.1:{port}/IDENTITY cloud=ws://127.0.0.1:9/"),
        ("cloud", CLOUD, "ocppress.cloud listening for edges address=ws://127.0.0.1:{port}/ csms=ws://127.0.0.1:9/ocpp/{{identity}}"),
    ],
    ids=["edge", "cloud"],
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_program_says_its_urls_and_ends_at_a_signal(name: str, text: str, says: str, number: int, code: int, tmp_path: Path) -> None:
    async def main() -> None:
        port = await _free_port()
        process = await _start(name, text, port, tmp_path)
        assert process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            first = (await process.stderr.readline()).decode()
            assert first.split(" INFO ")[1].replace('"', "").strip() == says.format(port=port)
            process.send_signal(number)
            _, rest = await process.communicate()
        assert process.returncode == code, rest.decode()
        assert "stopping" in rest.decode()
        assert "Traceback" not in rest.decode()

    asyncio.run(main())


@pytest.mark.parametrize(("name", "text"), [("edge", EDGE), ("cloud", CLOUD)], ids=["edge", "cloud"])
def test_a_port_that_is_taken_is_said_in_one_line(name: str, text: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
            process = await _start(name, text, server.sockets[0].getsockname()[1], tmp_path)
            async with asyncio.timeout(WAIT_S):
                _, said = await process.communicate()
        last = said.decode().splitlines()[-1]
        assert last.startswith("ocppress_gateway.errors.GatewayError: cannot listen for")
        assert "in use" in last

    asyncio.run(main())
