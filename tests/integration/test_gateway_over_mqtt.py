"""The whole gateway with a mosquitto between edge and cloud, on the files that `ocppress ca init --broker` makes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ocppress_codecs.rpc import MessageType, parse
from tests.support.mosquitto import Mosquitto, made_mosquitto, needs_mosquitto
from tests.support.processes import Files, Process, make_files, ocppress
from tests.support.raw_peers import RawCsms, RawStation


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    return [f'[3,"{message_id}",{{"status":"Accepted"}}]'] if message.type is MessageType.CALL else []


def _admit(identity: str, authorization: str | None, subprotocols: Sequence[str]) -> int | str:
    return "ocpp2.0.1"


@contextlib.asynccontextmanager
async def _open(folder: Path) -> AsyncIterator[tuple[Files, Mosquitto]]:
    async with RawCsms(admit=_admit, handler=_answer) as csms:
        files = await make_files(folder, csms.url, broker=True)
        async with made_mosquitto(files.broker, files.cloud_port) as broker:
            yield files, broker


async def _exchange(files: Files) -> None:
    async with RawStation(f"{files.url}/CS-1") as station:
        await station.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
        assert await station.receive() == '[3,"1",{"status":"Accepted"}]'


@needs_mosquitto
def test_a_station_reaches_its_csms_whatever_is_restarted(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open(tmp_path) as (files, broker), contextlib.AsyncExitStack() as stack:
            cloud = await stack.enter_async_context(Process.running("cloud", "--config", files.cloud))
            assert f"address=mqtts://127.0.0.1:{broker.port}/" in await cloud.said("listening for edges")
            edge = await stack.enter_async_context(Process.running("edge", "--config", files.edge))
            await edge.said("link up")
            await _exchange(files)
            await broker.kill()
            await edge.said("link lost")
            await cloud.said("the broker is lost")
            await broker.start()
            await edge.said("link up", 2)
            await cloud.said("connected to the broker")
            await _exchange(files)
            assert await cloud.end(signal.SIGTERM) == 0
            await edge.said("link closed")
            cloud_again = await stack.enter_async_context(Process.running("cloud", "--config", files.cloud))
            await edge.said("link up", 3)
            await _exchange(files)
            assert await edge.end(signal.SIGTERM) == 0
            await cloud_again.said("the edge says goodbye")
            for process in (edge, cloud, cloud_again):
                assert not [line for line in process.lines if "Traceback" in line or " ERROR " in line]

    asyncio.run(main())


def test_check_shows_the_way_to_the_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> Files:
        return await make_files(tmp_path, "ws://127.0.0.1:9/{identity}", broker=True)

    files = asyncio.run(main())
    capsys.readouterr()
    url = f"mqtts://127.0.0.1:{files.cloud_port}/"
    ocppress("edge", "--config", files.edge, "--check")
    shown = capsys.readouterr()
    edge = json.loads(shown.out)["link"]
    assert "`reachability_s` 2250 is a Keep Alive of 1500 s" in shown.err
    assert (edge["url"], edge["edge"]) == (url, "site-1")
    ocppress("cloud", "--config", files.cloud, "--check")
    assert json.loads(capsys.readouterr().out)["link"]["broker"] == url


@needs_mosquitto
def test_a_cloud_whose_broker_is_another_says_so_and_ends(tmp_path: Path) -> None:
    async def main() -> None:
        files = await make_files(tmp_path / "one", "ws://127.0.0.1:9/{identity}", broker=True)
        async with _open(tmp_path / "other") as (_, broker):
            files.cloud.write_text(files.cloud.read_text().replace(f":{files.cloud_port}/", f":{broker.port}/"))
            async with Process.running("cloud", "--config", files.cloud) as cloud:
                assert await cloud.ended() == 69
            assert "certificate is not accepted" in cloud.lines[-1]
            assert "Traceback" not in "".join(cloud.lines)

    asyncio.run(main())
