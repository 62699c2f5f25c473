"""The HTTP server that operators ask, bounded in everything: whoever asks, however badly, costs the program little.

connection ─► HttpListener (time for one request, newcomers) ─► admit (how many at once, how long) ─► problems ─► a route
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import hdrs, web

from ocppress_gateway.admin.access import Access
from ocppress_gateway.admin.api import endpoints
from ocppress_gateway.admin.endpoints import BODY_BYTES_MAX, answering
from ocppress_gateway.admin.model import Health, Readiness
from ocppress_gateway.admin.openapi import description
from ocppress_gateway.admin.pages import LIVE, Pages
from ocppress_gateway.admin.problems import Refused, problem_response
from ocppress_gateway.admin.source import Source
from ocppress_gateway.config_admin import AdminConfig
from ocppress_gateway.control.place import listen_at
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.http_listener import HttpListener
from ocppress_gateway.http_requests import request_logger
from ocppress_gateway.transports.tls import station_server_context

if TYPE_CHECKING:  # what it needs is of an extra
    from ocppress_gateway.admin.sign_in import SignIn

__all__ = ["AdminServer"]

REQUEST_WITHIN_S: Final = 15.0
"""How long a connection may take to ask, and its TLS handshake before: a phone on a bad network takes seconds."""

NEWCOMERS_MAX: Final = 64
"""Connections that haven't asked for anything yet: a browser opens six at once."""

STREAMS_MAX: Final = 32
"""Browsers that look on at once; each is sent a page of stations every few seconds at most."""

STREAM_S: Final = 3600.0
"""How long one may; its browser comes again by itself."""

REQUESTS_MAX: Final = 32
"""Requests that are answered at once; one more is told to come back."""

ANSWER_S: Final = 30.0
"""How long an answer may take to make, the request's body included; the slowest is the whole account as Parquet."""

SEND_S: Final = 60.0
"""How long a client may take to read its answer; then its connection is aborted."""

HEADER_BYTES_MAX: Final = 8190
"""One line or field of a request; browsers send cookies of others on the same host."""

LIVES_S: Final = 5.0
"""How long the machine may take for a step before it counts as stuck; its longest, of a large frame, takes a second on a small board."""

SHUTDOWN_S: Final = 0.1
"""What a request that is still being answered gets at the end."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Server": "ocppress",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer; nothing of it belongs in a cache, a frame or another page."""

_HSTS: Final = "max-age=31536000"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_logger: Final = logging.getLogger("ocppress.admin")


