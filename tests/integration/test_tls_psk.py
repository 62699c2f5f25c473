"""The link's TLS by a pre-shared key, over real sockets. Needs Python 3.13."""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path

import pytest

from ocppress_gateway.errors import ConfigError, LinkLost, LinkRefused
from ocppress_gateway.transports.psk import HAS_PSK, read_key, use_client_key, use_server_keys
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener
from tests.integration.test_tls_sessions import Cloud, connected, cut, payload_bytes, run
from tests.support.link_ends import make_tls_files

KEY = bytes(range(32))
OTHER = bytes(32)
COST_BYTES_MAX = 950
"""As little as a resumed session; each time."""

needs_psk = pytest.mark.skipif(not HAS_PSK, reason=f"pre-shared keys need Python 3.13, this is {sys.version.split()[0]}")


class World:
    """A cloud with keys, and an edge with one."""

    def __init__(self, folder: Path, keys: dict[str, bytes]) -> None:
        self.edge, files = make_tls_files(folder)
        self.cloud = Cloud(files)
        self.files = files
        context = link_server_context(**files.arguments())
        use_server_keys(context, keys)
        self.cloud.listener = WebSocketListener(host="127.0.0.1", port=0, ssl_context=context)

    def connector(self, name: str, key: bytes) -> WebSocketConnector:
        context = link_client_context(**self.edge.arguments())
        use_client_key(context, name, key)
        return WebSocketConnector(self.cloud.listener.address, context)


@needs_psk
def test_each_connection_costs_as_little_also_of_a_new_process(tmp_path: Path) -> None:
    world = World(tmp_path, {"site-9": KEY})

    async def work() -> None:
        async with world.cloud.serving() as cloud:
            for _ in range(3):  # a connector of its own has no session to resume, as after a restart
                near, far = await connected(cloud, world.connector("site-9", KEY))
                assert far.peer == "site-9", "by its key; its certificate says edge-1"
                await near.send(b"x")
                assert await far.receive() == b"x"
                assert payload_bytes(near) < COST_BYTES_MAX
                await cut(near, far)

    run(work)


@needs_psk
@pytest.mark.parametrize(("name", "key"), [("site-9", OTHER), ("site-8", KEY)])
def test_a_wrong_key_is_no_way_in(name: str, key: bytes, tmp_path: Path) -> None:
    """An unknown name falls back to certificates, and is who its certificate says; a known one with another key ends."""
    world = World(tmp_path, {"site-9": KEY})

    async def work() -> None:
        async with world.cloud.serving() as cloud:
            if name == "site-9":
                with pytest.raises((LinkLost, LinkRefused)):
                    await world.connector(name, key).connect()
                assert cloud.accepted.empty()
            else:
                near, far = await connected(cloud, world.connector(name, key))
                assert far.peer == "edge-1"
                await cut(near, far)

    run(work)


@needs_psk
def test_edges_with_certificates_are_served_besides(tmp_path: Path) -> None:
    world = World(tmp_path, {"site-9": KEY})

    async def work() -> None:
        async with world.cloud.serving() as cloud:
            connector = WebSocketConnector(cloud.listener.address, link_client_context(**world.edge.arguments()))
            for _ in range(2):
                near, far = await connected(cloud, connector)
                assert far.peer == "edge-1"
                await cut(near, far)

    run(work)


@needs_psk
def test_an_impostor_without_the_key_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path / "ours", {"site-9": KEY})
    _, theirs = make_tls_files(tmp_path / "theirs")

    async def work() -> None:
        context = link_server_context(**theirs.arguments())
        context.verify_mode = ssl.CERT_NONE
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context) as server:
            client = link_client_context(**world.edge.arguments())
            use_client_key(client, "site-9", KEY)
            with pytest.raises(LinkRefused, match=r"(?i)certificate"):
                await WebSocketConnector(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/", client).connect()

    run(work)


@needs_psk
@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 33])
def test_what_is_no_key_is_said(text: str, tmp_path: Path) -> None:
    file = tmp_path / "edge.psk"
    file.write_text(text)
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        read_key(file)
    file.write_text("0A" * 32 + "\n")
    assert read_key(file) == b"\n" * 32


@pytest.mark.skipif(HAS_PSK, reason="this Python can")
def test_a_python_that_cannot_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs Python 3\.13"):
        read_key(tmp_path / "edge.psk")
