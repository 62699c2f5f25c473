"""The edge's server towards stations, with a scripted machine behind it and real WebSockets before it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from ocppress_gateway.core.events import (
    AdmitStation,
    CloseStation,
    Effect,
    Event,
    PauseStation,
    RefuseStation,
    ResumeStation,
    SendStation,
    StationArrived,
    StationGone,
    StationText,
)
from ocppress_gateway.core.limits import MESSAGE_TEXT_BYTES_MAX
from ocppress_gateway.driver import Driver
from ocppress_gateway.edge.program import EdgeProgram
from ocppress_gateway.edge.server import TEXTS_BURST, TEXTS_PER_S, StationServer
from ocppress_gateway.transports.memory import MemoryNetwork
from tests.support.background import background
from tests.support.raw_peers import RawStation
from tests.support.scripted_machine import WAIT_S, ScriptedMachine

PASSWORD = "Basic " + base64.b64encode(b"CS-1:not to be seen").decode()


@dataclass(frozen=True, slots=True)
class Edge:
    machine: ScriptedMachine
    program: EdgeProgram

    def do(self, *effects: Effect) -> None:
        self.machine.do(self.program, *effects)

    @property
    def url(self) -> str:
        return self.program.station_url


def _admit(event: Event) -> Sequence[Effect]:
    return [AdmitStation(event.socket, event.subprotocols[0])] if isinstance(event, StationArrived) else []


@contextlib.asynccontextmanager
async def _edge(react: Callable[[Event], Sequence[Effect]]) -> AsyncIterator[Edge]:
    machine = ScriptedMachine(react)
    async with EdgeProgram(machine, MemoryNetwork().connector, host="127.0.0.1", port=0, shutdown_s=0.1) as program:
        yield Edge(machine, program)


def _run(work: Callable[[Edge], Awaitable[None]], react: Callable[[Event], Sequence[Effect]] = _admit) -> None:
    async def main() -> None:
        async with asyncio.timeout(2 * WAIT_S), _edge(react) as edge:
            await work(edge)

    asyncio.run(main())


# --- the upgrade


def test_a_station_arrives_with_identity_subprotocols_and_credentials(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/any/path/CS-1", subprotocols=["ocpp2.1", "ocpp2.0.1"], authorization=PASSWORD) as station:
            assert station.socket.subprotocol == "ocpp2.1"
        assert await edge.machine.event(StationArrived) == StationArrived(1, "CS-1", ("ocpp2.1", "ocpp2.0.1"), PASSWORD)
        async with RawStation(f"{edge.url}/CS-2", subprotocols=["ocpp1.6"]):
            assert await edge.machine.event(StationArrived, 2) == StationArrived(2, "CS-2", ("ocpp1.6",), None)

    _run(work)
    ours = [record for record in caplog.records if record.name.startswith(("ocppress", "aiohttp"))]
    assert ours, "the program says where it listens"
    assert PASSWORD.split()[1] not in "".join(map(str, (record.__dict__ for record in ours)))


@pytest.mark.parametrize("path", ["CS%2A1%2B%3D%3A%7C%401", "CS*1+=:|@1", "a/b/CS*1+=%3A%7C@1"])
def test_an_identity_is_percent_decoded(path: str) -> None:
    async def work(edge: Edge) -> None:
        reader, writer = await _request(edge, f"GET /{path} HTTP/1.1", UPGRADE)
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"101"
        assert (await edge.machine.event(StationArrived)).identity == "CS*1+=:|@1"
        writer.close()
        await writer.wait_closed()

    _run(work)


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\n"
)


@pytest.mark.parametrize(
    ("line", "fields", "status"),
    [
        ("GET / HTTP/1.1", UPGRADE, 404),
        ("GET /CS-1/ HTTP/1.1", UPGRADE, 404),
        ("GET /CS%201 HTTP/1.1", UPGRADE, 404),
        ("GET /CS%FF HTTP/1.1", UPGRADE, 404),
        ("GET /a%2Fb HTTP/1.1", UPGRADE, 404),
        ("GET /CS%0A1 HTTP/1.1", UPGRADE, 404),
        (f"GET /{'x' * 49} HTTP/1.1", UPGRADE, 404),
        ("GET /CS-1 HTTP/1.1", "", 426),
        ("POST /CS-1 HTTP/1.1", "Content-Length: 0\r\n", 426),
        ("GET /CS-1 HTTP/1.1", UPGRADE.replace("Version: 13", "Version: 99"), 400),
        ("GET /CS-1 HTTP/1.1", UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        ("GET /CS-1 HTTP/1.1", UPGRADE.replace("Version: 13", "Version: \xff"), 400),
        ("GET /CS-1 HTTP/1.1", UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "\xff"), 400),
        ("GET /CS-1 HTTP/1.1", UPGRADE + f"X-Large: {'x' * 5000}\r\n", 400),
    ],
)
def test_what_is_no_stations_upgrade_never_reaches_the_machine(line: str, fields: str, status: int) -> None:
    async def work(edge: Edge) -> None:
        reader, writer = await _request(edge, line, fields)
        assert (await reader.readuntil(b"\r\n")).split()[1] == str(status).encode()
        assert not edge.machine.events
        writer.close()
        await writer.wait_closed()

    _run(work)


@pytest.mark.parametrize("request_head", ["GET /CS-1 HTTP/1.1\r\nAuthorization: {}\x01\r\n\r\n", "GET /CS-1 {}\r\n\r\n", "{}\r\n\r\n"])
def test_a_request_that_is_not_http_is_one_line_that_quotes_none_of_it(request_head: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def work(edge: Edge) -> None:
        caplog.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.program.port)
        writer.write(request_head.format("not to be seen").encode())
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"400"
        assert [(record.getMessage(), record.exc_info) for record in caplog.records if record.levelno >= logging.INFO] == [
            ("request is not HTTP", None)
        ]
        assert "not to be seen" not in str(caplog.records[0].__dict__)
        writer.close()
        await writer.wait_closed()

    _run(work)


async def _request(edge: Edge, line: str, fields: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.program.port)
    writer.write(f"{line}\r\nHost: x\r\n{fields}\r\n".encode("latin-1"))
    return reader, writer


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_refusal_is_the_machines(status: int) -> None:
    def refuse(event: Event) -> Sequence[Effect]:
        return [RefuseStation(event.socket, status, "for a reason")] if isinstance(event, StationArrived) else []

    async def work(edge: Edge) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with RawStation(f"{edge.url}/CS-1"):
                pass
        assert refused.value.response.status_code == status
        assert ("WWW-Authenticate" in refused.value.response.headers) is (status == 401)

    _run(work, refuse)


def test_no_common_subprotocol_completes_the_handshake_without_one_and_closes() -> None:
    def admit_without(event: Event) -> Sequence[Effect]:
        return [AdmitStation(event.socket, "")] if isinstance(event, StationArrived) else []

    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1", subprotocols=["ocpp9"]) as station:
            assert station.socket.subprotocol is None
            assert await station.closed() == 1002
        await edge.machine.event(StationGone)

    _run(work, admit_without)


def test_a_station_that_gives_up_waiting_is_reported() -> None:
    async def work(edge: Edge) -> None:
        _, writer = await _request(edge, "GET /CS-1 HTTP/1.1", UPGRADE)
        await edge.machine.event(StationArrived)
        writer.close()
        await writer.wait_closed()
        assert (await edge.machine.event(StationGone)).socket == 1

    _run(work, lambda _: ())


def test_a_station_closed_before_it_was_admitted_is_refused_and_reported() -> None:
    def close(event: Event) -> Sequence[Effect]:
        return [CloseStation(event.socket, 1001, "going")] if isinstance(event, StationArrived) else []

    async def work(edge: Edge) -> None:
        with pytest.raises(InvalidStatus, match="503"):
            async with RawStation(f"{edge.url}/CS-1"):
                pass
        await edge.machine.event(StationGone)

    _run(work, close)


# --- messages


def test_texts_pass_both_ways_unchanged_and_in_order() -> None:
    texts = ['[2,  "1"]', "é\u2028", "x" * MESSAGE_TEXT_BYTES_MAX, ""]

    def echo(event: Event) -> Sequence[Effect]:
        return [SendStation(event.socket, event.text)] if isinstance(event, StationText) else _admit(event)

    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station:
            assert "permessage-deflate" in station.socket.response.headers["Sec-WebSocket-Extensions"]  # type: ignore[union-attr]
            for text in texts:
                await station.send(text)
            assert [await station.receive() for _ in texts] == texts

    _run(work, echo)


def test_a_text_sent_at_once_follows_the_upgrade() -> None:
    def greet(event: Event) -> Sequence[Effect]:
        return [*_admit(event), SendStation(event.socket, "hello")] if isinstance(event, StationArrived) else []

    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station:
            assert await station.receive() == "hello"

    _run(work, greet)


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize(("message", "code"), [(b"binary", 1003), ("x" * (MESSAGE_TEXT_BYTES_MAX + 2), 1009)], ids=["binary", "too large"])
def test_a_message_that_cannot_be_ocpp_closes_the_socket(message: bytes | str, code: int, compression: str | None) -> None:
    async def work(edge: Edge) -> None:
        async with connect(f"{edge.url}/CS-1", subprotocols=[Subprotocol("ocpp1.6")], compression=compression) as station:
            with contextlib.suppress(ConnectionClosed):  # while it still sends
                await station.send(message)
            await station.wait_closed()
            assert station.close_code == code
        await edge.machine.event(StationGone)
        assert not any(isinstance(event, StationText) for event in edge.machine.events)

    _run(work)


def test_a_text_that_is_not_utf8_closes_the_socket() -> None:
    async def work(edge: Edge) -> None:
        async with connect(f"{edge.url}/CS-1", subprotocols=[Subprotocol("ocpp1.6")], compression=None) as station:
            await station.send(b"\xff\xfe", text=True)
            with pytest.raises(ConnectionClosed):
                await station.recv()
            assert station.close_code == 1007

    _run(work)


def test_closing_sends_first_what_was_sent_before() -> None:
    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station:
            edge.do(SendStation(1, "last"), CloseStation(1, 1001, "é" * 100), SendStation(1, "too late"))
            assert await station.receive() == "last"
            assert await station.closed() == 1001
            assert station.socket.close_reason == "é" * 61, "123 bytes, whole characters"
        assert "1001" in (await edge.machine.event(StationGone)).reason
        edge.do(SendStation(1, "nobody"), CloseStation(1, 1000, ""), PauseStation(1), ResumeStation(1))

    _run(work)


def test_a_flood_is_read_at_a_pace_and_loses_nothing() -> None:
    flood = TEXTS_BURST + TEXTS_PER_S

    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station, RawStation(f"{edge.url}/CS-2") as other:
            began = asyncio.get_running_loop().time()
            for number in range(flood):
                await station.send(str(number))
            await edge.machine.event(StationText, TEXTS_BURST)
            await other.send("from another")
            texts: list[str] = []
            while len(texts) < flood + 1:
                texts = [event.text for event in edge.machine.events if isinstance(event, StationText)]
                await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - began >= 0.99, "the pace allows no less"
            assert texts.index("from another") < flood, "the others don't wait for it"
            assert [text for text in texts if text != "from another"] == [str(number) for number in range(flood)]

    _run(work)


def test_a_paused_station_is_not_read() -> None:
    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station:
            await station.send("first")
            await edge.machine.event(StationText)
            edge.do(PauseStation(1))
            await station.send("under way")  # its read may have begun before the pause
            await edge.machine.event(StationText, 2)
            for number in range(10):
                await station.send(str(number))
            edge.do(SendStation(1, "writing goes on"))
            assert await station.receive() == "writing goes on"
            assert len([event for event in edge.machine.events if isinstance(event, StationText)]) == 2
            edge.do(ResumeStation(1))
            assert (await edge.machine.event(StationText, 12)).text == "9"

    _run(work)


def test_a_paused_station_can_be_closed() -> None:
    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station:
            edge.do(PauseStation(1), CloseStation(1, 1008, "enough"))
            assert await station.closed() == 1008
        await edge.machine.event(StationGone)

    _run(work)


def test_a_station_that_does_not_read_is_cut_off() -> None:
    async def work(edge: Edge) -> None:
        reader, writer = await _request(edge, "GET /CS-1 HTTP/1.1", UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        while len(edge.program._stations) > 0:
            edge.do(SendStation(1, "x" * MESSAGE_TEXT_BYTES_MAX))
            await asyncio.sleep(0)
        assert (await edge.machine.event(StationGone)).reason == "it doesn't read what it is sent"
        writer.transport.abort()

    _run(work)


def test_pings_are_answered() -> None:
    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station:
            await (await station.socket.ping())

    _run(work)


@pytest.mark.parametrize("answers", [True, False])
def test_a_silent_station_is_pinged_and_closed_if_it_does_not_answer(answers: bool) -> None:
    async def main() -> None:
        server: StationServer
        machine = ScriptedMachine(_admit)
        driver = Driver(machine, lambda effect: server.decide(effect), logger=logging.getLogger("test"))  # type: ignore[arg-type]
        server = StationServer(driver, host="127.0.0.1", port=0, ping_s=0.1)
        await server.start()
        try:
            async with asyncio.timeout(WAIT_S), background(driver.run(), "driver"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(f"GET /CS-1 HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n".encode())
                await reader.readuntil(b"\r\n\r\n")
                for _ in range(5 if answers else 1):
                    assert await reader.readexactly(2) == b"\x89\x00", "a ping"
                    if answers:
                        writer.write(b"\x8a\x80abcd")  # an empty pong, masked
                if answers:
                    assert not any(isinstance(event, StationGone) for event in machine.events)
                    writer.close()
                assert "PONG" in (await machine.event(StationGone)).reason or answers
                writer.close()
                await writer.wait_closed()
        finally:
            await server.close()

    asyncio.run(main())


def test_a_station_that_vanishes_is_reported() -> None:
    async def work(edge: Edge) -> None:
        async with RawStation(f"{edge.url}/CS-1") as station:
            await station.send("last words")
            station.socket.transport.abort()
            assert (await edge.machine.event(StationText)).text == "last words"
            await edge.machine.event(StationGone)

    _run(work)


# --- the program


def test_an_error_of_the_machine_ends_the_program() -> None:
    def fail(_: Event) -> Sequence[Effect]:
        raise AssertionError("a programmer's mistake")

    async def main() -> None:
        async with _edge(fail) as edge:
            _, writer = await _request(edge, "GET /CS-1 HTTP/1.1", UPGRADE)
            await edge.program.ended()
            writer.transport.abort()

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.value.subgroup(AssertionError) is not None
