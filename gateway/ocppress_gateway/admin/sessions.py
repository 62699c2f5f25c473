"""Who has logged in. In memory alone: after a restart everybody logs in again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ocppress_gateway.config_admin import Role

__all__ = ["SESSION_S", "Identity", "Session", "Sessions"]

SESSION_S: Final = 12 * 3600.0
"""A working day, after which one logs in again."""

SESSIONS_MAX: Final = 1000
"""More than a team has browsers; the oldest goes."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A person or program. Where it comes from, here a password or token of the configuration, matters to nobody further in: whoever else can
    vouch for one, such as an OpenID provider, whose `issuer` it then has, gives it to `Sessions.begin`."""

    name: str
    role: Role
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody's browser."""

    identity: Identity
    csrf: str
    ends_at: float

    def is_csrf(self, token: str) -> bool:
        """Whether a form came from a page of ours."""
        return hmac.compare_digest(self.csrf.encode(), token.encode())


class Sessions:
    """By the hash of the cookie's value, so that a comparison tells nothing about it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, identity: Identity) -> str:
        """A new session; returns the cookie's value."""
        cookie = secrets.token_urlsafe(32)
        self._sessions[_key(cookie)] = Session(identity, secrets.token_urlsafe(32), self._clock() + SESSION_S)
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return cookie

    def of(self, cookie: str) -> Session | None:
        """The session of this cookie, if it lasts."""
        session = self._sessions.get(_key(cookie))
        if session is not None and session.ends_at <= self._clock():
            self.end(cookie)
            return None
        return session

    def end(self, cookie: str) -> None:
        """Log out."""
        self._sessions.pop(_key(cookie), None)


def _key(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()
