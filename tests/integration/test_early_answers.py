"""A gateway that answers early, as two processes: stations of the PyPI package `ocpp`, a CSMS that records, restarts, a full disk, a stepped clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from ocppress_codecs.rpc import MessageType, OcppVersion, parse, payload_text
from ocppress_gateway.outbox.sqlite import OUTBOX_FILE
from tests.support.foreign.interface import Station
from tests.support.foreign.ocpp_package import OCPP_PACKAGE
from tests.support.processes import Change, Files, Lives, Process, make_files, until
from tests.support.raw_peers import RawCsms

V16 = OcppVersion.V16

AT_ONCE_S: Final = 10.0
"""How long an answer of the edge may take on a busy machine; the CSMS gets the message much later."""

LATER_S: Final = 30.0
"""The delay of plan `live` with the shortest keepalive interval that there may be."""

EDGE_CHANGES: Final = (
    ('#plan = "auto"', 'plan = "live"'),
    ("#keepalive_s =", "keepalive_s = 30"),
    ("#reconnect_min_s = 1.0", "reconnect_min_s = 0.1"),
    ("#reconnect_max_s = 60.0", "reconnect_max_s = 0.5"),
)
CLOUD_CHANGES: Final = (
    ("#retry_wait_min_s = 10.0", "retry_wait_min_s = 0.2"),
    ("#retry_random_s = 10.0", "retry_random_s = 0.1"),
)

CSMS_TIME: Final = "2031-05-06T07:08:09Z"

BOOT: Final = {"chargePointModel": "Model", "chargePointVendor": "Vendor"}


def _meter(number: int) -> dict[str, Any]:
    sampled = [{"value": f"{1200 + number}.50", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}]
    return {
        "connectorId": 1,
        "transactionId": 7,
        "meterValue": [{"timestamp": f"2031-05-06T08:{number // 60:02}:{number % 60:02}Z", "sampledValue": sampled}],
    }


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    if message.type is not MessageType.CALL:
        return []
    answers = {
        "BootNotification": {"status": "Accepted", "interval": 300, "currentTime": CSMS_TIME},
        "Heartbeat": {"currentTime": CSMS_TIME},
        "Authorize": {"idTagInfo": {"status": "Accepted"}},
    }
    return [json.dumps([3, message_id, answers.get(message.action, {})])]


@dataclass(frozen=True, slots=True)
class _Calls:
    """What the CSMS has got of one station, by action."""

    csms: RawCsms
    identity: str

    def ids(self, action: str) -> list[str]:
        return [message_id for message_id, message in map(parse, self.csms.texts[self.identity]) if message.action == action]

    def payloads(self, action: str) -> list[Any]:
        return [json.loads(payload_text(message)) for _, message in map(parse, self.csms.texts[self.identity]) if message.action == action]

    async def come(self, action: str, count: int) -> list[Any]:
        await until(lambda: len(self.ids(action)) >= count)
        return self.payloads(action)


@dataclass(frozen=True, slots=True)
class _Gateway:
    edge: Lives
    cloud: Lives
    csms: RawCsms
    files: Files

    def station(self, identity: str = "CP1") -> contextlib.AbstractAsyncContextManager[Station]:
        return OCPP_PACKAGE.open_station(self.files.url, identity, V16, None, {"TriggerMessage": [{"status": "Accepted"}]})

    def calls(self, identity: str = "CP1") -> _Calls:
        return _Calls(self.csms, identity)


@contextlib.asynccontextmanager
async def _open_gateway(
    folder: Path, *, edge_changes: Sequence[Change] = (), environment: dict[str, str] | None = None
) -> AsyncIterator[_Gateway]:
    async with RawCsms(handler=_answer) as csms:
        files = await make_files(folder, csms.url, edge_changes=[*EDGE_CHANGES, *edge_changes], cloud_changes=CLOUD_CHANGES)
        async with (
            Lives("cloud", "--config", files.cloud, ready="listening for edges") as cloud,
            Lives("edge", "--config", files.edge, ready="link up", environment=environment) as edge,
        ):
            yield _Gateway(edge, cloud, csms, files)


@contextlib.asynccontextmanager
async def _at_once() -> AsyncIterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < AT_ONCE_S


async def _meter_values(station: Station, numbers: range) -> None:
    for number in numbers:
        async with _at_once():
            assert await station.call("MeterValues", _meter(number)) == {}


async def _authorize(station: Station) -> None:
    """What has to wait for the CSMS takes along all that waits for company."""
    assert await station.call("Authorize", {"idTag": "TAG"}) == {"idTagInfo": {"status": "Accepted"}}


async def _boot(station: Station) -> None:
    assert await station.call("BootNotification", BOOT) == {"status": "Accepted", "interval": 300, "currentTime": CSMS_TIME}


# --- answered at once, delivered later


def test_answered_at_once_and_delivered_with_the_next_that_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway, gateway.station() as station:
            calls = gateway.calls()
            await _boot(station)
            await _meter_values(station, range(5))
            async with _at_once():
                answer = await station.call("Heartbeat", {})
                assert isinstance(answer, dict)
            told = datetime.fromisoformat(answer["currentTime"]) - datetime.fromisoformat(CSMS_TIME)
            assert timedelta(0) <= told < timedelta(seconds=LATER_S), "the CSMS's clock, not the edge's"
            assert calls.ids("MeterValues") == []
            await _authorize(station)
            assert await calls.come("MeterValues", 5) == [_meter(number) for number in range(5)]
            async with _at_once():
                status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
                assert await station.call("StatusNotification", status) == {}
            # By itself, within seconds: somebody may be waiting for it (rule R5).
            async with asyncio.timeout(LATER_S / 2):
                assert await calls.come("StatusNotification", 1) == [status]
            assert calls.ids("Heartbeat") == []

    asyncio.run(main())


def test_a_station_that_has_not_booted_is_relayed(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway, gateway.station() as station:
            assert await station.call("MeterValues", _meter(1)) == {}
            assert gateway.calls().payloads("MeterValues") == [_meter(1)], "the CSMS had it before the station had its answer"

    asyncio.run(main())


def test_trigger_message_brings_the_message_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway, gateway.station() as station:
            await _boot(station)
            await gateway.csms.send("CP1", '[2,"t","TriggerMessage",{"requestedMessage":"MeterValues"}]')
            await gateway.csms.until(lambda: '[3,"t",{"status":"Accepted"}]' in gateway.csms.texts["CP1"])
            await _meter_values(station, range(1))
            async with asyncio.timeout(LATER_S / 2):
                await gateway.calls().come("MeterValues", 1)

    asyncio.run(main())


# --- restarts


def test_a_killed_edge_remembers_the_station_and_what_it_owes(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway:
            calls = gateway.calls()
            async with gateway.station() as station:
                await _boot(station)
                await _meter_values(station, range(3))
                await _authorize(station)
                await calls.come("MeterValues", 3)
                await _meter_values(station, range(3, 8))
                await gateway.edge.kill()
            assert len(calls.ids("MeterValues")) == 3
            await gateway.edge.start()
            async with gateway.station() as station:
                # No BootNotification: the station's program has run on.
                await _meter_values(station, range(8, 10))
                await _authorize(station)
                assert await calls.come("MeterValues", 10) == [_meter(number) for number in range(10)]
            ids = calls.ids("MeterValues")
            assert len({message_id[:16] for message_id in ids}) == 1, "the outbox is the same"
            assert [message_id[16:] for message_id in ids] == [f"o{number}" for number in range(1, 11)]
            assert len(calls.ids("BootNotification")) == 1

    asyncio.run(main())


def test_a_killed_cloud_sends_again_only_what_it_does_not_know_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway, gateway.station() as station:
            calls = gateway.calls()
            await _boot(station)
            await _meter_values(station, range(5))
            await _authorize(station)
            await calls.come("MeterValues", 5)
            # The position of the last one may be on its way to the disk.
            await asyncio.sleep(0.5)
            await gateway.cloud.kill()
            await _meter_values(station, range(5, 9))
            await gateway.cloud.start()
            await gateway.edge.process.said("link up", 2)
            await _authorize(station)
            assert await calls.come("MeterValues", 9) == [_meter(number) for number in range(9)]

    asyncio.run(main())


def test_serve_answers_while_there_is_no_link(tmp_path: Path) -> None:
    changes = [('#when_lost = "mirror"', 'when_lost = "serve"'), ("#link_grace_s = 60.0", "link_grace_s = 0.5")]

    async def main() -> None:
        async with _open_gateway(tmp_path, edge_changes=changes) as gateway, gateway.station() as station:
            await _boot(station)
            await gateway.cloud.kill()
            await gateway.edge.process.said("link lost")
            await asyncio.sleep(1.0)  # longer than the grace, after which `mirror` would close the socket
            await _meter_values(station, range(20))
            await gateway.cloud.start()
            await gateway.edge.process.said("link up", 2)
            await _authorize(station)
            assert await gateway.calls().come("MeterValues", 20) == [_meter(number) for number in range(20)]

    asyncio.run(main())


def test_a_csms_that_is_away_gets_it_all_afterwards(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway, gateway.station() as station:
            calls = gateway.calls()
            await _boot(station)
            await gateway.csms.crash()
            await _meter_values(station, range(20))
            await gateway.csms.come_back()
            await gateway.csms.until(lambda: "CP1" in gateway.csms.sockets)
            await _authorize(station)
            assert await calls.come("MeterValues", 20) == [_meter(number) for number in range(20)]

    asyncio.run(main())


# --- the disk


def test_with_a_full_disk_it_relays_until_there_is_room(tmp_path: Path) -> None:
    """A limit on how large the edge's files may grow is what its disk has left."""

    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway, gateway.station() as station:
            calls = gateway.calls()
            await _boot(station)
            await _meter_values(station, range(3))
            assert calls.ids("MeterValues") == []
            _limit_files(gateway.edge.process, 0)
            for number in range(3, 6):
                # Relayed: there is an answer only when the CSMS has it, which has all before it as well.
                assert await station.call("MeterValues", _meter(number)) == {}
                assert calls.payloads("MeterValues") == [_meter(earlier) for earlier in range(number + 1)]
            await gateway.edge.process.said("stations keep what is new")
            _limit_files(gateway.edge.process, resource.RLIM_INFINITY)
            async with asyncio.timeout(60.0):
                number = 6
                while True:
                    await asyncio.sleep(1.0)
                    assert await station.call("MeterValues", _meter(number)) == {}
                    number += 1
                    if len(calls.ids("MeterValues")) < number:
                        break
            await _authorize(station)
            assert await calls.come("MeterValues", number) == [_meter(earlier) for earlier in range(number)]
            stored = [message_id for message_id in calls.ids("MeterValues") if message_id[16:17] == "o"]
            assert 4 <= len(stored) <= number - 3

    asyncio.run(main())


