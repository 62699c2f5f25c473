"""`ocppress check-link` against real clouds, and what stands where one should be; with an edge that runs and doesn't notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ocppress_gateway.config import load_edge
from ocppress_gateway.edge.program import link_connector, own_certificate
from ocppress_gateway.linkcheck.steps import PROBES_OFF_S, LinkCheck, Trouble
from tests.support.processes import WAIT_S, Files, Process, change, make_files, open_gateway
from tests.support.raw_peers import RawCsms


async def _check(edge_file: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ocppress_gateway", "check-link", "--config", str(edge_file), *arguments),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(2 * WAIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def _json(edge_file: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = await _check(edge_file, "--json", *arguments)
    return code, json.loads(out.splitlines()[-1])


@contextlib.asynccontextmanager
async def _cloud(folder: Path) -> AsyncIterator[tuple[Files, Process]]:
    files = await make_files(folder, "ws://127.0.0.1:1/{identity}")
    async with Process.running("cloud", "--config", files.cloud) as cloud:
        await cloud.said("listening for edges")
        yield files, cloud


def test_all_is_well_and_the_edge_that_runs_keeps_its_link(tmp_path: Path) -> None:
    async def main() -> None:
        async with RawCsms() as csms, open_gateway(tmp_path, csms.url) as gateway:
            edge_file = tmp_path / "ocppress-ca" / "edges" / "site-1" / "edge.toml"
            code, result = await _json(edge_file, "--minutes", "0.02")
            assert (code, result["ok"]) == (0, True), result
            names = ["look-up", "TCP", "first connection", "hello", "second connection", "hello", "silence"]
            assert [step["step"] for step in result["steps"]] == names
            first, second = result["steps"][2], result["steps"][4]
            assert (first["resumed"], second["resumed"]) == (False, True)
            assert second["sent_bytes"] + second["received_bytes"] < (first["sent_bytes"] + first["received_bytes"]) / 2
            hello = result["steps"][3]
            assert (hello["edge"], hello["codec"], hello["linked"]) == ("site-1", "adaptive", True)
            assert abs(hello["clock_offset_s"]) < 5, "it is the same clock"
            code, out, _ = await _check(edge_file)
            assert (code, len(out.splitlines())) == (0, 6)
            assert "TLS resumed and upgrade in" in out
            assert len([line for line in gateway.edge.lines if "link up" in line]) == 1
            assert not [line for line in gateway.edge.lines + gateway.cloud.lines if "link lost" in line or "connected again" in line]

    asyncio.run(main())


def test_a_cloud_that_is_not_there(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path, "ws://127.0.0.1:1/{identity}")
        code, out, _ = await _check(files.edge)
        assert code == 69
        assert f"TCP: 127.0.0.1 port {files.cloud_port} refused the connection\n  what helps: is the cloud running" in out
        change(files.edge, ("wss://127.0.0.1", "wss://no-such-host.invalid"))
        code, result = await _json(files.edge)
        assert (code, result["ok"], result["steps"][0]["step"]) == (69, False, "look-up")
        assert "name server" in result["steps"][0]["remedy"]

    asyncio.run(main())


def test_an_edge_that_the_cloud_does_not_know(tmp_path: Path) -> None:
    async def main() -> None:
        async with RawCsms() as csms:
            files = await make_files(tmp_path, csms.url)
            change(files.cloud, ('name = "site-1"', 'name = "other"'))
            async with Process.running("cloud", "--config", files.cloud) as cloud:
                await cloud.said("listening for edges")
                code, result = await _json(files.edge)
                last = result["steps"][-1]
                assert (code, last["step"], last["says"]) == (1, "hello", "the cloud says: no such edge: 'site-1'")
                assert "cloud.toml" in last["remedy"]

    asyncio.run(main())


def test_a_cloud_of_another_authority(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "other").mkdir()
        other = await make_files(tmp_path / "other", "ws://127.0.0.1:1/{identity}")
        async with _cloud(tmp_path) as (files, _):
            (files.edge.parent / "ca.pem").write_bytes((other.edge.parent / "ca.pem").read_bytes())
            code, result = await _json(files.edge)
            last = result["steps"][-1]
            assert (code, last["step"]) == (1, "first connection")
            assert "certificate not accepted" in last["says"]
            assert "different authorities" in last["remedy"]

    asyncio.run(main())


@pytest.mark.parametrize("gone", ["closed", "forgotten"])
def test_a_silence_that_the_way_does_not_stand(gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocppress_gateway.linkcheck.steps.STEP_S", 3.0)

    async def main() -> None:
        async with _cloud(tmp_path) as (files, _):
            real = files.cloud_port
            connections: list[asyncio.StreamWriter] = []
            forgetting = asyncio.Event()

            async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with contextlib.suppress(OSError):
                    while data := await reader.read(65536):
                        if not forgetting.is_set():
                            writer.write(data)
                writer.close()

            async def nat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", real)
                connections.append(writer)
                if len(connections) == 3:  # look, first connection, second connection
                    asyncio.get_running_loop().call_later(1.0, forgetting.set if gone == "forgotten" else writer.transport.abort)
                async with asyncio.TaskGroup() as group:
                    group.create_task(pump(reader, far_writer), name="up")
                    group.create_task(pump(far_reader, writer), name="down")

            async with await asyncio.start_server(nat, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                change(files.edge, (f"127.0.0.1:{real}/", f"127.0.0.1:{port}/"))
                config = load_edge(files.edge)
                assert config.link.tls is not None
                context = own_certificate(config.link.tls, config.state_folder).context
                check = LinkCheck(config.link, link_connector(config.link, context, PROBES_OFF_S))
                with pytest.raises(Trouble) as raised:
                    async for _ in check.run(0.05):
                        pass
                assert raised.value.name == "silence"
                assert ("forgotten without a word within 3 s" if gone == "forgotten" else "cut after") in str(raised.value)
                assert "keepalive_s" in raised.value.remedy

    asyncio.run(main())


def test_what_answers_is_no_cloud(tmp_path: Path) -> None:
    async def main() -> None:
        async with RawCsms() as csms:
            edge_file = tmp_path / "edge.toml"
            edge_file.write_text(f'[link]\nurl = "{csms.url.partition("/ocpp")[0]}/"\nedge = "dev"\n')
            code, result = await _json(edge_file)
            assert code == 1
            assert not result["ok"]

    asyncio.run(main())


@pytest.mark.parametrize("minutes", ["-1", "481", "x", "nan"])
def test_minutes_that_make_no_sense(minutes: str, tmp_path: Path) -> None:
    async def main() -> None:
        code, _, err = await _check(tmp_path / "edge.toml", f"--minutes={minutes}")
        assert code == 2
        assert "isn't from 0 to 480" in err

    asyncio.run(main())
