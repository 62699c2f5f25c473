"""HAProxy and nginx by the files in `deploy/loadbalancer`: an edge stays at the cloud that its name has given it, resumes there, and keeps its address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ocppress_gateway.errors import LinkLost
from ocppress_gateway.proxied_server import networks
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.support.haproxy import needs_haproxy, running_haproxy
from tests.support.link_ends import TlsFiles, make_tls_files
from tests.support.nginx import needs_nginx, running_nginx

HOST = "cloud.fleet.example"
EDGES = 8
CLOUDS = 3
WAIT_S = 30.0


@contextlib.asynccontextmanager
async def _clouds(files: TlsFiles) -> AsyncIterator[tuple[list[WebSocketListener], list[list[str]]]]:
    """Listeners that greet whoever comes, and the addresses that have come to each."""
    addresses: list[list[str]] = [[] for _ in range(CLOUDS)]
    listeners = []
    async with contextlib.AsyncExitStack() as stack:
        for number in range(CLOUDS):

            async def handle(connection: Connection, number: int = number) -> None:
                addresses[number].append(connection.address)
                with contextlib.suppress(LinkLost):
                    await connection.send(bytes([number + 1]))
                    await connection.receive()

            listener = WebSocketListener(
                host="127.0.0.1", port=0, ssl_context=link_server_context(**files.arguments()), balancers=networks(["127.0.0.0/8"])
            )
            await listener.serve(handle)
            stack.push_async_callback(listener.close)
            listeners.append(listener)
        yield listeners, addresses


@pytest.mark.parametrize(
    "balancer",
    [pytest.param(running_haproxy, marks=needs_haproxy), pytest.param(running_nginx, marks=needs_nginx)],
    ids=["haproxy", "nginx"],
)
def test_an_edge_stays_where_its_name_has_put_it(balancer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge, cloud = make_tls_files(tmp_path / "tls", hosts=(f"*.{HOST}",))
    ask = socket.getaddrinfo

    def answer(host: Any, *rest: Any, **named: Any) -> Any:
        return ask("127.0.0.1" if str(host).endswith(HOST) else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", answer)

    async def main() -> None:
        async with (
            asyncio.timeout(WAIT_S),
            _clouds(cloud) as (listeners, addresses),
            balancer(tmp_path, [listener.port for listener in listeners]) as front,
        ):
            places = {}
            for number in range(EDGES):
                connector = WebSocketConnector(f"wss://site-{number}.{HOST}:{front.port}/", link_client_context(**edge.arguments()))
                found = []
                for resumed in (False, True):
                    connection = await connector.connect()
                    found.append((await connection.receive())[0])
                    assert connection.resumed is resumed, f"by the cloud that has the session: {number} {found}"
                    ours = connection._transport.get_extra_info("sockname")
                    assert f"{ours[0]}:{ours[1]}" == addresses[found[-1] - 1][-1], "the edge's own address"
                    await connection.close("enough")
                assert found[0] == found[1]
                places[number] = found[0]
            assert len(set(places.values())) > 1, "not all at one"

    asyncio.run(main())
