"""Edge and cloud as two processes with the files of `ocppress ca`: who is let in, what is said, how it ends, and what an enemy achieves."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import random
import signal
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.provisioning.certificates import issue_cloud, make_authority
from ocppress_gateway.transports.tls import station_server_context
from tests.support.processes import Gateway, Process, free_port, open_gateway, until
from tests.support.raw_peers import RawCsms, RawStation

SECRETS = ("Pw-not-to-be-seen-1", "Pw-not-to-be-seen-2")
SHUTDOWN_S = 10.0
"""`shutdown_s` of both programs, by default."""


def _basic(identity: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{identity}:{password}".encode()).decode()


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    return [f'[3,"{message_id}",{{"status":"Accepted"}}]'] if message.type is MessageType.CALL else []


def _admit(identity: str, authorization: str | None, subprotocols: Sequence[str]) -> int | str:
    if identity == "UNKNOWN":
        return 404
    if identity == "GUARDED" and authorization != _basic(identity, SECRETS[0]):
        return 401
    return "ocpp2.0.1" if "ocpp2.0.1" in subprotocols else ""


def _run(folder: Path, work: Callable[[Gateway, RawCsms], Awaitable[None]], *, log_level: str = "info") -> None:
    async def main() -> None:
        async with RawCsms(admit=_admit, handler=_answer) as csms, open_gateway(folder, csms.url, log_level=log_level) as gateway:
            await work(gateway, csms)

    asyncio.run(main())


async def _exchange(
    gateway: Gateway, identity: str = "CS-1", authorization: str | None = None, ssl_context: ssl.SSLContext | None = None
) -> None:
    """A station connects, says something and gets an answer."""
    url = f"{gateway.url}/any/path/{identity}"
    async with RawStation(url, authorization=authorization, ssl_context=ssl_context) as station:
        await station.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
        assert await station.receive() == '[3,"1",{"status":"Accepted"}]'


async def _refused(gateway: Gateway, identity: str, authorization: str | None = None) -> int:
    with pytest.raises(InvalidStatus) as refused:
        await _exchange(gateway, identity, authorization)
    return refused.value.response.status_code


# --- who is let in, and what is said about it


def test_the_csms_decides_and_each_decision_is_one_line_without_the_password(tmp_path: Path) -> None:
    good, bad = (_basic("GUARDED", secret) for secret in SECRETS)

    async def work(gateway: Gateway, csms: RawCsms) -> None:
        await _exchange(gateway, "GUARDED", good)
        await gateway.edge.said("station admitted station=GUARDED")
        await gateway.cloud.said("CSMS socket open station=GUARDED")
        await gateway.edge.said("station gone station=GUARDED")
        assert await _refused(gateway, "GUARDED", bad) == 401
        await gateway.edge.said('station refused station=GUARDED status=401 reason="the CSMS answered 401 Unauthorized"')
        await gateway.cloud.said("the CSMS refused station=GUARDED status=401")
        assert await _refused(gateway, "UNKNOWN") == 404
        await gateway.edge.said("station refused station=UNKNOWN status=404")
        for offered in ("ocpp1.6", "ocpp9"):  # the one refused by the CSMS, the other at the edge
            async with RawStation(f"{gateway.url}/CS-1", subprotocols=[offered]) as station:
                assert station.socket.subprotocol is None
                assert await station.closed() == 1002
        await gateway.edge.said("no common sub-protocol station=CS-1", 2)
        assert csms.authorizations["GUARDED"] == [good, bad]
        # A broken header is not HTTP, and nobody is to read it either.
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.edge_port)
        writer.write(f"GET /GUARDED HTTP/1.1\r\nHost: x\r\nAuthorization: {bad}\x01\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"400"
        writer.close()
        await writer.wait_closed()
        await gateway.edge.said("request is not HTTP remote=127.0.0.1 status=400")

        assert await gateway.cloud.end(signal.SIGTERM) == 0
        await gateway.edge.said("link closed")
        assert await _refused(gateway, "CS-1", good) == 503
        await gateway.edge.said('station refused station=CS-1 status=503 reason="the link is down"')
        assert await gateway.edge.end(signal.SIGTERM) == 0

        said.append("\n".join(gateway.edge.lines + gateway.cloud.lines))

    said: list[str] = []
    _run(tmp_path, work, log_level="debug")
    assert "Traceback" not in said[0]
    written = [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) > 5, "keys, certificates and configurations"
    for secret in (*SECRETS, good.split()[1], bad.split()[1]):
        assert not any(secret in text for text in said + written)


def test_what_a_program_cannot_reach_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        csms_port = await free_port()
        async with open_gateway(tmp_path, f"ws://127.0.0.1:{csms_port}/{{identity}}") as gateway:
            assert await _refused(gateway, "CS-1") == 503
            reason = f"the CSMS at 127.0.0.1:{csms_port} cannot be reached: Connection refused"
            await gateway.edge.said(f'station refused station=CS-1 status=503 reason="{reason}"')
            await gateway.cloud.said(f'the CSMS refused station=CS-1 status=null reason="{reason}"')
            assert await gateway.cloud.end(signal.SIGTERM) == 0
            line = await gateway.edge.said("link not made")
            assert f'reason="127.0.0.1:{gateway.cloud_port} cannot be reached: Connection refused"' in line

    asyncio.run(main())


# --- TLS on all three ways

TLS_EDGE = (("#[stations.tls]", '[stations.tls]\ncertificate_file = "station.pem"\nkey_file = "station.key"'),)
TLS_CLOUD = ("[csms]\n", '[csms]\nca_file = "csms-ca.pem"\n')


def test_tls_to_the_stations_and_to_a_csms_of_a_ca_of_its_own(tmp_path: Path) -> None:
    ca_file, context = _server_certificate(tmp_path, "127.0.0.1", tmp_path / "station")
    trusting = ssl.create_default_context(cafile=ca_file)
    edge_changes = [(before, after.replace("station.", f"{tmp_path}/station.")) for before, after in TLS_EDGE]
    cloud_changes = [(TLS_CLOUD[0], TLS_CLOUD[1].replace("csms-ca.pem", str(ca_file)))]

    async def main() -> None:
        async with (
            RawCsms(admit=_admit, handler=_answer, ssl_context=context) as csms,
            open_gateway(tmp_path, csms.url, edge_changes=edge_changes, cloud_changes=cloud_changes) as gateway,
        ):
            assert gateway.url.startswith("wss://")
            await _exchange(gateway, "GUARDED", _basic("GUARDED", SECRETS[0]), trusting)
            with pytest.raises(ssl.SSLCertVerificationError):
                await _exchange(gateway, ssl_context=ssl.create_default_context())
            await _exchange(gateway, ssl_context=trusting)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("127.0.0.1", False, "certificate not accepted: unable to get local issuer certificate"),
        ("192.0.2.1", True, "certificate not accepted: IP address mismatch"),
    ],
)
def test_a_csms_whose_certificate_is_not_good_never_sees_a_password(host: str, trusted: bool, reason: str, tmp_path: Path) -> None:
    ca_file, context = _server_certificate(tmp_path, host, tmp_path / "csms")
    cloud_changes = [(TLS_CLOUD[0], TLS_CLOUD[1].replace("csms-ca.pem", str(ca_file)))] if trusted else []

    async def main() -> None:
        async with (
            RawCsms(admit=_admit, ssl_context=context) as csms,
            open_gateway(tmp_path, csms.url, cloud_changes=cloud_changes) as gateway,
        ):
            assert await _refused(gateway, "GUARDED", _basic("GUARDED", SECRETS[0])) == 503
            assert reason in await gateway.edge.said("station refused station=GUARDED status=503")
            assert not csms.authorizations

    asyncio.run(main())


def _server_certificate(folder: Path, host: str, stem: Path) -> tuple[Path, ssl.SSLContext]:
    """The file of a new CA, and a server's context with a certificate of it for `host`, which is in `stem`.pem and .key, too."""
    now = datetime.now(UTC)
    authority = make_authority("test", now)
    server = issue_cloud(authority, [host], now)
    ca_file, certificate_file, key_file = folder / "test-ca.pem", stem.with_suffix(".pem"), stem.with_suffix(".key")
    ca_file.write_bytes(authority.certificate_pem)
    certificate_file.write_bytes(server.certificate_pem)
    key_file.write_bytes(server.key_pem)
    return ca_file, station_server_context(certificate_file=certificate_file, key_file=key_file)


