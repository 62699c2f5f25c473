"""The way to the cloud, one step after the other; each says what it found, or what is wrong and what helps.

    look-up ─► TCP ─► TLS and upgrade, in full ─► what a hello would be answered ─► the same, resumed ─► silence

The steps before the third are asked for by themselves, so that a failure has a name; the edge's own connector makes the others. No hello is said:
an edge that runs keeps its link.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from ocppress_codecs.registry import offers
from ocppress_gateway.config import EdgeLinkConfig
from ocppress_gateway.core.parts import PROTOCOL_OLDEST, PROTOCOL_VERSION, Check, Checked, Goodbye, PartError, read_parts, write_parts
from ocppress_gateway.core.wire_count import WireCount
from ocppress_gateway.errors import LinkError, LinkRefused
from ocppress_gateway.reaching import TcpFailure, connect_tcp, look_up
from ocppress_gateway.transports.base import Connection, Connector
from ocppress_gateway.transports.websocket import WebSocketConnection

__all__ = ["LOOK_UP_REMEDY", "MINUTES_MAX", "PROBES_OFF_S", "TCP_REMEDIES", "Greeting", "LinkCheck", "Step", "Trouble"]

PROBES_OFF_S: Final = 32_767
"""The longest silence before a probe that Linux takes (TCP_KEEPIDLE): longer than any check."""

MINUTES_MAX: Final = 8 * 60
"""Of silence, so that no probe falls into it."""

STEP_S: Final = 30.0
"""How long any step may take, as the edge's own connecting may."""

GOODBYE_S: Final = 2.0

PROGRESS_S: Final = 60.0

CLOCK_OFF_S: Final = 60.0
"""A clock that is off by more makes certificates invalid that are good, and dates of messages wrong."""

LOOK_UP_REMEDY: Final = "check the host in `[link] url`, and whether this machine has a name server (/etc/resolv.conf) and a network at all"

