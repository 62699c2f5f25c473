"""What stations and CSMSs do that OCPP doesn't ask for, and the message types that no package knows.

Bare WebSockets through edge and cloud.

To show that something does *not* arrive, a test sends something else the same way afterwards, and sees that arrive first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ocppress_codecs.jsontext import minified
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse
from tests.support.dialogue import End, open_csms, open_station
from tests.support.foreign.interface import Answer, Package
from tests.support.foreign.ocpp_package import OCPP_PACKAGE
from tests.support.foreign.ocpp_rpc import OCPP_RPC
from tests.support.foreign.paths import through_ocppress
from tests.support.raw_peers import RawCsms, RawStation

V16, V201, V21 = OcppVersion.V16, OcppVersion.V201, OcppVersion.V21
Talk = Callable[[End, End], Awaitable[None]]


@contextlib.asynccontextmanager
async def _pair(version: OcppVersion, *, station_answer_s: float = 30.0) -> AsyncIterator[tuple[End, End]]:
    async with (
        open_csms(version) as listening,
        through_ocppress(listening.url, station_answer_s=station_answer_s) as url,
        open_station(url, "CS-1", [version.subprotocol]) as station,
    ):
        yield station, await listening.end("CS-1")


def _run(version: OcppVersion, talk: Talk) -> None:
    async def run() -> None:
        async with _pair(version) as (station, csms):
            await talk(station, csms)

    asyncio.run(run())


async def _exchange_up(station: End, csms: End, message_id: str = "after") -> None:
    """A CALL of the station and its answer, which show that both still work."""
    payload = f'{{"vendorId":"com.example","data":{json.dumps(message_id)}}}'
    await station.call(message_id, "DataTransfer", payload)
    await csms.answer(await csms.receive_call("DataTransfer", payload), '{"status":"Accepted"}')
    assert await station.receive() == f'[3,"{message_id}",{{"status":"Accepted"}}]'


async def _exchange_down(station: End, csms: End, message_id: str = "after") -> None:
    """The same the other way."""
    await _exchange_up(csms, station, message_id)


# --- how a text is written


PRETTY = """[
    2,
    "19223201", "DataTransfer",
    {
\t"vendorId" : "com.example" ,
\t"data"\t: { "n": 1.00, "big": 12345678901234567890123, "small": 2e+01, "text": "a \\u00e9 \\/ b" },
\t"data": [ ] , "customData": { "vendorId": "x" }
    }
]
"""
PRETTY_BODY = (
    r'"DataTransfer",{"vendorId":"com.example","data":{"n":1.00,"big":12345678901234567890123,"small":2e+01,"text":"a \u00e9 \/ b"},'
    r'"data":[],"customData":{"vendorId":"x"}}'
)


@pytest.mark.parametrize("version", OcppVersion)
def test_pretty_printed_text_arrives_exact(version: OcppVersion) -> None:
    async def talk(station: End, csms: End) -> None:
        for sender, receiver in ((station, csms), (csms, station)):
            await sender.send(PRETTY)
            message_id, message = await receiver.receive_message()
            assert message == Message(MessageType.CALL, "DataTransfer", PRETTY_BODY)
            await receiver.send(f'[ 3 , "{message_id}" ,\n {{ "status" : "Rejected" , "data" : "\\u0041" }} ] ')
            assert await sender.receive() == '[3,"19223201",{"status":"Rejected","data":"\\u0041"}]'

    _run(version, talk)


# --- several CALLs at once


@pytest.mark.parametrize("version", OcppVersion)
def test_a_pipelining_station_is_put_to_the_csms_one_call_at_a_time(version: OcppVersion) -> None:
    async def talk(station: End, csms: End) -> None:
        payloads = [f'{{"connectorId":{number},"errorCode":"NoError","status":"Available"}}' for number in (1, 2, 3)]
        for number, payload in enumerate(payloads):
            await station.call(f"p{number}", "StatusNotification", payload)
        for number, payload in enumerate(payloads):
            message_id = await csms.receive_call("StatusNotification", payload)
            # A whole exchange the other way: had the next CALL been on its way, it would be here by then.
            await _exchange_down(station, csms, f"d{number}")
            assert csms.nothing_waits
            await csms.answer(message_id, "{}")
            assert await station.receive() == f'[3,"p{number}",{{}}]'

    _run(version, talk)


@pytest.mark.parametrize("version", OcppVersion)
def test_a_pipelining_csms_is_put_to_the_station_one_call_at_a_time(version: OcppVersion) -> None:
    async def talk(station: End, csms: End) -> None:
        for number in range(3):
            await csms.call(f"p{number}", "Reset", f'{{"type":"Soft","customData":{{"vendorId":"{number}"}}}}')
        for number in range(3):
            message_id = await station.receive_call("Reset", f'{{"type":"Soft","customData":{{"vendorId":"{number}"}}}}')
            await _exchange_up(station, csms, f"u{number}")
            assert station.nothing_waits
            await station.answer(message_id, '{"status":"Accepted"}')
            assert await csms.receive() == f'[3,"p{number}",{{"status":"Accepted"}}]'

    _run(version, talk)


def test_a_backlog_of_100_messages_right_after_connecting() -> None:
    async def talk(station: End, csms: End) -> None:
        payloads = [f'{{"connectorId":1,"transactionId":7,"meterValue":[{{"n":{number}}}]}}' for number in range(100)]
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:

            async def answer_all() -> None:
                for number, payload in enumerate(payloads):
                    await csms.answer(await csms.receive_call("MeterValues", payload), f'{{"customData":{{"vendorId":"{number}"}}}}')

            tasks.create_task(answer_all(), name="the CSMS answers")
            for number, payload in enumerate(payloads):
                await station.call(str(number), "MeterValues", payload)
            for number in range(100):
                assert await station.receive() == f'[3,"{number}",{{"customData":{{"vendorId":"{number}"}}}}]'

    _run(V16, talk)


# --- ids


def test_an_id_used_again_for_each_call() -> None:
    async def talk(station: End, csms: End) -> None:
        for number in range(5):
            payload = f'{{"idTag":"TAG{number}"}}'
            await station.call("1", "Authorize", payload)
            await csms.answer(await csms.receive_call("Authorize", payload), f'{{"idTagInfo":{{"status":"Accepted","n":{number}}}}}')
            assert await station.receive() == f'[3,"1",{{"idTagInfo":{{"status":"Accepted","n":{number}}}}}]'

    _run(V16, talk)


def test_a_call_repeated_with_its_id_while_unanswered_is_delivered_and_answered_once() -> None:
    async def talk(station: End, csms: End) -> None:
        payload = '{"idTag":"TAG"}'
        for _ in range(3):
            await station.call("1", "Authorize", payload)
        message_id = await csms.receive_call("Authorize", payload)
        await _exchange_down(station, csms)
        await csms.answer(message_id, '{"idTagInfo":{"status":"Blocked"}}')
        assert await station.receive() == '[3,"1",{"idTagInfo":{"status":"Blocked"}}]'
        await _exchange_up(station, csms)
        assert station.nothing_waits
        assert csms.nothing_waits

    _run(V16, talk)


def test_one_id_in_both_directions_at_once() -> None:
    async def talk(station: End, csms: End) -> None:
        await station.call("42", "Authorize", '{"idTag":"TAG"}')
        await csms.call("42", "ClearCache", "{}")
        up = await csms.receive_call("Authorize", '{"idTag":"TAG"}')
        down = await station.receive_call("ClearCache", "{}")
        await station.answer(down, '{"status":"Rejected"}')
        assert await csms.receive() == '[3,"42",{"status":"Rejected"}]'
        await csms.answer(up, '{"idTagInfo":{"status":"Accepted"}}')
        assert await station.receive() == '[3,"42",{"idTagInfo":{"status":"Accepted"}}]'

    _run(V16, talk)


@pytest.mark.parametrize("version", OcppVersion)
def test_an_answer_to_nothing_goes_no_further(version: OcppVersion) -> None:
    async def talk(station: End, csms: End) -> None:
        for sender in (station, csms):
            await sender.answer("nobody asked", "{}")
            await sender.send('[4,"-1","GenericError","",{}]')
            await sender.send('[4,"","GenericError","","text"]')
        await _exchange_up(station, csms)
        await _exchange_down(station, csms)
        # An answer given twice belongs to nothing the second time.
        await csms.call("1", "ClearCache", "{}")
        message_id = await station.receive_call("ClearCache", "{}")
        await station.answer(message_id, '{"status":"Accepted"}')
        await station.answer(message_id, '{"status":"Rejected"}')
        assert await csms.receive() == '[3,"1",{"status":"Accepted"}]'
        await _exchange_up(station, csms)
        assert station.nothing_waits
        assert csms.nothing_waits

    _run(version, talk)


def test_a_csms_that_answers_late_calls_out_of_order_can_only_answer_the_open_one() -> None:
    """One CALL at a time is open at the CSMS, so an answer out of order answers nothing; the right one still gets through."""

    async def talk(station: End, csms: End) -> None:
        await station.call("a", "Authorize", '{"idTag":"A"}')
        await station.call("b", "Authorize", '{"idTag":"B"}')
        first = await csms.receive_call("Authorize", '{"idTag":"A"}')
        await csms.answer("b", '{"idTagInfo":{"status":"Blocked"}}')
        await csms.answer(first, '{"idTagInfo":{"status":"Accepted"}}')
        assert await station.receive() == '[3,"a",{"idTagInfo":{"status":"Accepted"}}]'
        second = await csms.receive_call("Authorize", '{"idTag":"B"}')
        assert second != first
        await csms.answer(second, '{"idTagInfo":{"status":"Invalid"}}')
        assert await station.receive() == '[3,"b",{"idTagInfo":{"status":"Invalid"}}]'

    _run(V16, talk)


def test_a_station_that_never_answers_does_not_stop_the_next_command() -> None:
    async def run() -> None:
        async with _pair(V16, station_answer_s=0.3) as (station, csms):
            await csms.call("1", "ClearCache", "{}")
            await station.receive_call("ClearCache", "{}")
            await _exchange_up(station, csms)
            await csms.call("2", "Reset", '{"type":"Soft"}')
            message_id = await station.receive_call("Reset", '{"type":"Soft"}')
            await station.answer(message_id, '{"status":"Accepted"}')
            assert await csms.receive() == '[3,"2",{"status":"Accepted"}]'

    asyncio.run(run())


def test_stations_of_three_versions_behind_one_edge_using_the_same_ids() -> None:
    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            listening = await stack.enter_async_context(open_csms(*OcppVersion))
            url = await stack.enter_async_context(through_ocppress(listening.url))
            pairs = []
            for version in OcppVersion:
                station = await stack.enter_async_context(open_station(url, f"CS-{version}", [version.subprotocol]))
                pairs.append((version, station, await listening.end(f"CS-{version}")))
            for version, station, csms in pairs:
                assert station.subprotocol == csms.subprotocol == version.subprotocol
                await station.call("1", "DataTransfer", f'{{"vendorId":"{version}"}}')
                await csms.call("1", "DataTransfer", f'{{"vendorId":"{version}"}}')
            for version, station, csms in reversed(pairs):
                for receiver in (station, csms):
                    message_id = await receiver.receive_call("DataTransfer", f'{{"vendorId":"{version}"}}')
                    await receiver.answer(message_id, f'{{"status":"Accepted","data":"{version}"}}')
                for sender in (station, csms):
                    assert await sender.receive() == f'[3,"1",{{"status":"Accepted","data":"{version}"}}]'

    asyncio.run(run())


def test_the_csms_chooses_among_the_sub_protocols_that_a_station_offers() -> None:
    async def run() -> None:
        async with (
            open_csms(V16) as listening,
            through_ocppress(listening.url) as url,
            open_station(url, "CS-1", [V21.subprotocol, V201.subprotocol, V16.subprotocol]) as station,
        ):
            assert station.subprotocol == V16.subprotocol
            await _exchange_up(station, await listening.end("CS-1"))

    asyncio.run(run())


@pytest.mark.parametrize("offered", [[], ["ocpp1.5"], ["ocpp2.0"]], ids=str)
def test_a_station_without_a_known_sub_protocol_is_told_so_and_never_reaches_the_csms(offered: list[str]) -> None:
    """Part 4, 3.3: the handshake is completed without a sub-protocol, then the connection is closed."""

    async def run() -> None:
        async with RawCsms() as csms, through_ocppress(csms.url.removesuffix("/{identity}")) as url:
            async with RawStation(f"{url}/CS-1", subprotocols=offered) as station:
                assert station.socket.subprotocol is None
                assert await station.closed() == 1002
            assert not csms.authorizations

    asyncio.run(run())


# --- what isn't OCPP-J


@pytest.mark.parametrize(("version", "code"), [(V16, "FormationViolation"), (V201, "RpcFrameworkError"), (V21, "RpcFrameworkError")])
def test_a_text_of_the_station_without_a_readable_id(version: OcppVersion, code: str) -> None:
    async def talk(station: End, csms: End) -> None:
        for text in ["hello", "[]", "[2]", '[2,"x"', "[2,7]", "[" * 100_000, "{}"]:
            await station.send(text)
            refusal = json.loads(await station.receive())
            assert refusal[:3] == [4, "-1", code], text[:50]
            assert len(refusal) == 5
        await _exchange_up(station, csms)
        await _exchange_down(station, csms)
        assert csms.nothing_waits

    _run(version, talk)


@pytest.mark.parametrize(("version", "code"), [(V16, "FormationViolation"), (V201, "FormatViolation"), (V21, "FormatViolation")])
def test_a_call_of_the_station_without_a_payload(version: OcppVersion, code: str) -> None:
    async def talk(station: End, csms: End) -> None:
        for text in ['[2,"7"]', '[2,"7","Heartbeat"]', '[2,"7",5,{}]', '[2,"7","Heartbeat",[]]', '[2,"7","Heartbeat",null]']:
            await station.send(text)
            assert json.loads(await station.receive())[:3] == [4, "7", code], text
        await _exchange_up(station, csms)
        assert csms.nothing_waits

    _run(version, talk)


@pytest.mark.parametrize("version", OcppVersion)
def test_garbage_of_the_csms_goes_no_further(version: OcppVersion) -> None:
    async def talk(station: End, csms: End) -> None:
        for text in ["hello", "[]", '[2,"x"', "[" * 100_000]:
            await csms.send(text)
            assert json.loads(await csms.receive())[:2] == [4, "-1"], text[:50]
        await _exchange_down(station, csms)
        await _exchange_up(station, csms)
        assert station.nothing_waits

    _run(version, talk)


@pytest.mark.parametrize("version", OcppVersion)
def test_a_message_of_unknown_type_is_ignored(version: OcppVersion) -> None:
    async def talk(station: End, csms: End) -> None:
        unknown = [9] if version is V21 else [5, 6, 9]  # CALLRESULTERROR and SEND are known since 2.1
        for message_type in unknown:
            await station.send(f'[{message_type},"1","DataTransfer",{{}}]')
            await csms.send(f'[{message_type},"1","DataTransfer",{{}}]')
        await _exchange_up(station, csms)
        await _exchange_down(station, csms)
        assert station.nothing_waits
        assert csms.nothing_waits

    _run(version, talk)


# --- SEND and CALLRESULTERROR of 2.1, which no package knows

STREAM = minified(
    """{"id": 5, "pending": 0, "basetime": "2026-03-01T08:00:00Z", "data": [{"t": 0, "v": "230.10"}, {"t": 1.50, "v": "229.9"}]}"""
)


def test_send_is_delivered_both_ways_and_never_answered() -> None:
    async def talk(station: End, csms: End) -> None:
        send = Message(MessageType.SEND, "NotifyPeriodicEventStream", f'"NotifyPeriodicEventStream",{STREAM}')
        ids = set()
        for sender, receiver in ((station, csms), (csms, station)):
            for number in range(3):
                await sender.send(f'[6,"stream-{number}","NotifyPeriodicEventStream",{STREAM}]')
                message_id, message = await receiver.receive_message()
                assert message == send
                ids.add((receiver, message_id))
        assert len(ids) == 6
        await _exchange_up(station, csms)
        await _exchange_down(station, csms)
        assert station.nothing_waits
        assert csms.nothing_waits

    _run(V21, talk)


def test_send_does_not_wait_for_an_open_call() -> None:
    async def talk(station: End, csms: End) -> None:
        await station.call("1", "DataTransfer", '{"vendorId":"x"}')
        message_id = await csms.receive_call("DataTransfer", '{"vendorId":"x"}')
        await station.send(f'[6,"2","NotifyPeriodicEventStream",{STREAM}]')
        _, message = await csms.receive_message()
        assert message.type is MessageType.SEND
        await csms.answer(message_id, '{"status":"Accepted"}')
        assert await station.receive() == '[3,"1",{"status":"Accepted"}]'

    _run(V21, talk)


def test_callresulterror_reaches_the_one_whose_result_was_wrong() -> None:
    async def talk(station: End, csms: End) -> None:
        complaint = '"PropertyConstraintViolation","status is not known",{"status":1.0}'
        for sender, receiver in ((station, csms), (csms, station)):
            await sender.call("mine", "DataTransfer", '{"vendorId":"x"}')
            far_id = await receiver.receive_call("DataTransfer", '{"vendorId":"x"}')
            await receiver.answer(far_id, '{"status":"Nonsense"}')
            assert await sender.receive() == '[3,"mine",{"status":"Nonsense"}]'
            await sender.send(f'[5,"mine",{complaint}]')
            assert await receiver.receive_message() == (far_id, Message(MessageType.CALLRESULTERROR, "", complaint))
            await sender.send(f'[5,"unknown",{complaint}]')
        await _exchange_up(station, csms)
        await _exchange_down(station, csms)
        assert station.nothing_waits
        assert csms.nothing_waits

    _run(V21, talk)


@pytest.mark.parametrize("package", [OCPP_PACKAGE, OCPP_RPC], ids=str)
def test_a_csms_that_does_not_know_send_harms_nothing(package: Package) -> None:
    """`ocpp-rpc` answers a SEND with a CALLERROR of id "-1", which answers nothing; `ocpp` only logs it."""
    if reason := package.missing():
        pytest.skip(f"{package}: {reason}")

    async def run() -> None:
        answers: dict[str, list[Answer]] = {"NotifyPriorityCharging": [{}, {}]}
        async with (
            package.open_csms(V21, {"CS-1": None}, answers) as csms,
            through_ocppress(csms.url) as url,
            open_station(url, "CS-1", [V21.subprotocol]) as station,
        ):
            for number in range(2):
                await station.send(f'[6,"s{number}","NotifyPeriodicEventStream",{STREAM}]')
                await station.call(f"c{number}", "NotifyPriorityCharging", '{"transactionId":"t","activated":true}')
                assert await station.receive() == f'[3,"c{number}",{{}}]'
            wire = csms.wire("CS-1")
            await wire.reach(received=4)
            kinds = [parse(text)[1].type for text in wire.received]
            assert kinds.count(MessageType.SEND) == 2
            refusals = [parse(text)[0] for text in wire.sent if parse(text)[1].type is MessageType.CALLERROR]
            assert refusals == (["-1", "-1"] if package is OCPP_RPC else [])
            assert station.nothing_waits

    asyncio.run(run())


@pytest.mark.parametrize("package", [OCPP_PACKAGE, OCPP_RPC], ids=str)
def test_a_station_that_does_not_know_send_harms_nothing(package: Package) -> None:
    if reason := package.missing():
        pytest.skip(f"{package}: {reason}")

    async def run() -> None:
        answers: dict[str, list[Answer]] = {"ClearCache": [{"status": "Accepted"}]}
        async with (
            open_csms(V21) as listening,
            through_ocppress(listening.url) as url,
            package.open_station(url, "CS-1", V21, None, answers) as station,
        ):
            csms = await listening.end("CS-1")
            await csms.send(f'[6,"s","NotifyPeriodicEventStream",{STREAM}]')
            await csms.call("c", "ClearCache", "{}")
            assert await csms.receive() == '[3,"c",{"status":"Accepted"}]'
            assert parse(station.wire.received[0])[1].type is MessageType.SEND
            assert csms.nothing_waits

    asyncio.run(run())
