"""Files that stations transfer past two real processes: refused by the operator's rules, let through, and found afterwards on the SIM's interface."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from ocppress_codecs.rpc import MessageType, parse
from tests.support.processes import WAIT_S, Gateway, open_gateway
from tests.support.raw_peers import RawCsms, RawStation

SECRETS = ("Pw-0z7-planted", "Sig-0z7-planted")
SMALL, LARGE = 3_000_000, 31_000_000


class _Files:
    """A firmware server, which counts what is fetched."""

    def __init__(self) -> None:
        self.fetched_bytes = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        size = LARGE if "large" in request.path else SMALL
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        await response.prepare(request)
        if request.method == "GET":
            for _ in range(size // 10_000):
                await response.write(b"f" * 10_000)
                self.fetched_bytes += 10_000
        return response


async def _status(file: Path) -> tuple[str, dict[str, Any]]:
    """What `ocppress status` says to people, and its data."""
    said = []
    for how in ((), ("--json",)):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "ocppress_gateway", "status", "--config", str(file), *how),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WAIT_S):
            out, _ = await process.communicate()
        said.append(out.decode())
    return said[0], json.loads(said[1].splitlines()[-1])


def _answer(text: str) -> list[str]:
    message_id, message = parse(text)
    if message.type is not MessageType.CALL:
        return []
    accepted = {"status": "Accepted", "interval": 300, "currentTime": datetime.now(UTC).isoformat()}
    return [json.dumps([3, message_id, accepted if message.action == "BootNotification" else {}])]


class _Site:
    """A CSMS and a station with a gateway between them."""

    def __init__(self, csms: RawCsms, gateway: Gateway, station: RawStation) -> None:
        self.csms = csms
        self.gateway = gateway
        self.station = station

    async def ask(self, message_id: str, url: str, at: datetime) -> None:
        firmware = {"location": url, "retrieveDateTime": at.isoformat()}
        await self.csms.send("CS-1", json.dumps([2, message_id, "UpdateFirmware", {"requestId": 1, "firmware": firmware}]))

    async def answered(self, message_id: str) -> dict[str, Any]:
        """What the CSMS gets."""

        def found() -> list[Any]:
            return [answer for answer in map(json.loads, self.csms.texts["CS-1"]) if answer[:2] == [3, message_id]]

        await self.csms.until(lambda: bool(found()))
        answer = found()[0][2]
        assert isinstance(answer, dict)
        return answer

    async def takes(self) -> str:
        """The station consents; where it is to fetch."""
        text = await self.station.receive()
        message_id, payload = json.loads(text)[1], json.loads(text)[3]
        await self.station.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        location = payload["firmware"]["location"]
        assert isinstance(location, str)
        return location

    async def tells(self, message_id: str, status: str) -> None:
        await self.station.send(f'[2,"{message_id}","FirmwareStatusNotification",{{"status":"{status}","requestId":1}}]')
        assert json.loads(await self.station.receive())[:2] == [3, message_id]


def _window(begin: datetime, hours: int) -> str:
    return f'window = "{begin:%H:%M}-{begin + timedelta(hours=hours):%H:%M}"'


def test_refused_let_through_and_found_afterwards(tmp_path: Path) -> None:
    files = _Files()
    now = datetime.now(UTC)
    outputs: list[str] = []
    cloud_changes = [
        ("#window =", _window(now - timedelta(hours=2), 4)),
        ("#mb_max =", "mb_max = 20"),
        ("#hosts = []", 'hosts = ["127.0.0.1"]'),
    ]

    async def main() -> tuple[list[str], list[str]]:
        runner = web.ServerRunner(web.Server(files.handle))
        await runner.setup()
        server = web.TCPSite(runner, "127.0.0.1", 0)
        await server.start()
        assert server._server is not None
        port = server._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        url = f"http://user:{SECRETS[0]}@127.0.0.1:{port}/NAME.bin?X-Signature={SECRETS[1]}"
        async with (
            RawCsms(handler=_answer) as csms,
            open_gateway(
                tmp_path, csms.url, log_level="debug", edge_changes=[("#interface =", 'interface = "lo"')], cloud_changes=cloud_changes
            ) as gateway,
            RawStation(f"{gateway.url}/CS-1") as station,
        ):
            site = _Site(csms, gateway, station)
            await station.send('[2,"b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}]')
            await station.receive()

            await site.ask("large", url.replace("NAME", "large"), now)
            refused = await site.answered("large")
            assert refused["status"] == "Rejected"
            assert refused["statusInfo"]["reasonCode"] == "TooLarge"
            await site.ask("late", url.replace("NAME", "small"), now + timedelta(hours=12))
            late = await site.answered("late")
            assert late["statusInfo"]["reasonCode"] == "OutsideWindow"
            assert files.fetched_bytes == 0, "sizes are asked for, files aren't fetched"

            await site.ask("good", url.replace("NAME", "small"), now)
            location = await site.takes()
            assert location == url.replace("NAME", "small"), "as the CSMS has it"
            assert await site.answered("good") == {"status": "Accepted"}
            await gateway.edge.said("a station transfers a file around the gateway")
            await site.tells("1", "Downloading")
            async with aiohttp.ClientSession() as session, session.get(location) as response:
                assert len(await response.read()) == SMALL
            await site.tells("2", "Downloaded")
            line = await gateway.edge.said("a transfer went around the gateway")
            found = re.search(r"mb_at_most=([0-9.]+) budget_percent=([0-9.]+)", line)
            assert found is not None, line
            # Loopback shows each byte both ways, and whatever else this machine has to say to itself.
            assert float(found[1]) >= 2 * SMALL / 1e6
            assert float(found[2]) >= 2 * SMALL / 25e6 * 100 - 0.1

            said, data = await _status(tmp_path / "ocppress-ca" / "edges" / "site-1" / "edge.toml")
            assert "  while stations transferred files" in said
            assert 2 * SMALL <= data["month"]["transfers_bytes"] <= data["month"]["others_bytes"]
            outputs.append(said)
            said, data = await _status(tmp_path / "ocppress-ca" / "cloud" / "cloud.toml")
            assert "around the gateway: 3 transfers asked for, 2 of them refused" in said
            assert (data["counters"]["transfers"], data["counters"]["transfers_refused"]) == (3, 2)
            outputs.append(said)
        await runner.cleanup()
        return gateway.edge.lines, gateway.cloud.lines

    edge_lines, cloud_lines = asyncio.run(main())
    warned = [line for line in cloud_lines if "WARNING" in line and "around the gateway" in line]
    assert [re.search(r"mb=[0-9.]+|why=", line) is not None for line in warned] == [True] * 3, warned
    shown = "http://***@127.0.0.1:"
    assert all(shown in line for line in warned)
    everything = "\n".join([*edge_lines, *cloud_lines, *outputs])
    assert [secret for secret in SECRETS if secret in everything] == []
    state = [file for file in tmp_path.rglob("*") if file.is_file() and "state" in file.parts]
    assert {file.name for file in state} >= {"ledger.sqlite", "positions.sqlite"}
    assert [(file, secret) for file in state for secret in SECRETS if secret.encode() in file.read_bytes()] == []


def test_an_address_that_leads_around_the_gateway_is_an_alarm(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with (
            RawCsms(handler=_answer) as csms,
            open_gateway(tmp_path, csms.url) as gateway,
            RawStation(f"{gateway.url}/CS-1") as station,
        ):
            data = {"ocppCsmsUrl": f"wss://u:{SECRETS[0]}@elsewhere.example.com/ocpp"}
            await csms.until(lambda: "CS-1" in csms.sockets)
            await csms.send("CS-1", json.dumps([2, "n", "SetNetworkProfile", {"configurationSlot": 1, "connectionData": data}]))
            message_id = json.loads(await station.receive())[1]
            await station.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
            await gateway.cloud.said("a station has taken an address")
            said, counted = await _status(tmp_path / "ocppress-ca" / "cloud" / "cloud.toml")
            assert "ADDRESSES that may lead around the gateway" in said
            assert counted["counters"]["routes_taken"] == 1
            return gateway.cloud.lines

    lines = asyncio.run(main())
    (alarm,) = [line for line in lines if "a station has taken an address that may lead around the gateway" in line]
    assert " ERROR " in alarm
    assert "url=wss://***@elsewhere.example.com/ocpp" in alarm
    assert SECRETS[0] not in "\n".join(lines)
