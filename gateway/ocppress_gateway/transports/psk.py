"""The link's TLS by a pre-shared key in the place of certificates (RFC 8446 2.2, RFC 9258 for its making): Python 3.13 and later.

A connection then costs as little after a restart as after a lost link. The key is the edge's alone and stands on both machines; the cloud's certificate
is still asked for from whoever doesn't know it: verification stays as it is, an impostor without the key gets no further.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ocppress_gateway.errors import ConfigError

__all__ = ["HAS_PSK", "KEY_BYTES", "NamedByKey", "read_key", "use_client_key", "use_server_keys"]

HAS_PSK: Final = bool(getattr(ssl, "HAS_PSK", False))
"""Whether this Python can."""

KEY_BYTES: Final = 32
"""As much as the hash of the cipher suites has."""

_KEY: Final = re.compile(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}\s*")


def read_key(file: Path) -> bytes:
    """A key from its file of 64 hexadecimal digits. Raises `ConfigError`, also where this Python can't use it."""
    if not HAS_PSK:
        raise ConfigError(file, "", "a pre-shared key needs Python 3.13 or later; leave `psk_file` out, certificates do")
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise ConfigError(file, "", f"cannot be read as a pre-shared key: {error}") from error
    if not _KEY.fullmatch(text):
        raise ConfigError(file, "", f"a pre-shared key is {2 * KEY_BYTES} hexadecimal digits")
    return bytes.fromhex(text.strip())


class NamedByKey(ssl.SSLObject):
    """A server's connection that knows by whose key it was made; asyncio runs each handshake in one thread, step by step."""

    under_way: NamedByKey | None = None
    """The one whose handshake OpenSSL is at."""

    name = ""
    """Of the key's owner, "" where certificates were used."""

    def do_handshake(self) -> None:
        """As `SSLObject.do_handshake`."""
        NamedByKey.under_way = self
        try:
            super().do_handshake()
        finally:
            NamedByKey.under_way = None


def use_client_key(context: Any, name: str, key: bytes) -> None:
    """Let a `ResumingContext` offer this key under the edge's name in every handshake, in the place of a session."""
    context.resumes = False
    context.set_psk_client_callback(lambda _: (name, key))


def use_server_keys(context: Any, keys: Mapping[str, bytes]) -> None:
    """Let a context of `link_server_context` take these keys, by their owners' names."""

    def key_of(name: str | None) -> bytes:
        key = keys.get(name or "", b"")
        if key and NamedByKey.under_way is not None:
            NamedByKey.under_way.name = name or ""
        return key  # an empty one is none

    context.set_psk_server_callback(key_of)
