"""Hashes of passwords and tokens, as they stand in a configuration.

$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$…      a password: RFC 7914, in the PHC string format
sha256:9f86d081884c7d659a2f…                         a token: 256 random bits need nothing slow
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from typing import Final

from ocppress_gateway.config_admin import PASSWORD_HASH

__all__ = ["PASSWORD_CHARACTERS_MAX", "PASSWORD_CHARACTERS_MIN", "hashed_password", "hashed_token", "is_password", "new_token"]

PASSWORD_CHARACTERS_MIN: Final = 12
"""Of a new password: NIST SP 800-63B asks for 8 at least and advises 15."""

PASSWORD_CHARACTERS_MAX: Final = 256
"""Of one that is tried: longer ones are hashed no better."""

_LN: Final = 15
"""2^15 blocks of 1 KiB: 32 MiB and about 0.1 s, OWASP's least with `p` 3; a machine of 128 MiB bears no more, and attempts are limited."""

_P: Final = 3
_R: Final = 8
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_MEMORY_MAX: Final = 192 * 1024 * 1024
"""What `ln=17` takes, and some."""


def hashed_password(password: str) -> str:
    """A new hash of it. Raises `ValueError` for one that is too short or too long."""
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise ValueError(f"a password has {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters")
    salt = os.urandom(_SALT_BYTES)
    return f"$scrypt$ln={_LN},r={_R},p={_P}${_text(salt)}${_text(_scrypt(password, salt, _LN, _P))}"


def is_password(password: str, hashed: str) -> bool:
    """Whether `hashed`, which is one of a configuration, is of this password. Takes its time and memory."""
    found = re.match(PASSWORD_HASH, hashed)
    assert found is not None, "the configuration was checked"
    ln, p, salt, wanted = found.groups()
    got = _scrypt(password[: PASSWORD_CHARACTERS_MAX + 1], _bytes(salt), int(ln), int(p))
    return hmac.compare_digest(got, _bytes(wanted))


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def hashed_token(token: str) -> str:
    """The hash of a token."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def _scrypt(password: str, salt: bytes, ln: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=2**ln, r=_R, p=p, maxmem=_MEMORY_MAX, dklen=_HASH_BYTES)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
