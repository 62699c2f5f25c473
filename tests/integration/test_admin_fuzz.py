"""The REST interface of two real programs, asked by schemathesis whatever its own description allows, and much that it doesn't."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis

from ocppress_gateway.admin.api import endpoints
from ocppress_gateway.admin.openapi import description
from tests.support.admin import OPERATOR, admin_change
from tests.support.processes import WAIT_S

CONFIG = schemathesis.Config.from_dict({"generation": {"mode": "all", "max-examples": 30, "deterministic": True}})
"""A hundred times as many examples of each operation have found no more."""

HEADERS = {"Authorization": f"Bearer {OPERATOR}"}

EXCLUDED = [schemathesis.checks.ignored_auth]
"""It fails to log in so often that it is told to wait (429), which it doesn't count as a refusal; `test_admin_server` asks without tokens."""

PROGRAMS = {
    "cloud": """\
[link]
host = "127.0.0.1"
port = {port}
[csms]
url = "ws://127.0.0.1:9/{{identity}}"
[[edges]]
name = "site-1"
stations = ["CP001", "CP002"]
""",
    "edge": """\
[stations]
host = "127.0.0.1"
port = {port}
[link]
url = "ws://127.0.0.1:9/"
edge = "site-1"
""",
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextlib.contextmanager
def _running(program: str, folder: Path) -> Iterator[str]:
    """The program by its own command line; its operators' URL."""
    file = folder / f"{program}.toml"
    file.write_text(PROGRAMS[program].format(port=_free_port()) + admin_change()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "ocppress_gateway", program, "--config", str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            url = line.rpartition("listening for operators url=")[2].strip()
            if url != line.strip():
                break
        else:
            pytest.fail("".join(lines))
        reading = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
        reading.start()
        try:
            yield url
        finally:
            process.terminate()
            reading.join(WAIT_S)
    assert process.returncode == 0
    assert "".join(lines).count("Traceback") == 0, "".join(lines)
    assert OPERATOR not in "".join(lines)


CLOUD, EDGE = (schemathesis.openapi.from_dict(description(endpoints(program), program), config=CONFIG) for program in ("cloud", "edge"))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with _running("cloud", tmp_path_factory.mktemp("c")) as url:
        yield url


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with _running("edge", tmp_path_factory.mktemp("e")) as url:
        yield url


@CLOUD.parametrize()
def test_a_cloud(case: schemathesis.Case[Any], cloud: str) -> None:
    case.call_and_validate(base_url=cloud, headers=HEADERS, excluded_checks=EXCLUDED)


@EDGE.parametrize()
def test_an_edge(case: schemathesis.Case[Any], edge: str) -> None:
    case.call_and_validate(base_url=edge, headers=HEADERS, excluded_checks=EXCLUDED)


def test_the_description_is_served(cloud: str) -> None:
    with urllib.request.urlopen(f"{cloud}/api/v1/openapi.json") as response:
        assert json.load(response) == json.loads(msgspec.json.encode(description(endpoints("cloud"), "cloud")))
