"""What the link over a broker promises beyond the contract, with a real mosquitto: what a broker may do to messages, and who may do what there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiomqtt
import pytest

from ocppress_gateway.core.broker_topics import PARTITIONS, Topics, partition
from ocppress_gateway.core.identity import CLOUD_NAME
from ocppress_gateway.errors import LinkError, LinkLost, LinkRefused
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.mqtt.connection import MqttConnection
from ocppress_gateway.transports.mqtt.connector import MqttConnector
from ocppress_gateway.transports.mqtt.flow import closed, opening
from ocppress_gateway.transports.mqtt.listener import ENDING_MAX, MqttListener
from ocppress_gateway.transports.tls import link_client_context
from tests.support.link_ends import WAIT_S, TlsFiles, cut, make_broker_files
from tests.support.mosquitto import Mosquitto, needs_mosquitto, running_mosquitto
from tests.support.processes import until

pytestmark = needs_mosquitto

UP = Topics().up("edge-1")
DOWN = Topics().down("edge-1")


class _Place:
    """A broker, with as many edges and clouds as are wanted."""

    def __init__(self, broker: Mosquitto, files: dict[str, TlsFiles], stack: contextlib.AsyncExitStack, *, tls: bool, prefix: str) -> None:
        self.broker = broker
        self.accepted: asyncio.Queue[Connection] = asyncio.Queue()
        self.url = f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{broker.port}/{prefix}"
        self._files = files
        self._stack = stack
        self._tls = tls

    async def cloud(self) -> MqttListener:
        listener = MqttListener(self.url, link_client_context(**self._files[CLOUD_NAME].arguments()) if self._tls else None)

        async def handler(connection: Connection) -> None:
            self.accepted.put_nowait(connection)
            await asyncio.Event().wait()

        await listener.serve(handler)
        self._stack.push_async_callback(listener.close)
        return listener

    def connector(self, name: str = "edge-1", certificate: str | None = None) -> MqttConnector:
        files = self._files.get(certificate or name)
        return MqttConnector(self.url, name, link_client_context(**files.arguments()) if self._tls and files else None)

    async def edge(self, connector: MqttConnector | None = None) -> MqttConnection:
        connection = await (connector or self.connector()).connect()
        self._stack.push_async_callback(connection.close, "the test ends")
        return connection

    async def rogue(self, certificate: str = "edge-1", name: str = "rogue") -> aiomqtt.Client:
        """A client that keeps to no rules of ours."""
        files = self._files[certificate]
        client = aiomqtt.Client(
            "127.0.0.1",
            self.broker.port,
            identifier=name,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=link_client_context(**files.arguments()) if self._tls else None,
        )
        return await self._stack.enter_async_context(client)


@contextlib.asynccontextmanager
async def _place(folder: Path, *, tls: bool = False, prefix: str = "", more: str = "") -> AsyncIterator[_Place]:
    files = make_broker_files(folder, edges=("edge-1", "edge-2"))
    async with running_mosquitto(folder, tls=tls, prefix=prefix, more=more) as broker, contextlib.AsyncExitStack() as stack:
        yield _Place(broker, files, stack, tls=tls, prefix=prefix)


def _run(folder: Path, work: Callable[[_Place], Awaitable[None]], *, tls: bool = False, prefix: str = "", more: str = "") -> None:
    async def main() -> None:
        async with asyncio.timeout(2 * WAIT_S), _place(folder, tls=tls, prefix=prefix, more=more) as place:
            await work(place)

    asyncio.run(main())


async def _works(near: Connection, far: Connection) -> None:
    await near.send(b"up")
    assert await far.receive() == b"up"
    await far.send(b"down")
    assert await near.receive() == b"down"


async def _lost(connection: Connection) -> str:
    """Why it is lost."""
    try:
        while True:
            await connection.receive()
    except LinkLost as error:
        return str(error)


# --- topics


def test_an_edges_partition_is_fixed() -> None:
    assert (PARTITIONS, partition("site-1"), partition("edge-1")) == (64, 37, 35), "edges in the field count on it"
    assert Topics("x/").up("site-1") == "x/u/37/site-1"
    assert Topics("x/").edge("x/u/37/site-1") == "site-1"
    for wrong in ("x/u/38/site-1", "u/37/site-1", "x/d/37/site-1", "x/u/37/", "x/u/11", "", f"x/u/{partition('cloud')}/cloud"):
        assert Topics("x/").edge(wrong) is None, wrong


def test_a_prefix_keeps_links_apart(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        await _works(await place.edge(), await place.accepted.get())

    _run(tmp_path, work, tls=True, prefix="ev/charging/")


# --- what a broker can and can't


def test_a_keep_alive_of_the_broker_is_followed(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        assert near._carrier._broker._client.keepalive == 10  # type: ignore[attr-defined]
        await asyncio.sleep(11)
        assert [line for line in place.broker.lines if "Received PINGREQ from edge-1" in line]
        await _works(near, far)

    _run(tmp_path, work, more="max_keepalive 10\n")


def test_the_broker_is_asked_for_the_edges_keep_alive(tmp_path: Path) -> None:
    """It gives an edge up after half as much again without a packet of MQTT; a TCP probe isn't one."""

    async def work(place: _Place) -> None:
        await place.cloud()
        connector = MqttConnector(place.url, "edge-1", ping_s=2)
        near, far = await place.edge(connector), await place.accepted.get()
        await asyncio.sleep(5)
        assert [line for line in place.broker.lines if "Received PINGREQ from edge-1" in line]
        await _works(near, far)
        near._carrier._broker._misc_task.cancel()  # type: ignore[attr-defined]  # the edge is there, and pings no more
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(LinkLost):
                await far.receive()

    _run(tmp_path, work)