def _limit_files(process: Process, size: int) -> None:
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_what_is_answered_is_on_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with _open_gateway(tmp_path) as gateway, gateway.station() as station:
            await _boot(station)
            await _meter_values(station, range(5))
            await gateway.edge.kill()
            with contextlib.closing(sqlite3.connect(gateway.files.edge.parent / "state" / OUTBOX_FILE)) as database:
                bodies = [json.loads(b"[" + body + b"]") for (body,) in database.execute("SELECT body FROM message ORDER BY key")]
            assert bodies == [["MeterValues", _meter(number)] for number in range(5)]

    asyncio.run(main())


# --- the clock

_FAKETIME: Final = next(
    (
        path
        for path in (Path("/usr/lib") / sub / "faketime" / "libfaketimeMT.so.1" for sub in (f"{os.uname().machine}-linux-gnu", ""))
        if path.exists()
    ),
    None,
)


@pytest.mark.skipif(_FAKETIME is None, reason="libfaketime is not installed")
def test_a_stepped_clock_neither_loses_nor_hurries_anything(tmp_path: Path) -> None:
    steps = tmp_path / "offset"
    steps.write_text("+0")
    environment = {
        "LD_PRELOAD": str(_FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(steps),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    async def main() -> None:
        async with _open_gateway(tmp_path, environment=environment) as gateway:
            await step_and_restart(gateway)

    async def step_and_restart(gateway: _Gateway) -> None:
        calls = gateway.calls()
        number = 0
        async with gateway.station() as station:
            await _boot(station)
            for step in ("+0", "+400d", "-400d", "+3h"):
                steps.write_text(step)
                await _meter_values(station, range(number, number + 3))
                number += 3
                # Long enough that what the step would have made due were there.
                await asyncio.sleep(1.0)
                assert calls.ids("MeterValues") == []
                answer = await station.call("Heartbeat", {})
                assert isinstance(answer, dict)
                told = datetime.fromisoformat(answer["currentTime"]) - datetime.fromisoformat(CSMS_TIME)
                assert timedelta(0) <= told < timedelta(seconds=LATER_S), "stations are told the CSMS's time"
            await gateway.edge.kill()
            # Not back: a clock that is behind the certificates lets no TLS connection be.
            steps.write_text("+20d")
            await gateway.edge.start()
        async with gateway.station() as station:
            await _meter_values(station, range(number, number + 3))
            await _authorize(station)
            assert await calls.come("MeterValues", number + 3) == [_meter(earlier) for earlier in range(number + 3)]

    asyncio.run(main())
