"""What an OpenID provider is asked, and whether its answers hold: OpenID Connect Core 1.0 with PKCE (RFC 7636), as RFC 9700 wants it.

    discovery ─► the browser goes to `begin`'s URL … comes back with a code ─► token endpoint ─► ID token ─► keys ─► claims
                                                                    (with the verifier)            (signature, iss, aud, exp, nonce)

Nothing is kept of tokens. PyJWT, of the extra `oidc`, checks signatures, and is imported by this module alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import jwt
import msgspec
from msgspec import Meta

from ocppress_gateway.config_admin import AdminOidc, is_safe_url
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.http_client import client_session, unreachable
from ocppress_gateway.transports.tls import csms_client_context

__all__ = ["ANSWER_BYTES_MAX", "ISSUER_S", "OpenIdProvider", "Provider", "ProviderError"]

ISSUER_S: Final = 8.0
"""How long the provider may take for an answer; three in a row are within what a request may take."""

ANSWER_BYTES_MAX: Final = 256 * 1024
"""Of one answer: more than the keys of many, and a token with hundreds of groups."""

METADATA_S: Final = 24 * 3600.0
"""How long metadata and keys are remembered, which an edge asks for over its SIM. A key that isn't known is asked for at once."""

KEYS_AGAIN_S: Final = 60.0
"""Between two questions for keys that aren't known."""

KEYS_MAX: Final = 64
SECRET_BYTES_MAX: Final = 4096

CLOCK_S: Final = 60.0
"""How far the provider's clock and this one may be apart."""

_KEY_TYPES: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""Asymmetric alone: with HS256 whoever knows the public key or the client's secret could sign."""

_Endpoint = Annotated[str, Meta(max_length=2048)]


T = TypeVar("T")


