"""Signing in at an OpenID provider: logins that are under way, each of one browser, and who comes back.

/login/oidc            ─► the provider, with state, nonce and challenge; the browser gets a cookie, `Lax` because it comes back from elsewhere
/login/oidc/callback   ◄─ with code and state: of this browser, not used before, not too late ─► a session
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from ocppress_gateway.admin.openid import OpenIdProvider, ProviderError
from ocppress_gateway.admin.problems import Refused
from ocppress_gateway.admin.sessions import Identity
from ocppress_gateway.config_admin import AdminOidc, Role

__all__ = ["ASKING_MAX", "LOGINS_MAX", "LOGIN_S", "SignIn"]

LOGIN_S: Final = 600.0
"""How long one may take to sign in at the provider, a second factor included."""

LOGINS_MAX: Final = 1000
"""Under way at once, some 500 bytes each; the oldest goes."""

ASKING_MAX: Final = 8
"""Requests that wait for the provider at once: one that hangs leaves the dashboard to others."""

CODE_CHARACTERS_MAX: Final = 4096

NAME_CHARACTERS_MAX: Final = 64
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._@-]")

_logger: Final = logging.getLogger("ocppress.admin")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Login:
    state: str
    nonce: str
    verifier: str
    ends_at: float


class SignIn:
    """With one provider."""

    def __init__(self, config: AdminOidc, provider: OpenIdProvider, *, is_https: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._provider = provider
        self._clock = clock
        self._is_https = is_https
        self._cookie = "__Host-ocppress-login" if is_https else "ocppress-login"
        self._logins: OrderedDict[bytes, _Login] = OrderedDict()
        self._asking = 0

    @property
    def host(self) -> str:
        """The provider's, for people."""
        return urlsplit(self._config.issuer).netloc

    async def begin(self) -> web.Response:
        """Send a browser to the provider. Raises `Refused`."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        login = _Login(state, nonce, verifier, self._clock() + LOGIN_S)
        url = await self._asked(self._provider.begin(state=login.state, nonce=login.nonce, verifier=login.verifier))
        cookie = secrets.token_urlsafe(32)
        self._logins[_key(cookie)] = login
        if len(self._logins) > LOGINS_MAX:
            self._logins.popitem(last=False)
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: url})
        response.set_cookie(self._cookie, cookie, max_age=int(LOGIN_S), path="/", httponly=True, samesite="Lax", secure=self._is_https)
        return response

    async def finish(self, request: web.Request, address: str) -> Identity:
        """Who comes back. Raises `Refused`."""
        query = request.query
        login = self._logins.pop(_key(request.cookies.get(self._cookie, "")), None)
        if login is None or login.ends_at <= self._clock():
            raise Refused(HTTPStatus.BAD_REQUEST, "this browser hasn't begun to sign in here, or too long ago: begin again")
        if not hmac.compare_digest(login.state.encode(), query.get("state", "").encode("utf-8", "replace")):
            self._warn("somebody came back with another login's state", address)
            raise Refused(HTTPStatus.BAD_REQUEST, "this answer belongs to another login: begin again")
        if "error" in query:
            self._warn("the provider let somebody not sign in", address, error=_word(query["error"]))
            raise Refused(HTTPStatus.FORBIDDEN, "the provider didn't let you sign in")
        code = query.get("code", "")
        if not code or len(code) > CODE_CHARACTERS_MAX or any(len(query.getall(name, [])) > 1 for name in ("code", "state", "iss")):
            raise Refused(HTTPStatus.BAD_REQUEST, "this is no answer of an OpenID provider: begin again")
        claims = await self._asked(self._provider.claims(code=code, issuer=query.get("iss"), nonce=login.nonce, verifier=login.verifier))
        role = _role(self._config, claims)
        name, subject = _name(self._config, claims), _word(claims["sub"])
        if role is None:
            self._warn("somebody signed in who has no role here", address, user=name, subject=subject)
            raise Refused(HTTPStatus.FORBIDDEN, "you have signed in, but nothing lets you look on here: ask whoever gives roles")
        fields = {"user": name, "subject": subject, "role": role.value, "issuer": self._config.issuer, "address": address}
        _logger.info("logged in", extra={"fields": fields})
        return Identity(name, role, self._config.issuer)

    def forget(self, response: web.StreamResponse) -> None:
        """The browser has come back."""
        response.del_cookie(self._cookie, path="/", httponly=True, samesite="Lax", secure=self._is_https)

    async def logout_url(self) -> str | None:
        """Where to end the session with the provider; None if it offers that to nobody or can't be asked."""
        try:
            return await self._asked(self._provider.logout_url())
        except Refused:
            return None

    async def _asked(self, answer: Coroutine[Any, Any, T]) -> T:
        if self._asking >= ASKING_MAX:
            answer.close()
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many others sign in", {hdrs.RETRY_AFTER: "10"})
        self._asking += 1
        try:
            return await answer
        except ProviderError as error:
            _logger.warning("the OpenID provider", extra={"fields": {"issuer": self._config.issuer, "error": str(error)}})
            raise Refused(HTTPStatus.BAD_GATEWAY, "signing in failed at the OpenID provider; the program's log says why") from error
        finally:
            self._asking -= 1

    def _warn(self, words: str, address: str, **fields: str) -> None:
        _logger.warning(words, extra={"fields": {**fields, "issuer": self._config.issuer, "address": address}})


def _role(config: AdminOidc, claims: Mapping[str, Any]) -> Role | None:
    given = claims.get(config.role_claim)
    values = {value for value in (given if isinstance(given, list) else [given]) if isinstance(value, str)}
    if values.intersection(config.operators):
        return Role.OPERATOR
    return Role.VIEWER if values.intersection(config.viewers) else None


def _name(config: AdminOidc, claims: Mapping[str, Any]) -> str:
    """Never that of a user in the configuration, which has no colon."""
    given = claims.get(config.name_claim)
    return f"oidc:{_word(given if isinstance(given, str) and given else claims['sub'])}"


def _word(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text[:NAME_CHARACTERS_MAX])


def _key(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "replace")).digest()
