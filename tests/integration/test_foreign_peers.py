"""Stations and CSMSs that others wrote, each pair of them directly and through edge and cloud.

The direct run is the oracle: one set of expectations holds for both ways, down to the text of every payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from unittest.mock import ANY

import ocpp_csms
import pytest
from ocpp_csms import AuthorizationStatus, CentralSystem, ChargePointEvent

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.core.policy import Turn
from tests.support.foreign.interface import PEER_WAIT_S, Answer, NotAdmitted, Package, Refusal, compare_ends
from tests.support.foreign.ocpp_package import OCPP_PACKAGE
from tests.support.foreign.ocpp_rpc import OCPP_RPC
from tests.support.foreign.paths import PATHS, Path, through_ocppress
from tests.support.foreign.scenarios import EARLY_ACTIONS, SESSIONS, is_early, play, scripts
from tests.support.texts import content

PASSWORD = "correct horse battery"  # 21 characters; OCPP 2.x asks for 16 to 40
WRONG_PASSWORD = "wrong horse battery"

DELAY_S = 0.5
"""How long the edge lets wait what it has answered: long enough that it goes together, and not that a test waits for it."""

TRANSACTIONAL = ("StartTransaction", "MeterValues", "StopTransaction", "TransactionEvent")
"""The lane that keeps its order."""


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Path:
    return PATHS[request.param]


@pytest.fixture(params=[OCPP_PACKAGE, OCPP_RPC], ids=lambda package: f"station-{package}")
def station_package(request: pytest.FixtureRequest) -> Package:
    return _usable(request.param)


@pytest.fixture(params=[OCPP_PACKAGE, OCPP_RPC], ids=lambda package: f"csms-{package}")
def csms_package(request: pytest.FixtureRequest) -> Package:
    return _usable(request.param)


def _usable(package: Package) -> Package:
    if reason := package.missing():
        pytest.skip(f"{package}: {reason}")
    return package


@pytest.mark.parametrize("version", OcppVersion)
def test_session(version: OcppVersion, path: Path, station_package: Package, csms_package: Package) -> None:
    async def run() -> None:
        steps = SESSIONS[version]
        of_station, of_csms = scripts(steps)
        async with (
            csms_package.open_csms(version, {"CS-1": PASSWORD}, of_csms) as csms,
            path(csms.url) as url,
            station_package.open_station(url, "CS-1", version, PASSWORD, of_station) as station,
        ):
            await play(station, csms, "CS-1", steps)
            await compare_ends(station.wire, csms.wire("CS-1"))

    asyncio.run(run())


@pytest.mark.parametrize("version", OcppVersion)
def test_sessions_at_the_same_time(version: OcppVersion, path: Path, csms_package: Package) -> None:
    async def run() -> None:
        steps = SESSIONS[version]
        of_station, of_csms = scripts(steps)
        identities = [f"CS-{number}" for number in range(6)]
        async with contextlib.AsyncExitStack() as stack:
            csms = await stack.enter_async_context(csms_package.open_csms(version, dict.fromkeys(identities), of_csms))
            url = await stack.enter_async_context(path(csms.url))
            stations = {
                identity: await stack.enter_async_context(OCPP_PACKAGE.open_station(url, identity, version, None, of_station))
                for identity in identities
            }
            async with asyncio.TaskGroup() as tasks:
                for identity, station in stations.items():
                    tasks.create_task(play(station, csms, identity, steps), name=f"session of {identity}")
            for identity, station in stations.items():
                await compare_ends(station.wire, csms.wire(identity))

    asyncio.run(run())


@pytest.mark.parametrize("version", OcppVersion)
def test_session_with_early_answers(version: OcppVersion, station_package: Package, csms_package: Package) -> None:
    """The station gets empty answers at once; the CSMS gets the same messages, in order within each lane, and its packages mind nothing."""

    async def run() -> None:
        steps = SESSIONS[version]
        of_station, of_csms = scripts(steps)
        async with (
            csms_package.open_csms(version, {"CS-1": PASSWORD}, of_csms) as csms,
            through_ocppress(csms.url, delay_s=DELAY_S) as url,
            station_package.open_station(url, "CS-1", version, PASSWORD, of_station) as station,
        ):
            await play(station, csms, "CS-1", steps, early=True)
            wire = csms.wire("CS-1")
            async with asyncio.timeout(PEER_WAIT_S):
                await wire.reach(received=len(station.wire.sent))
            for lane in Turn:
                sent, received = (_calls(texts, lane) for texts in (station.wire.sent, wire.received))
                assert received == sent
            assert sum(map(is_early, steps)) >= 4

    asyncio.run(run())


def _calls(texts: Sequence[str], lane: Turn) -> list[str]:
    """The texts, ids apart, of the CALLs of one lane."""
    calls = [content(text) for text in texts if json.loads(text)[0] == 2]
    return [text for text in calls if _lane(json.loads(text)[1]) is lane]


def _lane(action: str) -> Turn:
    """What a station waits for passes what the edge has answered, and transactions keep their order."""
    if action in TRANSACTIONAL:
        return Turn.ORDERED
    return Turn.EXPRESS if action in EARLY_ACTIONS else Turn.PROMPT


def _refusal(
    version: OcppVersion, path: Path, station_package: Package, csms_package: Package, *, identity: str, password: str
) -> int | None:
    """The status with which a station is refused by a CSMS of this version that knows CS-1; the station's own version may differ."""

    async def run() -> int | None:
        async with csms_package.open_csms(OcppVersion.V16, {"CS-1": PASSWORD}, {}) as csms, path(csms.url) as url:
            with pytest.raises(NotAdmitted) as refused:
                async with station_package.open_station(url, identity, version, password, {}):
                    pass
            return refused.value.status

    return asyncio.run(run())


