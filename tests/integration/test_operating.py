"""What the operator sees of two real processes: status while traffic flows and after a kill, a drain, and a dead letter's life."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocppress_codecs.rpc import Message, MessageType, parse
from tests.support.processes import WAIT_S, Change, Gateway, Process, open_gateway
from tests.support.raw_peers import RawCsms, RawStation

SECRETS = ("Pw-not-to-be-seen-1", "04TAG-not-to-be-seen")
AUTHORIZATION = "Basic " + base64.b64encode(f"CS-1:{SECRETS[0]}".encode()).decode()

BOOT = '{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}'
METER_VALUES = '{"evseId":1,"meterValue":[]}'
UPDATED = '{"eventType":"Updated","triggerReason":"MeterValuePeriodic","seqNo":%d,"timestamp":"2026-03-01T08:00:00Z","transactionInfo":{"transactionId":"T1"}}'
RELAYED = (
    '{"eventType":"Started","triggerReason":"Authorized","seqNo":0,"timestamp":"2026-03-01T08:00:00Z","transactionInfo":{"transactionId":"T1"},'
    f'"idToken":{{"idToken":"{SECRETS[1]}","type":"Central"}}}}'
)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The last line of standard output, which is JSON."""
        data = json.loads(self.out.splitlines()[-1])
        assert isinstance(data, dict)
        return data


class Csms:
    """Answers all; `refusing` answers transactions with an error, `costly` with a cost."""

    def __init__(self) -> None:
        self.refusing = False
        self.costly = False

    def answer(self, text: str) -> Sequence[str]:
        message_id, message = parse(text)
        if message.type is not MessageType.CALL:
            return []
        return [self._of(message_id, message)]

    def _of(self, message_id: str, message: Message) -> str:
        if message.action == "BootNotification":
            return f'[3,"{message_id}",{{"status":"Accepted","interval":300,"currentTime":"2026-03-01T08:00:00Z"}}]'
        if message.action == "TransactionEvent" and self.refusing:
            return f'[4,"{message_id}","NotSupported","no room for {SECRETS[1]}",{{}}]'
        costs = self.costly and message.action == "TransactionEvent"
        return f'[3,"{message_id}",{{"totalCost":1.5}}]' if costs else f'[3,"{message_id}",{{}}]'


class World:
    """A gateway with a CSMS; `outputs` is what each command has said."""

    def __init__(self, folder: Path, gateway: Gateway, csms: RawCsms, behaviour: Csms) -> None:
        self.gateway = gateway
        self.csms = csms
        self.behaviour = behaviour
        self.edge_file = folder / "ocppress-ca" / "edges" / "site-1" / "edge.toml"
        self.cloud_file = folder / "ocppress-ca" / "cloud" / "cloud.toml"
        self.outputs: list[str] = []

    async def run(self, *arguments: str | Path) -> Ran:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "ocppress_gateway", *map(str, arguments)),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WAIT_S):
            out, err = await process.communicate()
        assert process.returncode is not None
        self.outputs.append((out + err).decode())
        return Ran(process.returncode, out.decode(), err.decode())

    async def edge_status(self) -> dict[str, Any]:
        return (await self.run("status", "--config", self.edge_file, "--json")).data

    async def cloud_status(self) -> dict[str, Any]:
        return (await self.run("status", "--config", self.cloud_file, "--json")).data

    async def dead(self, *arguments: str) -> Ran:
        return await self.run("dead", *arguments, "--config", self.cloud_file)

    async def drain(self, *arguments: str) -> Ran:
        return await self.run("edge", "drain", "CS-1", "--config", self.edge_file, *arguments)


@contextlib.asynccontextmanager
async def _world(folder: Path, *cloud_changes: Change) -> AsyncIterator[World]:
    behaviour = Csms()
    async with RawCsms(handler=behaviour.answer) as csms, open_gateway(folder, csms.url, cloud_changes=cloud_changes) as gateway:
        yield World(folder, gateway, csms, behaviour)


