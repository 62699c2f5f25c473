"""Who asks, and what they may.

    Authorization: Bearer TOKEN     a program                                    no CSRF: no browser sends it by itself
    Cookie: ocppress-admin=…        a person who has logged in                   changes need the session's CSRF token, too
    (neither)                       nobody; without users and tokens this machine's own: viewer, on a Unix socket operator

Whoever has no users is asked by name as this machine alone: a page of somewhere else that has its name point here (DNS rebinding) is refused.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from ocppress_gateway.admin.attempts import Attempts
from ocppress_gateway.admin.passwords import PASSWORD_CHARACTERS_MAX, hashed_password, hashed_token, is_password
from ocppress_gateway.admin.problems import Refused
from ocppress_gateway.admin.sessions import SESSION_S, Identity, Session, Sessions
from ocppress_gateway.config_admin import AdminConfig, Role

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "SAFE", "Access", "Caller"]

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf"

LOGINS_WAITING_MAX: Final = 8
"""Passwords that wait to be compared, one at a time: each takes a quarter of a second and 32 MiB."""

SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Methods that change nothing."""

_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_logger: Final = logging.getLogger("ocppress.admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; `session` of a browser."""

    identity: Identity
    session: Session | None = None


class Access:
    """Decides by a configuration."""

    def __init__(self, config: AdminConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._place = config.place
        self._users = {user.name: user for user in config.users}
        self._tokens = {token.token_hash: token for token in config.tokens}
        self._nobody = "" if not config.users else hashed_password("nobody's password")
        self._sessions = Sessions(clock)
        self._attempts = Attempts(clock)
        self._comparing = asyncio.Lock()
        self._waiting = 0
        # `__Host-`: sent to this host alone, by https alone (RFC 6265bis 4.1.3.2).
        self._cookie = "__Host-ocppress-admin" if config.is_https else "ocppress-admin"

    @property
    def has_users(self) -> bool:
        """Whether anybody can log in."""
        return bool(self._users)

    # --- asking

    def check_place(self, request: web.Request) -> None:
        """Raises `Refused` for a request that a page from elsewhere has made."""
        host = _host(request.headers.get(hdrs.HOST, ""))
        if self._config.is_open and self._place.path is None and host not in _LOCAL_HOSTS:
            raise Refused(HTTPStatus.FORBIDDEN, "without users only this machine is served, by the name localhost or its address")
        origin = request.headers.get(hdrs.ORIGIN)
        if (
            request.method not in SAFE
            and origin is not None
            and urlsplit(origin).netloc.lower() != request.headers.get(hdrs.HOST, "").lower()
        ):
            raise Refused(HTTPStatus.FORBIDDEN, "this comes from a page of another origin")

    def caller(self, request: web.Request) -> Caller | None:
        """Who asks; None for nobody. Raises `Refused` for a wrong token."""
        if self._config.is_open:
            return Caller(Identity("local", Role.VIEWER if self._place.path is None else Role.OPERATOR))
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        if authorization is not None:
            return Caller(self._bearer(request, authorization))
        session = self._sessions.of(request.cookies.get(self._cookie, ""))
        return None if session is None else Caller(session.identity, session)

    def _bearer(self, request: web.Request, authorization: str) -> Identity:
        scheme, _, given = authorization.partition(" ")
        wanted = hashed_token(given.strip())
        token = next((token for hashed, token in self._tokens.items() if hmac.compare_digest(hashed, wanted)), None)
        if scheme.lower() != "bearer" or token is None:
            self._may_try(request)
            self._wrong(request, "a token was wrong")
            raise Refused(HTTPStatus.UNAUTHORIZED, "this token isn't known", {hdrs.WWW_AUTHENTICATE: 'Bearer error="invalid_token"'})
        return Identity(token.name, token.role)

    @staticmethod
    def demand(caller: Caller | None, role: Role) -> Caller:
        """`caller`, if it may what `role` may. Raises `Refused`."""
        if caller is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "log in, or send a token", {hdrs.WWW_AUTHENTICATE: "Bearer"})
        if role is Role.OPERATOR and caller.identity.role is not Role.OPERATOR:
            raise Refused(HTTPStatus.FORBIDDEN, "only operators may do that")
        return caller

    @staticmethod
    def demand_csrf(caller: Caller, given: str) -> None:
        """Raises `Refused` for a browser's request that no page of ours has made."""
        if caller.session is not None and not caller.session.is_csrf(given):
            raise Refused(HTTPStatus.FORBIDDEN, f"a change needs the session's token, in {CSRF_HEADER} or the form: load the page again")

    # --- logging in

    async def log_in(self, request: web.Request, name: str, password: str) -> Identity | None:
        """Who that is, None for a wrong name or password. Raises `Refused` for too many attempts."""
        self._may_try(request)
        if self._waiting >= LOGINS_WAITING_MAX:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many others log in", {hdrs.RETRY_AFTER: "5"})
        user = self._users.get(name)
        self._waiting += 1
        try:
            async with self._comparing:
                self._may_try(request)
                # A name that isn't there takes as long as one that is.
                hashed = self._nobody if user is None else user.password_hash
                right = await asyncio.to_thread(is_password, password[: PASSWORD_CHARACTERS_MAX + 1], hashed)
                if user is None or not right:
                    self._wrong(request, "a password was wrong")
                    return None
        finally:
            self._waiting -= 1
        _logger.info("logged in", extra={"fields": {"user": user.name, "role": user.role.value, "address": self.address(request)}})
        return Identity(user.name, user.role)

    def begin(self, response: web.StreamResponse, identity: Identity) -> None:
        """Give this identity's browser its session."""
        response.set_cookie(
            self._cookie,
            self._sessions.begin(identity),
            max_age=int(SESSION_S),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._config.is_https,
        )

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """Log out."""
        self._sessions.end(request.cookies.get(self._cookie, ""))
        response.del_cookie(self._cookie, path="/", httponly=True, samesite="Strict", secure=self._config.is_https)

    # --- attempts

    def address(self, request: web.Request) -> str:
        """Whose request it is: behind a proxy, what that has added last."""
        if self._config.behind_proxy:
            return ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()[:64]
        return request.remote or ""

    def _may_try(self, request: web.Request) -> None:
        wait_s = self._attempts.wait_s(self.address(request))
        if wait_s > 0:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many attempts, again in {math.ceil(wait_s)} s",
                {hdrs.RETRY_AFTER: str(math.ceil(wait_s))},
            )

    def _wrong(self, request: web.Request, words: str) -> None:
        address = self.address(request)
        self._attempts.failed(address)
        _logger.warning(words, extra={"fields": {"address": address}})


def _host(header: str) -> str:
    """Without the port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