def test_a_broker_that_finds_a_dead_link_later_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        connector = MqttConnector(place.url, "edge-1", ping_s=20)
        for _ in range(2):
            await (await connector.connect()).close("enough")

    caplog.set_level(logging.INFO, "ocppress.link")
    _run(tmp_path, work, more="max_keepalive 10\n")
    (found,) = [record for record in caplog.records if "keep alive of its own" in record.getMessage()]
    assert (found.levelno, found.fields) == (logging.INFO, {"broker_s": 10, "asked_s": 20})  # type: ignore[attr-defined]


def test_a_broker_without_aliases_gets_the_whole_topic(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        for _ in range(3):
            await _works(near, far)

    _run(tmp_path, work, more="max_topic_alias 0\n")


def test_an_alias_is_as_long_as_no_name(tmp_path: Path) -> None:
    """What goes up, per message after the first: a length of 2 digits, an empty topic, the alias and our header."""

    async def work(place: _Place) -> None:
        await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        await near.send(b"the topic and its alias")
        await far.receive()
        before = near.wire_count()
        await near.send(bytes(60))
        await far.receive()
        after = near.wire_count()
        assert before is not None
        assert after is not None
        assert after.sent_bytes - before.sent_bytes == 2 + 2 + 1 + 3 + 2 + 60

    _run(tmp_path, work)


def test_a_broker_that_takes_no_large_packets_is_refused(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        with pytest.raises(LinkRefused, match="packets of 16384 bytes at most"):
            await place.cloud()
        with pytest.raises(LinkRefused, match="packets of 16384 bytes at most"):
            await place.edge()

    _run(tmp_path, work, more="max_packet_size 16384\n")


# --- what a broker may do to messages


@pytest.mark.parametrize(
    ("payload", "ends"),
    [
        (lambda number: bytes((number, 2)) + b"again", True),
        (lambda number: bytes((number, 4)) + b"one is missing", True),
        (lambda number: bytes((number, 1)) + b"late", True),
        (lambda number: bytes(((number - 1) % 256, 3)) + b"of an earlier connection", False),
        (lambda number: closed((number - 1) % 256), False),
    ],
    ids=["repeated", "gap", "reordered", "earlier connection", "earlier connection's end"],
)
@pytest.mark.parametrize("to_cloud", [True, False], ids=["up", "down"])
def test_what_is_not_the_next_message_never_arrives(payload: Callable[[int], bytes], ends: bool, to_cloud: bool, tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        near = await place.edge()
        far = await place.accepted.get()
        sender, receiver = (near, far) if to_cloud else (far, near)
        for message in (b"1", b"2"):
            await sender.send(message)
            assert await receiver.receive() == message
        rogue = await place.rogue()
        await rogue.publish(UP if to_cloud else DOWN, payload(near.number))
        if ends:
            assert "lost, repeated or overtaken" in await _lost(receiver)
            await _lost(sender)
        else:
            await sender.send(b"3")
            assert await receiver.receive() == b"3"
            await _works(near, far)

    _run(tmp_path, work)


def test_a_new_connection_of_an_edge_ends_the_one_before(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        connector = place.connector()
        first, far_first = await place.edge(connector), await place.accepted.get()
        second, far_second = await place.edge(connector), await place.accepted.get()
        await _lost(far_first)
        await _lost(first)
        await _works(second, far_second)

    _run(tmp_path, work)


def test_a_repeated_open_is_the_same_connection(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        rogue = await place.rogue()
        for _ in range(2):
            await rogue.publish(UP, opening(9, b"12345678"))
        await rogue.publish(UP, b"\x09\x01hello")
        far = await place.accepted.get()
        assert await far.receive() == b"hello"
        assert place.accepted.empty()

    _run(tmp_path, work)


# --- somebody has gone


def test_a_broker_that_is_killed_loses_all_and_comes_back(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        connector = place.connector()
        near, far = await place.edge(connector), await place.accepted.get()
        await place.broker.kill()
        await _lost(near)
        await _lost(far)
        with pytest.raises(LinkLost, match=r"cannot be reached: Connection refused"):
            await connector.connect()
        await place.broker.start()
        await _works(await place.edge(connector), await place.accepted.get())

    _run(tmp_path, work)


def test_a_cloud_that_has_gone_is_known_and_waited_for(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        first = await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        await first.close()
        assert await _lost(near) in ("the cloud has gone", "closed by the far end: the cloud ends")
        await _lost(far)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(place.edge(), name="waits for the cloud")
            await asyncio.sleep(0.5)
            assert not waiting.done()
            await place.cloud()
        await _works(waiting.result(), await place.accepted.get())
        connects = [line for line in place.broker.lines if "New client connected" in line and "as edge-1" in line]
        assert len(connects) == 2, "an edge that waits keeps its connection"

    _run(tmp_path, work)


def test_a_cloud_that_is_killed_is_lost_by_its_will(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        cut(far)
        await _lost(far)
        assert await _lost(near) == "the cloud has gone"
        await _works(await place.edge(), await place.accepted.get())  # the listener has come back by itself

    _run(tmp_path, work)


def test_a_cloud_that_has_begun_again_says_so(tmp_path: Path) -> None:
    """A new one takes over from one that hangs: nobody's will is heard before it is there."""

    async def work(place: _Place) -> None:
        rogue = await place.rogue()
        await rogue.publish("c", b"+1111", retain=True)
        near = await place.edge()
        await rogue.publish("c", b"+2222", retain=True)
        assert await _lost(near) == "the cloud has begun again"

    _run(tmp_path, work)


def test_an_unknown_connection_is_answered_at_once(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        rogue = await place.rogue()
        await rogue.publish("c", b"+1111", retain=True)
        near = await place.edge()  # its OPEN goes to nobody
        listener = await place.cloud()
        assert listener._broker is not None
        assert await _lost(near) == "the cloud has begun again"
        await rogue.subscribe(DOWN)
        await rogue.publish(UP, b"\x05\x01hello")
        message = await anext(aiter(rogue.messages))
        assert message.payload == closed(5, "the cloud knows no such connection")

    _run(tmp_path, work)


# --- TLS and access


def test_sessions_are_resumed_and_the_edge_knows_the_broker(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        connector = place.connector()
        reused = []
        for _ in range(3):
            near, far = await place.edge(connector), await place.accepted.get()
            assert (near.peer, far.peer) == (CLOUD_NAME, "edge-1"), "the broker's certificate is made as a cloud's"
            reused.append(near._carrier._broker._socket.session_reused)  # type: ignore[attr-defined]
            cut(near)
            await _lost(far)
        assert reused == [False, True, True]

    _run(tmp_path, work, tls=True)


def test_an_edge_cannot_speak_or_listen_under_anothers_name(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        rogue = await place.rogue(certificate="edge-2", name="edge-1")  # the identifier is not its own, either
        for topic in (DOWN, UP, "#"):
            await rogue.subscribe(topic)
        await rogue.publish(UP, closed(near.number))
        await rogue.publish(UP, opening(3, bytes(8)))
        await rogue.publish("c", b"-", retain=True)
        await rogue.publish(DOWN, closed(near.number))
        impostor = await place.edge(place.connector("edge-1", certificate="edge-2"))
        await impostor.send(b"I am edge-1")
        for _ in range(3):
            await _works(near, far)
        assert place.accepted.empty()
        heard = {rogue._queue.get_nowait().topic.value for _ in range(len(rogue.messages))}
        assert heard == {"c"}, "whether there is a cloud, all may know"

    _run(tmp_path, work, tls=True)


def test_a_client_without_a_certificate_is_refused(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        files = make_broker_files(tmp_path / "other")["edge-1"]
        stranger = MqttConnector(
            place.url,
            "edge-1",
            link_client_context(ca_file=tmp_path / "ca.pem", certificate_file=files.certificate_file, key_file=files.key_file),
        )
        with pytest.raises(LinkError, match=r"certificate|unknown ca"):  # mosquitto says why, or hangs up
            await stranger.connect()
        with pytest.raises(LinkRefused, match="certificate"):
            await MqttConnector(place.url, "edge-1", link_client_context(**files.arguments())).connect()

    _run(tmp_path, work, tls=True)


# --- enemies at a broker that lets them


def test_nonsense_is_reported_once_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(place: _Place) -> None:
        listener = await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        rogue = await place.rogue()
        for _ in range(20):
            for topic in ("u/1/edge-1", "u/x/y", f"u/{partition('-x')}/-x", f"u/{partition('cloud')}/cloud"):
                await rogue.publish(topic, b"\x01\x01x")
            for payload in (b"", b"x", b"\x01\x00\x09", bytes(20_000), opening(1, b"short")):
                await rogue.publish(Topics().up("edge-2"), payload)
            await rogue.publish(Topics().up("edge-2"), b"\x01\x01x", retain=True)
        for number in range(3000):
            await rogue.publish(Topics().up(f"flood-{number}"), opening(1, bytes(8)))
        for number in range(200):
            await rogue.publish(Topics().up("edge-2"), opening(number, number.to_bytes(8, "big")))
        await _works(near, far)
        await until(lambda: len(listener._connections) >= 3001)
        assert listener._handled["edge-2"] <= ENDING_MAX

    caplog.set_level(logging.INFO)
    _run(tmp_path, work)
    said = [
        (record.fields["who"], record.fields["reason"]) for record in caplog.records if hasattr(record, "fields") and "who" in record.fields
    ]
    assert len(said) == len(set(said))
    assert 4 <= len(said) <= 15


def test_an_edge_that_ignores_the_window_loses_its_connection(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        rogue = await place.rogue()
        await rogue.publish(UP, opening(9, bytes(8)))
        far = await place.accepted.get()
        for number in range(300):
            await rogue.publish(UP, bytes((9, number % 255 + 1)) + bytes(1000))
        await asyncio.sleep(0.2)
        assert await _lost(far) == "the far end sends more than it may"

    _run(tmp_path, work)


def test_what_goes_down_expires(tmp_path: Path) -> None:
    async def work(place: _Place) -> None:
        await place.cloud()
        near, far = await place.edge(), await place.accepted.get()
        rogue = await place.rogue()
        await rogue.subscribe(DOWN)
        await far.send(b"x")
        message = await anext(aiter(rogue.messages))
        assert 0 < getattr(message.properties, "MessageExpiryInterval", 0) <= 60
        assert await near.receive() == b"x"

    _run(tmp_path, work)
