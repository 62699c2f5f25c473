"""Addresses of the cloud's name, remembered: on a SIM a look-up costs about 300 bytes and a round trip, at each reconnect.

Whoever answers at an old address still has to have the cloud's certificate. When nobody does twice in a row, the next attempt asks again.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

__all__ = ["RememberedNames"]

KEEP_S: Final = 24 * 3600.0
"""After that the name is looked up again, also if the address works: its owner may want to be rid of it."""

FAILURES_MAX: Final = 2
"""Connections in a row that weren't made at remembered addresses: one is the radio's, most often."""

NAMES_MAX: Final = 8
"""Names remembered; an edge has one cloud."""


class RememberedNames(AbstractResolver):
    """For aiohttp's connectors, one after the other. `make_resolver` makes what asks DNS, `clock` gives monotonic seconds."""

    def __init__(
        self, make_resolver: Callable[[], AbstractResolver] = ThreadedResolver, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make_resolver = make_resolver
        self._clock = clock
        self._failures = 0
        self._known: dict[tuple[str, int, socket.AddressFamily], tuple[float, list[ResolveResult]]] = {}

    def looks_up(self, host: str) -> bool:
        """Whether the next connection to a host begins with a look-up."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host != "localhost" and not any(name == host and self._is_fresh(at) for (name, _, _), (at, _) in self._known.items())
        return False

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """The addresses as aiohttp wants them. Raises `OSError`."""
        key = host, port, family
        if key in self._known and self._is_fresh(self._known[key][0]):
            return self._known[key][1]
        resolver = self._make_resolver()
        try:
            found = await resolver.resolve(host, port, family)
        finally:
            await resolver.close()
        if len(self._known) >= NAMES_MAX:
            self._known.clear()
        self._known[key] = self._clock(), found
        return found

    def worked(self) -> None:
        """A connection was made."""
        self._failures = 0

    def failed(self) -> None:
        """Nobody was to be had."""
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._failures = 0
            self._known.clear()

    async def close(self) -> None:
        """Nothing: what is remembered is for the next session."""

    def _is_fresh(self, at: float) -> bool:
        return self._clock() - at < KEEP_S
