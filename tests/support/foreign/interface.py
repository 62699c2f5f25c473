"""What a test asks of a foreign station or CSMS, whoever wrote it.

Both record the text of every message in the order in which it crossed their own socket, so that a test can compare the two ends
text by text. Both answer CALLs from a script: for each action the answers to its first, second, … CALL.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ocppress_codecs.rpc import OcppVersion
from tests.support.texts import content

__all__ = ["PEER_WAIT_S", "Answer", "Csms", "NotAdmitted", "Package", "Refusal", "Script", "Station", "Wire", "compare_ends"]

PEER_WAIT_S = 10.0
"""How long a test waits for a peer to do anything; reached only when something is broken."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A CALLERROR. Its description and details are the package's own, and compared on the wire."""

    code: str


Answer = dict[str, Any] | Refusal
Script = Mapping[str, Sequence[Answer]]


class NotAdmitted(Exception):
    """The station's connection was refused, with an HTTP status; None if it was completed without a sub-protocol."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"not admitted, status {status}")
        self.status = status


class Wire:
    """The texts that one end of one connection has sent and received, in order."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.received: list[str] = []
        self._changed = asyncio.Event()

    def record(self, text: str, *, sent: bool) -> None:
        (self.sent if sent else self.received).append(text)
        self._changed.set()

    async def reach(self, *, sent: int = 0, received: int = 0) -> None:
        """Wait until at least so many texts were sent and received."""
        while len(self.sent) < sent or len(self.received) < received:
            self._changed.clear()
            await self._changed.wait()


async def compare_ends(station: Wire, csms: Wire) -> None:
    """Assert that each end has received what the other has sent, payload text by payload text and in order.

    A peer in a process of its own reports a message some time after it was on the wire, so this waits while the counts differ.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PEER_WAIT_S):
            while (len(station.sent), len(station.received)) != (len(csms.received), len(csms.sent)):
                await station.reach(sent=len(csms.received), received=len(csms.sent))
                await csms.reach(sent=len(station.received), received=len(station.sent))
    for sent, received in ((station.sent, csms.received), (csms.sent, station.received)):
        expected, arrived = [content(text) for text in sent], [content(text) for text in received]
        assert arrived == expected, f"{arrived} arrived, not {expected}"


class Station(Protocol):
    """A connected charging station."""

    @property
    def wire(self) -> Wire:
        """What it sent and received."""

    async def call(self, action: str, payload: dict[str, Any]) -> Answer:
        """Send a CALL and return what came back."""


class Csms(Protocol):
    """A listening CSMS; stations connect to `url` with their identity appended."""

    @property
    def url(self) -> str:
        """Where it listens, without the identity and its slash."""

    def wire(self, identity: str) -> Wire:
        """What it sent to and received from one station."""

    async def call(self, identity: str, action: str, payload: dict[str, Any]) -> Answer:
        """Send a CALL to a connected station and return what came back."""


@dataclass(frozen=True, slots=True)
class Package:
    """A program under one name, as station and as CSMS.

    `open_station(url, identity, version, password, answers)` raises `NotAdmitted`; `open_csms(version, passwords, answers)` admits the
    identities of `passwords` only, with the password given there unless that is None.
    """

    name: str
    open_station: Callable[[str, str, OcppVersion, str | None, Script], AbstractAsyncContextManager[Station]]
    open_csms: Callable[[OcppVersion, Mapping[str, str | None], Script], AbstractAsyncContextManager[Csms]]
    missing: Callable[[], str]
    """Why it cannot run here, "" if it can."""

    def __str__(self) -> str:
        return self.name
