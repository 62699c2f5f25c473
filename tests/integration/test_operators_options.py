"""What an operator may choose otherwise, on the files that he writes: two processes, a station of the PyPI package `ocpp`, a CSMS that records."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ocppress_codecs.rpc import MessageType, OcppVersion, parse, payload_text
from tests.support.foreign.interface import Answer, Station
from tests.support.foreign.ocpp_package import OCPP_PACKAGE
from tests.support.processes import Change, Gateway, open_gateway
from tests.support.raw_peers import RawCsms

V16, V201 = OcppVersion.V16, OcppVersion.V201

BOOT: Final[Mapping[OcppVersion, dict[str, Any]]] = {
    V16: {"chargePointModel": "Model", "chargePointVendor": "Vendor"},
    V201: {"reason": "PowerUp", "chargingStation": {"model": "Model", "vendorName": "Vendor"}},
}
AUTHORIZE: Final[Mapping[OcppVersion, dict[str, Any]]] = {
    V16: {"idTag": "TAG"},
    V201: {"idToken": {"idToken": "TAG", "type": "Central"}},
}
ACCEPTED: Final = {"status": "Accepted"}
PLAN: Final[Change] = ('#plan = "auto"', 'plan = "live"')


class Csms:
    """Accepts all, but for TransactionEvents Updated once `rejecting`."""

    def __init__(self) -> None:
        self.rejecting = False

    def answer(self, text: str) -> Sequence[str]:
        message_id, message = parse(text)
        if message.type is not MessageType.CALL:
            return []
        answers: dict[str, dict[str, Any]] = {
            "BootNotification": {**ACCEPTED, "interval": 300, "currentTime": "2031-05-06T07:08:09Z"},
            "Authorize": {"idTagInfo": ACCEPTED, "idTokenInfo": ACCEPTED},
            "TransactionEvent": {"idTokenInfo": {"status": "Blocked"}} if self.rejecting and '"Updated"' in message.body else {},
        }
        return [json.dumps([3, message_id, answers.get(message.action, {})])]


class World:
    """A gateway, its CSMS, and a station that has booted."""

    def __init__(self, gateway: Gateway, csms: RawCsms, behaviour: Csms, station: Station, version: OcppVersion) -> None:
        self.gateway = gateway
        self.csms = csms
        self.behaviour = behaviour
        self.station = station
        self._version = version

    async def flush(self) -> None:
        """What has to wait for the CSMS takes along all that waits for company."""
        await self.station.call("Authorize", AUTHORIZE[self._version])

    def payloads(self, action: str) -> list[Any]:
        """What the CSMS has got."""
        return [json.loads(payload_text(message)) for _, message in map(parse, self.csms.texts["CS-1"]) if message.action == action]

    async def come(self, action: str, count: int) -> list[Any]:
        await self.csms.until(lambda: len(self.payloads(action)) >= count)
        return self.payloads(action)


@contextlib.asynccontextmanager
async def _world(
    folder: Path,
    version: OcppVersion,
    *,
    edge_changes: Sequence[Change] = (),
    cloud_changes: Sequence[Change] = (),
    answers: Mapping[str, Sequence[Answer]] | None = None,
) -> AsyncIterator[World]:
    behaviour = Csms()
    async with (
        RawCsms(handler=behaviour.answer) as csms,
        open_gateway(folder, csms.url, edge_changes=[PLAN, *edge_changes], cloud_changes=cloud_changes) as gateway,
        OCPP_PACKAGE.open_station(gateway.url, "CS-1", version, None, answers or {}) as station,
    ):
        await station.call("BootNotification", BOOT[version])
        yield World(gateway, csms, behaviour, station, version)


def _event(kind: str, reason: str, number: int) -> dict[str, Any]:
    return {
        "eventType": kind,
        "timestamp": f"2031-05-06T08:{number:02}:00Z",
        "triggerReason": reason,
        "seqNo": number,
        "transactionInfo": {"transactionId": "T-1"},
    }


def test_a_transaction_that_is_rejected_late_is_stopped(tmp_path: Path) -> None:
    """The station hears RequestStopTransaction once, between the CSMS's own commands; the CSMS hears only what the station says by itself."""
    change = ("#stop_late_rejected = false", "stop_late_rejected = true")
    answers: dict[str, list[Answer]] = {
        "RequestStopTransaction": [dict(ACCEPTED)],
        "GetVariables": [{"getVariableResult": [{"attributeStatus": "Accepted", "component": {"name": "c"}, "variable": {"name": "v"}}]}]
        * 2,
    }
    question = '{"getVariableData":[{"component":{"name":"c"},"variable":{"name":"v"}}]}'

    async def main() -> None:
        async with _world(tmp_path, V201, cloud_changes=[change], answers=answers) as world:
            station, csms = world.station, world.csms
            await station.call("TransactionEvent", _event("Started", "CablePluggedIn", 0))
            world.behaviour.rejecting = True
            for number in range(1, 4):
                assert await station.call("TransactionEvent", _event("Updated", "MeterValuePeriodic", number)) == {}
            await csms.send("CS-1", f'[2,"g1","GetVariables",{question}]')
            await world.flush()
            await world.come("TransactionEvent", 4)
            await world.gateway.cloud.said("the station stops the transaction station=CS-1 transaction=T-1")
            await csms.send("CS-1", f'[2,"g2","GetVariables",{question}]')
            await csms.until(lambda: any('"g2"' in text for text in csms.texts["CS-1"]))
            assert await station.call("TransactionEvent", _event("Updated", "MeterValuePeriodic", 4)) == {}
            await station.call("TransactionEvent", _event("Ended", "RemoteStop", 5))
            assert [event["seqNo"] for event in await world.come("TransactionEvent", 6)] == list(range(6))
            heard = [parse(text)[1] for text in station.wire.received]
            commands = [message for message in heard if message.type is MessageType.CALL]
            assert sorted(message.action for message in commands) == ["GetVariables", "GetVariables", "RequestStopTransaction"]
            assert [payload_text(message) for message in commands if message.action == "RequestStopTransaction"] == [
                '{"transactionId":"T-1"}'
            ]
            # Of answers the CSMS has its own two.
            answered = [message_id for message_id, message in map(parse, csms.texts["CS-1"]) if message.type is not MessageType.CALL]
            assert answered == ["g1", "g2"]

    asyncio.run(main())


