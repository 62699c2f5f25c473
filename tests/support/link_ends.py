"""Both ends of a link connection, for each kind of transport: what the contract's tests run over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ocppress_gateway.provisioning.certificates import Credentials, issue_cloud, issue_edge, make_authority
from ocppress_gateway.transports.base import Connection, Connector, Listener
from ocppress_gateway.transports.memory import MemoryNetwork
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener

__all__ = ["TRANSPORTS", "WAIT_S", "Ends", "TlsFiles", "make_tls_files", "open_ends"]

WAIT_S = 10.0
"""How long to wait for anything; reached only when something is broken."""

TRANSPORTS = ("memory", "websocket", "websocket-tls")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files for the arguments of `transports.tls`."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    def arguments(self) -> dict[str, Path]:
        return {"ca_file": self.ca_file, "certificate_file": self.certificate_file, "key_file": self.key_file}


def make_tls_files(folder: Path, *, edge: str = "edge-1", hosts: tuple[str, ...] = ("127.0.0.1",)) -> tuple[TlsFiles, TlsFiles]:
    """Certificates of a new CA for an edge and a cloud."""
    now = datetime.now(UTC)
    authority = make_authority("test", now)
    folder.mkdir(exist_ok=True)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "ca.key").write_bytes(authority.key_pem)

    def files(name: str, credentials: Credentials) -> TlsFiles:
        (folder / f"{name}.pem").write_bytes(credentials.certificate_pem)
        (folder / f"{name}.key").write_bytes(credentials.key_pem)
        return TlsFiles(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")

    return files("edge", issue_edge(authority, edge, now)), files("cloud", issue_cloud(authority, list(hosts), now))


@dataclass(frozen=True, slots=True)
class Ends:
    """`near` is the edge's end, `far` the cloud's."""

    near: Connection
    far: Connection
    connector: Connector
    listener: Listener


@contextlib.asynccontextmanager
async def open_ends(transport: str, folder: Path) -> AsyncIterator[Ends]:
    """One connection over this transport; both ends are closed when the block ends."""
    accepted: asyncio.Queue[Connection] = asyncio.Queue()
    done = asyncio.Event()

    async def handler(connection: Connection) -> None:
        accepted.put_nowait(connection)
        await done.wait()

    connector: Connector
    listener: Listener
    if transport == "memory":
        network = MemoryNetwork(peer="edge-1")
        connector, listener = network.connector, network.listener
        await listener.serve(handler)
    else:
        edge, cloud = make_tls_files(folder)
        tls = transport == "websocket-tls"
        listener = WebSocketListener(host="127.0.0.1", port=0, ssl_context=link_server_context(**cloud.arguments()) if tls else None)
        await listener.serve(handler)
        connector = WebSocketConnector(listener.address, link_client_context(**edge.arguments()) if tls else None)
    try:
        async with asyncio.timeout(WAIT_S):
            near = await connector.connect()
            far = await accepted.get()
        try:
            yield Ends(near, far, connector, listener)
        finally:
            await asyncio.gather(near.close("the test ends"), far.close("the test ends"))
    finally:
        done.set()
        await listener.close()
