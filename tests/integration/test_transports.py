"""The contract of a transport (`transports.base`), over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.transports.base import Connection
from tests.support.link_ends import TRANSPORTS, WAIT_S, Ends, cut, open_ends

Talk = Callable[[Ends], Awaitable[None]]

on_each_transport = pytest.mark.parametrize("transport", TRANSPORTS)
on_each_socket = pytest.mark.parametrize("transport", [name for name in TRANSPORTS if name != "memory"])
from_each_end = pytest.mark.parametrize("from_edge", [True, False], ids=["edge", "cloud"])


def _run(transport: str, folder: Path, talk: Talk) -> None:
    async def run() -> None:
        async with open_ends(transport, folder) as ends, asyncio.timeout(WAIT_S):
            await talk(ends)

    asyncio.run(run())


def _both(ends: Ends, from_edge: bool) -> tuple[Connection, Connection]:
    return (ends.near, ends.far) if from_edge else (ends.far, ends.near)


@on_each_transport
@from_each_end
def test_messages_arrive_whole_and_in_order(transport: str, from_edge: bool, tmp_path: Path) -> None:
    sizes = [1, 2, 125, 126, 127, 1000, LINK_MESSAGE_BYTES_MAX, 3] * 5
    messages = [bytes([number % 256]) * size for number, size in enumerate(sizes)]

    async def talk(ends: Ends) -> None:
        sender, receiver = _both(ends, from_edge)

        async def send() -> None:
            for message in messages:
                await sender.send(message)

        async with asyncio.TaskGroup() as group:
            group.create_task(send(), name="sender")
            assert [await receiver.receive() for _ in messages] == messages

    _run(transport, tmp_path, talk)


@on_each_transport
def test_both_directions_at_once(transport: str, tmp_path: Path) -> None:
    async def talk(ends: Ends) -> None:
        async def ask(end: Connection, name: bytes) -> list[bytes]:
            received = []
            for number in range(50):
                await end.send(name + bytes([number]))
                received.append(await end.receive())
            return received

        async with asyncio.TaskGroup() as group:
            near = group.create_task(ask(ends.near, b"near"), name="near")
            far = group.create_task(ask(ends.far, b"far"), name="far")
        assert near.result() == [b"far" + bytes([number]) for number in range(50)]
        assert far.result() == [b"near" + bytes([number]) for number in range(50)]

    _run(transport, tmp_path, talk)


@on_each_transport
@from_each_end
@pytest.mark.parametrize("size", [0, LINK_MESSAGE_BYTES_MAX + 1])
def test_a_message_of_a_wrong_size_is_the_senders_mistake(transport: str, from_edge: bool, size: int, tmp_path: Path) -> None:
    async def talk(ends: Ends) -> None:
        sender, receiver = _both(ends, from_edge)
        with pytest.raises(ValueError, match="1 to 16384 bytes"):
            await sender.send(bytes(size))
        await sender.send(b"still there")
        assert await receiver.receive() == b"still there"

    _run(transport, tmp_path, talk)


@on_each_transport
@from_each_end
def test_closing_is_seen_at_both_ends(transport: str, from_edge: bool, tmp_path: Path) -> None:
    async def talk(ends: Ends) -> None:
        closer, other = _both(ends, from_edge)
        await closer.send(b"last")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_outcome(closer.receive()), name="waiting")
            await asyncio.sleep(0)
            group.create_task(closer.close("enough"), name="close")
            assert await other.receive() == b"last"
            with pytest.raises(LinkLost):
                await other.receive()
        assert isinstance(waiting.result(), LinkLost)
        await closer.close("again")
        await other.close("the other, too")
        for end in (closer, other):
            with pytest.raises(LinkLost):
                await end.send(b"too late")
            with pytest.raises(LinkLost):
                await end.receive()

    _run(transport, tmp_path, talk)


@on_each_transport
@from_each_end
def test_cancelling_a_receive_loses_no_message(transport: str, from_edge: bool, tmp_path: Path) -> None:
    async def talk(ends: Ends) -> None:
        sender, receiver = _both(ends, from_edge)
        received = []
        for number in range(20):
            async with asyncio.TaskGroup() as group:
                cancelled = group.create_task(_outcome(receiver.receive()), name="to be cancelled")
                await asyncio.sleep(0)
                if number % 2:
                    await sender.send(bytes([number]))
                cancelled.cancel()
            if isinstance(outcome := cancelled.result(), bytes):
                received.append(outcome)
            if not number % 2:
                await sender.send(bytes([number]))
        while len(received) < 20:
            received.append(await receiver.receive())
        assert received == [bytes([number]) for number in range(20)]

    _run(transport, tmp_path, talk)


@on_each_transport
@from_each_end
def test_a_send_waits_for_a_receiver_that_does_not_read(transport: str, from_edge: bool, tmp_path: Path) -> None:
    """Otherwise what is sent later could neither join nor overtake what waits. 20 MB is more than kernels buffer on loopback."""

    async def talk(ends: Ends) -> None:
        sender, receiver = _both(ends, from_edge)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            for _ in range(20_000_000 // LINK_MESSAGE_BYTES_MAX):
                await sender.send(bytes(LINK_MESSAGE_BYTES_MAX))
                sent += 1

        async with asyncio.TaskGroup() as group:
            flooding = group.create_task(flood(), name="flood")
            before = -1
            while sent != before:  # until it makes no more progress
                before = sent
                await asyncio.sleep(0.1)
            assert not flooding.done()
            for _ in range(sent + 1):  # the one that waits goes on
                await receiver.receive()
            flooding.cancel()

    _run(transport, tmp_path, talk)


@on_each_transport
@from_each_end
def test_closing_ends_a_send_that_waits(transport: str, from_edge: bool, tmp_path: Path) -> None:
    async def talk(ends: Ends) -> None:
        sender, _ = _both(ends, from_edge)

        async def flood() -> None:
            while True:
                await sender.send(bytes(LINK_MESSAGE_BYTES_MAX))

        async with asyncio.TaskGroup() as group:
            flooding = group.create_task(_outcome(flood()), name="flood")
            await asyncio.sleep(0.1)
            await sender.close("enough")
        assert isinstance(flooding.result(), LinkLost)

    _run(transport, tmp_path, talk)


@on_each_socket
@from_each_end
def test_a_connection_cut_hard_is_lost_at_both_ends(transport: str, from_edge: bool, tmp_path: Path) -> None:
    async def talk(ends: Ends) -> None:
        cutter, other = _both(ends, from_edge)
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(_outcome(end.receive()), name="waiting") for end in (cutter, other)]
            await asyncio.sleep(0)
            cut(cutter)
        assert all(isinstance(task.result(), LinkLost) for task in waiting)

    _run(transport, tmp_path, talk)


@on_each_socket
def test_the_kernels_counters_stay_after_the_end(transport: str, tmp_path: Path) -> None:
    async def talk(ends: Ends) -> None:
        before = ends.near.wire_count()
        assert before is not None
        assert before.sent_segments >= 2, "SYN, and the request with the ACK"
        await ends.near.send(bytes(1000))
        await ends.far.receive()
        await ends.near.close("enough")
        after = ends.near.wire_count()
        assert after is not None
        assert after.sent_bytes >= before.sent_bytes + 1000 + 8, "WebSocket puts 8 bytes before 1000, MQTT and our header 9"
        assert after.sent_segments > before.sent_segments
        assert after.header_bytes in (40, 52)
        assert after == ends.near.wire_count()
        with pytest.raises(LinkLost):
            await ends.far.receive()
        far = ends.far.wire_count()
        if transport.startswith("mqtt"):
            assert far is None, "the cloud has one connection to the broker for all edges"
            return
        assert far is not None
        assert far.received_bytes >= after.sent_bytes, "the FIN's close_notify or close frame may come on top"

    _run(transport, tmp_path, talk)


async def _outcome(work: Awaitable[Any]) -> Any:
    """What `work` returns or raises; None if it is cancelled."""
    try:
        return await work
    except LinkLost as error:
        return error
    except asyncio.CancelledError:
        return None
