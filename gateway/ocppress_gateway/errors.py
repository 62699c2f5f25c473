"""What can go wrong in the gateway, as data.

GatewayError
├── ConfigError       a file that cannot be used: its path, the place in it, the reason; exit code 78
├── UsageError        a command line or input file that cannot be used; exit code 2
├── RequestRefused    a running program won't do what it was asked; exit code 1
├── LinkError         retry says whether trying again can help
│   ├── LinkLost      the connection is gone: reconnect with back-off
│   └── LinkRefused   TLS or HTTP refused it: the same until someone changes the configuration
└── StoreError        a durable store, by its file and the reason
    ├── StoreInUse    another process has it: ends the program
    ├── StoreNewer    a later version of the program made it: ends the program
    ├── StoreDamaged  what it says can't be true: set aside, and the program starts again with a new one
    ├── StoreFailed   the disk refuses: tried again until it works
    └── StoreFull     its own limits: until there is room
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ConfigError",
    "GatewayError",
    "LinkError",
    "LinkLost",
    "LinkRefused",
    "RequestRefused",
    "StoreDamaged",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "StoreInUse",
    "StoreNewer",
    "UsageError",
]


class GatewayError(Exception):
    """Base of the gateway's errors; its text is one line for people."""


class ConfigError(GatewayError):
    """A configuration that cannot be used. `place` is a path like `$.link.url` or a line, "" for the whole file."""

    def __init__(self, file: Path, place: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}" + (f" (at {place})" if place else ""))
        self.file = file
        self.place = place
        self.reason = reason


class UsageError(GatewayError):
    """An argument or input file that cannot be used."""


class RequestRefused(GatewayError):
    """A running program was asked for something, and says why not."""


class LinkError(GatewayError):
    """The link cannot be used; `retry` says whether trying again can help."""

    retry = True


class LinkLost(LinkError):
    """The connection is gone, or was never made; try again later."""


class LinkRefused(LinkError):
    """The far end was reached and said no; the same will happen until someone acts."""

    retry = False


class StoreError(GatewayError):
    """A durable store can't do what it is asked. `place` is its file, "memory" for one without."""

    def __init__(self, place: Path | str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class StoreInUse(StoreError):
    """Another process has it open."""


class StoreNewer(StoreError):
    """A later version of this program made it."""


class StoreDamaged(StoreError):
    """What it holds isn't what was written."""


class StoreFailed(StoreError):
    """The disk refuses, and may not later."""


class StoreFull(StoreError):
    """It has as much as it may, or what it has is too old; that ends when something is taken out."""
