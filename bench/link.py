"""What the link's habits cost in IP bytes, on a real wire: `bench/results/link.json`, for the table in gateway/README.md.

Run from the project's root, as root: python -m bench.link

Edge and cloud are two processes, each in a network namespace of its own, that use the gateway's transports with TLS and the certificates of `ocppress ca`;
the kernel counts. TCP timestamps are off on the cloud's side alone. Nothing is lost on this wire and it has no delay, which costs or saves no packet here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.namespaces import CLOUD_ADDRESS, Traffic, namespaces, quiet_traffic, reason_against, traffic
from ocppress_gateway.errors import LinkLost
from ocppress_gateway.provisioning.certificates import issue_cloud, issue_edge, make_authority
from ocppress_gateway.transports.base import Connection
from ocppress_gateway.transports.tls import link_client_context, link_server_context
from ocppress_gateway.transports.websocket import WebSocketConnection, WebSocketConnector, WebSocketListener

__all__ = ["PAYLOADS_BYTES", "RESULTS", "main", "measured", "table"]

RESULTS: Final = Path(__file__).parent / "results" / "link.json"

PAYLOADS_BYTES: Final = (20, 60, 120, 300, 1000)
"""Of a link message, which is what one flush makes."""

PORT: Final = 8886

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
}


def measured() -> list[dict[str, Any]]:
    """All figures, as `what`, `payload_bytes`, `ip_bytes` (a mean) and `packets`."""
    with namespaces() as names, TemporaryDirectory() as temporary:
        _make_files(Path(temporary))
        cloud = _started(names.cloud, "cloud", temporary)
        try:
            assert cloud.stdout is not None, "it is a pipe"
            if cloud.stdout.readline().strip() != "listening":
                raise RuntimeError("the cloud didn't come up")
            edge = _started(names.edge, "edge", temporary)
            lines, _ = edge.communicate()
            if edge.returncode:
                raise RuntimeError("the edge failed")
            found: list[dict[str, Any]] = json.loads(lines)
            return found
        finally:
            cloud.kill()
            cloud.communicate()


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    rows = ["| what | IP bytes, both ways | packets |", "|---|--:|--:|"]
    rows += [f"| {_KINDS[one['what']].format(one['payload_bytes'])} | {one['ip_bytes']:,.0f} | {one['packets']:g} |" for one in results]
    return "\n".join(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the file and print the table; 1 where there are no namespaces."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.link", description="Measure what the link's habits cost on a real wire; as root."
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON, and write no file")
    parser.add_argument("--end", choices=("edge", "cloud"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.end:
        asyncio.run((_edge if options.end == "edge" else _cloud)(options.folder))
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
    for name, credentials in (("edge", issue_edge(authority, "site-1", now)), ("cloud", issue_cloud(authority, [CLOUD_ADDRESS], now))):
        (folder / f"{name}.pem").write_bytes(credentials.certificate_pem)
        (folder / f"{name}.key").write_bytes(credentials.key_pem)


def _files(folder: Path, name: str) -> dict[str, Path]:
    return {"ca_file": folder / "ca.pem", "certificate_file": folder / f"{name}.pem", "key_file": folder / f"{name}.key"}


def _started(namespace: str, end: str, folder: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "bench.link", "--end", end, "--folder", folder]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def _cloud(folder: Path) -> None:
    """Answer what begins with a question mark, hear the rest; until it is killed."""

    async def handle(connection: Connection) -> None:
        try:
            while True:
                if (await connection.receive()).startswith(b"?"):
                    await connection.send(b"!")
        except LinkLost:
            return

    listener = WebSocketListener(host=CLOUD_ADDRESS, port=PORT, ssl_context=link_server_context(**_files(folder, "cloud")))
    await listener.serve(handle)
    print("listening", flush=True)
    await asyncio.Event().wait()


async def _edge(folder: Path) -> None:
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

    connector = WebSocketConnector(
        f"wss://{CLOUD_ADDRESS}:{PORT}/", link_client_context(**_files(folder, "edge")), keepalive_s=_PROBE_AFTER_S
    )
    costs: list[Traffic] = []
    for _ in range(_REPEATS):
        before = quiet_traffic()
        connection = await connector.connect()
        costs.append(quiet_traffic().since(before))
        # As a link goes that is lost: without a word of TLS or WebSocket.
        connection._transport.abort()
        await _lost(connection)
    found("full", 0, costs[:1])
    found("resumed", 0, costs[1:])
    connection = await connector.connect()
    for payload_bytes in PAYLOADS_BYTES:
        found("flush", payload_bytes, await _each(lambda size=payload_bytes: connection.send(b"." * size)))  # type: ignore[misc]
    for payload_bytes in PAYLOADS_BYTES:
        found("relay", payload_bytes, await _each(lambda size=payload_bytes: _asked(connection, size)))  # type: ignore[misc]
    before = quiet_traffic()
    await asyncio.sleep(_PROBE_AFTER_S + 1)  # the kernel probes again only after the time that it gives an answer
    found("keepalive", 0, [traffic().since(before)])
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


async def _asked(connection: WebSocketConnection, size: int) -> None:
    await connection.send(b"?" * size)
    await connection.receive()


async def _lost(connection: WebSocketConnection) -> None:
    try:
        await connection.receive()
    except LinkLost:
        return


if __name__ == "__main__":
    raise SystemExit(main())
