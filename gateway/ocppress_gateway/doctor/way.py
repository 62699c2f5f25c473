"""The steps that both sides take to a server: look-up, TCP, TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ocppress_gateway.doctor import judging_way
from ocppress_gateway.doctor.certificates import shown_facts
from ocppress_gateway.doctor.facts import Peer
from ocppress_gateway.doctor.findings import Finding, Verdict, skipped
from ocppress_gateway.doctor.steps import Step
from ocppress_gateway.reaching import connect_tcp, handshake, look_up

__all__ = ["STEP_S", "Way"]

STEP_S: Final = 30.0
"""How long any step may take, as the programs' own connecting may."""


class Way:
    """To one server. `prefix` stands before the steps' names, where there are two ways."""

    def __init__(
        self, peer: Peer, host: str, port: int, *, setting: str, context: Callable[[], ssl.SSLContext] | None, prefix: str = ""
    ) -> None:
        """`setting`: where the host stands in the configuration; `context` makes the client's TLS, or raises `ConfigError`; None: a plain connection."""
        self._peer = peer
        self._prefix = prefix
        self._host = host
        self._port = port
        self._setting = setting
        self._context = context
        self._addresses: tuple[str, ...] = ()
        self._address = ""

    def steps(self, *needs: str) -> list[Step]:
        """`needs` are those before the handshake."""
        return [
            Step(self._name("look-up"), self._look_up),
            Step(self._name("TCP"), self._tcp, (self._name("look-up"),)),
            Step(self.last, self._tls, (self._name("TCP"), *needs)),
        ]

    @property
    def last(self) -> str:
        """The name of its last step, which whatever is said there needs."""
        return self._name("TLS")

    def _name(self, step: str) -> str:
        return f"{self._prefix}{step}"

    def _named(self, finding: Finding) -> Finding:
        return replace(finding, step=self._name(finding.step))

    async def _look_up(self) -> Finding:
        found = await look_up(self._host, self._port, within_s=STEP_S)
        self._addresses = found.addresses
        return self._named(judging_way.looked_up(found, setting=self._setting))

    async def _tcp(self) -> Finding:
        """The first address that answers; else what is wrong with the first."""
        first: Finding | None = None
        for address in self._addresses:
            finding = self._named(judging_way.reached(await connect_tcp(address, self._port, within_s=STEP_S), self._peer))
            if finding.verdict is Verdict.PASS:
                self._address = address
                return finding
            first = first or finding
        assert first is not None, "a look-up that succeeds has addresses"
        return first

    async def _tls(self) -> Finding:
        if self._context is None:
            return skipped(self.last, "the connection is a plain one, by its URL")
        found = await handshake(self._address, self._port, self._context(), self._host, within_s=STEP_S)
        return self._named(judging_way.secured(found, self._peer, shown_facts(found.shown), unix_s=time.time(), setting=self._setting))
