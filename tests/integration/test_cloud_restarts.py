"""The cloud is restarted as an init system does it, between real programs: the station's context goes on, and none does that might be stale."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.cloud.contexts import CONTEXTS_FILE, ContextsFile
from tests.support.processes import WAIT_S, Files, Lives, make_files
from tests.support.raw_peers import RawCsms, RawStation

OLD, NEW = "Old-planted-password", "0123456789ABCDEF0123456789ABCDEF01234567"
QUICK = (("#reconnect_max_s = 60.0", "reconnect_max_s = 1.0"), ('#plan = "auto"', 'plan = "live"'))


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    if message.type is not MessageType.CALL:
        return []
    status = '{"status":"Accepted","interval":300,"currentTime":"2026-03-01T08:00:00Z"}'
    return [f'[3,"{message_id}",{status if message.action == "BootNotification" else "{}"}]']


def _readings(number: int) -> str:
    sample = f'{{"value":"{230 + number % 7}.{number % 10}","measurand":"Voltage","unit":"V"}}'
    reading = f'{{"timestamp":"2026-03-01T08:{number:02}:00Z","sampledValue":[{sample}]}}'
    return f'{{"connectorId":1,"meterValue":[{reading}]}}'


async def _says(station: RawStation, message_id: str, action: str, payload: str) -> None:
    await station.send(f'[2,"{message_id}","{action}",{payload}]')
    answer = json.loads(await station.receive())
    assert answer[:2] == [3, message_id]


async def _epochs(files: Files) -> dict[str, int]:
    """The edge's, by station."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ocppress_gateway", "status", "--json", "--config", str(files.edge)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(WAIT_S):
        out, _ = await process.communicate()
    return {station["identity"]: station["epoch"] for station in json.loads(out.splitlines()[-1])["stations"]}


Work = Callable[[Files, Lives, Lives, RawCsms], Awaitable[None]]


def _run(folder: Path, work: Work) -> None:
    async def main() -> None:
        async with RawCsms(handler=_answer) as csms:
            files = await make_files(folder, csms.url, edge_changes=QUICK)
            async with (
                Lives("cloud", "--config", files.cloud, ready="listening for edges") as cloud,
                Lives("edge", "--config", files.edge, ready="listening for stations") as edge,
            ):
                await edge.process.said("link up")
                await work(files, edge, cloud, csms)

    asyncio.run(main())


def test_a_restart_costs_no_context_and_a_kill_brings_none_back(tmp_path: Path) -> None:
    async def work(files: Files, edge: Lives, cloud: Lives, csms: RawCsms) -> None:
        saved = files.cloud.parent / "state" / CONTEXTS_FILE
        async with RawStation(f"{files.url}/CS-1", subprotocols=["ocpp1.6"]) as station:
            await _says(station, "b", "BootNotification", '{"chargePointVendor":"v","chargePointModel":"m"}')
            for number in range(5):
                await _says(station, f"m{number}", "MeterValues", _readings(number))
            await _says(station, "d1", "DataTransfer", '{"vendorId":"x","data":"1"}')
            await csms.until(lambda: len(csms.texts["CS-1"]) == 7)
            epochs = await _epochs(files)

            await cloud.stop()
            assert stat.S_IMODE(saved.stat().st_mode) == 0o600
            await _says(station, "m5", "MeterValues", _readings(5))  # the edge's to answer while there is no cloud
            await cloud.start()
            assert not saved.exists(), "nobody uses it before it is gone from the disk"
            assert "contexts_resumed=1" in await cloud.process.said("link up")
            assert "new_epoch=false" in await cloud.process.said("CSMS socket open station=CS-1")
            await edge.process.said("again=true")
            await _says(station, "d2", "DataTransfer", '{"vendorId":"x","data":"2"}')
            assert await _epochs(files) == epochs

            await cloud.kill()
            assert not saved.exists()
            await cloud.start()
            assert "contexts_resumed=0" in await cloud.process.said("link up")
            assert "new_epoch=true" in await cloud.process.said("CSMS socket open station=CS-1")
            await _says(station, "d3", "DataTransfer", '{"vendorId":"x","data":"3"}')
            assert await _epochs(files) != epochs
            await csms.until(lambda: len(csms.texts["CS-1"]) >= 10)
        heard = [json.loads(text) for text in csms.texts["CS-1"]]
        assert [call[3] for call in heard if call[2] == "MeterValues"] == [json.loads(_readings(number)) for number in range(6)]
        assert [call[3]["data"] for call in heard if call[2] == "DataTransfer"] == ["1", "2", "3"]
        said = [line for end in (edge, cloud) for line in end.lines + end.process.lines if " ERROR " in line or "Traceback" in line]
        assert said == []

    _run(tmp_path, work)


def test_a_context_that_a_password_has_passed_through_stays_off_the_disk(tmp_path: Path) -> None:
    async def work(files: Files, edge: Lives, cloud: Lives, csms: RawCsms) -> None:
        folder = files.cloud.parent / "state"
        async with (
            RawStation(f"{files.url}/CS-1", subprotocols=["ocpp1.6"]) as secretive,
            RawStation(f"{files.url}/CS-2", subprotocols=["ocpp1.6"]) as plain,
        ):
            for station in (secretive, plain):
                await _says(station, "d", "DataTransfer", '{"vendorId":"planted-vendor"}')
            await csms.send("CS-1", f'[2,"c","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{NEW}"}}]')
            message_id = json.loads(await secretive.receive())[1]
            await secretive.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
            await csms.until(lambda: any(text.startswith('[3,"c"') for text in csms.texts["CS-1"]))
            await cloud.stop()
            assert "contexts saved stations=1 left_out=1" in "\n".join(cloud.lines)
            (context,) = ContextsFile(folder).take().contexts
            assert context.identity == "CS-2"
            states = [state for half in (context.endpoint().encoder, context.endpoint().decoder) if (state := half.saved())]
            assert any(b"planted-vendor" in state for state in states), "the search finds what is there"
            assert not any(NEW.encode() in state for state in states)
        written = [file for file in folder.rglob("*") if file.is_file()]
        assert not any(NEW.encode() in file.read_bytes() for file in written)

    _run(tmp_path, work)


@pytest.mark.parametrize("damage", ["cut", "other", "old"])
def test_what_cannot_be_used_costs_only_bytes(tmp_path: Path, damage: str) -> None:
    async def work(files: Files, edge: Lives, cloud: Lives, csms: RawCsms) -> None:
        saved = files.cloud.parent / "state" / CONTEXTS_FILE
        async with RawStation(f"{files.url}/CS-1", subprotocols=["ocpp1.6"]) as station:
            await _says(station, "d1", "DataTransfer", '{"vendorId":"x","data":"1"}')
            await cloud.stop()
            data = saved.read_bytes()
            head = len(b"ocppress contexts 1\n")
            saved.write_bytes({"cut": data[:-1], "other": b"o" + data, "old": data[:head] + bytes(8) + data[head + 8 :]}[damage])
            await cloud.start()
            await cloud.process.said("saved contexts are not used")
            assert "new_epoch=true" in await cloud.process.said("CSMS socket open station=CS-1")
            await _says(station, "d2", "DataTransfer", '{"vendorId":"x","data":"2"}')

    _run(tmp_path, work)
