"""An orderly end of a program is no loss: the link's end is information at both ends, whoever stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_gateway.cloud.program import CloudProgram
from ocppress_gateway.core.cloud import CloudMachine, CloudSettings
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.edge.program import EdgeProgram
from ocppress_gateway.transports.base import Connection, Connector
from ocppress_gateway.transports.memory import MemoryNetwork
from tests.support.watched_machine import WatchedMachine

WAIT_S = 10.0
EDGE = "edge-1"


def _edge() -> WatchedMachine:
    settings = EdgeSettings(
        edge=EDGE,
        codec=CodecName.VERBATIM,
        linger_s=0.0,
        station_timeout_s=60.0,
        command_timeout_s=30.0,
        upgrade_wait_s=8.0,
        link_grace_s=60.0,
        reconnect_min_s=60.0,
        reconnect_max_s=60.0,
    )
    return WatchedMachine(EdgeMachine(settings, random.SystemRandom().random, os.urandom))


def _cloud() -> WatchedMachine:
    settings = CloudSettings(
        edges={EDGE: frozenset({"CP1"})},
        linger_s=0.0,
        command_timeout_s=30.0,
        call_timeout_s=30.0,
        link_grace_s=60.0,
        retry_wait_min_s=10.0,
        retry_random_s=10.0,
        retry_repeat_times=5,
    )
    return WatchedMachine(CloudMachine(settings, random.SystemRandom().random, os.urandom))


@pytest.mark.parametrize("stops", ["edge", "cloud"])
def test_a_link_that_ends_with_a_goodbye_is_closed_not_lost(stops: str) -> None:
    network, edge, cloud = MemoryNetwork(peer=EDGE), _edge(), _cloud()

    async def main() -> None:
        async with asyncio.timeout(WAIT_S), contextlib.AsyncExitStack() as stack:
            cloud_program = await stack.enter_async_context(CloudProgram(cloud, network.listener, csms_url="ws://127.0.0.1:1/{identity}"))
            edge_program = await stack.enter_async_context(EdgeProgram(edge, network.connector, host="127.0.0.1", port=0))
            await edge.noted("link up")
            (edge_program if stops == "edge" else cloud_program).stop()
            await edge.noted("link closed")
            await cloud.noted("link closed")

    asyncio.run(main())
    assert edge.counts["link lost"] == cloud.counts["link lost"] == 0
    # That the cloud goes is worth a warning at the edge, whose stations it was for.
    assert [note.words for note in cloud.notes + edge.notes] == ([] if stops == "edge" else ["the cloud says goodbye"])


def test_a_link_that_is_cut_is_lost() -> None:
    network, edge, cloud = MemoryNetwork(peer=EDGE), _edge(), _cloud()

    async def main() -> None:
        async with (
            asyncio.timeout(WAIT_S),
            CloudProgram(cloud, network.listener, csms_url="ws://127.0.0.1:1/{identity}"),
            EdgeProgram(edge, network.connector, host="127.0.0.1", port=0),
        ):
            await edge.noted("link up")
            network.cut()
            await edge.noted("link lost")
            await cloud.noted("link lost")

    asyncio.run(main())
    assert [note.words for note in cloud.notes + edge.notes] == ["link lost", "link lost"]
    assert edge.counts["link closed"] == cloud.counts["link closed"] == 0


def test_an_attempt_to_connect_that_is_given_up_at_the_end_is_no_alarm() -> None:
    edge, connector = _edge(), _Never()

    async def main() -> None:
        async with asyncio.timeout(WAIT_S), EdgeProgram(edge, connector, host="127.0.0.1", port=0):
            await connector.tried.wait()

    asyncio.run(main())
    assert edge.counts["link not made"] == 1
    assert not edge.notes


class _Never(Connector):
    """A cloud that cannot be reached, for however long one tries."""

    address = "nowhere"
    looks_up = False

    def __init__(self) -> None:
        self.tried = asyncio.Event()

    async def connect(self) -> Connection:
        self.tried.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")