def _meter(value: str, **more: Any) -> dict[str, Any]:
    sampled = [{"value": value, "measurand": "Voltage", "context": "Sample.Clock", "unit": "V"}]
    return {"connectorId": 1, "meterValue": [{"timestamp": "2031-05-06T08:00:00Z", "sampledValue": sampled}], **more}


def test_unchanged_meter_values_are_dropped_outside_transactions(tmp_path: Path) -> None:
    changes = [("#silence_s = 0.0", "silence_s = 3600"), ("#bands = {}", 'bands = { "Voltage" = 2.0 }')]

    async def main() -> None:
        async with _world(tmp_path, V16, edge_changes=changes) as world:
            sent = [_meter("230.0"), _meter("231.5"), _meter("228"), _meter("233"), _meter("232")]
            sent += [_meter("232", transactionId=7), _meter("232.5", transactionId=7), _meter("232"), _meter("232")]
            for payload in sent:
                assert await world.station.call("MeterValues", payload) == {}
            await world.flush()
            # Lanes have an order each: what is of a transaction stands for itself.
            expected = [sent[number] for number in (0, 3, 5, 6, 7, 8)]
            arrived = await world.come("MeterValues", len(expected))
            for has in (False, True):
                assert [one for one in arrived if ("transactionId" in one) is has] == [
                    one for one in expected if ("transactionId" in one) is has
                ]

    asyncio.run(main())


def test_an_outbox_as_small_as_the_operator_says(tmp_path: Path) -> None:
    changes = [("#size_mib = 64", "size_mib = 1"), ("#age_days = 14.0", "age_days = 0.5"), ('#codec = "adaptive"', 'codec = "verbatim"')]

    async def main() -> None:
        async with _world(tmp_path, V201, edge_changes=changes) as world:
            # More than a third of the room each: the third one is relayed, and takes the others along.
            long = [{**_report(number), "customData": {"vendorId": "x", "fill": str(number) * 400_000}} for number in range(3)]
            for payload in long[:2]:
                assert await world.station.call("NotifyReport", payload) == {}
            assert world.payloads("NotifyReport") == []
            assert await world.station.call("NotifyReport", long[2]) == {}
            assert len(await world.come("NotifyReport", 3)) == 3
            await world.gateway.edge.said("the outbox takes nothing, stations keep what is new")

    asyncio.run(main())


def _report(number: int) -> dict[str, Any]:
    return {"requestId": 1, "generatedAt": "2031-05-06T08:00:00Z", "seqNo": number}
