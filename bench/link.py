"""What the link's habits cost in IP bytes, on a real wire: `bench/results/link.json`, for the table in gateway/README.md.

Run from the project's root, as root: python -m bench.link

Edge and cloud are two processes, each in a network namespace of its own, that use the gateway's transports with TLS and the certificates of `ocppress ca`;
the kernel counts. TCP timestamps are off on the cloud's side alone. Nothing is lost on this wire and it has no delay, which costs or saves no packet here.
Over MQTT a mosquitto is beside the cloud, if there is one on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.namespaces import CLOUD_ADDRESS, Traffic, namespaces, quiet_traffic, reason_against, traffic
from ocppress_gateway.core.broker_topics import Topics
from ocppress_gateway.core.identity import CLOUD_NAME
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.provisioning.certificates import issue_cloud, issue_edge, make_authority
from ocppress_gateway.provisioning.mosquitto import access_list, mosquitto_conf
from ocppress_gateway.transports.base import Connection, Connector, Listener
from ocppress_gateway.transports.mqtt.connection import MqttConnection
from ocppress_gateway.transports.mqtt.connector import MqttConnector
from ocppress_gateway.transports.mqtt.listener import MqttListener
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnector, WebSocketListener

__all__ = ["PAYLOADS_BYTES", "RESULTS", "TRANSPORTS", "main", "measured", "mosquitto", "reconnects_table", "start_broker", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "link.json"

PAYLOADS_BYTES: Final = (20, 60, 120, 300, 1000)
"""Of a link message, which is what one flush makes."""

PORT: Final = 8886
BROKER_PORT: Final = 8883
EDGE: Final = "site-1"

TRANSPORTS: Final = {"websocket": "WebSocket", "mqtt": "MQTT 5"}

_REPEATS: Final = 8
_WARM_UP: Final = 4
"""Messages before those that count: at first the kernel acknowledges at once."""

_GAP_S: Final = 0.3
"""Between two messages: more than the time for which an acknowledgement is put off."""

_PROBE_AFTER_S: Final = 2
_KINDS: Final = {
    "full": "connection, full handshake",
    "resumed": "connection, session resumed",
    "flush": "flush of {} bytes",
    "relay": "relayed call: {} bytes, answered by 1",
    "keepalive": "keepalive probe",
    "ping": "MQTT's ping",
}


def measured() -> list[dict[str, Any]]:
    """All figures, as `transport`, `what`, `payload_bytes`, `ip_bytes` (a mean) and `packets`."""
    found: list[dict[str, Any]] = []
    for transport in TRANSPORTS if mosquitto() else ("websocket",):
        with namespaces() as names, TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
            _make_files(Path(temporary))
            if transport == "mqtt":
                start_broker(names.cloud, Path(temporary), stack)
            cloud = stack.enter_context(_started(names.cloud, transport, "cloud", temporary))
            assert cloud.stdout is not None, "it is a pipe"
            if cloud.stdout.readline().strip() != "listening":
                raise RuntimeError("the cloud didn't come up")
            with _started(names.edge, transport, "edge", temporary) as edge:
                lines, _ = edge.communicate()
            if edge.returncode:
                raise RuntimeError("the edge failed")
            found += [{"transport": transport, **one} for one in json.loads(lines)]
    return found


def reconnects_table(results: Sequence[dict[str, Any]]) -> str:
    """What connecting costs, as a Markdown table."""
    return table([one for one in results if one["what"] in ("full", "resumed")])


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as a Markdown table, IP bytes and packets."""
    columns = {transport: name for transport, name in TRANSPORTS.items() if any(one["transport"] == transport for one in results)}
    cells: dict[str, dict[str, str]] = {}
    for one in results:
        row = cells.setdefault(_KINDS[one["what"]].format(one["payload_bytes"]), {})
        row[one["transport"]] = f"{one['ip_bytes']:,.0f} | {one['packets']:.3g}"
    heads = " | ".join(f"{name}: IP bytes, both ways | packets" for name in columns.values())
    rows = [f"| what | {heads} |", "|---" + "|--:|--:" * len(columns) + "|"]
    rows += [f"| {what} | {' | '.join(row.get(transport, '| ') for transport in columns)} |" for what, row in cells.items()]
    return "\n".join(rows)