TCP_REMEDIES: Final = {
    TcpFailure.REFUSED: "is the cloud running, and does it listen at this port (`ocppress status --config cloud.toml` there)?",
    TcpFailure.NO_ANSWER: "a firewall drops it: open the port at the cloud, or ask the SIM's carrier which ports it lets through",
    TcpFailure.NO_WAY: "is the modem connected, and has this machine a route (`ip route`)?",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What a step found; `fields` has the same as numbers, for machines."""

    name: str
    words: str
    fields: dict[str, Any] = field(default_factory=dict)
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What one connection has shown."""

    step: Step
    has_timestamps: bool | None
    """Whether its packets carry TCP's timestamps; None if unknown."""
    network: str
    """The interface that it goes out of, "" if unknown."""


class Trouble(Exception):
    """A step failed: why, and what helps. `reached`: the cloud was, or something in its place."""

    def __init__(self, name: str, why: str, remedy: str, *, reached: bool) -> None:
        super().__init__(why)
        self.name = name
        self.remedy = remedy
        self.reached = reached


class LinkCheck:
    """One check. `connector` is the edge's own, with probes off."""

    def __init__(self, link: EdgeLinkConfig, connector: Connector, *, progress: Callable[[float], None] = lambda _: None) -> None:
        """`progress` is told how long the silence has lasted, in seconds."""
        parts = urlsplit(link.url)
        assert parts.hostname is not None, "the configuration has been checked"
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "wss" else 80)
        self._link = link
        self._connector = connector
        self._progress = progress

    async def run(self, minutes: float) -> AsyncIterator[Step]:
        """The steps, as they are done. Raises `Trouble` at the first that fails."""
        address, step = await self._look_up()
        yield step
        yield await self._tcp(address)
        connection, step = await self._connect("first connection")
        try:
            yield step
            yield await self._hello(connection)
        finally:
            await _leave(connection)
        connection, step = await self._connect("second connection")
        try:
            yield step
            yield await self._hello(connection)
            if minutes:
                yield await self._silence(connection, minutes * 60)
        finally:
            await _leave(connection)

    async def greet(self) -> Greeting:
        """One connection, and what a hello on it would be answered. Raises `Trouble`."""
        connection, _ = await self._connect("hello")
        try:
            took_s, answer = await self._ask(connection, "hello")
            count = connection.wire_count()
            return Greeting(
                step=self._answered(took_s, answer),
                # The headers of IP and TCP are 20 or 40 bytes each; what is more is the option.
                has_timestamps=None if count is None else count.header_bytes % 20 != 0,
                network=connection.network,
            )
        finally:
            await _leave(connection)

    async def _look_up(self) -> tuple[str, Step]:
        found = await look_up(self._host, self._port, within_s=STEP_S)
        if found.failure:
            raise Trouble("look-up", f"{self._host}: {found.failure}", LOOK_UP_REMEDY, reached=False)
        addresses = list(found.addresses)
        words = f"{', '.join(addresses)} in {found.took_s:.3f} s"
        return addresses[0], Step("look-up", words, {"addresses": addresses, "took_s": found.took_s})

    async def _tcp(self, address: str) -> Step:
        found = await connect_tcp(address, self._port, within_s=STEP_S)
        place = f"{address} port {self._port}"
        match found.failure:
            case None:
                return Step("TCP", f"{place} in {found.took_s:.3f} s", {"took_s": found.took_s})
            case TcpFailure.REFUSED:
                why = f"{place} refused the connection"
            case TcpFailure.NO_ANSWER:
                why = f"{place} did not answer within {STEP_S:g} s"
            case TcpFailure.NO_WAY:
                why = f"{place}: {found.detail}"
        raise Trouble("TCP", why, TCP_REMEDIES[found.failure], reached=False)

    async def _connect(self, name: str) -> tuple[Connection, Step]:
        began = time.monotonic()
        try:
            connection = await self._connector.connect()
        except LinkRefused as error:
            raise Trouble(name, str(error), _remedy(str(error)), reached=True) from error
        except LinkError as error:
            raise Trouble(
                name, str(error), "try again; if it stays, something on the way breaks TLS or WebSocket", reached=False
            ) from error
        took_s = time.monotonic() - began
        resumed = connection.resumed if isinstance(connection, WebSocketConnection) else None
        kind = "without TLS" if resumed is None else "TLS resumed" if resumed else "TLS in full"
        count = connection.wire_count()
        fields: dict[str, Any] = {"resumed": resumed, "took_s": took_s, **_bytes(count)}
        cost = f", {fields['sent_bytes']} bytes sent, {fields['received_bytes']} received" if count is not None else ""
        return connection, Step(name, f"{kind} and upgrade in {took_s:.3f} s{cost}", fields)

    async def _hello(self, connection: Connection) -> Step:
        took_s, answer = await self._ask(connection, "hello")
        return self._answered(took_s, answer)

    def _answered(self, took_s: float, answer: Checked) -> Step:
        offset_s = round(time.time() - took_s / 2 - answer.unix_ms / 1000, 1)
        linked = ", which is linked now and stays so" if answer.linked else ""
        words = f"edge {answer.edge}{linked}, codec {answer.codec}, round trip {took_s:.3f} s, clock {offset_s:+.1f} s against the cloud's"
        fields = {
            "edge": answer.edge,
            "codec": answer.codec,
            "protocol": answer.protocol,
            "round_trip_s": took_s,
            "clock_offset_s": offset_s,
            "linked": answer.linked,
        }
        warning = "" if abs(offset_s) < CLOCK_OFF_S else "one of the two clocks is wrong: set up time synchronisation (`timedatectl`)"
        if answer.protocol != PROTOCOL_VERSION:
            warning = f"the cloud speaks link protocol {answer.protocol} with it, not {PROTOCOL_VERSION}: it goes, but update the older end"
        if answer.codec != str(self._link.codec):
            warning = f"the cloud has no {self._link.codec} of this version: update the older end"
        return Step("hello", words, fields, warning)

    async def _ask(self, connection: Connection, name: str) -> tuple[float, Checked]:
        """The round trip, and what the cloud says."""
        codecs = sorted(offers(), key=lambda offer: offer[0] is not self._link.codec)
        check = Check(PROTOCOL_VERSION, self._link.edge or "", [(str(codec), print_) for codec, print_ in codecs], PROTOCOL_OLDEST)
        began = time.monotonic()
        try:
            async with asyncio.timeout(STEP_S):
                await connection.send(write_parts([check]))
                (part,) = read_parts(await connection.receive())
        except (PartError, ValueError) as error:
            raise Trouble(
                name, "the answer is not one of a cloud", "is this ocppress's port, and the same version?", reached=True
            ) from error
        except LinkError as error:
            raise Trouble(name, str(error), "the cloud's log says why it closed the connection", reached=True) from error
        except TimeoutError as error:
            remedy = "what answers at this port is no cloud of ours, or an older one"
            raise Trouble(name, f"no answer within {STEP_S:g} s", remedy, reached=True) from error
        if isinstance(part, Goodbye):
            raise Trouble(name, f"the cloud says: {part.reason}", _remedy(part.reason), reached=True)
        if not isinstance(part, Checked):
            raise Trouble(name, f"an answer that makes no sense: {type(part).__name__}", "update the older end", reached=True)
        return time.monotonic() - began, part

    async def _silence(self, connection: Connection, silence_s: float) -> Step:
        """Say nothing, without probes, and see whether the connection is still there."""
        began = time.monotonic()
        name = "silence"
        while (left_s := began + silence_s - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left_s, PROGRESS_S)):
                    await connection.receive()
                why = "the cloud said something unasked"
            except TimeoutError:
                self._progress(time.monotonic() - began)
                continue
            except LinkError as error:
                why = str(error)
            lasted_s = time.monotonic() - began
            remedy = f"set `[link] keepalive_s` below {lasted_s:.0f}, or let the edge search; a proxy or load balancer before the cloud may do it"
            raise Trouble(name, f"cut after {lasted_s:.0f} s by somebody who said so: {why}", remedy, reached=True)
        try:
            took_s, _ = await self._ask(connection, name)
        except Trouble as trouble:
            why = f"forgotten without a word within {silence_s:.0f} s (a NAT's way): {trouble}"
            remedy = f"try fewer minutes to find how long it lasts; `[link] keepalive_s` must be below that, and below {silence_s:.0f}"
            raise Trouble(name, why, remedy, reached=True) from trouble
        return Step(name, f"{silence_s:.0f} s without a packet, and still there", {"silence_s": silence_s, "round_trip_s": took_s})


