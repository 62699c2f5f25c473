"""What the gateway asks of a transport: ordered, whole, binary messages over a connection that may be lost at any time.

Three kinds implement it: `websocket` (aiohttp), `memory` (in one process, with seeded faults), and the tests of the contract run over all
of them. Errors of the libraries below are mapped here and only here: a lost connection is `LinkLost`, whatever lost it.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable

from ocppress_gateway.core.certificate import Certificate
from ocppress_gateway.core.limits import LINK_MESSAGE_BYTES_MAX
from ocppress_gateway.core.wire_count import WireCount

__all__ = ["Connection", "ConnectionHandler", "Connector", "Listener", "check_message"]


def check_message(data: bytes) -> None:
    """Raise `ValueError` for what no transport takes: a link message has 1 to `LINK_MESSAGE_BYTES_MAX` bytes."""
    if not 1 <= len(data) <= LINK_MESSAGE_BYTES_MAX:
        raise ValueError(f"a link message has 1 to {LINK_MESSAGE_BYTES_MAX} bytes, not {len(data)}")


class Connection(abc.ABC):
    """One link connection. One reader and one writer at a time."""

    peer: str
    """Name in the far end's verified certificate (common name), "" without TLS or without a client certificate."""

    certificate: Certificate | None = None
    """That certificate, where the transport sees it."""

    address: str
    """For logs: where the far end is."""

    network: str
    """Which of this machine's networks it is over, the interface's name; "" where that isn't known."""

    @abc.abstractmethod
    def set_keepalive(self, keepalive_s: int) -> None:
        """Probe after so much silence. The edge's end only; the cloud's never probes."""

    @abc.abstractmethod
    async def send(self, data: bytes) -> None:
        """Send one message of 1 to `LINK_MESSAGE_BYTES_MAX` bytes; returns when the kernel has it. Raises `LinkLost`; `ValueError` for
        another size."""

    @abc.abstractmethod
    async def receive(self) -> bytes:
        """The next message. Raises `LinkLost` when the connection is gone or the peer broke the transport's rules."""

    @abc.abstractmethod
    async def close(self, reason: str) -> None:
        """Close; pending `receive` and `send` raise `LinkLost`. Safe to call twice."""

    @abc.abstractmethod
    def wire_count(self) -> WireCount | None:
        """What the connection has cost so far; None if unknown. Also valid just after it is lost."""


ConnectionHandler = Callable[[Connection], Awaitable[None]]


class Connector(abc.ABC):
    """The edge's side: makes connections."""

    address: str
    """For logs: where the cloud is."""

    @property
    @abc.abstractmethod
    def looks_up(self) -> bool:
        """Whether the next `connect` begins with a look-up of a name, which isn't in the connection's counters."""

    @abc.abstractmethod
    async def connect(self) -> Connection:
        """A new connection. Raises `LinkLost` (try again later) or `LinkRefused` (TLS, HTTP status: a person has to act)."""


class Listener(abc.ABC):
    """The cloud's side: accepts connections."""

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """For logs: where it listens, once it does."""

    @property
    def obstacle(self) -> str | None:
        """Why no edge can connect now; None if one can. Once it listens."""
        return None

    @abc.abstractmethod
    async def serve(self, handler: ConnectionHandler) -> None:
        """Start; each connection runs `handler` in a task of its own, and is closed when that returns."""

    @abc.abstractmethod
    def refuse(self) -> None:
        """Let nobody new in, if that can be done without a word, so that whoever sent them tries elsewhere; those there stay."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Stop listening and close all connections."""