def test_wrong_password(path: Path, station_package: Package, csms_package: Package) -> None:
    assert _refusal(OcppVersion.V16, path, station_package, csms_package, identity="CS-1", password=WRONG_PASSWORD) == 401


def test_unknown_station(path: Path, station_package: Package, csms_package: Package) -> None:
    assert _refusal(OcppVersion.V16, path, station_package, csms_package, identity="CS-2", password=PASSWORD) == 404


def test_wrong_subprotocol(path: Path, station_package: Package, csms_package: Package) -> None:
    """Part 4, 3.3: the handshake is completed without a sub-protocol; both packages' servers do so."""
    assert _refusal(OcppVersion.V201, path, station_package, csms_package, identity="CS-1", password=PASSWORD) is None


# --- ocpp-csms: it decides and answers itself, so its own events and its own API are what is compared


async def _blocks_one_tag(_charge_point: ocpp_csms.ChargePoint, id_tag: str) -> AuthorizationStatus:
    return AuthorizationStatus.BLOCKED if id_tag == "BLOCKED" else AuthorizationStatus.ACCEPTED


async def _knows_one_station(identity: str, password: str | None) -> bool:
    return (identity, password) == ("CS-1", PASSWORD)


def _central_system() -> CentralSystem:
    return CentralSystem(
        host="127.0.0.1", port=0, authenticate=_knows_one_station, authorize=_blocks_one_tag, call_timeout=PEER_WAIT_S, ping_interval=None
    )


