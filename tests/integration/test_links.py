"""Link connections as events and effects, both ends, over the in-memory transport and a scripted machine at either end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from ocppress_gateway.cloud.program import CloudProgram
from ocppress_gateway.core.events import (
    CloseLink,
    Event,
    ExpectSigns,
    LinkClosed,
    LinkMessage,
    LinkOpened,
    LinkSent,
    OpenLink,
    SendLink,
    Stop,
)
from ocppress_gateway.edge.program import EdgeProgram
from ocppress_gateway.transports.base import Connection, Connector
from ocppress_gateway.transports.memory import FaultPlan, MemoryNetwork
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.support.scripted_machine import WAIT_S, ScriptedMachine


class _Never(Connector):
    """A cloud that cannot be reached, for however long one tries."""

    address = "nowhere"
    looks_up = False

    async def connect(self) -> Connection:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@contextlib.asynccontextmanager
async def _edge(machine: ScriptedMachine, connector: Connector, shutdown_s: float = 0.1) -> AsyncIterator[EdgeProgram]:
    async with EdgeProgram(machine, connector, host="127.0.0.1", port=0, shutdown_s=shutdown_s) as program:
        yield program


def _run(
    work: Callable[[ScriptedMachine, EdgeProgram, ScriptedMachine, CloudProgram], Awaitable[None]], faults: FaultPlan | None = None
) -> None:
    async def main() -> None:
        network = MemoryNetwork(faults, peer="edge-1")
        edge, cloud = ScriptedMachine(), ScriptedMachine()
        async with (
            asyncio.timeout(2 * WAIT_S),
            CloudProgram(cloud, network.listener, csms_url="ws://127.0.0.1:1/{identity}", shutdown_s=0.1) as cloud_program,
            _edge(edge, network.connector) as edge_program,
        ):
            await work(edge, edge_program, cloud, cloud_program)

    asyncio.run(main())


def test_a_link_opens_carries_messages_and_closes_at_both_ends() -> None:
    async def work(edge: ScriptedMachine, edge_program: EdgeProgram, cloud: ScriptedMachine, cloud_program: CloudProgram) -> None:
        edge.do(edge_program, OpenLink(5))
        assert await edge.event(LinkOpened) == LinkOpened(5, "")
        assert await cloud.event(LinkOpened) == LinkOpened(1, "edge-1")
        edge.do(edge_program, SendLink(5, b"up"))
        assert await edge.event(LinkSent) == LinkSent(5)
        assert await cloud.event(LinkMessage) == LinkMessage(1, b"up")
        cloud.do(cloud_program, SendLink(1, b"down"))
        assert await edge.event(LinkMessage) == LinkMessage(5, b"down")
        edge.do(edge_program, SendLink(5, b"bye"))
        edge.do(edge_program, CloseLink(5, "enough"))
        edge.do(edge_program, CloseLink(5, "again"))
        assert await edge.event(LinkClosed) == LinkClosed(5, "enough")
        assert await cloud.event(LinkMessage, 2) == LinkMessage(1, b"bye")
        assert (await cloud.event(LinkClosed)).link == 1
        edge.do(edge_program, SendLink(5, b"nobody"), CloseLink(5, "gone"))
        cloud.do(cloud_program, SendLink(1, b"nobody"), CloseLink(1, "gone"))

    _run(work)


def test_a_lost_link_is_reported_at_both_ends_and_another_can_be_opened() -> None:
    async def work(edge: ScriptedMachine, edge_program: EdgeProgram, cloud: ScriptedMachine, _: CloudProgram) -> None:
        for number in (1, 2):
            edge.do(edge_program, OpenLink(number))
            await edge.event(LinkOpened, number)
            for count in range(3):
                edge.do(edge_program, SendLink(number, bytes([count])))
            assert await edge.event(LinkClosed, number) == LinkClosed(number, "the connection was cut")
            assert await cloud.event(LinkClosed, number) == LinkClosed(number, "the connection was cut")

    _run(work, FaultPlan(messages_until_cut=(3, 3)))


def test_a_link_that_cannot_be_made_is_reported() -> None:
    async def work(edge: ScriptedMachine, edge_program: EdgeProgram, *_: object) -> None:
        edge.do(edge_program, OpenLink(1))
        assert (await edge.event(LinkClosed)).link == 1

    _run(work, FaultPlan(refuse_share=1.0))


def test_an_attempt_can_be_given_up() -> None:
    async def main() -> None:
        edge = ScriptedMachine()
        async with asyncio.timeout(WAIT_S), _edge(edge, _Never()) as program:
            edge.do(program, OpenLink(1))
            edge.do(program, CloseLink(1, "at once"))
            assert await edge.event(LinkClosed) == LinkClosed(1, "at once")
            edge.do(program, OpenLink(2))
            await asyncio.sleep(0.01)
            edge.do(program, CloseLink(2, "after a while"))
            assert await edge.event(LinkClosed, 2) == LinkClosed(2, "after a while")

    asyncio.run(main())


def test_a_last_message_that_does_not_leave_holds_up_a_close_for_its_time_only() -> None:
    """The cloud's reader doesn't get rid of what it has read here, so that the edge's sends pile up."""

    async def _never(event: Event) -> None:
        await asyncio.Event().wait()

    async def work(edge: ScriptedMachine, edge_program: EdgeProgram, cloud: ScriptedMachine, cloud_program: CloudProgram) -> None:
        edge.do(edge_program, OpenLink(1))
        await edge.event(LinkOpened)
        await cloud.event(LinkOpened)
        cloud_program._driver.post = _never  # type: ignore[method-assign]
        for number in range(100):
            edge.do(edge_program, SendLink(1, bytes([number])))
        edge.do(edge_program, CloseLink(1, "enough"))
        assert await edge.event(LinkClosed) == LinkClosed(1, "enough")
        assert len([event for event in edge.events if isinstance(event, LinkSent)]) < 100

    _run(work)


