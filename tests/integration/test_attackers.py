"""Who has no right to the link, or more than they should, against real edges and clouds under real TLS.

Each is refused, reported once however often it tries, and nothing of it reaches the CSMS or a station. What a hostile peer can do *within* the rules of
the link is in `simulation/test_hostile_link`, what it can do to the parsers in `fuzz`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from websockets.exceptions import InvalidStatus

from ocppress_codecs.rpc import MessageType, parse
from ocppress_gateway.core.parts import (
    PROTOCOL_VERSION,
    Attach,
    DayReport,
    Delivered,
    FramePart,
    Hello,
    KnownStation,
    Part,
    Piece,
    Renewal,
    StationWelcome,
    Verdict,
    Welcome,
    read_parts,
    write_parts,
)
from ocppress_gateway.errors import LinkLost, LinkRefused
from ocppress_gateway.provisioning.certificates import (
    LEAF_DAYS,
    Credentials,
    issue_cloud,
    issue_edge,
    issue_station_server,
    make_authority,
    read_credentials,
)
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.revoked import RevokedKeys
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketListener
from tests.support.processes import Process, change, free_port, ocppress, until
from tests.support.raw_peers import RawCsms, RawStation
from tests.support.rogue_edge import RogueEdge, connector

TRIES = 3
"""How often each attack is made, to see that it is reported once."""

CALL = '"DataTransfer",{"vendorId":"the enemy"}'


@dataclass(frozen=True, slots=True)
class World:
    """Edge `honest` with station CP001, linked; the enemy has the folder of edge `rogue`, which may speak for CP666 alone."""

    folder: Path
    csms: RawCsms
    cloud: Process
    edge: Process
    edge_port: int
    cloud_port: int

    @property
    def rogue(self) -> Path:
        return self.folder / "edges" / "rogue"

    @property
    def authority(self) -> Credentials:
        return read_credentials((self.folder / "ca.key").read_bytes(), (self.folder / "ca.pem").read_bytes())

    async def exchange(self) -> None:
        """The honest station says something and is answered; nobody else has got through to the CSMS."""
        async with RawStation(f"ws://127.0.0.1:{self.edge_port}/CP001") as station:
            await station.send('[2,"1","DataTransfer",{"vendorId":"x"}]')
            assert await station.receive() == '[3,"1",{"status":"Accepted"}]'
        assert set(self.csms.texts) == {"CP001"}
        assert not [text for text in self.csms.texts["CP001"] if "enemy" in text]

    def pretend(self, name: str, credentials: Credentials) -> Path:
        """A folder as an edge has it, with these."""
        folder = self.folder / "pretended" / name
        folder.mkdir(parents=True)
        (folder / "edge.pem").write_bytes(credentials.certificate_pem)
        (folder / "edge.key").write_bytes(credentials.key_pem)
        (folder / "ca.pem").write_bytes((self.folder / "ca.pem").read_bytes())
        return folder

    def warned(self, words: str) -> list[str]:
        """What the cloud has said so that an operator sees it; repetitions are for who debugs."""
        return [line for line in self.cloud.lines if words in line and " WARNING " in line]


def _answer(text: str) -> Sequence[str]:
    message_id, message = parse(text)
    return [f'[3,"{message_id}",{{"status":"Accepted"}}]'] if message.type is MessageType.CALL else []


@contextlib.asynccontextmanager
async def _world(folder: Path, rogue_stations: str = "CP666") -> AsyncIterator[World]:
    authority = folder / "ca"
    edge_port, cloud_port = await free_port(), await free_port()
    async with RawCsms(handler=_answer) as csms:
        ocppress("ca", "init", "--dir", authority, "--host", "127.0.0.1", "--csms-url", csms.url)
        cloud_file = change(
            authority / "cloud/cloud.toml", ("#port = 8886", f"port = {cloud_port}"), ('#level = "info"', 'level = "debug"')
        )
        ocppress("ca", "issue", "honest", "--dir", authority, "--stations", "CP001")
        ocppress("ca", "issue", "rogue", "--dir", authority, "--stations", rogue_stations)
        edge_file = authority / "edges/honest/edge.toml"
        change(edge_file, ("#port = 8887", f"port = {edge_port}"), ('#host = "0.0.0.0"', 'host = "127.0.0.1"'))
        async with Process.running("cloud", "--config", cloud_file) as cloud:
            await cloud.said("listening for edges")
            async with Process.running("edge", "--config", edge_file) as edge:
                await edge.said("link up")
                yield World(authority, csms, cloud, edge, edge_port, cloud_port)


def _run(folder: Path, work: Callable[[World], Awaitable[None]], rogue_stations: str = "CP666") -> None:
    async def main() -> None:
        async with _world(folder, rogue_stations) as world:
            await world.exchange()
            await work(world)
            world.csms.texts.pop("CP666", None)  # what the enemy may say for its own station
            await world.exchange()
            assert len([line for line in world.edge.lines if "link up" in line]) == 1, "the honest edge never noticed"
            assert "Traceback" not in "\n".join(world.cloud.lines + world.edge.lines)

    asyncio.run(main())


# --- certificates that open nothing


def test_certificates_that_are_not_accepted(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    other = make_authority("ocppress", now)
    lifetime = timedelta(days=LEAF_DAYS)

    async def work(world: World) -> None:
        ours = world.authority
        kinds = {
            "self-signed": (make_authority("honest", now), "self-signed certificate"),
            "of another authority of the same name": (issue_edge(other, "honest", now), "unable to get local issuer certificate"),
            "forged": (issue_edge(Credentials(other.key, ours.certificate), "honest", now), "certificate signature failure"),
            "expired": (issue_edge(ours, "honest", now - lifetime), "certificate has expired"),
            "not yet valid": (issue_edge(ours, "honest", now + timedelta(days=2)), "certificate is not yet valid"),
            "the cloud's": (read_credentials(*_pair(world.folder / "cloud", "cloud")), "unsuitable certificate purpose"),
            "the stations'": (
                issue_station_server(make_authority("ocppress stations", now), ["honest"], now),
                "unable to get local issuer certificate",
            ),
        }
        for kind, (credentials, reason) in kinds.items():
            to = connector(world.cloud_port, world.pretend(kind, credentials))
            for _ in range(TRIES):
                with pytest.raises((LinkRefused, LinkLost)):
                    async with RogueEdge.connected(to) as rogue:
                        await rogue.hello()
            said = await world.cloud.said(f'an edge\'s certificate is not accepted reason="{reason}"')
            assert world.warned(reason) == [said], kind
        await _without_a_certificate(world)

    _run(tmp_path, work)


def _pair(folder: Path, name: str) -> tuple[bytes, bytes]:
    return (folder / f"{name}.key").read_bytes(), (folder / f"{name}.pem").read_bytes()


async def _without_a_certificate(world: World) -> None:
    context = ssl.create_default_context(cafile=world.folder / "ca.pem")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.maximum_version = version
        answer = b""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", world.cloud_port, ssl=context)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = await reader.read()
            finally:
                writer.transport.abort()
        assert answer == b""


def test_who_has_an_edges_certificate_or_another_cas_is_no_cloud(tmp_path: Path) -> None:
    """The real edge dials an impostor; a station's password never gets there."""
    now = datetime.now(UTC)

    async def main() -> None:
        async with _world(tmp_path) as world:
            theirs = make_authority("ocppress", now)
            impostors = {
                "an edge's certificate": world.rogue / "edge",
                "another authority's": _stem(world.pretend("cloud", issue_cloud(theirs, ["127.0.0.1"], now))),
            }
            for name, stem in impostors.items():
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(stem.with_suffix(".pem"), stem.with_suffix(".key"))
                heard: list[bytes] = []

                async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[bytes] = heard) -> None:
                    heard.append(await reader.read(1000))
                    writer.close()

                async with await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context) as server:
                    port = server.sockets[0].getsockname()[1]
                    edge_port = await free_port()
                    edge_file = tmp_path / f"edge-{port}.toml"
                    text = (world.folder / "edges/honest/edge.toml").read_text()
                    for file in ("ca.pem", "edge.pem", "edge.key"):
                        text = text.replace(f'"{file}"', f'"{world.folder}/edges/honest/{file}"')
                    text = text.replace(f":{world.cloud_port}/", f":{port}/").replace(f"port = {world.edge_port}", f"port = {edge_port}")
                    edge_file.write_text(text.replace('#state_folder = "state"', f'state_folder = "state-{port}"'))
                    async with Process.running("edge", "--config", edge_file) as edge:
                        line = await edge.said("link not made")
                        assert "certificate not accepted" in line, name
                        with pytest.raises(InvalidStatus) as refused:
                            async with RawStation(f"ws://127.0.0.1:{edge_port}/CP001", authorization="Basic c2VjcmV0"):
                                pass
                        assert refused.value.response.status_code == 503
                    assert b"".join(heard) == b"", name

    asyncio.run(main())


