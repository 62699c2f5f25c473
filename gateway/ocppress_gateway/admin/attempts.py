"""How often somebody may fail to say who he is."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ocppress_gateway.core.bucket import Bucket

__all__ = ["ATTEMPTS", "Attempts"]

ATTEMPTS: Final = 5
"""Wrong passwords or tokens in a row from one address; a person mistypes two or three times."""

ATTEMPT_S: Final = 60.0
"""After which there is another one: 1,440 a day, against passwords of twelve characters."""

ADDRESSES_MAX: Final = 4096
"""Remembered, those that failed last the longest: what an enemy with many of them costs in memory."""


class Attempts:
    """Counts by address; those of an IPv6 network of 64 bits, which is what one customer has, are one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """How long until this address may try again; 0 if it may now."""
        bucket = self._buckets.get(_network(address))
        return 0.0 if bucket is None else max(0.0, (1 - bucket.level(self._clock())) * ATTEMPT_S)

    def failed(self, address: str) -> None:
        """It has tried, and was wrong."""
        network = _network(address)
        bucket = self._buckets.setdefault(network, Bucket(ATTEMPTS, 1 / ATTEMPT_S))
        self._buckets.move_to_end(network)
        bucket.spend(1, self._clock())
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
