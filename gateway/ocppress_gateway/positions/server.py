"""The server that the clouds of a fleet share: where it is, and how a client of it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["ANSWER_S", "PREFIX", "ServerPlace", "remark_on"]

PREFIX: Final = "ocppress:"
"""Of all keys and channels. Two fleets on one server have databases of their own."""

ANSWER_S: Final = 2.0
"""How long the server may take to answer, and to let us in; after that it counts as away."""

_PORT: Final = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlace:
    """`redis://HOST[:PORT][/DATABASE]` or `rediss://`, as `config` has checked it, and who we are there."""

    url: str
    user: str | None = None
    password_file: Path | None = None
    """Read for each connection, so that a new password needs no restart."""
    ca_file: Path | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.url

    def options(self) -> dict[str, Any]:
        """What the clients of `redis` take, blocking or not. A command is tried once: whoever asks knows when to ask again."""
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        parts = urlsplit(self.url)
        options: dict[str, Any] = {
            "socket_timeout": ANSWER_S,
            "socket_connect_timeout": ANSWER_S,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "client_name": "ocppress",
            "credential_provider": None if self.password_file is None else _credentials(self.user, self.password_file),
        }
        options |= {"host": parts.hostname, "port": parts.port or _PORT, "db": int(parts.path.strip("/") or 0)}
        if parts.scheme == "rediss":
            options |= {"ssl": True, "ssl_ca_certs": None if self.ca_file is None else str(self.ca_file), "ssl_min_version": _tls()}
        return options


def remark_on(info: dict[str, Any]) -> str | None:
    """What of the server's settings, by its INFO, takes back what it has been told; None if nothing."""
    remarks = []
    if not int(info.get("aof_enabled", 1)):
        remarks.append("`appendonly` is off, so a restart of the server forgets what came since its last snapshot")
    if int(info.get("maxmemory", 0)) and info.get("maxmemory_policy", "noeviction") != "noeviction":
        remarks.append("`maxmemory-policy` isn't `noeviction`, so it may drop positions")
    return "; ".join(remarks) or None


def _tls() -> Any:
    import ssl

    return ssl.TLSVersion.TLSv1_2


def _credentials(user: str | None, password_file: Path) -> Any:
    from redis.credentials import CredentialProvider

    class FromFile(CredentialProvider):
        def get_credentials(self) -> tuple[str] | tuple[str, str]:
            password = password_file.read_text(encoding="utf-8").strip()
            return (password,) if user is None else (user, password)

    return FromFile()
