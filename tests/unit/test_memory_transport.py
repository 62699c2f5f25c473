"""The faults of the in-memory transport. Its contract is tested with the other transports'."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ocppress_gateway.errors import LinkLost
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.memory import FaultPlan, MemoryNetwork

WAIT_S = 10.0


def _with_network(faults: FaultPlan, work: Callable[[MemoryNetwork, list[Connection]], Awaitable[None]]) -> None:
    """Run `work` with a network and the list of connections that its listener has accepted, oldest first."""

    async def run() -> None:
        network = MemoryNetwork(faults)
        accepted: list[Connection] = []
        done = asyncio.Event()

        async def handler(connection: Connection) -> None:
            accepted.append(connection)
            await done.wait()

        await network.listener.serve(handler)
        try:
            async with asyncio.timeout(WAIT_S):
                await work(network, accepted)
        finally:
            done.set()
            await network.listener.close()

    asyncio.run(run())


def _messages_until_cut(seed: int, *, connections: int) -> list[int]:
    """How many messages each connection in turn carries, sent from either end in turn."""
    counts = []

    async def work(network: MemoryNetwork, accepted: list[Connection]) -> None:
        for _ in range(connections):
            near = await network.connector.connect()
            await asyncio.sleep(0)
            count = 0
            try:
                while True:
                    sender, receiver = (near, accepted[-1]) if count % 2 else (accepted[-1], near)
                    await sender.send(b"x")
                    await receiver.receive()
                    count += 1
            except LinkLost:
                counts.append(count)

    _with_network(FaultPlan(seed=seed, messages_until_cut=(1, 50)), work)
    return counts


def test_cuts_are_drawn_from_the_seed() -> None:
    first = _messages_until_cut(1, connections=20)
    assert first == _messages_until_cut(1, connections=20)
    assert first != _messages_until_cut(2, connections=20)
    assert all(0 <= count < 50 for count in first), "the n-th message is lost with the connection"
    assert len(set(first)) > 5


def test_a_cut_loses_what_nobody_has_received() -> None:
    async def work(network: MemoryNetwork, accepted: list[Connection]) -> None:
        near = await network.connector.connect()
        await near.send(b"unread")
        network.cut()
        for end in (near, accepted[0]):
            with pytest.raises(LinkLost, match="cut"):
                await end.receive()
            with pytest.raises(LinkLost, match="cut"):
                await end.send(b"x")

    _with_network(FaultPlan(), work)


def test_until_an_end_notices_a_cut_it_sends_into_the_void() -> None:
    async def work(network: MemoryNetwork, accepted: list[Connection]) -> None:
        near = await network.connector.connect()
        await asyncio.sleep(0)
        network.cut()
        await near.send(b"void")
        for end in (near, accepted[0]):
            with pytest.raises(LinkLost, match="cut"):
                await end.receive()
        with pytest.raises(LinkLost, match="cut"):
            await near.send(b"x")

    _with_network(FaultPlan(notice_s=(0.01, 0.05)), work)


def test_delayed_messages_keep_their_order() -> None:
    async def work(network: MemoryNetwork, accepted: list[Connection]) -> None:
        near = await network.connector.connect()
        await asyncio.sleep(0)
        received = []

        async def receive() -> None:
            received.extend([await accepted[0].receive() for _ in range(100)])

        async with asyncio.TaskGroup() as group:
            group.create_task(receive(), name="receiver")
            for number in range(100):
                await near.send(bytes([number]))
        assert received == [bytes([number]) for number in range(100)]

    _with_network(FaultPlan(delay_s=(0.0, 0.002)), work)


def test_what_was_sent_before_a_close_arrives_before_it() -> None:
    async def work(network: MemoryNetwork, accepted: list[Connection]) -> None:
        near = await network.connector.connect()
        await asyncio.sleep(0)
        await near.send(b"last words")
        await near.close("enough")
        assert await accepted[0].receive() == b"last words"
        with pytest.raises(LinkLost, match="closed by the far end"):
            await accepted[0].receive()

    _with_network(FaultPlan(delay_s=(0.001, 0.005)), work)


def test_connects_are_refused_by_share_and_without_a_listener() -> None:
    async def work(network: MemoryNetwork, _: list[Connection]) -> None:
        refused = 0
        for _attempt in range(200):
            try:
                await (await network.connector.connect()).close("enough")
            except LinkLost:
                refused += 1
        assert 60 <= refused <= 140, "of 200 at a share of 0.5"
        await network.listener.close()
        with pytest.raises(LinkLost):
            await network.connector.connect()

    _with_network(FaultPlan(seed=3, refuse_share=0.5), work)
