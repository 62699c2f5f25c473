"""Edges, cloud and CSMS in this process, over real sockets on loopback, with the configuration that `ocppress ca` makes.

    stations ──ws──► edges ══TLS 1.3, certificates at both ends══► cloud ──ws──► CSMS
                           ▲ overheard by the tally

The certification authority is made for this run, in a folder that goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from ocppress_gateway.cloud.program import CloudProgram, CloudStores, cloud_settings
from ocppress_gateway.config import CloudConfig, EdgeConfig, LinkTls, load_cloud, load_edge
from ocppress_gateway.core.cloud import CloudMachine
from ocppress_gateway.core.edge import EdgeMachine
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.demo.cast import Role
from ocppress_gateway.demo.compressed import CompressedPlan
from ocppress_gateway.demo.csms import Csms
from ocppress_gateway.demo.ends import End
from ocppress_gateway.demo.station import open_station
from ocppress_gateway.demo.tally import LinkTap, Tally
from ocppress_gateway.demo.tapped import TappedConnector
from ocppress_gateway.edge.program import EdgeProgram, edge_settings
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.outbox.base import OutboxLimits
from ocppress_gateway.outbox.memory import MemoryOutboxStore
from ocppress_gateway.positions.base import PositionsLimits
from ocppress_gateway.positions.memory import MemoryPositionsStore
from ocppress_gateway.provisioning.folder import make_authority_folder, make_edge_folder
from ocppress_gateway.storage.memory import MemoryDisk
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener

__all__ = ["World", "open_world"]

_HOST: Final = "127.0.0.1"
LINK_UP_S: Final = 10.0
"""How long the link may take to come up, on a machine with much else to do."""

SHUTDOWN_S: Final = 0.5
"""How long each program may take to close; nothing is under way any more."""


class World:
    """What the stations of the demo need of it."""

    def __init__(
        self, edges: Mapping[str, EdgeProgram], plans: Mapping[str, CompressedPlan], csms: Csms, session: aiohttp.ClientSession
    ) -> None:
        """`edges` and `plans` by the edge's name."""
        self._edges = edges
        self._plans = plans
        self._csms = csms
        self._session = session

    @contextlib.asynccontextmanager
    async def ends(self, role: Role) -> AsyncIterator[tuple[End, End]]:
        """A station that connects to its edge, and the CSMS's end towards it, which the cloud has opened by then. Raises `GatewayError`."""
        url = f"{self._edges[role.edge].station_url}/ocpp/{role.identity}"
        async with open_station(self._session, url, role.version) as station:
            yield station, await self._csms.end(role.identity)

    def delay_s(self, role: Role) -> float:
        """How long a message of this station waits at its edge at most, in real time."""
        return self._plans[role.edge].delay_s(role.identity, time.monotonic()) or 0.0

    def flush(self, role: Role) -> None:
        """Let nothing of this station wait any longer."""
        self._edges[role.edge].flush(role.identity)

    def wire_counts(self) -> list[WireCount]:
        """The kernel's counters of the links at the edges' end; also after the world has ended."""
        return [count for edge in self._edges.values() for count in edge.links.wire_counts()]


@contextlib.asynccontextmanager
async def open_world(folder: Path, tally: Tally, roles: Sequence[Role], plan: PlanName) -> AsyncIterator[World]:
    """Everything but the stations, with the links up; `folder` is for keys and certificates. Raises `GatewayError`."""
    async with contextlib.AsyncExitStack() as stack:
        csms = await stack.enter_async_context(Csms())
        authority = folder / "ca"
        now = datetime.now(UTC)
        make_authority_folder(authority, name="ocppress demo", hosts=[_HOST], csms_url=csms.url, now=now)
        stations = {edge: [role for role in roles if role.edge == edge] for edge in dict.fromkeys(role.edge for role in roles)}
        for edge, behind in stations.items():
            make_edge_folder(authority, edge, stations=[role.identity for role in behind], cloud_url=None, now=now)
        cloud_url = await _open_cloud(stack, load_cloud(authority / "cloud" / "cloud.toml"))
        wanted = {role.identity: role.speed for role in roles}
        plans = {edge: CompressedPlan(plan, lambda identity: tally.accounts[identity].speed(wanted[identity])) for edge in stations}
        edges = {}
        for edge in stations:
            config = msgspec.structs.replace(load_edge(authority / "edges" / edge / "edge.toml"), plan=plan)
            tap = tally.tap()
            edges[edge] = await stack.enter_async_context(_edge(config, cloud_url, tap, plans[edge]))
            await _link_up(tap)
        yield World(edges, plans, csms, await stack.enter_async_context(aiohttp.ClientSession()))


async def _open_cloud(stack: contextlib.AsyncExitStack, config: CloudConfig) -> str:
    """The cloud; its URL."""
    listener = WebSocketListener(host=_HOST, port=0, ssl_context=link_server_context(**_files(config.link.tls)))
    # With time compressed, a message that the CSMS refuses comes again at once.
    settings = replace(cloud_settings(config), attempt_interval_s=0.0)
    machine = CloudMachine(settings, random=random.SystemRandom().random, random_bytes=os.urandom)
    positions = MemoryPositionsStore(MemoryDisk(), limits=PositionsLimits(commit_pause_s=0.0))
    cloud = CloudProgram(machine, listener, csms_url=config.csms.url, stores=CloudStores(positions=positions), shutdown_s=SHUTDOWN_S)
    await stack.enter_async_context(cloud)
    return f"wss://{_HOST}:{listener.port}/"


def _edge(config: EdgeConfig, cloud_url: str, tap: LinkTap, plan: CompressedPlan) -> EdgeProgram:
    connector = WebSocketConnector(cloud_url, link_client_context(**_files(config.link.tls)))
    # With time compressed, lingering would put into one packet what is minutes apart, and the outbox would pause for hours between two commits.
    settings = replace(edge_settings(config), linger_s=0.0, urgent_s=0.0, keeps_credentials=False)
    machine = EdgeMachine(settings, random=random.SystemRandom().random, random_bytes=os.urandom, freshness=plan, wall_s=time.time)
    outbox = MemoryOutboxStore(MemoryDisk(), time.monotonic, limits=OutboxLimits(commit_pause_s=0.0)) if settings.outbox else None
    return EdgeProgram(machine, TappedConnector(connector, tap.link_message), host=_HOST, port=0, outbox=outbox, shutdown_s=SHUTDOWN_S)


def _files(tls: LinkTls | None) -> dict[str, Path]:
    assert tls is not None, "the authority's configurations have TLS"
    return {"ca_file": tls.ca_file, "certificate_file": tls.certificate_file, "key_file": tls.key_file}


async def _link_up(tap: LinkTap) -> None:
    try:
        async with asyncio.timeout(LINK_UP_S):
            await tap.is_up.wait()
    except TimeoutError:
        raise GatewayError(f"a link did not come up within {LINK_UP_S:g} s") from None
