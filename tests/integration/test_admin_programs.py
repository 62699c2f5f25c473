"""What operators see of two real programs and change of them, with TLS on the link, a station and a CSMS that refuses."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from ocppress_codecs.rpc import MessageType, parse
from tests.support.admin import OPERATOR, admin_change
from tests.support.processes import Gateway, Process, open_gateway, until
from tests.support.raw_peers import RawCsms, RawStation

BOOT = '[2,"b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}]'
METER_VALUES = '[2,"%d","MeterValues",{"evseId":1,"meterValue":[]}]'
REFUSED = (
    '[2,"r","TransactionEvent",{"eventType":"Updated","triggerReason":"MeterValuePeriodic","seqNo":1,"timestamp":"2026-03-01T08:00:00Z",'
    '"transactionInfo":{"transactionId":"T1"}}]'
)


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    if message.type is not MessageType.CALL:
        return []
    if message.action == "TransactionEvent":
        return [f'[4,"{message_id}","NotSupported","no",{{}}]']
    return [f'[3,"{message_id}",{{"status":"Accepted","interval":300,"currentTime":"2026-03-01T08:00:00Z"}}]']


async def _url(process: Process) -> str:
    return (await process.said("listening for operators url=")).rpartition("url=")[2].strip()


@contextlib.asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[tuple[Gateway, RawCsms, RawStation, ClientSession, ClientSession]]:
    """The gateway, a CSMS, a station that has booted, and an operator at edge and cloud."""
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    change = admin_change()
    async with (
        RawCsms(handler=_answer) as csms,
        open_gateway(folder, csms.url, edge_changes=[change], cloud_changes=[change]) as gateway,
        ClientSession(await _url(gateway.edge), headers=headers) as edge,
        ClientSession(await _url(gateway.cloud), headers=headers) as cloud,
        RawStation(f"{gateway.url}/CS-1") as station,
    ):
        await station.send(BOOT)
        assert (await station.receive()).startswith("[3,")
        yield gateway, csms, station, edge, cloud


async def _get(client: ClientSession, path: str) -> Any:
    async with client.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def _text(client: ClientSession, path: str) -> str:
    async with client.get(path) as response:
        assert response.status == 200
        return await response.text()


async def _until(client: ClientSession, path: str, name: str, wanted: object) -> None:
    """Wait for that answer; before an edge has told its plan there is none at the cloud."""
    async with asyncio.timeout(20):
        while True:
            async with client.get(path) as response:
                assert response.status in (200, 409), await response.text()
                if response.status == 200 and (await response.json())[name] == wanted:
                    return
            await asyncio.sleep(0.1)


def test_usage_metrics_and_a_flush(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as (_, csms, station, edge, cloud):
            for number in range(5):
                await station.send(METER_VALUES % number)
                await station.receive()
            await _until(edge, "/api/v1/stations/CS-1", "undelivered", 5)
            assert not any("MeterValues" in text for text in csms.texts["CS-1"])
            async with cloud.post("/api/v1/stations/CS-1/flush") as response:
                assert response.status == 202
            await _until(edge, "/api/v1/stations/CS-1", "undelivered", 0)
            assert sum("MeterValues" in text for text in csms.texts["CS-1"]) == 5

            (at_cloud,) = (await _get(cloud, "/api/v1/stations?search=cs-"))["stations"]
            assert (at_cloud["edge"], at_cloud["link_up"], at_cloud["ocpp"]) == ("site-1", True, "2.0.1")
            (day,) = (await _get(edge, "/api/v1/stations/CS-1/usage"))["days"]
            payload = day["layers"]["payload"]
            assert day["station"] == payload
            assert 0 < payload["up"] < 300
            assert sum(action["up"] for action in day["actions"].values()) == payload["up"]
            assert day["ours_bytes"] > 2000, "a handshake with TLS"

            metrics = await _text(edge, "/metrics")
            assert f'ocppress_edge_ip_bytes_total{{direction="up",layer="payload"}} {float(payload["up"])}' in metrics.splitlines()
            assert 'ocppress_cloud_edge_up{edge="site-1"} 1.0' in (await _text(cloud, "/metrics")).splitlines()
            rows = list(csv.DictReader(io.StringIO(await _text(edge, "/api/v1/ledger.csv"))))
            handshake = [int(row["bytes"]) for row in rows if (row["line"], row["name"]) == ("layer", "handshake")]
            assert sum(handshake) == sum(day["layers"]["handshake"].values())
            for client in (edge, cloud):
                assert (await _get(client, "/healthz"))["status"] == "ok"
                assert (await _get(client, "/readyz"))["ready"]

    asyncio.run(main())


def test_a_plan_changed_at_either_end_lasts_over_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as (gateway, _, _, edge, cloud):
            plan = "/api/v1/stations/CS-1/plan"
            assert (await _get(edge, plan))["plan"] == "auto"
            async with cloud.put(plan, json={"plan": "saver", "reason": "a quiet month"}) as response:
                assert response.status == 202
            await gateway.edge.said('an operator changes the plan before=auto after=saver reason="robot: a quiet month"')
            await _until(edge, plan, "plan", "saver")
            await _until(cloud, plan, "plan", "saver")
            assert (await _get(edge, plan))["reason"] == "robot: a quiet month"
            async with edge.put(plan, json={"plan": "2min", "reason": "on site"}) as response:
                assert response.status == 202
            await _until(edge, plan, "plan", "2min")
        edge_file = tmp_path / "ocppress-ca" / "edges" / "site-1" / "edge.toml"
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        async with Process.running("edge", "--config", edge_file) as again, ClientSession(await _url(again), headers=headers) as client:
            metrics = await _text(client, "/metrics")
            assert 'ocppress_edge_plan_info{plan="2min",step="2min"} 1.0' in metrics.splitlines()
            async with client.get("/readyz") as response:
                assert (response.status, (await response.json())["ready"]) == (503, False), "there is no cloud"

    asyncio.run(main())


AUTHORIZE = '[2,"a","Authorize",{"idToken":{"idToken":"hunter2","type":"Central"}}]'


def _shown(found: Any) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(one["direction"], one["kind"], one["action"], one["handling"], one["text"]) for one in found["messages"]]


def test_messages_pass_before_the_eyes_of_operators(tmp_path: Path) -> None:
    path = "/api/v1/stations/CS-1/messages"
    accepted = '{"status":"Accepted","interval":300,"currentTime":"2026-03-01T08:00:00Z"}'
    token = '{"idToken":{"idToken":"***","type":"Central"}}'
    meter_values = '{"evseId":1,"meterValue":[]}'

    async def main() -> None:
        async with _world(tmp_path) as (gateway, csms, station, edge, cloud):
            for client in (edge, cloud):
                assert (await _get(client, path))["messages"] == [], "what came before is nowhere"
            for text in (AUTHORIZE, METER_VALUES % 1):
                await station.send(text)
                await station.receive()
            await csms.send("CS-1", '[2,"r","Reset",{"type":"OnIdle"}]')
            await station.send(f'[3,{(await station.receive())[3:].partition(",")[0]},{{"status":"Accepted"}}]')
            await csms.until(lambda: any(text.startswith('[3,"r"') for text in csms.texts["CS-1"]))
            reset = [
                ("down", "CALL", "Reset", "relayed", '{"type":"OnIdle"}'),
                ("up", "CALLRESULT", "Reset", "relayed", '{"status":"Accepted"}'),
            ]
            authorize = [("up", "CALL", "Authorize", "relayed", token), ("down", "CALLRESULT", "Authorize", "relayed", accepted)]
            early = [("up", "CALL", "MeterValues", "early", meter_values), ("down", "CALLRESULT", "MeterValues", "early", "{}")]
            assert _shown(await _get(edge, path)) == [*authorize, *early, *reset]
            async with cloud.post("/api/v1/stations/CS-1/flush") as response:
                assert response.status == 202
            await csms.until(lambda: any("MeterValues" in text for text in csms.texts["CS-1"]))
            shown = _shown(await _get(cloud, path))  # what is stored may come in company with either
            assert [one for one in shown if one[2] != "MeterValues"] == [*authorize, *reset]
            assert early[0] in shown
            one = await _get(edge, "/api/v1/stations/CS-1")
            assert 0 <= one["heard_s"] < 60
            assert 0 <= (await _get(cloud, "/api/v1/stations/CS-1"))["heard_s"] < 60
            for process in (gateway.edge, gateway.cloud):
                await process.said("an operator looks at a station's messages station=CS-1 user=robot")

    asyncio.run(main())


def test_dead_letters(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as (gateway, _, station, _, cloud):
            await station.send(REFUSED)
            await station.receive()
            async with cloud.post("/api/v1/stations/CS-1/flush") as response:
                assert response.status == 202
            await gateway.cloud.said("kept as a dead letter")
            await _until(cloud, "/api/v1/dead-letters", "total", 1)
            (letter,) = (await _get(cloud, "/api/v1/dead-letters?station=CS-1"))["letters"]
            assert (letter["station"], letter["action"], letter["error_code"]) == ("CS-1", "TransactionEvent", "NotSupported")
            assert (await _get(cloud, "/api/v1/dead-letters?station=CS-2"))["letters"] == []

    asyncio.run(main())


def test_a_cloud_without_its_edge_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with _world(tmp_path) as (gateway, _, _, _, cloud):
            await gateway.edge.end(signal.SIGTERM)
            await until(lambda: any("link closed" in line for line in gateway.cloud.lines))
            async with cloud.put("/api/v1/stations/CS-1/plan", json={"plan": "saver", "reason": "x"}) as response:
                assert (response.status, "link to edge site-1 is down" in await response.text()) == (409, True)
            one = await _get(cloud, "/api/v1/stations/CS-1")
            assert (one["link_up"], one["seen_s"] >= 0) == (False, True)

    asyncio.run(main())