class AdminServer:
    """Listens as configured, between `start` and `close`."""

    def __init__(self, config: AdminConfig, source: Source) -> None:
        self._config = config
        self._source = source
        self._access = Access(config)
        self._listener = HttpListener(request_within_s=REQUEST_WITHIN_S, newcomers_max=NEWCOMERS_MAX)
        self._runner: web.AppRunner | None = None
        self._pages = Pages(source, self._access, _sign_in(config))
        self._requests = 0
        self._streams = 0

    @property
    def url(self) -> str:
        """Where it listens. Only while it does."""
        place = self._config.place
        if place.path is not None:
            return f"unix:{place.path}"
        host = f"[{place.host}]" if ":" in place.host else place.host
        return f"{'http' if self._config.tls is None else 'https'}://{host}:{self._listener.port}"

    async def start(self) -> None:
        """Listen. Raises `ConfigError` for TLS files that can't be used, `GatewayError` for a place that is taken."""
        tls, place = self._config.tls, self._config.place
        context: ssl.SSLContext | None = None
        if tls is not None:
            context = station_server_context(certificate_file=tls.certificate_file, key_file=tls.key_file)
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            logger=request_logger("ocppress.admin"),
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            keepalive_timeout=REQUEST_WITHIN_S,
            shutdown_timeout=SHUTDOWN_S,
            handler_cancellation=True,
        )
        await self._runner.setup()
        assert self._runner.server is not None, "it has been set up"
        try:
            if place.path is not None:
                await self._listener.listen_at(self._runner.server, await asyncio.to_thread(listen_at, place.path))
            else:
                await self._listener.listen(self._runner.server, place.host, place.port, context)
        except OSError as error:
            raise GatewayError(f"cannot listen for operators at {self._config.listen}: {error.strerror or error}") from error
        _logger.info("listening for operators", extra={"fields": {"url": self.url}})

    async def close(self) -> None:
        """Listen no more, and break off what is under way. Safe to call twice, and before `start`."""
        self._listener.stop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            if self._config.place.path is not None:
                self._config.place.path.unlink(missing_ok=True)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._admit, self._guard], client_max_size=BODY_BYTES_MAX)
        app.on_response_prepare.append(self._add_headers)
        self._pages.add_to(app.router)
        table = endpoints(self._source.program)
        document = msgspec.json.encode(description(table, self._source.program))
        for endpoint in table:
            app.router.add_route(endpoint.method, endpoint.path, answering(endpoint, self._source, self._access))

        async def openapi(request: web.Request) -> web.Response:
            return web.Response(body=document, content_type="application/json")

        for path, handle in ("/healthz", self._health), ("/readyz", self._readiness), ("/api/v1/openapi.json", openapi):
            app.router.add_route(HTTPMethod.GET, path, handle)
        return app

    # --- around every request

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await self._listener.handler(self._bounded(handler))(request)

    def _bounded(self, handle: Handler) -> Handler:
        async def bounded(request: web.Request) -> web.StreamResponse:
            if request.path.startswith(LIVE):
                return await self._stream(request, handle)
            if self._requests >= REQUESTS_MAX:
                response: web.StreamResponse = problem_response(
                    Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{REQUESTS_MAX} others ask already", {hdrs.RETRY_AFTER: "1"})
                )
            else:
                self._requests += 1
                try:
                    async with asyncio.timeout(ANSWER_S):
                        response = await handle(request)
                except TimeoutError:
                    response = problem_response(Refused(HTTPStatus.SERVICE_UNAVAILABLE, "this took too long"))
                finally:
                    self._requests -= 1
            response.force_close()
            await _send(request, response)
            return response

        return bounded

    async def _stream(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        """What stays open has its own limits, and is sent by itself."""
        if self._streams >= STREAMS_MAX:
            return problem_response(
                Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{STREAMS_MAX} others look on already", {hdrs.RETRY_AFTER: "30"})
            )
        self._streams += 1
        try:
            async with asyncio.timeout(STREAM_S):
                return await handle(request)
        except TimeoutError:
            raise ConnectionResetError("it has looked on for long enough, and comes again") from None
        finally:
            self._streams -= 1

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        if self._config.is_https:
            response.headers[hdrs.STRICT_TRANSPORT_SECURITY] = _HSTS

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._access.check_place(request)
            return await handler(request)
        except Refused as refused:
            return self._refusal(request, refused)
        except web.HTTPSeeOther as elsewhere:
            return web.Response(status=elsewhere.status, headers={"Location": elsewhere.headers["Location"]})
        except web.HTTPException as error:
            allow = {"Allow": error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
            status = HTTPStatus(error.status)
            return self._refusal(request, Refused(status, status.description or status.phrase, allow))
        except Exception:
            _logger.exception("a request could not be answered")
            return self._refusal(request, Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; the program's log has it"))

    def _refusal(self, request: web.Request, refused: Refused) -> web.Response:
        """A page for who looks at pages, a problem for everybody else."""
        is_page = "text/html" in request.headers.get(hdrs.ACCEPT, "") and not request.path.startswith("/api/")
        return self._pages.error(refused, None) if is_page else problem_response(refused)

    # --- health

    async def _health(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(LIVES_S):
                await self._source.lives()
        except TimeoutError:
            return _json(Health(status="stuck", reason=f"no step of the machine within {LIVES_S:g} s"), HTTPStatus.SERVICE_UNAVAILABLE)
        return _json(Health(status="ok"))

    async def _readiness(self, request: web.Request) -> web.Response:
        reasons = list(self._source.unready())
        return _json(Readiness(ready=not reasons, reasons=reasons), HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK)


def _sign_in(config: AdminConfig) -> SignIn | None:
    """Raises `GatewayError` without the extra, `ConfigError` for its files."""
    if config.oidc is None:
        return None
    try:
        from ocppress_gateway.admin.openid import OpenIdProvider
        from ocppress_gateway.admin.sign_in import SignIn
    except ImportError as error:
        raise GatewayError("the table `admin.oidc` needs packages that are not there: pip install 'ocppress[oidc]'") from error
    return SignIn(config.oidc, OpenIdProvider(config.oidc), is_https=config.is_https)


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    """All of it, into the kernel: what is left in a transport would keep a connection for as long as its client doesn't read."""
    transport = request.transport
    if transport is None:
        return
    assert isinstance(transport, asyncio.WriteTransport), "connections are written to"
    transport.set_write_buffer_limits(high=0)
    try:
        async with asyncio.timeout(SEND_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        transport.abort()
    except ConnectionError:
        pass  # it has gone


def _json(answer: msgspec.Struct, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status.value, body=msgspec.json.encode(answer), content_type="application/json")
