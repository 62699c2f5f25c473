"""Where on a broker a link is, from its URL and the edge's name.

    mqtts://HOST[:PORT]/[PREFIX/]

    PREFIX/u/PARTITION/EDGE     up: the edge alone may publish there, so the topic says who it is
    PREFIX/d/PARTITION/EDGE     down: it alone may subscribe there
    PREFIX/c                    whether a cloud is there, retained: `-` if none, its will; else `+` and random bytes, others each time it begins

The partition is CRC-32 (ISO-HDLC, as in zlib) of the edge's name modulo 64, so that several clouds could share the edges of one broker, each
with some `u/7/+`. Names are short because the edge's topic crosses the SIM with each message that comes down.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ocppress_gateway.core.identity import CLOUD_NAME, EDGE_NAME_PATTERN

__all__ = ["GONE", "HERE", "HERE_BYTES", "PARTITIONS", "PREFIX_PATTERN", "TLS_PORT", "BrokerPlace", "Topics", "broker_place", "partition"]

PARTITIONS: Final = 64
"""More than the cloud processes that one broker will have, and two digits. Never changed: edges in the field count on it."""

PREFIX_PATTERN: Final = r"^(?=.{0,65}\Z)(/[A-Za-z0-9._-]+)*/?\Z"
"""A path that is nothing but the names of levels, 64 characters at most: they cross the SIM with each message that comes down."""

GONE: Final = b"-"
"""Retained on the cloud's topic while there is none."""

HERE: Final = b"+"
"""What is retained there else begins with."""

HERE_BYTES: Final = 4
"""Random bytes behind it."""

_PORT: Final = 1883
TLS_PORT: Final = 8883
"""Of `mqtts://`, as IANA has it."""


def partition(edge: str) -> int:
    """The partition of an edge's topics."""
    return zlib.crc32(edge.encode()) % PARTITIONS


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics below a prefix, which is empty or ends with a slash."""

    prefix: str = ""

    @property
    def cloud(self) -> str:
        """Where it is retained whether a cloud is there."""
        return f"{self.prefix}c"

    @property
    def all_up(self) -> str:
        """The filter for what all edges send."""
        return f"{self.prefix}u/+/+"

    def up(self, edge: str) -> str:
        """Where an edge publishes."""
        return f"{self.prefix}u/{partition(edge)}/{edge}"

    def down(self, edge: str) -> str:
        """Where an edge listens."""
        return f"{self.prefix}d/{partition(edge)}/{edge}"

    def edge(self, topic: str) -> str | None:
        """The edge that alone publishes on this topic; None if it is nobody's."""
        name = topic.rpartition("/")[2]
        return name if re.match(EDGE_NAME_PATTERN, name) and name != CLOUD_NAME and topic == self.up(name) else None


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """What a URL says."""

    host: str
    port: int
    tls: bool
    topics: Topics


def broker_place(url: str) -> BrokerPlace:
    """The parts of a URL that `config` has checked."""
    parts = urlsplit(url)
    tls = parts.scheme == "mqtts"
    prefix = parts.path.strip("/")
    return BrokerPlace(parts.hostname or "", parts.port or (TLS_PORT if tls else _PORT), tls, Topics(f"{prefix}/" if prefix else ""))
