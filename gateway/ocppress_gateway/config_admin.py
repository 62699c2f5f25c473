"""The table `admin` of either configuration: where operators look on, and who they are."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

__all__ = ["PASSWORD_HASH", "AdminConfig", "AdminOidc", "AdminTls", "AdminToken", "AdminUser", "Place", "Role", "is_safe_url", "place_of"]

LISTEN_CHARACTERS_MAX: Final = 255
"""A host name has at most 253; a socket's path 107."""

PASSWORD_HASH: Final = r"^\$scrypt\$ln=(1[4-7]),r=8,p=([1-4])\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})\Z"
"""In the PHC string format, salt 16 bytes, hash 32. `ln=17` takes 128 MiB while it is compared: more, and a login could exhaust a machine."""

TOKEN_HASH: Final = r"^sha256:[0-9a-f]{64}\Z"

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")]
"""Of a user or token: part of log lines."""


class Role(enum.StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: `path` of a Unix socket, else `host` and `port` (0 for any free one)."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def place_of(text: str) -> Place:
    """`HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`; raises `ValueError`."""
    if text.startswith("unix:/"):
        return Place(path=Path(text.removeprefix("unix:")))
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})", text)
    if found is None or int(found[3]) > 65535:
        raise ValueError("`listen` must be `HOST:PORT`, `[IPv6]:PORT` or `unix:/PATH`")
    return Place(found[1] or found[2], int(found[3]))


