"""What can go wrong in the gateway, as data.

GatewayError
├── ConfigError       a file that cannot be used: its path, the place in it, the reason; exit code 78
├── UsageError        a command line or input file that cannot be used; exit code 2
├── LedgerError       the ledger's file cannot be opened or written
└── LinkError         retry says whether trying again can help
    ├── LinkLost      the connection is gone: reconnect with back-off
    └── LinkRefused   TLS or HTTP refused it: the same until someone changes the configuration
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["ConfigError", "GatewayError", "LedgerError", "LinkError", "LinkLost", "LinkRefused", "UsageError"]


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


class LedgerError(GatewayError):
    """The ledger cannot be kept. Traffic goes on without, and somebody has to look at the disk."""


class LinkError(GatewayError):
    """The link cannot be used; `retry` says whether trying again can help."""

    retry = True


class LinkLost(LinkError):
    """The connection is gone, or was never made; try again later."""


class LinkRefused(LinkError):
    """The far end was reached and said no; the same will happen until someone acts."""

    retry = False
