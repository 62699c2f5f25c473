"""The dashboard: pages made here, whole without a script, and kept current by one.

/                  stations: search, pages of fifty          /live/stations                 the same rows as they change
/stations/CP001    one: usage, curve, plan, flush            /live/stations/CP001           its state as it changes
/stations/CP001/messages   what passes, for operators        /live/stations/CP001/messages  the same as it passes
/dead-letters      at a cloud, of one station with ?station= /login  /logout
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import jinja2
import msgspec
from aiohttp import web
from aiohttp_sse import sse_response

from ocppress_gateway.admin import charts, facts
from ocppress_gateway.admin.access import CSRF_FIELD, Access, Caller
from ocppress_gateway.admin.choosing import chosen
from ocppress_gateway.admin.endpoints import station_named
from ocppress_gateway.admin.model import (
    OFFSET_MAX,
    SEARCH_CHARACTERS_MAX,
    DeadLetterQuery,
    Messages,
    Order,
    PlanChange,
    Station,
    StationQuery,
    UsageQuery,
)
from ocppress_gateway.admin.problems import Refused
from ocppress_gateway.admin.source import Source
from ocppress_gateway.config_admin import Role
from ocppress_gateway.core.plan import PlanName
from ocppress_gateway.errors import RequestRefused
from ocppress_gateway.status.words import ago, clock_ms, moment, size

if TYPE_CHECKING:  # what it needs is of an extra
    from ocppress_gateway.admin.sign_in import SignIn

__all__ = ["LIVE", "Pages"]

LIVE: Final = "/live/"
"""What begins so stays open."""

STATIONS_SHOWN: Final = 50
"""Of a page: as many as one looks through, and what a browser is sent each few seconds while they change."""

LIVE_S: Final = 3.0
"""Between two looks at what may have changed."""

SEND_S: Final = 30.0
"""How long a browser may take to read one piece of news."""

LETTERS_SHOWN: Final = 200

_DONE: Final = {
    "plan": "The edge is told; it takes this plan as soon as it hears.",
    "flush": "What waits is being sent.",
}
"""What a page may say after a change; nobody else's words are shown."""