def test_stopping_waits_for_the_machine_to_close_what_is_open() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        edge, cloud = ScriptedMachine(), ScriptedMachine()
        edge.react = lambda event: [SendLink(1, b"goodbye"), CloseLink(1, "stopping")] if isinstance(event, Stop) else []
        async with asyncio.timeout(WAIT_S), CloudProgram(cloud, network.listener, csms_url="ws://127.0.0.1:1/{identity}", shutdown_s=0.1):
            async with _edge(edge, network.connector, shutdown_s=WAIT_S) as program:
                edge.do(program, OpenLink(1))
                await edge.event(LinkOpened)
            assert edge.events[-1] == LinkClosed(1, "stopping")
            assert (await cloud.event(LinkMessage)).data == b"goodbye"

    asyncio.run(main())


async def _silence(keepalive_s: int, within_s: float) -> float | None:
    """How long a real connection lasts on which nobody says anything, None for longer than twice `within_s`."""
    cloud = ScriptedMachine()
    listener = WebSocketListener(host="127.0.0.1", port=0)
    async with CloudProgram(cloud, listener, csms_url="ws://127.0.0.1:1/{identity}", shutdown_s=0.1) as program:
        near = await WebSocketConnector(listener.address, keepalive_s=keepalive_s).connect()
        await cloud.event(LinkOpened)
        started = asyncio.get_running_loop().time()
        cloud.do(program, ExpectSigns(1, within_s))
        try:
            async with asyncio.timeout(2 * within_s):
                closed = await cloud.event(LinkClosed)
        except TimeoutError:
            return None
        finally:
            await near.close("enough")
        assert closed.reason == f"nothing was heard of it for {within_s:g} s"
        return asyncio.get_running_loop().time() - started


def test_a_link_of_which_not_even_a_probe_is_heard_is_closed() -> None:
    lasted_s = asyncio.run(_silence(keepalive_s=100, within_s=1.5))
    assert lasted_s is not None
    assert 1.5 <= lasted_s < 2.5


def test_probes_that_only_the_kernel_sees_keep_a_link() -> None:
    assert asyncio.run(_silence(keepalive_s=1, within_s=2.5)) is None
