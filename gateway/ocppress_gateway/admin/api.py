"""The REST interface: one table of what can be asked."""

from __future__ import annotations

from http import HTTPMethod, HTTPStatus
from typing import Final

from aiohttp import web

from ocppress_gateway import __version__
from ocppress_gateway.admin.choosing import chosen
from ocppress_gateway.admin.endpoints import Asked, Endpoint
from ocppress_gateway.admin.export import CSV_TYPE, PARQUET_TYPE, csv_lines, has_parquet, parquet_bytes
from ocppress_gateway.admin.metrics import exposed
from ocppress_gateway.admin.model import (
    DeadLetterQuery,
    DeadLetters,
    Flushed,
    MessageQuery,
    Messages,
    PlanChange,
    PlanState,
    Station,
    StationQuery,
    Stations,
    Usage,
    UsageQuery,
    Whoami,
)
from ocppress_gateway.config_admin import Role
from ocppress_gateway.errors import RequestRefused

__all__ = ["ENDPOINTS", "endpoints"]


async def _stations(asked: Asked) -> Stations:
    query: StationQuery = asked.query
    all_found = chosen(asked.source.stations(), query)
    return Stations(total=len(all_found), stations=all_found[query.offset : query.offset + query.limit])


async def _station(asked: Asked) -> Station:
    return asked.the_station


async def _usage(asked: Asked) -> Usage:
    query: UsageQuery = asked.query
    return asked.source.usage(asked.the_station, query.days)


async def _plan(asked: Asked) -> PlanState:
    if asked.the_station.plan is None:
        raise RequestRefused("the edge has not told its plan yet")
    return asked.the_station.plan


async def _choose_plan(asked: Asked) -> PlanChange:
    change: PlanChange = asked.body
    await asked.source.choose_plan(asked.the_station, change, asked.caller.name)
    return change


async def _flush(asked: Asked) -> Flushed:
    return asked.source.flush(asked.the_station)


async def _messages(asked: Asked) -> Messages:
    query: MessageQuery = asked.query
    return asked.source.messages(asked.the_station, query.after, asked.caller.name)


async def _dead_letters(asked: Asked) -> DeadLetters:
    query: DeadLetterQuery = asked.query
    return await asked.source.dead_letters(query.station, query.limit)


async def _whoami(asked: Asked) -> Whoami:
    return Whoami(name=asked.caller.name, role=asked.caller.role, program=asked.source.program, version=__version__)


async def _csv(asked: Asked) -> web.Response:
    return web.Response(text="".join(csv_lines(asked.source.ledger())), content_type=CSV_TYPE, headers=_named("csv"))


async def _parquet(asked: Asked) -> web.Response:
    if not has_parquet():
        raise RequestRefused("Parquet needs the extra `parquet`")
    return web.Response(body=parquet_bytes(asked.source.ledger()), content_type=PARQUET_TYPE, headers=_named("parquet"))


async def _metrics(asked: Asked) -> web.Response:
    data, content_type = exposed(asked.source.samples(), asked.accept)
    return web.Response(body=data, headers={"Content-Type": content_type})


def _named(ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="ocppress-ledger.{ending}"'}


_STATION: Final = "/api/v1/stations/{identity}"

ENDPOINTS: Final = (
    Endpoint(method=HTTPMethod.GET, path="/metrics", summary="Metrics for Prometheus", handle=_metrics, answer="text/plain"),
    Endpoint(method=HTTPMethod.GET, path="/api/v1/whoami", summary="Who asks, and what", handle=_whoami, answer=Whoami),
    Endpoint(
        method=HTTPMethod.GET,
        path="/api/v1/stations",
        summary="Stations, a page at a time",
        handle=_stations,
        answer=Stations,
        query=StationQuery,
    ),
    Endpoint(method=HTTPMethod.GET, path=_STATION, summary="One station", handle=_station, answer=Station),
    Endpoint(
        method=HTTPMethod.GET,
        path=f"{_STATION}/usage",
        summary="What its SIM has used, by day, layer and action",
        handle=_usage,
        answer=Usage,
        query=UsageQuery,
    ),
    Endpoint(method=HTTPMethod.GET, path=f"{_STATION}/plan", summary="The plan of its SIM", handle=_plan, answer=PlanState, conflicts=True),
    Endpoint(
        method=HTTPMethod.PUT,
        path=f"{_STATION}/plan",
        summary="Change that plan, for all stations of the SIM; kept over restarts until the edge's configuration names another",
        handle=_choose_plan,
        answer=PlanChange,
        body=PlanChange,
        role=Role.OPERATOR,
        status=HTTPStatus.ACCEPTED,
        conflicts=True,
    ),
    Endpoint(
        method=HTTPMethod.POST,
        path=f"{_STATION}/flush",
        summary="Send now what waits of it",
        handle=_flush,
        answer=Flushed,
        role=Role.OPERATOR,
        status=HTTPStatus.ACCEPTED,
        conflicts=True,
    ),
    Endpoint(
        method=HTTPMethod.GET,
        path=f"{_STATION}/messages",
        summary="What has passed since the first time that this was asked, without secrets",
        handle=_messages,
        answer=Messages,
        query=MessageQuery,
        role=Role.OPERATOR,
        conflicts=True,
    ),
    Endpoint(method=HTTPMethod.GET, path="/api/v1/ledger.csv", summary="The account of bytes as CSV", handle=_csv, answer=CSV_TYPE),
    Endpoint(
        method=HTTPMethod.GET,
        path="/api/v1/ledger.parquet",
        summary="The same as Parquet, with the extra `parquet`",
        handle=_parquet,
        answer=PARQUET_TYPE,
        conflicts=True,
    ),
)
"""Of both programs."""

_CLOUDS: Final = (
    Endpoint(
        method=HTTPMethod.GET,
        path="/api/v1/dead-letters",
        summary="Transaction messages that the CSMS has refused for good, without what is in them",
        handle=_dead_letters,
        answer=DeadLetters,
        query=DeadLetterQuery,
    ),
)


def endpoints(program: str) -> tuple[Endpoint, ...]:
    """Those of a program."""
    return ENDPOINTS + (_CLOUDS if program == "cloud" else ())