@contextlib.asynccontextmanager
async def _station(world: World) -> AsyncIterator[RawStation]:
    async with RawStation(f"{world.gateway.url}/CS-1", authorization=AUTHORIZATION) as station:
        await _call(station, "boot", "BootNotification", BOOT)
        yield station


async def _call(station: RawStation, message_id: str, action: str, payload: str) -> None:
    await station.send(f'[2,"{message_id}","{action}",{payload}]')
    assert (await station.receive()).startswith(f'[3,"{message_id}",')


def test_status_of_both_sides_while_traffic_flows_and_a_drain(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as world, _station(world) as station:
            await _call(station, "s", "TransactionEvent", RELAYED)
            for number in range(5):
                await _call(station, str(number), "MeterValues", METER_VALUES)
            world.behaviour.costly = True
            await _call(station, "t", "TransactionEvent", UPDATED % 1)

            edge = await world.edge_status()
            assert (edge["program"], edge["link"]["state"], edge["link"]["codec"]) == ("edge", "open", "adaptive")
            assert edge["link"]["wire"]["sent_bytes"] > 0
            (at_edge,) = edge["stations"]
            assert (at_edge["identity"], at_edge["state"], at_edge["accepted"]) == ("CS-1", "admitted", True)
            assert (at_edge["waiting"], at_edge["undelivered"], at_edge["answered_early"]) == (6, 6, 6)
            assert at_edge["clock_offset_s"] is not None
            assert edge["outbox"]["messages"] == 6
            assert edge["month"]["total_bytes"] > 1000
            assert (edge["plan"]["plan"], edge["plan"]["step"], edge["plan"]["delay_s"]) == ("auto", "live", 60.0)
            assert sum(text.count("MeterValues") for text in world.csms.texts["CS-1"]) == 0

            drained = await world.drain("--json")
            assert (drained.code, drained.data["drained"], drained.data["undelivered"]) == (0, True, 0)
            assert "6 not answered by the CSMS" in drained.err
            assert sum(text.count("MeterValues") for text in world.csms.texts["CS-1"]) == 5

            cloud = await world.cloud_status()
            (at_cloud,) = cloud["stations"]
            assert (at_cloud["edge"], at_cloud["state"], at_cloud["undelivered"]) == ("site-1", "open", 0)
            (content,) = at_cloud["contents"]
            assert (content["action"], content["member"], content["count"], content["messages"]) == ("TransactionEvent", "totalCost", 1, 1)
            assert content["relayed_month_bytes"] is None, "an hour hasn't passed"
            assert cloud["counters"]["delivered"] == 6
            assert (await world.edge_status())["stations"][0]["undelivered"] == 0

            for file, words in ((world.edge_file, "plan auto, now live"), (world.cloud_file, "totalCost")):
                shown = await world.run("status", "CS-1", "--config", file)
                assert shown.code == 0
                assert words in shown.out
            unknown = await world.run("status", "CS-2", "--config", world.edge_file)
            assert (unknown.code, unknown.err) == (1, "ocppress: the edge knows no station CS-2\n")
            _nothing_secret(world)

    asyncio.run(main())


def test_a_drain_without_a_link_ends_in_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as world, _station(world) as station:
            await _call(station, "1", "MeterValues", METER_VALUES)
            assert await world.gateway.cloud.end(signal.SIGTERM) == 0
            await world.gateway.edge.said("link closed")
            drained = await world.drain("--timeout-s", "1", "--json")
            assert (drained.code, drained.data["drained"], drained.data["undelivered"]) == (1, False, 1)
            assert "the link is down" in drained.err

    asyncio.run(main())


def test_the_month_goes_on_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as world:
            async with _station(world) as station:
                await _call(station, "1", "MeterValues", METER_VALUES)
            before = (await world.edge_status())["month"]["total_bytes"]
            assert before > 1000
            assert await world.gateway.edge.end(signal.SIGTERM) == 0
            async with Process.running("edge", "--config", world.edge_file) as edge:
                await edge.said("link up")
                status = await world.edge_status()
                assert status["month"]["total_bytes"] > before + 1000, "there was another handshake"
                assert status["uptime_s"] < WAIT_S
                assert await edge.end(signal.SIGKILL) == -signal.SIGKILL
            socket = world.edge_file.parent / "state" / "edge.sock"
            assert socket.exists(), "a killed process leaves it"
            gone = await world.run("status", "--config", world.edge_file)
            assert (gone.code, gone.out) == (69, "")
            assert gone.err == f"ocppress: no edge is running with the state folder {socket.parent}\n"
            async with Process.running("edge", "--config", world.edge_file) as edge:
                await edge.said("link up")
                assert (await world.edge_status())["month"]["total_bytes"] > before

    asyncio.run(main())


def test_a_dead_letter_is_listed_shown_replayed_and_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as world:
            world.behaviour.refusing = True
            async with _station(world) as station:
                for number in (1, 2):
                    await _call(
                        station,
                        str(number),
                        "TransactionEvent",
                        (UPDATED % number).replace("}}", f'}},"customData":{{"vendorId":"x","idTag":"{SECRETS[1]}"}}}}'),
                    )
                assert (await world.drain()).code == 0
                listed = await world.dead("list", "--json")
                first, second = listed.data["letters"]
                assert listed.data["dead_letters"] == 2
                assert (first["station"], first["action"], first["error_code"]) == ("CS-1", "TransactionEvent", "NotSupported")
                assert (await world.cloud_status())["dead_letters"] == 2
                assert "TransactionEvent" in (await world.dead("list")).out
                assert (await world.dead("list", "--station", "CS-2")).out == "no dead letters\n"
                key = str(first["key"])
                shown = await world.dead("show", key)
                assert '"idTag":"***"' in shown.out
                _nothing_secret(world)
                assert SECRETS[1] in (await world.dead("show", key, "--full")).out
                world.outputs.clear()

                refused = await world.dead("replay", key)
                assert (refused.code, refused.err) == (
                    1,
                    f"ocppress: dead letter {key} is still one: the CSMS refused it again: NotSupported\n",
                )
                assert (await world.dead("list", "--json")).data["dead_letters"] == 2

                world.behaviour.refusing = False
                taken = await world.dead("replay", key, "--json")
                assert (taken.code, taken.data) == (0, {"key": first["key"], "taken": True})
                replayed = [text for text in world.csms.texts["CS-1"] if first["message_id"] in text]
                assert len(replayed) == 3
                assert len(set(replayed)) == 1, "the same text under the same id"
                assert (await world.dead("replay", key)).err == f"ocppress: there is no dead letter {key}\n"

            await world.gateway.edge.said("station gone")
            await world.gateway.edge.end(signal.SIGTERM)
            await world.gateway.cloud.said("link closed")
            other = str(second["key"])
            gone = await world.dead("replay", other)
            assert (gone.code, gone.err) == (1, f"ocppress: dead letter {other} is still one: the station's CSMS socket isn't open\n")
            assert (await world.dead("drop", other)).out == f"dead letter {other} dropped\n"
            await world.gateway.cloud.said(f"the operator has dropped a dead letter key={other}")
            assert (await world.dead("list", "--json")).data == {"dead_letters": 0, "letters": []}
            assert (await world.run("dead", "list", "--config", world.edge_file)).code == 78
            _nothing_secret(world)

    asyncio.run(main())


def _nothing_secret(world: World) -> None:
    said = "\n".join(world.outputs + world.gateway.edge.lines + world.gateway.cloud.lines)
    for secret in (*SECRETS, AUTHORIZATION.split()[1]):
        assert secret not in said
