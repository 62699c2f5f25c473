"""OpenID providers: one that others wrote, as a process, and one that lies as it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["KEY", "PUBLIC_PEM", "LyingProvider", "free_port", "provider_process", "signed"]

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
START_S = 30.0


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def provider_process(users: dict[str, dict[str, Any]]) -> AsyncIterator[str]:
    """The `oidc-provider-mock` of PyPI with these users, claims by subject; its issuer."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--require-nonce",
        "true",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{issuer}/.well-known/openid-configuration"):
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)
            for subject, claims in users.items():
                async with session.put(f"{issuer}/users/{subject}", json=claims) as answer:
                    assert answer.status == 204
        yield issuer
    finally:
        process.terminate()
        await process.wait()


def signed(claims: dict[str, Any], *, algorithm: str = "RS256", key: Any = KEY, kid: str | None = "one") -> str:
    """A token. HMAC by hand, for libraries refuse to be fooled with a public key."""
    if algorithm != "HS256":
        return jwt.encode(claims, "" if algorithm == "none" else key, algorithm, headers={"kid": kid} if kid else None)
    parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT", "kid": kid}, claims)]
    return ".".join([*parts, _base64(hmac.digest(key, ".".join(parts).encode(), "sha256"))])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class LyingProvider:
    """Between `start` and `close`; by itself honest, with PKCE checked. `lie` changes the claims, `token` makes the token, `metadata` is added."""

    def __init__(self) -> None:
        self.lie: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.token: Callable[[dict[str, Any]], str] = signed
        self.metadata: dict[str, Any] = {}
        self.big: set[str] = set()
        self.hangs: set[str] = set()
        self.asked: list[str] = []
        self.authorizations: list[str] = []
        self.issuer = ""
        self._asked_for: dict[str, dict[str, str]] = {}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.issuer = f"http://127.0.0.1:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def authorized(self, location: str) -> dict[str, str]:
        """What somebody who signs in brings back from the URL that he was sent to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = f"code-{len(self._asked_for)}"
        self._asked_for[code] = query
        return {"code": code, "state": query["state"]}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.asked.append(path)
        if path in self.hangs:
            await asyncio.sleep(3600)
        if path in self.big:
            return web.Response(body=b'{"padding":"' + b"x" * 2_000_000 + b'"}', content_type="application/json")
        match path:
            case "/.well-known/openid-configuration":
                places = {
                    "authorization_endpoint": "/authorize",
                    "token_endpoint": "/token",
                    "jwks_uri": "/jwks",
                }
                return web.json_response(
                    {"issuer": self.issuer} | {name: self.issuer + place for name, place in places.items()} | self.metadata
                )
            case "/jwks":
                key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
                return web.json_response({"keys": [key | {"kid": "one", "use": "sig"}]})
            case "/token":
                return await self._exchange(request)
        return web.Response(status=404)

    async def _exchange(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.authorizations.append(unquote(request.headers.get("Authorization", "")))
        asked = self._asked_for.pop(str(form["code"]), None)
        verifier = str(form["code_verifier"]).encode()
        if asked is None or asked["code_challenge"] != _base64(hashlib.sha256(verifier).digest()):
            return web.json_response({"error": "invalid_grant", "error_description": str(form["code"])}, status=400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "248289761001",
            "aud": asked["client_id"],
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "groups": ["charging"],
            "preferred_username": "olga",
        }
        return web.json_response({"id_token": self.token(self.lie(claims)), "access_token": "a", "token_type": "Bearer"})
