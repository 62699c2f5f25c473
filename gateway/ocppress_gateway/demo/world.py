"""Edge, cloud and CSMS in this process, over real sockets on loopback, with the configuration that `ocppress ca` makes.

    stations ──ws──► edge ══TLS 1.3, certificates at both ends══► cloud ──ws──► CSMS
                          ▲ overheard by the tally

The certification authority is made for this run, in a folder that goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp

from ocppress_codecs.rpc import OcppVersion
from ocppress_gateway.cloud.program import CloudProgram, cloud_settings
from ocppress_gateway.config import EdgeConfig, LinkTls, load_cloud, load_edge
from ocppress_gateway.core.cloud import ANY_STATION, CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.demo.compressed import CompressedPlan
from ocppress_gateway.demo.csms import Csms
from ocppress_gateway.demo.ends import End
from ocppress_gateway.demo.station import open_station
from ocppress_gateway.demo.tally import Tally
from ocppress_gateway.demo.tapped import TappedConnector
from ocppress_gateway.edge.program import EdgeProgram, edge_settings
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.outbox.memory import MemoryOutboxStore
from ocppress_gateway.positions.memory import MemoryPositionsStore
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder
from ocppress_gateway.storage.memory import MemoryDisk
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener

__all__ = ["World", "open_world"]

_HOST: Final = "127.0.0.1"
_EDGE: Final = "demo"

LINK_UP_S: Final = 10.0
"""How long the link may take to come up, on a machine with much else to do."""

SHUTDOWN_S: Final = 0.5
"""How long each program may take to close; nothing is under way any more."""


class World:
    """What the stations of the demo need of it."""

    def __init__(self, edge: EdgeProgram, csms: Csms, session: aiohttp.ClientSession) -> None:
        self._edge = edge
        self._csms = csms
        self._session = session

    @contextlib.asynccontextmanager
    async def ends(self, identity: str, version: OcppVersion) -> AsyncIterator[tuple[End, End]]:
        """A station that connects to the edge, and the CSMS's end towards it, which the cloud has opened by then. Raises `GatewayError`."""
        async with open_station(self._session, f"{self._edge.station_url}/ocpp/{identity}", version) as station:
            yield station, await self._csms.end(identity)

    def flush(self) -> None:
        """Make the edge send what waits."""
        self._edge.flush()

    def wire_counts(self) -> list[WireCount]:
        """The kernel's counters of the link at the edge's end; also after the world has ended."""
        return self._edge.links.wire_counts()


@contextlib.asynccontextmanager
async def open_world(folder: Path, tally: Tally, plan: CompressedPlan) -> AsyncIterator[World]:
    """Everything but the stations, with the link up; `folder` is for keys and certificates. Raises `GatewayError`."""
    async with Csms() as csms:
        authority = folder / "ca"
        now = datetime.now(UTC)
        make_authority_folder(authority, name="ocppress demo", hosts=[_HOST], csms_url=csms.url, now=now)
        make_edge_folder(authority, _EDGE, stations=[ANY_STATION], cloud_url=None, now=now)
        cloud_config = load_cloud(authority / "cloud" / "cloud.toml")
        edge_config = load_edge(authority / "edges" / _EDGE / "edge.toml")
        listener = WebSocketListener(host=_HOST, port=0, ssl_context=link_server_context(**_files(cloud_config.link.tls)))
        cloud_machine = CloudMachine(cloud_settings(cloud_config), random=random.SystemRandom().random, random_bytes=os.urandom)
        positions = MemoryPositionsStore(MemoryDisk())
        async with CloudProgram(cloud_machine, listener, csms_url=cloud_config.csms.url, positions=positions, shutdown_s=SHUTDOWN_S):
            edge = _edge(edge_config, f"wss://{_HOST}:{listener.port}/", tally, plan)
            async with edge, aiohttp.ClientSession() as session:
                await _link_up(tally)
                yield World(edge, csms, session)


def _edge(config: EdgeConfig, cloud_url: str, tally: Tally, plan: CompressedPlan) -> EdgeProgram:
    connector = WebSocketConnector(cloud_url, link_client_context(**_files(config.link.tls)))
    # With time compressed, lingering would put into one packet what is minutes apart, and pauses of the disk would be hours.
    settings = replace(edge_settings(config), linger_s=0.0, urgent_delay_s=0.0, station_grace_s=0.0)
    machine = EdgeMachine(settings, random=random.SystemRandom().random, random_bytes=os.urandom, freshness=plan)
    return EdgeProgram(
        machine,
        TappedConnector(connector, tally.link_message),
        host=_HOST,
        port=0,
        outbox=MemoryOutboxStore(MemoryDisk(), time.monotonic),
        commit_pause_s=0.0,
        shutdown_s=SHUTDOWN_S,
    )


def _files(tls: LinkTls | None) -> dict[str, Path]:
    assert tls is not None, "the authority's configurations have TLS"
    return {"ca_file": tls.ca_file, "certificate_file": tls.certificate_file, "key_file": tls.key_file}


async def _link_up(tally: Tally) -> None:
    try:
        async with asyncio.timeout(LINK_UP_S):
            await tally.link_is_up.wait()
    except TimeoutError:
        raise GatewayError(f"the link did not come up within {LINK_UP_S:g} s") from None
