"""Both ends of a link connection, for each kind of transport: what the contract's tests run over."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ocppress_gateway.core.identity import CLOUD_NAME
from ocppress_gateway.provisioning.certificates import Credentials, issue_cloud, issue_edge, make_authority
from ocppress_gateway.transports.base import Connection, ConnectionHandler, Connector, Listener
from ocppress_gateway.transports.memory import MemoryNetwork
from ocppress_gateway.transports.mqtt.connection import MqttConnection
from ocppress_gateway.transports.mqtt.connector import MqttConnector
from ocppress_gateway.transports.mqtt.listener import MqttListener
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.support.mosquitto import needs_mosquitto, running_mosquitto

__all__ = ["TRANSPORTS", "WAIT_S", "Ends", "TlsFiles", "cut", "make_broker_files", "make_tls_files", "open_ends"]

WAIT_S = 10.0
"""How long to wait for anything; reached only when something is broken."""

TRANSPORTS = (
    "memory",
    "websocket",
    "websocket-tls",
    pytest.param("mqtt", marks=needs_mosquitto),
    pytest.param("mqtt-tls", marks=needs_mosquitto),
)


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


def make_broker_files(folder: Path, *, edges: Sequence[str] = ("edge-1",), hosts: Sequence[str] = ("127.0.0.1",)) -> dict[str, TlsFiles]:
    """Certificates of a new CA for a broker, the cloud and edges, by name."""
    now = datetime.now(UTC)
    authority = make_authority("test", now)
    folder.mkdir(exist_ok=True)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    made = {name: issue_edge(authority, name, now) for name in (CLOUD_NAME, *edges)} | {"broker": issue_cloud(authority, hosts, now)}
    for name, credentials in made.items():
        (folder / f"{name}.pem").write_bytes(credentials.certificate_pem)
        (folder / f"{name}.key").write_bytes(credentials.key_pem)
    return {name: TlsFiles(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key") for name in made}


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

    async with contextlib.AsyncExitStack() as stack:
        connector, listener = await _sides(transport, folder, handler, stack)
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


async def _sides(transport: str, folder: Path, handler: ConnectionHandler, stack: contextlib.AsyncExitStack) -> tuple[Connector, Listener]:
    """Both sides, the cloud's serving."""
    connector: Connector
    listener: Listener
    tls = transport.endswith("-tls")
    if transport == "memory":
        network = MemoryNetwork(peer="edge-1")
        connector, listener = network.connector, network.listener
        await listener.serve(handler)
    elif transport.startswith("mqtt"):
        files = make_broker_files(folder)
        broker = await stack.enter_async_context(running_mosquitto(folder, tls=tls))
        url = f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{broker.port}/"
        edge_context, cloud_context = (link_client_context(**files[name].arguments()) if tls else None for name in ("edge-1", CLOUD_NAME))
        listener = MqttListener(url, cloud_context)
        await listener.serve(handler)
        connector = MqttConnector(url, "edge-1", edge_context)
    else:
        edge, cloud = make_tls_files(folder)
        listener = WebSocketListener(host="127.0.0.1", port=0, ssl_context=link_server_context(**cloud.arguments()) if tls else None)
        await listener.serve(handler)
        connector = WebSocketConnector(listener.address, link_client_context(**edge.arguments()) if tls else None)
    return connector, listener


def cut(connection: Connection) -> None:
    """Break what carries a connection at this end, with an RST and no word of TLS, WebSocket or MQTT."""
    if isinstance(connection, MqttConnection):
        carrier: Any = connection._carrier
        broker = getattr(carrier, "_broker", None) or carrier._listener._broker
        _reset(broker._socket)
        broker.abort()
    else:
        transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined]
        _reset(transport.get_extra_info("socket"))
        transport.abort()


def _reset(raw: socket.socket) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
