"""What OpenSSL can set for a TLS context and Python's `ssl` has no name for, by calling the library that `ssl` itself uses.

A context of CPython is an object header followed by its `SSL_CTX *` (Modules/_ssl.c, the same from 3.6 to 3.14). Where that isn't so, or where
the library's functions can't be found (they may be linked into the interpreter), nothing is set: connections then only cost more.
"""

from __future__ import annotations

import ctypes
import ssl
import sys
from types import ModuleType
from typing import Final

__all__ = ["send_leaf_only", "set_cipher_suites", "set_group", "set_session_cache"]

_CTRL_MODE: Final = 33
"""SSL_CTRL_MODE of openssl/ssl.h."""

_MODE_NO_AUTO_CHAIN: Final = 0x8
"""SSL_MODE_NO_AUTO_CHAIN."""

_CTRL_SET_GROUPS_LIST: Final = 92
"""SSL_CTRL_SET_GROUPS_LIST."""

_CTRL_SET_SESS_CACHE_SIZE: Final = 42
"""SSL_CTRL_SET_SESS_CACHE_SIZE of openssl/ssl.h."""


def set_session_cache(context: ssl.SSLContext, *, lifetime_s: int, sessions_max: int) -> bool:
    """How long, and how many of the sessions of a server's context can be resumed; whether that could be set."""
    if (found := _found(context)) is None:
        return False
    library, pointer = found
    library.SSL_CTX_set_timeout(pointer, lifetime_s)
    library.SSL_CTX_ctrl(pointer, _CTRL_SET_SESS_CACHE_SIZE, sessions_max, None)
    return True


def send_leaf_only(context: ssl.SSLContext) -> bool:
    """Send no certificate besides the one loaded; OpenSSL would add the CA's, if it knows it, which the far end has. Whether that could be set."""
    if (found := _found(context)) is None:
        return False
    library, pointer = found
    library.SSL_CTX_ctrl(pointer, _CTRL_MODE, _MODE_NO_AUTO_CHAIN, None)
    return True


def set_group(context: ssl.SSLContext, group: str) -> bool:
    """The one group for the key exchange; whether that could be set. `SSLContext.set_ecdh_curve` does it, but not for X25519 in Debian 12's Python."""
    if (found := _found(context)) is None:
        return False
    library, pointer = found
    return bool(library.SSL_CTX_ctrl(pointer, _CTRL_SET_GROUPS_LIST, 0, group.encode()) == 1)


def set_cipher_suites(context: ssl.SSLContext, suites: tuple[str, ...]) -> bool:
    """The suites of TLS 1.3 in the order of preference; whether that could be set."""
    if (found := _found(context)) is None:
        return False
    library, pointer = found
    return bool(library.SSL_CTX_set_ciphersuites(pointer, ":".join(suites).encode()) == 1)


def _found(context: ssl.SSLContext) -> tuple[ctypes.CDLL, int] | None:
    """OpenSSL as `ssl` has loaded it, and its context; None where they can't be told for certain."""
    if sys.implementation.name != "cpython" or sys.version_info >= (3, 15):
        return None
    module: ModuleType = sys.modules["_ssl"]
    try:
        library = ctypes.CDLL(getattr(module, "__file__", None))
        library.SSL_CTX_set_timeout.argtypes = [ctypes.c_void_p, ctypes.c_long]
        library.SSL_CTX_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
        library.SSL_CTX_set_ciphersuites.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    except (OSError, AttributeError):
        return None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    return None if pointer is None else (library, pointer)