def _stem(folder: Path) -> Path:
    return folder / "edge"


# --- certificates that once opened the link


def test_a_revoked_edge_comes_in_neither_by_a_session_nor_by_a_handshake(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        files = world.rogue
        context = link_client_context(ca_file=files / "ca.pem", certificate_file=files / "edge.pem", key_file=files / "edge.key")
        async with RogueEdge.connected(connector(world.cloud_port, context)) as rogue:
            await rogue.hello()
        session = context._session
        assert session is not None
        ocppress("ca", "revoke", "rogue", "--dir", world.folder)
        for kept in (session, None, session, None):
            context._session = kept
            with pytest.raises(LinkRefused, match="status 403"):
                await connector(world.cloud_port, context).connect()
        said = await world.cloud.said("edge locked out edge=rogue")
        assert "its certificate is revoked" in said
        assert len(world.warned("edge locked out")) == 1

    _run(tmp_path, work)


def test_an_edge_that_is_locked_out_while_it_is_connected_loses_its_connection(tmp_path: Path) -> None:
    """Only the listener here, which looks more often than a cloud does."""
    folder = tmp_path / "ca"
    ocppress("ca", "init", "--dir", folder, "--host", "127.0.0.1")
    ocppress("ca", "issue", "rogue", "--dir", folder, "--stations", "CP666")
    ocppress("ca", "issue", "honest", "--dir", folder, "--stations", "CP001")
    cloud = folder / "cloud"
    context = link_server_context(ca_file=cloud / "ca.pem", certificate_file=cloud / "cloud.pem", key_file=cloud / "cloud.key")

    async def main() -> None:
        listener = WebSocketListener(
            host="127.0.0.1", port=0, ssl_context=context, revoked=RevokedKeys(cloud / "revoked.txt"), recheck_s=0.05
        )
        lost: asyncio.Queue[str] = asyncio.Queue()

        async def handle(connection: Connection) -> None:
            try:
                await connection.receive()
            except LinkLost as error:
                lost.put_nowait(f"{connection.peer}: {error}")

        await listener.serve(handle)
        try:
            async with (
                asyncio.timeout(10),
                RogueEdge.connected(connector(listener.port, folder / "edges/rogue")) as rogue,
                RogueEdge.connected(connector(listener.port, folder / "edges/honest")),
            ):
                ocppress("ca", "revoke", "rogue", "--dir", folder)
                with pytest.raises(LinkLost):
                    await rogue.connection.receive()
                assert await lost.get() == "rogue: closed here: its certificate is revoked"
                await asyncio.sleep(0.2)
                assert lost.empty(), "the honest one stays"
        finally:
            await listener.close()

    asyncio.run(main())


def test_a_certificate_that_has_ended_since_is_no_good_for_a_session(tmp_path: Path) -> None:
    lasts_s = 3

    async def work(world: World) -> None:
        ends = datetime.now(UTC) + timedelta(seconds=lasts_s)
        short = world.pretend("short", issue_edge(world.authority, "rogue", ends + timedelta(days=1) - timedelta(days=LEAF_DAYS)))
        context = link_client_context(ca_file=short / "ca.pem", certificate_file=short / "edge.pem", key_file=short / "edge.key")
        async with RogueEdge.connected(connector(world.cloud_port, context)) as rogue:
            await rogue.hello()
        session = context._session
        await asyncio.sleep(lasts_s + 1)
        for _ in range(TRIES):
            context._session = session
            with pytest.raises(LinkRefused, match="status 403"):
                await connector(world.cloud_port, context).connect()
        await world.cloud.said("edge locked out edge=rogue")
        assert len(world.warned("its certificate has expired")) == 1

    _run(tmp_path, work)


# --- an edge that wants more than is its own


def test_an_edge_cannot_speak_for_another_edges_station(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        async with RawStation(f"ws://127.0.0.1:{world.edge_port}/CP001") as station:
            await world.csms.until(lambda: "CP001" in world.csms.sockets)
            async with RogueEdge.connected(connector(world.cloud_port, world.rogue)) as rogue:
                await rogue.hello()
                for attachment in range(1, TRIES + 1):
                    verdict = await rogue.attach("CP001", attachment)
                    assert (verdict.status, verdict.reason) == (404, "this edge may not speak for the station")
                await rogue.send(FramePart(0, 1, b"\x00" * 20))
                await rogue.ended()
            await world.cloud.said("slot 0 has no channel")
            # Whoever claims in its hello to have been there before, isn't believed, and the station's socket stays.
            claim = KnownStation(0, "CP001", 1, 7, True, 3, 3)
            async with RogueEdge.connected(connector(world.cloud_port, world.rogue)) as rogue:
                assert (await rogue.hello(claim)).stations == [StationWelcome(0, False, False, 0)]
            await station.send('[2,"2","DataTransfer",{"vendorId":"x"}]')
            assert await station.receive() == '[3,"2",{"status":"Accepted"}]'
        assert len(world.warned("edge may not speak for station edge=rogue station=CP001")) == 1

    _run(tmp_path, work)


def test_an_edge_cannot_take_another_edges_name(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        to = connector(world.cloud_port, world.rogue)
        for _ in range(TRIES):
            async with RogueEdge.connected(to) as rogue:
                with pytest.raises(LinkLost, match="no such edge: 'rogue'"):
                    await rogue.hello(edge="honest")
        stranger = world.pretend("stranger", issue_edge(world.authority, "unheard-of", datetime.now(UTC)))
        for _ in range(TRIES):
            async with RogueEdge.connected(connector(world.cloud_port, stranger)) as rogue:
                with pytest.raises(LinkLost, match="no such edge: 'unheard-of'"):
                    await rogue.hello()
        for name in ("rogue", "unheard-of"):
            await world.cloud.said(f"link refused edge={name}")
            assert len(world.warned(f"link refused edge={name}")) == 1
            assert world.warned(f"link lost edge={name}") == []

    _run(tmp_path, work)


def test_another_certificate_of_the_same_name_does_not_end_the_first_ones_connection(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        second = world.pretend("second", issue_edge(world.authority, "honest", datetime.now(UTC)))
        for _ in range(TRIES):
            async with RogueEdge.connected(connector(world.cloud_port, second)) as rogue:
                with pytest.raises(LinkLost, match="connected with another key"):
                    await rogue.hello()
        await world.cloud.said("link refused edge=honest")
        assert len(world.warned("link refused")) == 1

    _run(tmp_path, work)


ESCAPES = [
    *("", ".", "..", "../admin", "a/../b", "..\\x", "%2e%2e", "%2f", "a%2fb", "a?x=1", "a#x", "/", "//evil.example/", "a b", "a\r\nX: y"),
    *("a\n", "\x00", "ä", "\u202e", "{identity}", "a;b", "a&b", "x" * 49),
]
"""Identities that would leave their place in the CSMS's URL, or its line."""

ODD = ["a@b", "user:pw@host", "a:b", "*", "|", "=+", "...", "..a", "-", "x" * 48]
"""Those that OCPP allows, and that have to arrive as they are."""


def test_identities_stay_in_their_place_in_the_csms_url(tmp_path: Path) -> None:
    """An edge that may speak for any station, and so has nothing to hide."""

    async def work(world: World) -> None:
        to = connector(world.cloud_port, world.rogue)
        for identity in ESCAPES:
            async with RogueEdge.connected(to) as rogue:
                await rogue.hello()
                await rogue.send(Attach(0, 1, identity, ["ocpp2.0.1"], None, 0))
                await rogue.ended()
        await world.cloud.said('reason="protocol error: Attach: Expected `str` matching regex', len(ESCAPES))
        assert set(world.csms.authorizations) == {"CP001"}
        assert len(world.warned("link refused edge=rogue")) == 1
        async with RogueEdge.connected(to) as rogue:
            await rogue.hello()
            for attachment, identity in enumerate(ODD, 1):
                assert (await rogue.attach(identity, attachment)).status == 101, identity
        quoted = [identity.replace("@", "%40").replace(":", "%3A").replace("*", "%2A") for identity in ODD]
        seen = [identity for identity in world.csms.authorizations if identity != "CP001"]
        assert seen == [identity.replace("|", "%7C").replace("=", "%3D").replace("+", "%2B") for identity in quoted]
        world.csms.authorizations.clear()

    _run(tmp_path, work, rogue_stations="*")


def test_a_station_cannot_name_itself_out_of_its_place(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        before = set(world.csms.authorizations)
        for path in (
            "/..",
            "/x/..",
            "/%2e%2e",
            "/a%2fb",
            "/a%3fx",
            "/a%23x",
            "/a%0d%0aX:y",
            "/%00",
            "/",
            "/x/",
            "/CP%20",
            "/..%2fCP001",
            "/.",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", world.edge_port)
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n".encode()
            )
            assert (await reader.readline()).split()[1] == b"404", path
            writer.close()
        assert set(world.csms.authorizations) == before

    _run(tmp_path, work)


# --- what was said before, said again


def test_frames_of_an_older_connection_are_delivered_once(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        to = connector(world.cloud_port, world.rogue)
        async with RogueEdge.connected(to) as rogue:
            await rogue.hello()
            verdict = await rogue.attach("CP666")
            first = rogue.frame(CALL)
            await rogue.send(first)
            await world.csms.received("CP666", 1)
            await rogue.send(first)
            await rogue.ended()
        await world.cloud.said("frame 1 modulo 16 came after frame 1")
        # Resumed, with the numbers as the cloud has them: the same frame isn't the next one.
        async with RogueEdge.connected(to) as rogue:
            claim = KnownStation(0, "CP666", 1, verdict.epoch, True, 1, 1)
            (welcome,) = (await rogue.hello(claim)).stations
            assert (welcome.epoch, welcome.known, welcome.attached, welcome.received) == (verdict.epoch, True, True, 1)
            await rogue.send(first)
            await rogue.ended()
        await world.cloud.said("frame 1 modulo 16 came after frame 1", 2)
        # With numbers that can't be true, and with an epoch of long ago: all begins anew, and nothing of the old is taken.
        for claim in (KnownStation(0, "CP666", 1, verdict.epoch, True, 0, 0), KnownStation(0, "CP666", 1, verdict.epoch - 1, True, 1, 1)):
            async with RogueEdge.connected(to) as rogue:
                assert (await rogue.hello(claim)).stations == [StationWelcome(0, False, False, 0)]
                await rogue.send(first)
                await rogue.ended()
        await world.cloud.said("slot 0 has no channel", 2)
        # In a new epoch the old first frame is a first frame, and still not one of this epoch's making.
        async with RogueEdge.connected(to) as rogue:
            await rogue.hello()
            assert (await rogue.attach("CP666", 2)).epoch != verdict.epoch
            second = rogue.frame('"DataTransfer",{"vendorId":"a newer frame"}')
            await rogue.send(second)
            await world.csms.received("CP666", 2)
            assert isinstance(first, FramePart)
            await rogue.send(FramePart(0, 2, first.data, first.expiry))
            await rogue.ended()
        assert [parse(text)[1].body for text in world.csms.texts["CP666"]] == [CALL, '"DataTransfer",{"vendorId":"a newer frame"}']

    _run(tmp_path, work)


def test_the_bytes_of_an_honest_connection_are_worth_nothing_to_who_has_recorded_them(tmp_path: Path) -> None:
    """On the wire between the two, without any key: all that the edge has sent, once more and to the byte."""

    async def work(world: World) -> None:
        recorded = bytearray()

        async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", world.cloud_port)

            async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, into: bytearray) -> None:
                with contextlib.suppress(ConnectionError):
                    while data := await source.read(65536):
                        into += data
                        target.write(data)
                target.close()

            await asyncio.gather(pass_on(reader, far_writer, recorded), pass_on(far_reader, writer, bytearray()))

        async with await asyncio.start_server(record, "127.0.0.1", 0) as proxy:
            port = proxy.sockets[0].getsockname()[1]
            context = link_client_context(
                ca_file=world.rogue / "ca.pem", certificate_file=world.rogue / "edge.pem", key_file=world.rogue / "edge.key"
            )
            for said in (1, 2):  # a full handshake, then one with a ticket, which could be offered again
                async with RogueEdge.connected(connector(port, context)) as rogue:
                    await rogue.hello()
                    await rogue.attach("CP666", said)
                    await rogue.send(rogue.frame(CALL))
                    await world.csms.received("CP666", said)
                ups = len([line for line in world.cloud.lines if "link up edge=rogue" in line])
                for _ in range(TRIES):
                    reader, writer = await asyncio.open_connection("127.0.0.1", world.cloud_port)
                    with contextlib.suppress(ConnectionError):
                        writer.write(bytes(recorded))
                        await writer.drain()
                        async with asyncio.timeout(10):
                            while await reader.read(65536):
                                pass
                    writer.transport.abort()
                assert len(world.csms.texts["CP666"]) == said
                assert len([line for line in world.cloud.lines if "link up edge=rogue" in line]) == ups
                recorded.clear()

    _run(tmp_path, work)


# --- one that is let in and misbehaves


async def _huge(rogue: RogueEdge) -> None:
    await rogue.connection._websocket.send_bytes(bytes(10_000_000))  # type: ignore[attr-defined]


async def _compressed(rogue: RogueEdge) -> None:
    """A frame that says it is deflated (RFC 7692), which nobody has agreed to."""
    rogue.connection._transport.write(b"\xc2\x85" + bytes(4) + b"\x00\x00\x00\xff\xff")  # type: ignore[attr-defined]


async def _fragments(rogue: RogueEdge) -> None:
    """A message that never ends."""
    transport = rogue.connection._transport  # type: ignore[attr-defined]
    transport.write(b"\x02\x80" + bytes(4))
    for _ in range(300):
        transport.write(b"\x00\xfe\x10\x00" + bytes(4) + bytes(4096))
        await asyncio.sleep(0)


async def _nested(rogue: RogueEdge) -> None:
    """A hello of arrays in arrays."""
    await rogue.connection.send(b"\x01\x80\x40" + b"\x81" * 8192)


async def _bomb(rogue: RogueEdge) -> None:
    """A frame without end for the decoder, in as many pieces as fit."""
    await rogue.hello()
    await rogue.attach("CP666")
    for _ in range(1000):
        await rogue.send(*[_piece(b"\xff" * 4096) for _ in range(3)])


def _piece(data: bytes) -> Part:
    return Piece(0, 1, data)


async def _report(rogue: RogueEdge) -> None:
    """Control parts of the cloud's, from an edge."""
    await rogue.hello()
    await rogue.send(DayReport(b"\xff" * 48), Renewal(b"x"))


async def _wrong_positions(rogue: RogueEdge) -> None:
    """A frame of an outbox that the edge has said it doesn't have."""
    await rogue.hello()
    await rogue.send(Attach(0, 1, "CP666", ["ocpp2.0.1"], None, 0, 0, (2**53, 0), (0, 0)))


@pytest.mark.parametrize(
    "attack",
    [_huge, _compressed, _fragments, _nested, _bomb, _report, _wrong_positions],
    ids=lambda attack: attack.__name__,
)
def test_an_edge_that_breaks_the_rules_loses_its_connection_alone(attack: Callable[[RogueEdge], Awaitable[None]], tmp_path: Path) -> None:
    async def work(world: World) -> None:
        before_mb, before_files = world.cloud.memory_mb, world.cloud.open_files
        for _ in range(1 if attack is _bomb else TRIES):
            async with RogueEdge.connected(connector(world.cloud_port, world.rogue)) as rogue:
                with contextlib.suppress(LinkLost, ConnectionError):
                    await attack(rogue)
                await rogue.ended()
        await until(lambda: world.cloud.open_files <= before_files)
        assert world.cloud.memory_mb < before_mb + GROWTH_MB
        assert len(world.warned("link refused edge=rogue")) <= 1

    _run(tmp_path, work)


GROWTH_MB = 40
"""What a cloud may keep of an attack: pieces of one frame, and what the allocator doesn't give back."""


def test_those_who_say_nothing_keep_nobody_else_out_and_are_shown_out(tmp_path: Path) -> None:
    """Slow loris at each stage: before TLS, before the request is whole, before the hello. 15 to 30 s, by the limits as they are."""
    crowd = 60

    async def work(world: World) -> None:
        before_files = world.cloud.open_files
        context = link_client_context(
            ca_file=world.rogue / "ca.pem", certificate_file=world.rogue / "edge.pem", key_file=world.rogue / "edge.key"
        )
        async with contextlib.AsyncExitStack() as stack:
            kept = []
            for _ in range(crowd):
                for tls, beginning in (None, b"\x16\x03\x01"), (context, b"GET / HTTP/1.1\r\nHost: "):
                    reader, writer = await asyncio.open_connection("127.0.0.1", world.cloud_port, ssl=tls)
                    stack.callback(writer.transport.abort)
                    writer.write(beginning)
                    kept.append((reader, writer))  # who isn't kept is closed
            for _ in range(5):
                rogue = await stack.enter_async_context(RogueEdge.connected(connector(world.cloud_port, world.rogue)))
            await world.exchange()
            assert world.cloud.open_files >= before_files + 2 * crowd
            assert await rogue.ended() == "no hello"
            async with asyncio.timeout(45):
                while world.cloud.open_files > before_files:  # noqa: ASYNC110 - another process knows of no event of ours
                    await asyncio.sleep(0.5)
        assert len(world.warned("link refused edge=rogue")) == 1

    _run(tmp_path, work)


# --- a cloud that is the enemy: its key is stolen, the CA's isn't


def test_a_cloud_in_an_enemys_hands_changes_no_edges_certificate(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    folder = tmp_path / "ca"

    async def main() -> None:
        ocppress("ca", "init", "--dir", folder, "--host", "127.0.0.1")
        ocppress("ca", "issue", "honest", "--dir", folder, "--stations", "CP001")
        cloud = folder / "cloud"
        listener = WebSocketListener(
            host="127.0.0.1",
            port=0,
            ssl_context=link_server_context(ca_file=cloud / "ca.pem", certificate_file=cloud / "cloud.pem", key_file=cloud / "cloud.key"),
        )
        done = asyncio.Event()
        der = issue_edge(make_authority("ocppress", now), "honest", now + timedelta(days=9)).certificate

        async def handle(connection: Connection) -> None:
            (hello,) = read_parts(await connection.receive())
            assert isinstance(hello, Hello)
            assert hello.protocol == PROTOCOL_VERSION
            await connection.send(write_parts([Welcome(hello.codecs[0][0], [])]))
            for certificate in (b"x" * 1024, der.public_bytes(Encoding.DER)):
                await connection.send(write_parts([Renewal(certificate)]))
                await asyncio.sleep(1)
            await connection.send(write_parts([Verdict(63, 1, 101, "2.0.1", 1, "for nobody"), Delivered(0, (2**52, 2**52))]))
            await done.wait()

        await listener.serve(handle)
        edge_file = change(
            folder / "edges/honest/edge.toml",
            (":8886/", f":{listener.port}/"),
            ("#port = 8887", f"port = {await free_port()}"),
            ('#host = "0.0.0.0"', 'host = "127.0.0.1"'),
        )
        try:
            async with Process.running("edge", "--config", edge_file) as edge:
                await edge.said("a renewed certificate from the cloud won't do", 2)
                assert "slot 63 has no station" in await edge.said("the cloud broke the link's rules")
                assert edge.is_running
                assert "Traceback" not in "\n".join(edge.lines)
            assert not (folder / "edges/honest/state/renewed.pem").exists()
        finally:
            done.set()
            await listener.close()

    asyncio.run(main())
