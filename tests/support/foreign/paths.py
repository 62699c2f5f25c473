"""The way between station and CSMS. What holds directly must hold through edge and cloud."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from ocppress_codecs.interface import CodecName
from ocppress_gateway.cloud.program import CloudProgram, CloudStores
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine, CloudSettings
from ocppress_gateway.core.edge import EdgeMachine, EdgeSettings
from ocppress_gateway.core.transfer_guard import ROUTE_TAKEN
from ocppress_gateway.edge.program import EdgeProgram
from ocppress_gateway.outbox.memory import MemoryOutboxStore
from ocppress_gateway.positions.memory import MemoryPositionsStore
from ocppress_gateway.storage.memory import MemoryDisk
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.support.fixed_delay import FixedDelay
from tests.support.foreign.interface import PEER_WAIT_S
from tests.support.watched_machine import WatchedMachine

__all__ = ["PATHS", "Path", "through_ocppress"]

Path = Callable[[str], AbstractAsyncContextManager[str]]
"""From the CSMS's URL to the one that a station enters, both without the identity; lasts as long as the block."""

_HOST: Final = "127.0.0.1"


@contextlib.asynccontextmanager
async def _direct(csms_url: str) -> AsyncIterator[str]:
    yield csms_url


@contextlib.asynccontextmanager
async def through_ocppress(
    csms_url: str, *, codec: CodecName = CodecName.CBOR_ZSTD, station_answer_s: float = 30.0, delay_s: float | None = None
) -> AsyncIterator[str]:
    """Edge and cloud in this process, with a plain WebSocket link over loopback. An error that either notes fails the test.

    `station_answer_s`: how long the edge waits for a station's answer before it puts the next command to it. `delay_s`: how long what the edge
    answers itself waits for company; None: nothing is answered early.
    """
    cloud_settings = CloudSettings(
        edges={"edge-1": frozenset({ANY_STATION})},
        linger_s=0.0,
        command_timeout_s=30.0,
        call_timeout_s=30.0,
        link_grace_s=60.0,
        retry_wait_min_s=10.0,
        retry_random_s=10.0,
        retry_repeat_times=5,
    )
    edge_settings = EdgeSettings(
        edge="edge-1",
        codec=codec,
        linger_s=0.0,
        station_timeout_s=60.0,
        command_timeout_s=station_answer_s,
        upgrade_wait_s=8.0,
        link_grace_s=60.0,
        reconnect_min_s=1.0,
        reconnect_max_s=60.0,
        outbox=delay_s is not None,
    )
    chance = random.SystemRandom().random
    cloud_machine = WatchedMachine(CloudMachine(cloud_settings, random=chance, random_bytes=os.urandom))
    edge_machine = WatchedMachine(EdgeMachine(edge_settings, random=chance, random_bytes=os.urandom, freshness=FixedDelay(delay_s)))
    listener = WebSocketListener(host=_HOST, port=0)
    outbox = None if delay_s is None else MemoryOutboxStore(MemoryDisk(), time.monotonic)
    positions = MemoryPositionsStore(MemoryDisk())
    async with CloudProgram(
        cloud_machine, listener, csms_url=csms_url + "/{identity}", stores=CloudStores(positions=positions), shutdown_s=PEER_WAIT_S
    ):
        connector = WebSocketConnector(f"ws://{_HOST}:{listener.port}/", None)
        async with EdgeProgram(edge_machine, connector, host=_HOST, port=0, outbox=outbox, shutdown_s=PEER_WAIT_S) as edge:
            async with asyncio.timeout(PEER_WAIT_S):
                await edge_machine.noted("link up")
            yield edge.station_url
            errors = [note for note in cloud_machine.errors + edge_machine.errors if note.words != ROUTE_TAKEN]
            assert not errors, f"the gateway noted errors: {errors}"


PATHS: Final[dict[str, Path]] = {"direct": _direct, "ocppress": through_ocppress}
