"""The cloud's client towards the CSMS, with a scripted machine before it and real WebSockets behind it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from ocppress_gateway.cloud.program import CloudProgram
from ocppress_gateway.core.events import CloseCsms, CsmsClosed, CsmsOpened, CsmsRefused, CsmsText, Effect, Event, OpenCsms, SendCsms
from ocppress_gateway.core.limits import MESSAGE_TEXT_BYTES_MAX
from ocppress_gateway.transports.memory import MemoryNetwork
from ocppress_gateway.transports.tls import certificate_of, csms_client_context, owner
from tests.support.link_ends import make_tls_files
from tests.support.raw_peers import RawCsms, answer_upgrade
from tests.support.scripted_machine import WAIT_S, ScriptedMachine

CREDENTIALS = "Basic Q1M6c2VjcmV0"


@dataclass(frozen=True, slots=True)
class Cloud:
    machine: ScriptedMachine
    program: CloudProgram

    def do(self, *effects: Effect) -> None:
        self.machine.do(self.program, *effects)

    async def opened(self, identity: str = "CS-1") -> None:
        self.do(OpenCsms(1, identity, ("ocpp2.0.1",)))
        await self.machine.event(CsmsOpened)


@contextlib.asynccontextmanager
async def _cloud(url: str, *, connect_timeout_s: float = WAIT_S) -> AsyncIterator[Cloud]:
    machine = ScriptedMachine()
    async with CloudProgram(
        machine, MemoryNetwork().listener, csms_url=url, connect_timeout_s=connect_timeout_s, shutdown_s=0.1
    ) as program:
        yield Cloud(machine, program)


def _run(work: Callable[[Cloud, RawCsms], Awaitable[None]], csms: Callable[[], RawCsms] = RawCsms) -> None:
    async def main() -> None:
        async with asyncio.timeout(2 * WAIT_S), csms() as listening, _cloud(listening.url) as cloud:
            await work(cloud, listening)

    asyncio.run(main())


# --- opening


def test_the_csms_sees_path_subprotocols_and_credentials_of_the_station() -> None:
    seen: list[tuple[str, Sequence[str], str]] = []

    async def serve_one(connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        seen.append((request.path, request.headers.get_all("Sec-WebSocket-Protocol"), request.headers["Authorization"]))
        assert "permessage-deflate" in request.headers["Sec-WebSocket-Extensions"]
        await connection.wait_closed()

    async def main() -> None:
        async with serve(serve_one, "127.0.0.1", 0, subprotocols=["ocpp2.0.1"]) as server:  # type: ignore[list-item]
            port = next(iter(server.sockets)).getsockname()[1]
            async with asyncio.timeout(WAIT_S), _cloud(f"ws://127.0.0.1:{port}/a%20b/{{identity}}/ocpp") as cloud:
                cloud.do(OpenCsms(7, "CS*1+=:|@", ("ocpp2.1", "ocpp2.0.1"), CREDENTIALS))
                assert await cloud.machine.event(CsmsOpened) == CsmsOpened(7, "ocpp2.0.1")

    asyncio.run(main())
    assert seen == [("/a%20b/CS%2A1%2B%3D%3A%7C%40/ocpp", ["ocpp2.1,ocpp2.0.1"], CREDENTIALS)]


@pytest.mark.parametrize("status", [302, 400, 401, 404, 500, 503])
def test_a_refusal_is_reported_with_its_status(status: int) -> None:
    async def work(cloud: Cloud, csms: RawCsms) -> None:
        cloud.do(OpenCsms(1, "CS-1", ("ocpp1.6",), CREDENTIALS))
        refused = await cloud.machine.event(CsmsRefused)
        assert (refused.socket, refused.status) == (1, status)
        assert refused.reason == f"the CSMS answered {status} {HTTPStatus(status).phrase}"
        assert csms.authorizations["CS-1"] == [CREDENTIALS]

    _run(work, lambda: RawCsms(admit=lambda *_: status))


def test_no_or_another_subprotocol_is_reported_as_none() -> None:
    async def work(cloud: Cloud, _: RawCsms) -> None:
        cloud.do(OpenCsms(1, "CS-1", ("ocpp1.6",)))
        assert await cloud.machine.event(CsmsOpened) == CsmsOpened(1, "")

    _run(work, lambda: RawCsms(admit=lambda *_: ""))
    _run(work, lambda: RawCsms(admit=lambda *_: "ocpp9"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "upgrade breaks the rules"),
        (b"Set-Cookie: not to be seen\r\n\r\n", "not HTTP"),
    ],
    ids=["none", "half", "not HTTP"],
)
def test_what_is_no_answer_is_reported_without_a_status(answer: bytes, reason: str) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_server(reply, "127.0.0.1", 0) as server, asyncio.timeout(WAIT_S):
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/{{identity}}"
            async with _cloud(url) as cloud:
                cloud.do(OpenCsms(1, "CS-1", ("ocpp1.6",)))
                refused = await cloud.machine.event(CsmsRefused)
                assert refused.status is None
                assert reason in refused.reason
                assert "not to be seen" not in refused.reason
            server.close()
        async with _cloud(url) as cloud:  # nobody there any more
            cloud.do(OpenCsms(1, "CS-1", ("ocpp1.6",)))
            refused = await cloud.machine.event(CsmsRefused)
            assert refused.status is None
            assert re.fullmatch(r"the CSMS at 127\.0\.0\.1:\d+ cannot be reached: Connection refused", refused.reason)

    asyncio.run(main())


def test_a_csms_that_does_not_answer_is_reported_in_time_and_can_be_given_up() -> None:
    async def main() -> None:
        done = asyncio.Event()
        connected: asyncio.Queue[None] = asyncio.Queue()

        async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.put_nowait(None)
            await done.wait()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server, asyncio.timeout(WAIT_S):
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/{{identity}}"
            async with _cloud(url, connect_timeout_s=0.1) as cloud:
                cloud.do(OpenCsms(1, "CS-1", ("ocpp1.6",)))
                assert await cloud.machine.event(CsmsRefused) == CsmsRefused(1, None, "the CSMS did not answer within 0.1 s")
            async with _cloud(url) as cloud:
                cloud.do(OpenCsms(1, "CS-1", ("ocpp1.6",)))
                await connected.get()
                await connected.get()
                cloud.do(CloseCsms(1, 1000, "not wanted any more"), OpenCsms(2, "CS-1", ("ocpp1.6",)), CloseCsms(2, 1000, "at once"))
                while cloud.program._is_busy():
                    await cloud.program._driver.turn()
                assert not any(isinstance(event, CsmsRefused | CsmsClosed | CsmsOpened) for event in cloud.machine.events)
            done.set()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("subprotocol", "authorization"), [("ocpp1.6\r\nX: y", None), ("ocpp1.6", "Basic x\r\nHost: elsewhere"), ("ocpp1.6", "Basic \0")]
)
def test_an_edge_cannot_put_header_fields_into_the_request(subprotocol: str, authorization: str | None) -> None:
    async def work(cloud: Cloud, csms: RawCsms) -> None:
        cloud.do(OpenCsms(1, "CS-1", (subprotocol,), authorization))
        assert (await cloud.machine.event(CsmsRefused)).status is None
        assert not csms.authorizations

    _run(work)


def test_more_than_a_hundred_stations_are_connected_at_once() -> None:
    async def work(cloud: Cloud, csms: RawCsms) -> None:
        cloud.do(*(OpenCsms(number, f"CS-{number}", ("ocpp1.6",)) for number in range(1, 121)))
        await cloud.machine.event(CsmsOpened, 120)
        assert len(csms.sockets) == 120

    _run(work)


# --- messages


def test_texts_pass_both_ways_unchanged_and_in_order() -> None:
    texts = ['[2,  "1"]', "é\u2028", "x" * MESSAGE_TEXT_BYTES_MAX, ""]

    async def work(cloud: Cloud, csms: RawCsms) -> None:
        await cloud.opened()
        cloud.do(*(SendCsms(1, text) for text in texts))
        await cloud.machine.event(CsmsText, len(texts))
        assert [event.text for event in cloud.machine.events if isinstance(event, CsmsText)] == texts
        assert csms.texts["CS-1"] == texts

    _run(work, lambda: RawCsms(handler=lambda text: [text]))


def test_closing_sends_first_what_was_sent_before() -> None:
    async def work(cloud: Cloud, csms: RawCsms) -> None:
        await cloud.opened()
        cloud.do(SendCsms(1, "last"), CloseCsms(1, 1001, "the station has gone"), SendCsms(1, "too late"))
        assert "1001" in (await cloud.machine.event(CsmsClosed)).reason
        await csms.until(lambda: csms.close_codes["CS-1"] == [1001])
        assert csms.texts["CS-1"] == ["last"]
        cloud.do(SendCsms(1, "nobody"), CloseCsms(1, 1000, "again"))

    _run(work)


def test_a_csms_that_closes_or_vanishes_is_reported() -> None:
    async def work(cloud: Cloud, csms: RawCsms) -> None:
        await cloud.opened()
        await csms.sockets["CS-1"].close(4321, "maintenance")
        assert await cloud.machine.event(CsmsClosed) == CsmsClosed(1, "closed by the peer, code 4321: maintenance")
        cloud.do(OpenCsms(2, "CS-2", ("ocpp1.6",)))
        await cloud.machine.event(CsmsOpened, 2)
        csms.sockets["CS-2"].transport.abort()
        assert (await cloud.machine.event(CsmsClosed, 2)).socket == 2

    _run(work)


def test_a_csms_that_pings_and_vanishes_is_reported() -> None:
    """The ping is read when it can't be answered any more."""

    async def ping_and_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer, b"\x89\x00" * 3)
        writer.transport.abort()

    async def main() -> None:
        async with (
            await asyncio.start_server(ping_and_go, "127.0.0.1", 0) as server,
            asyncio.timeout(WAIT_S),
            _cloud(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/{{identity}}") as cloud,
        ):
            for number in range(1, 51):
                cloud.do(OpenCsms(number, "CS-1", ("ocpp1.6",)))
                await cloud.machine.event(CsmsClosed, number)

    asyncio.run(main())


@pytest.mark.parametrize(("message", "code"), [(b"binary", 1003), ("x" * (MESSAGE_TEXT_BYTES_MAX + 2), 1009)], ids=["binary", "too large"])
def test_a_message_that_cannot_be_ocpp_closes_the_socket(message: bytes | str, code: int) -> None:
    async def work(cloud: Cloud, csms: RawCsms) -> None:
        await cloud.opened()
        await csms.sockets["CS-1"].send(message)
        await cloud.machine.event(CsmsClosed)
        await csms.until(lambda: csms.close_codes["CS-1"] == [code])
        assert not any(isinstance(event, CsmsText) for event in cloud.machine.events)

    _run(work)


def test_what_the_program_leaves_open_is_closed_at_its_end() -> None:
    def nothing(_: Event) -> Sequence[Effect]:
        return ()

    async def main() -> None:
        async with asyncio.timeout(WAIT_S), RawCsms() as csms:
            async with _cloud(csms.url) as cloud:
                cloud.machine.react = nothing
                await cloud.opened()
            await csms.until(lambda: "CS-1" not in csms.sockets)

    asyncio.run(main())


# --- TLS


@pytest.mark.parametrize("shown", [True, False])
def test_a_csms_of_security_profile_3_gets_the_clouds_certificate(shown: bool, tmp_path: Path) -> None:
    client, server = make_tls_files(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(server.certificate_file, server.key_file)
    server_side.load_verify_locations(client.ca_file)
    server_side.verify_mode = ssl.CERT_REQUIRED
    names: list[str] = []

    async def accept(connection: ServerConnection) -> None:
        tls = connection.transport.get_extra_info("ssl_object")
        names.append(owner(tls, certificate_of(tls)))
        await connection.wait_closed()

    async def main() -> None:
        files = {"certificate_file": client.certificate_file, "key_file": client.key_file} if shown else {}
        context = csms_client_context(ca_file=client.ca_file, **files)
        machine = ScriptedMachine()
        async with (
            asyncio.timeout(2 * WAIT_S),
            serve(accept, "127.0.0.1", 0, ssl=server_side, subprotocols=[Subprotocol("ocpp2.0.1")]) as csms,
        ):
            url = f"wss://127.0.0.1:{next(iter(csms.sockets)).getsockname()[1]}/{{identity}}"
            async with CloudProgram(machine, MemoryNetwork().listener, csms_url=url, csms_ssl_context=context, shutdown_s=0.1) as program:
                machine.do(program, OpenCsms(1, "CS-1", ("ocpp2.0.1",)))
                if shown:
                    await machine.event(CsmsOpened)
                else:
                    await machine.event(CsmsRefused)

    asyncio.run(main())
    assert names == (["edge-1"] if shown else [])