def is_safe_url(url: str) -> bool:
    """Whether that is a URL of https, or of http on this machine, without a user or password in it, query or fragment aside."""
    try:
        parts = urlsplit(url)
        is_local = Place(parts.hostname or "", parts.port or 0).is_local
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc and (parts.scheme == "https" or (parts.scheme == "http" and is_local))


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the tables."""


class AdminTls(_Table, frozen=True, kw_only=True):
    """TLS towards operators."""

    certificate_file: Annotated[Path, Meta(description="PEM certificate, intermediates after it, that the browsers trust.")]
    key_file: Annotated[Path, Meta(description="PEM private key of the certificate, unencrypted, mode 0600.")]


class AdminUser(_Table, frozen=True, kw_only=True):
    """Somebody who may log in."""

    name: Annotated[Name, Meta(description="By which they log in, and logs name them.")]
    role: Annotated[Role, Meta(description="`viewer` sees everything but messages, `operator` these, too, and changes things.")] = (
        Role.VIEWER
    )
    password_hash: Annotated[str, Meta(pattern=PASSWORD_HASH, description="As `ocppress password` prints it.")]


class AdminToken(_Table, frozen=True, kw_only=True):
    """A program that may ask, with `Authorization: Bearer TOKEN`."""

    name: Annotated[Name, Meta(description="By which logs name it.")]
    role: Annotated[Role, Meta(description="As of a user; Prometheus needs `viewer`.")] = Role.VIEWER
    token_hash: Annotated[str, Meta(pattern=TOKEN_HASH, description="As `ocppress password --token` prints it.")]


Url = Annotated[str, Meta(pattern=r"^https?://[!-~]+\Z", max_length=1024)]
ClaimValues = tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...]


class AdminOidc(_Table, frozen=True, kw_only=True):
    """People whom an OpenID provider vouches for, beside or instead of users. Needs the extra `oidc`."""

    issuer: Annotated[
        Url,
        Meta(description="The provider's issuer, exactly as its `/.well-known/openid-configuration` says; https, or http on this machine."),
    ]
    client_id: Annotated[str, Meta(pattern=r"^[!-~]+\Z", max_length=256, description="As the provider knows this program.")]
    client_secret_file: Annotated[
        Path | None, Meta(description="File with the client's secret, mode 0600; without it this is a public client.")
    ] = None
    public_url: Annotated[
        Url,
        Meta(
            description="Where browsers find this dashboard, like `https://ocppress.example.com`. The provider has to allow the redirect to"
            " `PUBLIC_URL/login/oidc/callback`, and after logging out to `PUBLIC_URL/login`."
        ),
    ]
    scopes: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[!#-\[\]-~]+\Z", max_length=256)], ...],
        Meta(max_length=32, description="What is asked for besides `openid`."),
    ] = ("profile",)
    role_claim: Annotated[
        str, Meta(min_length=1, max_length=256, description="Claim of the ID token, a string or list of them, that says who may what.")
    ] = "groups"
    operators: Annotated[ClaimValues, Meta(max_length=64, description="Values of it that make an operator.")] = ()
    viewers: Annotated[
        ClaimValues, Meta(max_length=64, description="Values of it that make a viewer. Who has none of either isn't let in.")
    ] = ()
    name_claim: Annotated[
        str, Meta(min_length=1, max_length=256, description="Claim by which logs name somebody; `sub` where it is absent.")
    ] = "preferred_username"
    ca_file: Annotated[
        Path | None, Meta(description="PEM certificates of the CAs that the provider's is signed by; without it the system's.")
    ] = None

    def __post_init__(self) -> None:
        for name, url in ("issuer", self.issuer), ("public_url", self.public_url):
            if not is_safe_url(url) or "?" in url or "#" in url:
                raise ValueError(f"`{name}` must be a URL of https, or of http on this machine, without user, query and fragment")
        if urlsplit(self.public_url).path not in ("", "/"):
            raise ValueError("`public_url` must have no path")
        if not (self.operators or self.viewers):
            raise ValueError("`operators` or `viewers` must have a value: else nobody is let in")


class AdminConfig(_Table, frozen=True, kw_only=True):
    """What operators see, over HTTP: dashboard, metrics, `/api/v1/`, health. Needs the extra `admin`; nothing listens without this table."""

    listen: Annotated[
        str,
        Meta(
            max_length=LISTEN_CHARACTERS_MAX,
            description="`HOST:PORT`, `[IPv6]:PORT` or `unix:/PATH`, like `127.0.0.1:9464`. Without users, only this machine's own: who can connect"
            " then is a viewer, on a Unix socket an operator. Beyond this machine it takes users or tokens, and `tls` or `behind_proxy`.",
        ),
    ]
    behind_proxy: Annotated[
        bool,
        Meta(
            description="Whether a reverse proxy with TLS stands before it: cookies are for https then, and who asks is the last of `X-Forwarded-For`."
        ),
    ] = False
    tls: AdminTls | None = None
    oidc: AdminOidc | None = None
    users: Annotated[tuple[AdminUser, ...], Meta(description="One `[[admin.users]]` for each person.")] = ()
    tokens: Annotated[tuple[AdminToken, ...], Meta(description="One `[[admin.tokens]]` for each program.")] = ()

    def __post_init__(self) -> None:
        place = place_of(self.listen)
        if self.tls is not None and (self.behind_proxy or place.path is not None):
            raise ValueError("`tls` is neither for a Unix socket nor `behind_proxy`")
        if not place.is_local:
            if self.is_open:
                raise ValueError(f"`listen` {self.listen!r} can be reached from other machines: that needs `users`, `tokens` or `oidc`")
            if self.tls is None and not self.behind_proxy:
                raise ValueError(f"`listen` {self.listen!r} can be reached from other machines: that needs `tls`, or `behind_proxy = true`")
        if self.oidc is not None and self.is_https != self.oidc.public_url.startswith("https:"):
            raise ValueError("`public_url` must be of https with `tls` or `behind_proxy`, of http without")
        for what, names in ("user", [user.name for user in self.users]), ("token", [token.name for token in self.tokens]):
            for name, count in Counter(names).items():
                if count > 1:
                    raise ValueError(f"{what} {name!r} is there {count} times")

    @property
    def place(self) -> Place:
        """Where to listen."""
        return place_of(self.listen)

    @property
    def is_https(self) -> bool:
        """Whether browsers come by https."""
        return self.tls is not None or self.behind_proxy

    @property
    def is_open(self) -> bool:
        """Whether there is nobody to tell apart."""
        return not (self.users or self.tokens or self.oidc)