def test_session_with_ocpp_csms(path: Path, station_package: Package) -> None:
    def time(minute: int) -> datetime:
        return datetime(2026, 3, 1, 8, minute, tzinfo=UTC)

    def meter_value(minute: int, value: str) -> dict[str, object]:
        return {"timestamp": time(minute).isoformat(), "sampledValue": [{"value": value, "measurand": "Voltage", "unit": "V"}]}

    async def run() -> None:
        events: list[ChargePointEvent] = []
        answers: dict[str, list[Answer]] = {
            "RemoteStartTransaction": [{"status": "Accepted"}],
            "RemoteStopTransaction": [{"status": "Rejected"}],
            "UnlockConnector": [Refusal("NotSupported")],
        }
        async with (
            _central_system() as csms,
            path(f"ws://127.0.0.1:{csms.port}/steve") as url,
            station_package.open_station(url, "CS-1", OcppVersion.V16, PASSWORD, answers) as station,
        ):
            csms.add_listener(events.append)
            booted = await station.call("BootNotification", {"chargePointVendor": "Vendor", "chargePointModel": "Model"})
            assert booted == {"status": "Accepted", "interval": 300, "currentTime": ANY}
            status = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
            assert await station.call("StatusNotification", status) == {}
            assert await station.call("Authorize", {"idTag": "BLOCKED"}) == {"idTagInfo": {"status": "Blocked"}}
            charge_point = csms.charge_points["CS-1"]
            assert await charge_point.async_remote_start_transaction("TAG", 1) == "Accepted"
            start = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": time(1).isoformat()}
            started = await station.call("StartTransaction", start)
            transaction_id = charge_point.get_transaction(1).transaction_id  # type: ignore[union-attr]
            assert started == {"transactionId": transaction_id, "idTagInfo": {"status": "Accepted"}}
            values = {"connectorId": 1, "transactionId": transaction_id, "meterValue": [meter_value(2, "230.10")]}
            assert await station.call("MeterValues", values) == {}
            assert await charge_point.async_remote_stop_transaction(transaction_id) == "Rejected"
            stop = {"transactionId": transaction_id, "meterStop": 350, "timestamp": time(3).isoformat(), "reason": "Local"}
            assert await station.call("StopTransaction", stop) == {}
            with pytest.raises(ocpp_csms.CsmsCallError) as refused:
                await charge_point.async_unlock_connector(1)
            assert refused.value.code == "NotSupported"
            assert await station.call("DataTransfer", {"vendorId": "com.example"}) == {"status": "UnknownVendorId"}
            unhandled = {"requestId": 1, "status": "Idle"}
            assert await station.call("LogStatusNotification", unhandled) == Refusal("NotImplemented")
            transaction = ocpp_csms.Transaction(transaction_id, 1, "TAG", 100, time(1))
            ended = ocpp_csms.Transaction(transaction_id, 1, "TAG", 100, time(1), meter_stop=350, stopped_at=time(3), stop_reason="Local")
            reading = ocpp_csms.MeterReading("230.10", "Voltage", "V", timestamp=time(2))
            connector = ocpp_csms.ConnectorState(1, ocpp_csms.ConnectorStatus.AVAILABLE, ocpp_csms.ChargePointErrorCode.NO_ERROR)
            assert events == [
                ocpp_csms.BootEvent("CS-1", ocpp_csms.BootInfo("Vendor", "Model")),
                ocpp_csms.StatusEvent("CS-1", connector),
                ocpp_csms.TransactionStartedEvent("CS-1", transaction),
                ocpp_csms.MeterValuesEvent("CS-1", 1, transaction_id, (reading,)),
                ocpp_csms.TransactionStoppedEvent("CS-1", ended),
            ]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("version", "password", "status"),
    [(OcppVersion.V16, WRONG_PASSWORD, 401), (OcppVersion.V201, PASSWORD, 400)],
    ids=["wrong password", "wrong sub-protocol"],
)
def test_refused_by_ocpp_csms(path: Path, station_package: Package, version: OcppVersion, password: str, status: int) -> None:
    async def run() -> None:
        async with _central_system() as csms, path(f"ws://127.0.0.1:{csms.port}/steve") as url:
            with pytest.raises(NotAdmitted) as refused:
                async with station_package.open_station(url, "CS-1", version, password, {}):
                    pass
            assert refused.value.status == status
            assert not csms.charge_points

    asyncio.run(run())