async def _leave(connection: Connection) -> None:
    """Close, so that the cloud knows it for no loss."""
    with contextlib.suppress(LinkError, TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            await connection.send(write_parts([Goodbye("checked", 0)]))
    await connection.close("checked")


def _bytes(count: WireCount | None) -> dict[str, int]:
    return {} if count is None else {"sent_bytes": count.sent_bytes, "received_bytes": count.received_bytes}


def _remedy(reason: str) -> str:
    """For what the far end refused with."""
    for words, remedy in _REMEDIES:
        if words in reason:
            return remedy
    return "the cloud's log has the other half of the story"


_REMEDIES: Final = (
    ("no such edge", "add the edge to `[[edges]]` in cloud.toml (`ocppress ca issue` prints the entry), and restart the cloud"),
    ("link protocol", "update the older end"),
    ("no common codec", "update the older end"),
    ("certificate has expired", "renew it with `ocppress ca issue`; or the clock of this machine is wrong"),
    ("not yet valid", "the clock of this machine is wrong (`timedatectl`)"),
    ("mismatch", "the cloud's certificate is for another name: `ocppress ca` with `--host` as in `[link] url`"),
    (
        "certificate",
        "the two ends have certificates of different authorities: copy `ca.pem`, certificate and key of one `ocppress ca` folder",
    ),
    ("alert", "the cloud refused this edge's certificate: is it of the same authority, and not expired?"),
    ("status", "something else than a cloud answers there, or a proxy before it that doesn't pass WebSocket on"),
)