# --- how it ends


@pytest.mark.parametrize("first", ["edge", "cloud"])
def test_sigterm_ends_both_in_time_whatever_stations_do(first: str, tmp_path: Path) -> None:
    async def work(gateway: Gateway, csms: RawCsms) -> None:
        async with RawStation(f"{gateway.url}/CS-1") as station:
            rogue = await _upgraded(gateway)
            silent = await asyncio.open_connection("127.0.0.1", gateway.edge_port)
            await csms.until(lambda: len(csms.sockets) == 2)
            started = time.monotonic()
            for process in (gateway.edge, gateway.cloud) if first == "edge" else (gateway.cloud, gateway.edge):
                assert await process.end(signal.SIGTERM) == 0
            assert time.monotonic() - started < 2 * SHUTDOWN_S
            assert await station.closed() == 1001
            await csms.until(lambda: not csms.sockets)
            for _, writer in (rogue, silent):
                writer.transport.abort()

    _run(tmp_path, work)


# --- enemies


GROWTH_MB = 60
"""What a process may keep of an attack: buffers of 4 MiB for each of a few sockets, and what the allocator doesn't give back."""


def test_hostile_stations_harm_only_themselves(tmp_path: Path) -> None:
    async def work(gateway: Gateway, _csms: RawCsms) -> None:
        await _exchange(gateway)
        before_mb, before_files = gateway.edge.memory_mb, gateway.edge.open_files
        for attack in (_huge_message, _huge_compressed_message, _endless_fragments, _flood_unread, _garbage):
            await attack(gateway)
            await _exchange(gateway)
            assert gateway.edge.memory_mb < before_mb + GROWTH_MB, attack.__name__
        crowd = [await asyncio.open_connection("127.0.0.1", gateway.edge_port) for _ in range(400)]
        for _, writer in crowd:
            writer.transport.abort()
        await until(lambda: gateway.edge.open_files <= before_files)
        await _exchange(gateway)
        assert gateway.edge.is_running
        assert gateway.cloud.is_running
        assert "Traceback" not in "\n".join(gateway.edge.lines + gateway.cloud.lines)

    _run(tmp_path, work)