_STATIC: Final = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """Of one program."""

    def __init__(self, source: Source, access: Access, sign_in: SignIn | None = None) -> None:
        self._source = source
        self._access = access
        self._sign_in = sign_in
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("ocppress_gateway.admin"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )
        self._templates.filters.update(size=size, moment=moment, clock_ms=clock_ms, ago=ago)
        self._templates.filters.update(link=facts.link_words, waits=facts.waits, waits_words=facts.waits_words)
        self._templates.globals.update(program=source.program)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        station = "/stations/{identity}"
        for path, handle in (
            ("/", self._fleet),
            (station, self._station),
            ("/live/stations", self._live_fleet),
            (f"/live{station}", self._live_station),
            (f"{station}/{{chart:days|month|actions|comparison}}.svg", self._chart),
        ):
            router.add_route(HTTPMethod.GET, path, self._for_viewers(handle))
        router.add_route(HTTPMethod.GET, f"{station}/messages", self._for_viewers(self._messages, Role.OPERATOR))
        router.add_route(HTTPMethod.GET, f"/live{station}/messages", self._for_viewers(self._live_messages, Role.OPERATOR))
        if self._source.program == "cloud":
            router.add_route(HTTPMethod.GET, "/dead-letters", self._for_viewers(self._letters))
        router.add_route(HTTPMethod.POST, f"{station}/plan", self._for_operators(self._change_plan))
        router.add_route(HTTPMethod.POST, f"{station}/flush", self._for_operators(self._flush))
        router.add_route(HTTPMethod.GET, "/login", self._login_page)
        router.add_route(HTTPMethod.POST, "/login", self._log_in)
        router.add_route(HTTPMethod.POST, "/logout", self._log_out)
        if self._sign_in is not None:
            router.add_route(HTTPMethod.GET, "/login/oidc", self._sign_in_elsewhere)
            router.add_route(HTTPMethod.GET, "/login/oidc/callback", self._signed_in)
        for name, kind in _STATIC.items():
            router.add_route(HTTPMethod.GET, f"/static/{name}", self._static(name, kind))

    def error(self, refused: Refused, caller: Caller | None) -> web.Response:
        """A page for who can't be served."""
        page = self._page("error.html", caller, title=refused.status.phrase, detail=refused.detail, status=refused.status)
        page.headers.update(refused.headers)
        return page

    # --- around the pages

    def _for_viewers(self, handle: Callable[[web.Request, Caller], Awaitable[web.StreamResponse]], role: Role = Role.VIEWER) -> Handler:
        async def viewed(request: web.Request) -> web.StreamResponse:
            caller = self._access.caller(request)
            if caller is None:
                raise web.HTTPSeeOther("/login")
            return await handle(request, self._access.demand(caller, role))

        return viewed

    def _for_operators(self, handle: Callable[[web.Request, Caller, Any], Awaitable[web.StreamResponse]]) -> Handler:
        async def changed(request: web.Request) -> web.StreamResponse:
            caller = self._access.demand(self._access.caller(request), Role.OPERATOR)
            form = await request.post()
            self._access.demand_csrf(caller, str(form.get(CSRF_FIELD, "")))
            return await handle(request, caller, form)

        return changed

    def _text(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)

    def _page(self, template: str, caller: Caller | None, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> web.Response:
        return web.Response(status=status.value, text=self._text(template, caller=caller, **values), content_type="text/html")

    def _static(self, name: str, kind: str) -> Handler:
        data, _, _ = jinja2.PackageLoader("ocppress_gateway.admin", "static").get_source(self._templates, name)

        async def served(request: web.Request) -> web.StreamResponse:
            return web.Response(text=data, content_type=kind)

        return served

    # --- stations

    async def _rows(self, request: web.Request) -> dict[str, Any]:
        query = _stations_wanted(request)
        await self._source.prepare()
        all_found = chosen(self._source.stations(), query)
        return {
            "query": query,
            "wanted": {"search": query.search, "order": query.order.value, **({"troubled": "true"} if query.troubled else {})},
            "total": len(all_found),
            "stations": all_found[query.offset : query.offset + query.limit],
            "facts": list(self._source.facts()),
        }

    async def _fleet(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        return self._page("fleet.html", caller, **await self._rows(request))

    async def _live_fleet(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        async def news() -> str:
            return self._text("stations.html", **await self._rows(request))

        return await self._live(request, news)

    async def _letters(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        try:
            of = msgspec.convert({"station": request.query.get("station"), "limit": LETTERS_SHOWN}, DeadLetterQuery)
        except msgspec.ValidationError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "this is no identity of a station") from error
        return self._page("letters.html", caller, letters=await self._source.dead_letters(of.station, of.limit), station=of.station)

    # --- one station

    async def _one(self, request: web.Request) -> Station:
        await self._source.prepare()
        return station_named(self._source, request.match_info["identity"])

    async def _station(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        done = _DONE.get(request.query.get("done", ""), "")
        return self._station_page(await self._one(request), caller, done=done)

    def _station_page(
        self,
        station: Station,
        caller: Caller,
        *,
        done: str = "",
        wrong: str = "",
        chosen: str = "",
        reason: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> web.Response:
        usage = self._source.usage(station, UsageQuery().days)
        return self._page(
            "station.html",
            caller,
            status=status,
            station=station,
            facts=list(facts.station_facts(station)),
            usage=usage,
            by_layer=any(day.layers for day in usage.days),
            layers=charts.layers_of(usage),
            actions=charts.actions_of(usage),
            compared=charts.compared(usage),
            may_change=caller.identity.role is Role.OPERATOR,
            csrf="" if caller.session is None else caller.session.csrf,
            plans=list(PlanName),
            chosen=chosen or (station.plan.plan.value if station.plan is not None else PlanName.AUTO.value),
            reason=reason,
            done=done,
            wrong=wrong,
        )

    async def _live_station(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        async def news() -> str:
            return self._text("facts.html", facts=list(facts.station_facts(await self._one(request))))

        return await self._live(request, news)

    async def _messages(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        station = await self._one(request)
        try:
            messages = self._source.messages(station, 0, caller.identity.name)
        except RequestRefused as error:
            raise Refused(HTTPStatus.CONFLICT, str(error)) from error
        return self._page("messages.html", caller, station=station, found=messages)

    async def _live_messages(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Until nobody watches the station any more, which it says once; it is begun by loading the page."""
        station = await self._one(request)
        if self._source.messages_still(station) is None:
            return web.Response(status=HTTPStatus.NO_CONTENT)  # so that the browser doesn't come again
        has_ended = False

        async def news() -> str:
            nonlocal has_ended
            found: Messages | None = self._source.messages_still(station)
            if has_ended:
                raise Refused(HTTPStatus.GONE, "it has ended")
            has_ended = found is None
            return self._text("passed.html", found=found)

        return await self._live(request, news)

    async def _chart(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        station = await self._one(request)
        usage = self._source.usage(station, UsageQuery().days)
        match request.match_info["chart"]:
            case "days":
                svg = await asyncio.to_thread(charts.days_chart, usage)
            case "month":
                svg = await asyncio.to_thread(charts.month_chart, usage, station.month)
            case "comparison":
                svg = await asyncio.to_thread(charts.comparison_chart, usage)
            case _:
                svg = await asyncio.to_thread(charts.actions_chart, usage)
        return web.Response(body=svg, content_type="image/svg+xml")

    async def _change_plan(self, request: web.Request, caller: Caller, form: Any) -> web.StreamResponse:
        station = await self._one(request)
        given = {name: str(form.get(name, "")).strip() for name in ("plan", "reason")}
        try:
            change = msgspec.convert(given, PlanChange)
            await self._source.choose_plan(station, change, caller.identity.name)
        except (msgspec.ValidationError, RequestRefused) as error:
            refused = isinstance(error, RequestRefused)
            words = str(error) if refused else "A plan needs a reason: one line of 100 characters at most."
            status = HTTPStatus.CONFLICT if refused else HTTPStatus.BAD_REQUEST
            return self._station_page(station, caller, wrong=words, chosen=given["plan"], reason=given["reason"], status=status)
        raise _back_to(station, "plan")

    async def _flush(self, request: web.Request, caller: Caller, form: Any) -> web.StreamResponse:
        station = await self._one(request)
        try:
            self._source.flush(station)
        except RequestRefused as error:
            return self._station_page(station, caller, wrong=str(error), status=HTTPStatus.CONFLICT)
        raise _back_to(station, "flush")

    # --- what stays open

    async def _live(self, request: web.Request, news: Callable[[], Awaitable[str]]) -> web.StreamResponse:
        """Send `news` whenever they are others, while who asks may."""
        last = await news()
        async with sse_response(request, send_timeout=SEND_S) as response:
            while response.is_connected():
                await asyncio.sleep(LIVE_S)
                if self._access.caller(request) is None:
                    break
                try:
                    now = await news()
                except Refused:
                    break
                if now != last:
                    last = now
                    await response.send(now)
        stream: web.StreamResponse = response
        return stream

    # --- logging in

    async def _login_page(self, request: web.Request) -> web.StreamResponse:
        if self._access.caller(request) is not None:
            raise web.HTTPSeeOther("/")
        return self._login("")

    def _login(self, wrong: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
        host = "" if self._sign_in is None else self._sign_in.host
        return self._page("login.html", None, wrong=wrong, has_users=self._access.has_users, provider_host=host, status=status)

    async def _sign_in_elsewhere(self, request: web.Request) -> web.StreamResponse:
        assert self._sign_in is not None, "the route is there only then"
        try:
            return await self._sign_in.begin()
        except Refused as refused:
            return self._login(f"{refused.detail[:1].upper()}{refused.detail[1:]}.", refused.status)

    async def _signed_in(self, request: web.Request) -> web.StreamResponse:
        """A page that goes on by itself: a redirect would still come from the provider, and the session's cookie, `Strict`, not be sent."""
        assert self._sign_in is not None, "the route is there only then"
        try:
            identity = await self._sign_in.finish(request, self._access.address(request))
        except Refused as refused:
            response = self._login(f"{refused.detail[:1].upper()}{refused.detail[1:]}.", refused.status)
        else:
            response = self._page("onward.html", None, title="Signed in", url="/")
            self._access.begin(response, identity)
        self._sign_in.forget(response)
        return response

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        wrong, status = "The name or the password is wrong.", HTTPStatus.UNAUTHORIZED
        try:
            identity = await self._access.log_in(request, str(form.get("name", ""))[:64], str(form.get("password", "")))
        except Refused as refused:
            identity, wrong, status = None, f"{refused.detail[:1].upper()}{refused.detail[1:]}.", refused.status
        if identity is None:
            return self._login(wrong, status)
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
        self._access.begin(response, identity)
        return response

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.demand(self._access.caller(request), Role.VIEWER)
        form = await request.post()
        self._access.demand_csrf(caller, str(form.get(CSRF_FIELD, "")))
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/login"})
        if self._sign_in is not None and caller.identity.issuer:
            elsewhere = await self._sign_in.logout_url()
            if elsewhere is not None:  # by a page, for the policy lets no form lead to another origin
                response = self._page("onward.html", None, title="Logged out", url=elsewhere)
        self._access.end(request, response)
        return response


def _stations_wanted(request: web.Request) -> StationQuery:
    """What the address of a page says; whatever makes no sense is as if it weren't there."""
    offset, order = request.query.get("offset", "0"), request.query.get("order", "")
    return StationQuery(
        search=request.query.get("search", "")[:SEARCH_CHARACTERS_MAX],
        troubled=request.query.get("troubled") == "true",
        order=Order(order) if order in set(Order) else Order.IDENTITY,
        offset=min(int(offset[:9]), OFFSET_MAX) if offset.isascii() and offset.isdigit() else 0,
        limit=STATIONS_SHOWN,
    )


def _back_to(station: Station, done: str) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(f"/stations/{quote(station.identity, safe='')}?done={done}")