def mosquitto() -> str | None:
    """The broker's program, None where there is none."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the file and print the table; 1 where there are no namespaces."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.link", description="Measure what the link's habits cost on a real wire; as root."
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON, and write no file")
    parser.add_argument("--transport", choices=TRANSPORTS, help=argparse.SUPPRESS)
    parser.add_argument("--end", choices=("edge", "cloud"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.end:
        asyncio.run((_edge if options.end == "edge" else _cloud)(options.transport, options.folder))
        return 0
    if reason := reason_against():
        print(f"cannot measure: {reason}", file=sys.stderr)
        return 1
    results = measured()
    if options.json:
        print(json.dumps(results))
        return 0
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    return 0


def _make_files(folder: Path) -> None:
    now = datetime.now(UTC)
    authority = make_authority("ocppress", now)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    server = issue_cloud(authority, [CLOUD_ADDRESS], now)
    for name, credentials in (
        ("edge", issue_edge(authority, EDGE, now)),
        ("cloud", server),
        ("broker", server),
        ("client", issue_edge(authority, CLOUD_NAME, now)),
    ):
        (folder / f"{name}.pem").write_bytes(credentials.certificate_pem)
        (folder / f"{name}.key").write_bytes(credentials.key_pem)
    (folder / "acl").write_text(access_list(Topics()))
    (folder / "mosquitto.conf").write_text(mosquitto_conf(port=BROKER_PORT, folder=str(folder)))


def _files(folder: Path, name: str) -> dict[str, Path]:
    return {"ca_file": folder / "ca.pem", "certificate_file": folder / f"{name}.pem", "key_file": folder / f"{name}.key"}


@contextlib.contextmanager
def _started(namespace: str, transport: str, end: str, folder: str) -> Iterator[subprocess.Popen[str]]:
    own = [sys.executable, "-m", "bench.link", "--transport", transport, "--end", end, "--folder", folder]
    with subprocess.Popen(["ip", "netns", "exec", namespace, *own], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def start_broker(namespace: str, folder: Path, stack: contextlib.ExitStack) -> None:
    """A mosquitto with the `mosquitto.conf` of this folder, until the stack ends."""
    program = mosquitto()
    assert program is not None, "there is one, or MQTT isn't measured"
    as_root = folder / "as-root.conf"  # which owns the keys
    as_root.write_text("user root\n" + (folder / "mosquitto.conf").read_text())
    command = ["ip", "netns", "exec", namespace, program, "-c", as_root.name]
    process = stack.enter_context(subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    assert process.stderr is not None, "it is a pipe"
    while "running" not in (line := process.stderr.readline()):
        if not line:
            raise RuntimeError("mosquitto didn't come up")


async def _cloud(transport: str, folder: Path) -> None:
    """Answer what begins with a question mark, hear the rest; until it is killed."""

    async def handle(connection: Connection) -> None:
        try:
            while True:
                if (await connection.receive()).startswith(b"?"):
                    await connection.send(b"!")
        except LinkLost:
            return

    listener: Listener
    if transport == "mqtt":
        listener = MqttListener(f"mqtts://{CLOUD_ADDRESS}:{BROKER_PORT}/", link_client_context(**_files(folder, "client")))
    else:
        listener = WebSocketListener(host=CLOUD_ADDRESS, port=PORT, ssl_context=link_server_context(**_files(folder, "cloud")))
    await listener.serve(handle)
    print("listening", flush=True)
    await asyncio.Event().wait()


def _connector(transport: str, folder: Path) -> Connector:
    if transport == "mqtt":
        return _mqtt_connector(folder, keepalive_s=_PROBE_AFTER_S)
    context = link_client_context(**_files(folder, "edge"))
    return WebSocketConnector(f"wss://{CLOUD_ADDRESS}:{PORT}/", context, keepalive_s=_PROBE_AFTER_S)


def _mqtt_connector(folder: Path, **silences_s: int) -> MqttConnector:
    return MqttConnector(f"mqtts://{CLOUD_ADDRESS}:{BROKER_PORT}/", EDGE, link_client_context(**_files(folder, "edge")), **silences_s)


def _abort(connection: Connection) -> None:
    """As a link goes that is lost: without a word of TLS, WebSocket or MQTT."""
    if isinstance(connection, MqttConnection):
        connection._carrier._broker.abort()  # type: ignore[attr-defined]
    else:
        connection._transport.abort()  # type: ignore[attr-defined]


async def _edge(transport: str, folder: Path) -> None:
    """Do everything once, and print what it cost."""
    results: list[dict[str, Any]] = []

    def found(what: str, payload_bytes: int, costs: Sequence[Traffic]) -> None:
        results.append(
            {
                "what": what,
                "payload_bytes": payload_bytes,
                "ip_bytes": statistics.mean(cost.ip_bytes for cost in costs),
                "packets": statistics.mean(cost.packets for cost in costs),
            }
        )

    connector = _connector(transport, folder)
    costs: list[Traffic] = []
    for _ in range(_REPEATS):
        before = quiet_traffic()
        connection = await connector.connect()
        costs.append(quiet_traffic().since(before))
        _abort(connection)
        await _lost(connection)
    found("full", 0, costs[:1])
    found("resumed", 0, costs[1:])
    connection = await connector.connect()
    for payload_bytes in PAYLOADS_BYTES:
        found("flush", payload_bytes, await _each(lambda size=payload_bytes: connection.send(b"." * size)))  # type: ignore[misc]
    await connection.close("another, for which the broker's windows are open")
    connection = await connector.connect()
    for payload_bytes in PAYLOADS_BYTES:
        found("relay", payload_bytes, await _each(lambda size=payload_bytes: _asked(connection, size)))  # type: ignore[misc]
    before = quiet_traffic()
    await asyncio.sleep(_PROBE_AFTER_S + 1)  # the kernel probes again only after the time that it gives an answer
    found("keepalive", 0, [traffic().since(before)])
    await connection.close("all is measured")
    if transport == "mqtt":
        connection = await _mqtt_connector(folder, ping_s=_PROBE_AFTER_S).connect()
        before = quiet_traffic()
        await asyncio.sleep(_PROBE_AFTER_S + 1)  # paho looks once a second
        found("ping", 0, [quiet_traffic().since(before)])
        await connection.close("all is measured")
    print(json.dumps(results))


async def _each(act: Callable[[], Awaitable[None]]) -> list[Traffic]:
    costs: list[Traffic] = []
    for _ in range(_WARM_UP + _REPEATS):
        before = traffic()
        await act()
        await asyncio.sleep(_GAP_S)
        costs.append(traffic().since(before))
    return costs[_WARM_UP:]


async def _asked(connection: Connection, size: int) -> None:
    await connection.send(b"?" * size)
    await connection.receive()


async def _lost(connection: Connection) -> None:
    try:
        await connection.receive()
    except LinkLost:
        return


if __name__ == "__main__":
    raise SystemExit(main())