def test_hostile_link_peers_harm_only_themselves(tmp_path: Path) -> None:
    """A plain link, so that they get as far as they can: with TLS they have no certificate."""

    async def main() -> None:
        edge_port, cloud_port = await free_port(), await free_port()
        cloud_file, edge_file = tmp_path / "cloud.toml", tmp_path / "edge.toml"
        async with RawCsms(admit=_admit, handler=_answer) as csms:
            cloud_file.write_text(
                f'[link]\nhost = "127.0.0.1"\nport = {cloud_port}\n[csms]\nurl = "{csms.url}"\n[[edges]]\nname = "dev"\nstations = ["*"]\n'
            )
            edge_file.write_text(
                f'[stations]\nhost = "127.0.0.1"\nport = {edge_port}\n[link]\nurl = "ws://127.0.0.1:{cloud_port}/"\nedge = "dev"\n'
            )
            async with Process.running("cloud", "--config", cloud_file) as cloud:
                await cloud.said("listening")
                async with Process.running("edge", "--config", edge_file) as edge:
                    await edge.said("link up")
                    gateway = Gateway(edge, cloud, f"ws://127.0.0.1:{edge_port}", edge_port, cloud_port)
                    await _exchange(gateway)
                    before_mb, before_files = cloud.memory_mb, cloud.open_files
                    await _rogue_edges(gateway)
                    await _garbage(gateway)
                    await until(lambda: cloud.open_files <= before_files)
                    assert cloud.memory_mb < before_mb + GROWTH_MB
                    await _exchange(gateway)
                    assert "Traceback" not in "\n".join(edge.lines + cloud.lines)
                    assert len([line for line in edge.lines if "link up" in line]) == 1, "the honest edge never noticed"

    asyncio.run(main())


