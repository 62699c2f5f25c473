"""How an endpoint of the REST interface is declared, and what is made of a request before its handler sees it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from ocppress_gateway.admin.access import CSRF_HEADER, SAFE, Access, Caller
from ocppress_gateway.admin.model import Station
from ocppress_gateway.admin.problems import Refused
from ocppress_gateway.admin.sessions import Identity
from ocppress_gateway.admin.source import Source
from ocppress_gateway.config_admin import Role
from ocppress_gateway.core.identity import IDENTITY_PATTERN
from ocppress_gateway.errors import RequestRefused

__all__ = ["BODY_BYTES_MAX", "Asked", "Endpoint", "answering", "station_named"]

BODY_BYTES_MAX: Final = 16 * 1024
"""A plan's change has 600 bytes at most, a login 1,200."""

_IDENTITY: Final = re.compile(IDENTITY_PATTERN)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, understood."""

    source: Source
    caller: Identity
    station: Station | None
    query: Any
    body: Any
    accept: str

    @property
    def the_station(self) -> Station:
        """That of the path."""
        assert self.station is not None, "the path has one"
        return self.station


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path. `{identity}` in it is a station's, and there is one of that name, or 404."""

    method: str
    path: str
    summary: str
    handle: Callable[[Asked], Awaitable[Any]]
    answer: type[msgspec.Struct] | str
    """What is answered: a struct, as JSON, or a content type."""
    role: Role = Role.VIEWER
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    status: HTTPStatus = HTTPStatus.OK
    conflicts: bool = False
    """Whether it may be refused for how the program stands: 409."""

    @property
    def has_station(self) -> bool:
        """Whether the path names one."""
        return "{identity}" in self.path


def answering(endpoint: Endpoint, source: Source, access: Access) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """For aiohttp's router."""

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = access.demand(access.caller(request), endpoint.role)
        if endpoint.method not in SAFE:
            access.demand_csrf(caller, request.headers.get(CSRF_HEADER, ""))
        try:
            answer = await endpoint.handle(await _asked(endpoint, source, caller, request))
        except RequestRefused as error:
            raise Refused(HTTPStatus.CONFLICT, str(error)) from error
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.Response(status=endpoint.status.value, body=msgspec.json.encode(answer), content_type="application/json")

    return handle


async def _asked(endpoint: Endpoint, source: Source, caller: Caller, request: web.Request) -> Asked:
    query = _query(endpoint, request)
    body = await _body(endpoint, request)
    await source.prepare()
    return Asked(
        source,
        caller.identity,
        station_named(source, request.match_info["identity"]) if endpoint.has_station else None,
        query,
        body,
        request.headers.get(hdrs.ACCEPT, ""),
    )


def station_named(source: Source, identity: str) -> Station:
    """The station of a path. Raises `Refused`."""
    if _IDENTITY.match(identity) is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "this is no identity of a station")
    station = next((one for one in source.stations() if one.identity == identity), None)
    if station is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"the {source.program} knows no station {identity}")
    return station


def _query(endpoint: Endpoint, request: web.Request) -> msgspec.Struct | None:
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise Refused(HTTPStatus.BAD_REQUEST, f"`{name[:64]}` is there twice")
        given[name] = value
    if endpoint.query is None:
        if given:
            raise Refused(HTTPStatus.BAD_REQUEST, f"there is no parameter `{next(iter(given))[:64]}`")
        return None
    try:
        return msgspec.convert(given, endpoint.query, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)[:200]) from error


async def _body(endpoint: Endpoint, request: web.Request) -> msgspec.Struct | None:
    if endpoint.body is None:
        return None
    if request.content_type != "application/json":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
    try:
        return msgspec.json.decode(await request.read(), type=endpoint.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)[:200]) from error
