"""What is remembered of the cloud's addresses, and until when."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from ocppress_gateway.transports.names import FAILURES_MAX, KEEP_S, NAMES_MAX, RememberedNames

HOST = "cloud.example.com"


class Dns(AbstractResolver):
    """Gives another address each time."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        self.asked += 1
        if self.fails:
            raise OSError("no such name")
        return [ResolveResult(hostname=host, host=f"192.0.2.{self.asked}", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to close."""


class Site:
    def __init__(self) -> None:
        self.now = 0.0
        self.dns = Dns()
        self.names = RememberedNames(lambda: self.dns, lambda: self.now)

    def ask(self, host: str = HOST) -> str:
        return asyncio.run(self.names.resolve(host, 443))[0]["host"]


def test_a_name_is_looked_up_once_a_day() -> None:
    site = Site()
    assert site.names.looks_up(HOST)
    assert [site.ask(), site.ask()] == ["192.0.2.1"] * 2
    assert not site.names.looks_up(HOST)
    site.now = KEEP_S
    assert site.names.looks_up(HOST)
    assert site.ask() == "192.0.2.2"


def test_where_nobody_is_to_be_had_twice_it_is_looked_up_again() -> None:
    site = Site()
    site.ask()
    for number in range(FAILURES_MAX - 1):
        site.names.failed()
        assert site.ask() == "192.0.2.1", number
    site.names.worked()
    for _ in range(FAILURES_MAX):
        site.names.failed()
    assert site.names.looks_up(HOST)
    assert site.ask() == "192.0.2.2"


def test_a_name_that_is_not_found_is_not_remembered() -> None:
    site = Site()
    site.dns.fails = True
    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            site.ask()
    site.dns.fails = False
    assert site.ask() == "192.0.2.3"


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1", "localhost"])
def test_addresses_are_not_looked_up(host: str) -> None:
    assert not Site().names.looks_up(host)


def test_names_are_bounded() -> None:
    site = Site()
    for number in range(3 * NAMES_MAX):
        site.ask(f"{number}.example.com")
    assert len(site.names._known) <= NAMES_MAX