async def _rogue_edges(gateway: Gateway) -> None:
    rng = random.Random(7)
    messages: list[bytes | str] = [rng.randbytes(rng.randint(1, 60)) for _ in range(100)]
    messages += [bytes(16 * 1024), b"\xff" * 16 * 1024, bytes(16 * 1024 + 1), bytes(1_000_000), "text", b""]
    for message in messages:
        async with connect(f"ws://127.0.0.1:{gateway.cloud_port}/", compression=None) as rogue:
            with contextlib.suppress(ConnectionClosed):
                await rogue.send(message)
                while True:
                    await rogue.recv()


async def _garbage(gateway: Gateway) -> None:
    """What isn't HTTP, or hardly, at both ports."""
    for port in (gateway.edge_port, gateway.cloud_port):
        for data in (
            b"\x16\x03\x01\x01\xf4" + os.urandom(500),
            bytes(100_000),
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
            b"POST /CS-1 HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + bytes(100_000),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                await writer.drain()
                while await reader.read(1000):
                    pass
            writer.transport.abort()


async def _huge_message(gateway: Gateway) -> None:
    await _send_huge(gateway, None)


async def _huge_compressed_message(gateway: Gateway) -> None:
    await _send_huge(gateway, "deflate")


async def _send_huge(gateway: Gateway, compression: str | None) -> None:
    async with connect(f"{gateway.url}/ROGUE", subprotocols=[Subprotocol("ocpp2.0.1")], compression=compression) as station:
        with contextlib.suppress(ConnectionClosed):
            await station.send("x" * 100_000_000)
        await station.wait_closed()
        assert station.close_code == 1009


async def _endless_fragments(gateway: Gateway) -> None:
    """A message that never ends: the connection does."""
    _, writer = await _upgraded(gateway)
    writer.write(_frame(0x01, b""))
    for _ in range(1000):
        try:
            writer.write(_frame(0x00, bytes(64 * 1024)))
            await writer.drain()
        except ConnectionError:
            return
    pytest.fail("64 MB went in")


async def _flood_unread(gateway: Gateway) -> None:
    """Questions, pings and nonsense, whose answers are never read: TCP makes it wait, or the connection ends."""
    _, writer = await _upgraded(gateway)
    flood = _frame(0x01, b'[2,"1","DataTransfer",{"vendorId":"x"}]') + _frame(0x01, b"nonsense") + _frame(0x09, bytes(125))
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(3):
            while True:
                writer.write(flood * 50)
                await writer.drain()
    await _exchange(gateway)
    writer.transport.abort()


def _frame(first: int, payload: bytes) -> bytes:
    """A client's WebSocket frame (RFC 6455 5.2), masked with zeros; the end of its message unless `first` is 1 or 0 without data."""
    final = 0x80 if payload and first else 0
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xff" + struct.pack(">Q", len(payload))
    return bytes([final | first]) + size + bytes(4) + payload


async def _upgraded(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A station's bare connection, of which nothing more is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.edge_port)
    writer.write(
        b"GET /ROGUE HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return reader, writer