class ProviderError(Exception):
    """The provider can't be asked, or what came isn't to be believed; the text is for logs and has nothing of a token."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """OpenID Connect Discovery 1.0, section 3, what is used of it."""

    issuer: str
    authorization_endpoint: _Endpoint
    token_endpoint: _Endpoint
    jwks_uri: _Endpoint
    end_session_endpoint: _Endpoint | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Token(msgspec.Struct, frozen=True):
    id_token: str


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    value: T
    at: float


class OpenIdProvider:
    """One issuer, as configured. Raises `ConfigError` for files that can't be used."""

    def __init__(self, config: AdminOidc, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._secret = None if config.client_secret_file is None else _secret(config)
        self._tls = csms_client_context(ca_file=config.ca_file)
        self._provider: _Known[Provider] | None = None
        self._keys: _Known[list[dict[str, Any]]] | None = None
        base = config.public_url.rstrip("/")
        self._redirect_uri, self._after_logout = f"{base}/login/oidc/callback", f"{base}/login"

    async def provider(self) -> Provider:
        """What it says of itself. Raises `ProviderError`."""
        known = self._provider
        if known is None or self._clock() - known.at > METADATA_S:
            url = self._config.issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = _decoded(await self._ask("GET", url), Provider)
            if found.issuer != self._config.issuer:
                raise ProviderError(f"its metadata are of another issuer: {found.issuer[:200]!r}")
            for endpoint in found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.end_session_endpoint:
                if endpoint is not None and not is_safe_url(endpoint):
                    raise ProviderError("an endpoint in its metadata isn't of https")
            self._provider = known = _Known(found, self._clock())
        return known.value

    async def begin(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser has to go. Raises `ProviderError`."""
        endpoint = (await self.provider()).authorization_endpoint
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self._config.scopes))),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(endpoint, query)

    async def claims(self, *, code: str, issuer: str | None, nonce: str, verifier: str) -> Mapping[str, Any]:
        """Those of the ID token that this code is exchanged for. `issuer`: the answer's `iss` (RFC 9207), if it has one. Raises `ProviderError`."""
        provider = await self.provider()
        if issuer != self._config.issuer and (issuer is not None or provider.authorization_response_iss_parameter_supported):
            raise ProviderError("the answer is of another issuer")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri, "code_verifier": verifier}
        headers: dict[str, str] = {}
        if self._secret is None:
            form["client_id"] = self._config.client_id
        elif "client_secret_basic" in provider.token_endpoint_auth_methods_supported:
            both = f"{quote(self._config.client_id, safe='')}:{quote(self._secret, safe='')}"  # RFC 6749 2.3.1
            headers["Authorization"] = "Basic " + base64.b64encode(both.encode()).decode()
        else:
            form |= {"client_id": self._config.client_id, "client_secret": self._secret}
        token = _decoded(await self._ask("POST", provider.token_endpoint, data=form, headers=headers), _Token)
        return await self._verified(token.id_token, nonce, provider)

    async def logout_url(self) -> str | None:
        """Where the browser ends its session with the provider, if it offers that (RP-Initiated Logout 1.0). Raises `ProviderError`."""
        endpoint = (await self.provider()).end_session_endpoint
        query = {"client_id": self._config.client_id, "post_logout_redirect_uri": self._after_logout}
        return None if endpoint is None else _with_query(endpoint, query)

    # --- the ID token

    async def _verified(self, token: str, nonce: str, provider: Provider) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in _KEY_TYPES:
                raise ProviderError("its ID token isn't signed by an asymmetric algorithm")
            claims: dict[str, Any] = jwt.decode(
                token,
                await self._key(provider, algorithm, kid),
                algorithms=[algorithm],
                audience=self._config.client_id,
                issuer=self._config.issuer,
                leeway=CLOCK_S,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError, RecursionError) as error:
            raise ProviderError(f"its ID token doesn't hold: {type(error).__name__}") from error
        if claims.get("nonce") != nonce:
            raise ProviderError("its ID token is of another login: the nonce is wrong")
        if claims.get("azp", self._config.client_id) != self._config.client_id:
            raise ProviderError("its ID token is for another client")
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and "azp" not in claims:
            raise ProviderError("its ID token is for several clients, and doesn't say for which it was made")
        return claims

    async def _key(self, provider: Provider, algorithm: str, kid: object) -> Any:
        found = None if self._keys is None or self._clock() - self._keys.at > METADATA_S else _chosen(self._keys.value, algorithm, kid)
        if found is None and (self._keys is None or self._clock() - self._keys.at > KEYS_AGAIN_S):
            keys = _decoded(await self._ask("GET", provider.jwks_uri), _Keys).keys
            if len(keys) > KEYS_MAX:
                raise ProviderError(f"it has more than {KEYS_MAX} keys")
            self._keys = _Known(keys, self._clock())
            found = _chosen(keys, algorithm, kid)
        if found is None:
            raise ProviderError("its ID token is signed by a key that it doesn't publish")
        return jwt.PyJWK.from_dict(found, algorithm).key

    # --- asking

    async def _ask(self, method: str, url: str, **request: Any) -> bytes:
        """Without redirects, cookies, proxies."""
        try:
            async with (
                asyncio.timeout(ISSUER_S),
                client_session(ssl_context=self._tls) as session,
                session.request(method, url, **request) as response,
            ):
                body = bytearray()
                async for part in response.content.iter_chunked(16 * 1024):
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        raise ProviderError(f"its answer has more than {ANSWER_BYTES_MAX} bytes")
                if response.status != HTTPStatus.OK:
                    raise ProviderError(f"it answers {response.status}{_error_in(bytes(body))}")
                return bytes(body)
        except TimeoutError as error:
            raise ProviderError(f"it doesn't answer within {ISSUER_S:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise ProviderError(unreachable(error)) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise ProviderError(f"it can't be asked: {type(error).__name__}") from error


def _secret(config: AdminOidc) -> str:
    file = config.client_secret_file
    assert file is not None, "asked only where there is one"
    try:
        with file.open("rb") as opened:
            secret = opened.read(SECRET_BYTES_MAX + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(file, "", f"the client's secret can't be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    if not secret or len(secret) > SECRET_BYTES_MAX:
        raise ConfigError(file, "", f"the client's secret must have 1 to {SECRET_BYTES_MAX} bytes")
    return secret


def _chosen(keys: list[dict[str, Any]], algorithm: str, kid: object) -> dict[str, Any] | None:
    """The key of that name; a token that names none needs one key that fits alone."""
    fitting = [
        key
        for key in keys
        if key.get("kty") == _KEY_TYPES[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError("its answer isn't what OpenID Connect says") from error


def _error_in(body: bytes) -> str:
    """The code of RFC 6749 5.2, which is a word; descriptions might repeat what was sent."""
    try:
        error = msgspec.json.decode(body)["error"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return ""
    return f", {error}" if isinstance(error, str) and error.isascii() and error.replace("_", "").isalpha() and len(error) <= 64 else ""


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
