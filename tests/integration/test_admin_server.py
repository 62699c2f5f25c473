"""The server for operators by itself: who may what, what is refused, and what bad clients achieve."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientSession

from ocppress_gateway.admin import server as admin_server
from ocppress_gateway.admin.attempts import ATTEMPTS
from ocppress_gateway.admin.endpoints import BODY_BYTES_MAX
from ocppress_gateway.admin.source import Source
from ocppress_gateway.core.events import Event, Handling, Observe, Watch
from ocppress_gateway.core.views import LinkView
from ocppress_gateway.errors import GatewayError
from ocppress_gateway.taps import TAPS_MAX, WATCH_S, Taps
from tests.support.admin import (
    OPERATOR,
    PASSWORD,
    PEOPLE,
    VIEWER,
    CloudOperator,
    EdgeOperator,
    admin_config,
    cloud_source,
    edge_source,
    serving,
)

Asking = Callable[[ClientSession], Coroutine[Any, Any, None]]

PLAN = "/api/v1/stations/CP001/plan"
CHANGE = {"plan": "saver", "reason": "a month that costs too much"}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextlib.asynccontextmanager
async def _asking(source: Source, **config: Any) -> AsyncIterator[ClientSession]:
    async with serving(admin_config(**config), source) as url, ClientSession(url) as client:
        yield client


async def _problem(response: aiohttp.ClientResponse, status: int) -> str:
    """The detail of a problem."""
    assert response.status == status
    assert response.content_type == "application/problem+json"
    problem = await response.json(content_type="application/problem+json")
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    detail: str = problem["detail"]
    return detail


def test_stations_are_found_and_paged() -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator())) as client:
            for query, total, identities in (
                ("", 2, ["CP001", "CP003"]),
                ("?search=site-3", 1, ["CP003"]),
                ("?search=cp0", 2, ["CP001", "CP003"]),
                ("?limit=1", 2, ["CP001"]),
                ("?limit=1&offset=1", 2, ["CP003"]),
                ("?offset=9", 2, []),
                ("?search=%00", 0, []),
                ("?order=worst", 2, ["CP001", "CP003"]),
                ("?troubled=true&search=3", 1, ["CP003"]),
            ):
                async with client.get(f"/api/v1/stations{query}") as response:
                    page = await response.json()
                    assert (page["total"], [one["identity"] for one in page["stations"]]) == (total, identities), query
            async with client.get("/api/v1/stations/CP001") as response:
                one = await response.json()
            assert (one["edge"], one["state"], one["link_up"], one["waiting"]) == ("site-1", "waiting", True, 2)
            assert (one["heard_s"], one["troubles"]) == (7300.0, ["dead letters"])
            assert one["month"]["percent"] == 3.2
            async with client.get("/api/v1/stations/CP003") as response:
                one = await response.json()
            assert (one["state"], one["link_up"], one["seen_s"], one["month"]) == ("unseen", False, None, None)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/stations/CP009", 404),
        ("/api/v1/stations/a%2Fb", 400),
        ("/api/v1/stations/..%2f..%2fetc", 400),
        ("/api/v1/stations/%00", 400),
        ("/api/v1/stations/" + "A" * 49, 400),
        ("/api/v1/stations?limit=0", 400),
        ("/api/v1/stations?limit=501", 400),
        ("/api/v1/stations?limit=x", 400),
        ("/api/v1/stations?limit=1&limit=2", 400),
        ("/api/v1/stations?page=2", 400),
        ("/api/v1/stations?search=" + "x" * 49, 400),
        ("/api/v1/stations/CP001?x=1", 400),
        ("/api/v1/stations/CP001/usage?days=431", 400),
        ("/api/v1/dead-letters?station=a/b", 400),
        ("/api/v1/nothing", 404),
        ("/api/v2/stations", 404),
        ("/../../etc/passwd", 404),
    ],
)
def test_what_makes_no_sense_is_a_problem(path: str, status: int) -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator())) as client, client.get(path) as response:
            await _problem(response, status)

    asyncio.run(main())


def test_dead_letters_without_what_is_in_them() -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator())) as client:
            async with client.get("/api/v1/dead-letters") as response:
                text = await response.text()
                letters = await response.json()
            assert "secret" not in text
            assert letters["total"] == 2
            assert [one["station"] for one in letters["letters"]] == ["CP001", "CP002"]
            assert letters["letters"][0]["action"] == "TransactionEvent"
        async with _asking(edge_source(EdgeOperator())) as client, client.get("/api/v1/dead-letters") as response:
            await _problem(response, 404)

    asyncio.run(main())


# --- health


def test_readiness_of_an_edge_follows_its_link() -> None:
    down = LinkView(state="down", up_s=None, down_s=65.0, retry_in_s=4.0, codec="", connections=3)

    async def main() -> None:
        operator = EdgeOperator()
        async with _asking(edge_source(operator)) as client:
            async with client.get("/readyz") as response:
                assert (response.status, await response.json()) == (200, {"ready": True, "reasons": []})
            operator.current = replace(operator.current, view=replace(operator.current.view, link=down))
            async with client.get("/readyz") as response:
                assert (response.status, await response.json()) == (503, {"ready": False, "reasons": ["the link has been down for 65 s"]})
        async with _asking(edge_source(operator, serves_offline=True)) as client, client.get("/readyz") as response:
            assert response.status == 200

    asyncio.run(main())


def test_readiness_of_a_cloud_follows_its_broker() -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator(), "the broker is not connected")) as client, client.get("/readyz") as response:
            assert (response.status, (await response.json())["reasons"]) == (503, ["the broker is not connected"])

    asyncio.run(main())


def test_a_machine_that_hangs_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "LIVES_S", 0.05)

    async def main() -> None:
        source = edge_source(EdgeOperator())
        source.lives = asyncio.Event().wait  # type: ignore[assignment]  # waits for ever
        async with _asking(source) as client, client.get("/healthz") as response:
            assert (response.status, (await response.json())["status"]) == (503, "stuck")

    asyncio.run(main())


# --- who may what


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("/healthz", True),
        ("/readyz", True),
        ("/api/v1/openapi.json", True),
        ("/metrics", False),
        ("/api/v1/whoami", False),
        ("/api/v1/stations", False),
        ("/api/v1/stations/CP001", False),
        ("/api/v1/stations/CP001/usage", False),
        ("/api/v1/stations/CP001/plan", False),
        ("/api/v1/dead-letters", False),
        ("/api/v1/ledger.csv", False),
        ("/api/v1/ledger.parquet", False),
    ],
)
def test_nobody_sees_anything_without_a_token(path: str, public: bool) -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator()), **PEOPLE) as client:
            async with client.get(path) as response:
                assert response.status == (200 if public else 401)
                assert public or response.headers["WWW-Authenticate"] == "Bearer"
            async with client.get(path, headers=_bearer(VIEWER)) as response:
                assert response.status == 200

    asyncio.run(main())


def test_only_operators_change_things() -> None:
    async def main() -> None:
        operator = CloudOperator()
        async with _asking(cloud_source(operator), **PEOPLE) as client:
            for method, path, body in (("PUT", PLAN, CHANGE), ("POST", "/api/v1/stations/CP001/flush", None)):
                async with client.request(method, path, json=body) as response:
                    await _problem(response, 401)
                async with client.request(method, path, json=body, headers=_bearer(VIEWER)) as response:
                    assert await _problem(response, 403) == "only operators may do that"
            assert operator.asked == []
            async with client.put(PLAN, json=CHANGE, headers=_bearer(OPERATOR)) as response:
                assert response.status == 202
            async with client.post("/api/v1/stations/CP001/flush", headers=_bearer(OPERATOR)) as response:
                assert (response.status, await response.json()) == (202, {"identity": "CP001", "undelivered": 1, "link_up": True})
            assert operator.asked == [("plan", "site-1", "saver", "robot: a month that costs too much"), ("flush", "CP001")]
            async with client.put(PLAN.replace("CP001", "CP003"), json=CHANGE, headers=_bearer(OPERATOR)) as response:
                assert "link to edge site-3 is down" in await _problem(response, 409)

    asyncio.run(main())


def test_the_curve_of_a_clouds_month_begins_with_the_month() -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator())) as client:
            async with client.get("/api/v1/stations/CP001/usage") as response:
                usage = await response.json()
            assert (usage["month_first"], usage["month_end"]) == ("2026-03-01", "2026-04-01")
            assert [(day["day"], day["month_bytes"]) for day in usage["days"][-2:]] == [("2026-02-28", None), ("2026-03-01", 800_000)]
            async with client.get("/stations/CP001/month.svg") as response:
                curve = await response.text()
            assert ["01 Mar" in curve, "31 Mar" in curve, "Feb" in curve] == [True, True, False]

    asyncio.run(main())


def test_messages_are_for_operators_and_begin_with_the_first_question(caplog: pytest.LogCaptureFixture) -> None:
    posted: list[Event] = []
    path = "/api/v1/stations/CP001/messages"

    async def main() -> None:
        taps = Taps(posted.append)
        async with _asking(cloud_source(CloudOperator(), taps=taps), **PEOPLE) as client:
            async with client.get(path) as response:
                await _problem(response, 401)
            async with client.get(path, headers=_bearer(VIEWER)) as response:
                assert await _problem(response, 403) == "only operators may do that"
            async with client.get("/live/stations/CP001/messages", headers=_bearer(OPERATOR)) as response:
                assert response.status == 204, "who comes again begins nothing"
            assert posted == []
            async with client.get(path, headers=_bearer(OPERATOR)) as response:
                first = await response.json()
            assert posted == [Watch("CP001", on=True)]
            assert (first["identity"], first["left_out"], first["messages"]) == ("CP001", 0, [])
            assert first["until_unix_s"] - first["since_unix_s"] == WATCH_S
            taps.take(Observe("CP001", True, '[2,"1","Authorize",{"idTag":"hunter2"}]', Handling.RELAYED))
            taps.take(Observe("CP001", False, '[3,"1",{}]'))
            taps.take(Observe("CP001", False, "hunter2"))
            async with client.get(path, headers=_bearer(OPERATOR)) as response:
                told = await response.json()
                for one in told["messages"]:
                    assert abs(one.pop("unix_s") - told["since_unix_s"]) < 30
                relayed = {"action": "Authorize", "message_id": "1", "handling": "relayed"}
                assert told["messages"] == [
                    {"number": 1, "direction": "up", "kind": "CALL", "text_bytes": 39, "text": '{"idTag":"***"}', **relayed},
                    {"number": 2, "direction": "down", "kind": "CALLRESULT", "text_bytes": 10, "text": "{}", **relayed},
                    {
                        "number": 3,
                        "direction": "down",
                        "kind": None,
                        "text_bytes": 7,
                        "text": None,
                        "action": "",
                        "message_id": "",
                        "handling": None,
                    },
                ]
            async with client.get(f"{path}?after=2", headers=_bearer(OPERATOR)) as response:
                assert [one["number"] for one in (await response.json())["messages"]] == [3]
            for number in range(TAPS_MAX - 1):
                taps.open(f"other-{number}")
            async with client.get(path.replace("CP001", "CP003"), headers=_bearer(OPERATOR)) as response:
                assert "8 stations" in await _problem(response, 409)

    asyncio.run(main())
    looked = [record.__dict__["fields"] for record in caplog.records if record.message == "an operator looks at a station's messages"]
    assert looked == [{"station": "CP001", "user": "robot"}], "once, and who"


def test_without_users_this_machine_may_look_and_a_unix_socket_may_change(tmp_path: Path) -> None:
    async def main() -> None:
        operator = EdgeOperator()
        async with _asking(edge_source(operator)) as client:
            async with client.get("/api/v1/whoami") as response:
                assert (await response.json())["role"] == "viewer"
            async with client.put(PLAN, json=CHANGE) as response:
                await _problem(response, 403)
        path = tmp_path / "a.sock"
        async with serving(admin_config(listen=f"unix:{path}"), edge_source(operator)) as url:
            assert url == f"unix:{path}"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            unix = aiohttp.UnixConnector(str(path))
            async with ClientSession("http://anything", connector=unix) as client, client.put(PLAN, json=CHANGE) as response:
                assert response.status == 202
        assert not path.exists()
        assert operator.asked == [("plan", "saver", "local: a month that costs too much")]

    asyncio.run(main())


def test_a_page_from_elsewhere_is_refused() -> None:
    async def main() -> None:
        operator = EdgeOperator()
        async with (
            _asking(edge_source(operator)) as client,
            client.get("/api/v1/stations", headers={"Host": "evil.example.com"}) as response,
        ):
            assert "by the name localhost" in await _problem(response, 403)
        async with _asking(edge_source(operator), **PEOPLE) as client:
            headers = {**_bearer(OPERATOR), "Origin": "https://evil.example.com"}
            async with client.put(PLAN, json=CHANGE, headers=headers) as response:
                assert "another origin" in await _problem(response, 403)
            for host in ("edge.example.com", "evil.example.com:bad", "[::1"):
                async with client.get("/api/v1/stations", headers={"Host": host, **_bearer(VIEWER)}) as response:
                    assert response.status == 200, "with users, names are nobody's business"
        assert operator.asked == []

    asyncio.run(main())


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Basic YW5uOnB3", "Bearer", "", "Bearer " + "x" * 4000, "Bearer \x80"])
def test_a_wrong_token_is_refused_and_then_not_even_looked_at(authorization: str) -> None:
    async def main() -> None:
        async with _asking(edge_source(EdgeOperator()), **PEOPLE) as client:
            for _ in range(ATTEMPTS):
                async with client.get("/metrics", headers={"Authorization": authorization}) as response:
                    await _problem(response, 401)
            async with client.get("/metrics", headers={"Authorization": authorization}) as response:
                assert "too many attempts" in await _problem(response, 429)
                assert int(response.headers["Retry-After"]) > 0
            async with client.get("/metrics", headers=_bearer(VIEWER)) as response:
                assert response.status == 200, "a monitor isn't locked out by its neighbours"

    asyncio.run(main())


# --- bodies


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'{"plan":"saver"}', "application/json", 400),
        (b'{"plan":"saver","reason":""}', "application/json", 400),
        (b'{"plan":"saver","reason":"  "}', "application/json", 400),
        (b'{"plan":"saver","reason":"a\\nb"}', "application/json", 400),
        (b'{"plan":"saver","reason":"a\\u001b[2J"}', "application/json", 400),
        (b'{"plan":"free","reason":"x"}', "application/json", 400),
        (b'{"plan":"saver","reason":"x","more":1}', "application/json", 400),
        (b'{"plan":"saver","reason":"' + b"x" * 101 + b'"}', "application/json", 400),
        (b'{"plan":"saver","reason":"x"}', "text/plain", 415),
        (b"plan=saver&reason=x", "application/x-www-form-urlencoded", 415),
        (b'{"plan":"saver","reason":"\xff"}', "application/json", 400),
        (b" " * (BODY_BYTES_MAX + 1), "application/json", 413),
    ],
)
def test_bodies_that_are_none(body: bytes, kind: str, status: int) -> None:
    async def main() -> None:
        operator = EdgeOperator()
        headers = {**_bearer(OPERATOR), "Content-Type": kind}
        async with _asking(edge_source(operator), **PEOPLE) as client, client.put(PLAN, data=body, headers=headers) as response:
            await _problem(response, status)
        assert operator.asked == []

    asyncio.run(main())


def test_other_methods_are_named() -> None:
    async def main() -> None:
        async with _asking(edge_source(EdgeOperator())) as client, client.delete(PLAN) as response:
            await _problem(response, 405)
            assert set(response.headers["Allow"].split(",")) == {"GET", "PUT"}

    asyncio.run(main())


# --- every answer


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/metrics",
        "/api/v1/stations",
        "/api/v1/ledger.csv",
        "/nothing",
        "/",
        "/stations/CP001",
        "/stations/CP001/days.svg",
        "/static/live.js",
    ],
)
def test_headers_of_every_answer(path: str) -> None:
    async def main() -> None:
        async with _asking(edge_source(EdgeOperator())) as client, client.get(path) as response:
            headers = response.headers
            assert headers["Content-Security-Policy"].startswith("default-src 'self';")
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"], headers["Cache-Control"]) == (
                "nosniff",
                "DENY",
                "no-store",
            )
            assert "Strict-Transport-Security" not in headers
            assert headers["Connection"] == "close"
        async with _asking(edge_source(EdgeOperator()), behind_proxy=True) as client, client.get(path) as response:
            assert "Strict-Transport-Security" in response.headers

    asyncio.run(main())


def test_an_error_of_ours_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        source = edge_source(EdgeOperator())

        def broken() -> None:
            raise RuntimeError("secret of the inside")

        source.stations = broken  # type: ignore[assignment]
        async with _asking(source) as client, client.get("/api/v1/stations") as response:
            assert await _problem(response, 500) == "internal error; the program's log has it"

    asyncio.run(main())
    assert "secret of the inside" in caplog.text


# --- bad clients


async def _open(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port))


def test_who_asks_for_nothing_is_shown_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "REQUEST_WITHIN_S", 0.2)

    async def main() -> None:
        async with serving(admin_config(), edge_source(EdgeOperator())) as url:
            for said in (b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"):
                reader, writer = await _open(url)
                writer.write(said)
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 5) == b""
                writer.close()

    asyncio.run(main())


def test_who_does_not_read_his_answer_is_shown_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "SEND_S", 0.3)

    async def main() -> None:
        operator = EdgeOperator()
        station = operator.current.view.stations[0]
        many = tuple(replace(station, identity=f"CP{number:05}") for number in range(60_000))
        operator.current = replace(operator.current, view=replace(operator.current.view, stations=many))
        server = admin_server.AdminServer(admin_config(), edge_source(operator))
        await server.start()
        try:
            reader, writer = await _open(server.url)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.sleep(2)
            with contextlib.suppress(ConnectionError):
                while await asyncio.wait_for(reader.read(2**16), 5):
                    pass
            writer.close()
            assert server._requests == 0
        finally:
            await server.close()

    asyncio.run(main())


def test_too_many_at_once_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "REQUESTS_MAX", 2)

    async def main() -> None:
        source = edge_source(EdgeOperator())
        release = asyncio.Event()
        source.lives = release.wait  # type: ignore[assignment]
        async with _asking(source) as client, asyncio.TaskGroup() as group:
            waiting = [group.create_task(_status(client, "/healthz")) for _ in range(2)]
            await asyncio.sleep(0.2)
            async with client.get("/healthz") as response:
                assert "others ask already" in await _problem(response, 503)
            release.set()
            assert [await task for task in waiting] == [200, 200]
            assert await _status(client, "/healthz") == 200

    asyncio.run(main())


async def _status(client: ClientSession, path: str) -> int:
    async with client.get(path) as response:
        return response.status


def test_a_place_that_is_taken_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(admin_config(), edge_source(EdgeOperator())) as url:
            place = url.removeprefix("http://")
            with pytest.raises(GatewayError, match=f"cannot listen for operators at {place}"):
                async with serving(admin_config(listen=place), edge_source(EdgeOperator())):
                    pass
        (tmp_path / "file").touch()
        with pytest.raises(GatewayError, match="something that is no socket is in its place"):
            async with serving(admin_config(listen=f"unix:{tmp_path / 'file'}"), edge_source(EdgeOperator())):
                pass

    asyncio.run(main())


# --- pages


def test_who_looks_at_pages_is_told_in_pages() -> None:
    async def main() -> None:
        html = {"Accept": "text/html,application/xhtml+xml"}
        async with _asking(cloud_source(CloudOperator()), **PEOPLE) as client:
            async with client.get("/stations/CP001", headers=html, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/login")
            for path, status in (("/nothing", 404), ("/stations/CP009", 303)):
                async with client.get(path, headers=html, allow_redirects=False) as response:
                    assert (response.status, response.content_type == "text/html" or status == 303) == (status, True)
            async with client.get("/stations/CP009", headers={**html, **_bearer(VIEWER)}) as response:
                assert (response.status, response.content_type) == (404, "text/html")
                assert "knows no station CP009" in await response.text()
            async with client.get("/api/v1/nothing", headers=html) as response:
                await _problem(response, 404)

    asyncio.run(main())


def test_pages_have_no_script_of_their_own_and_charts_none_at_all() -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator())) as client:
            for path in ("/", "/login", "/stations/CP001", "/dead-letters"):
                async with client.get(path) as response:
                    text = await response.text()
                assert text.count("<script") == text.count('<script src="/static/live.js" defer></script>') == 1
                assert "style=" not in text
                assert "http" not in text.replace("http-equiv", ""), "nothing comes from elsewhere"
            for chart in ("days", "month", "actions"):
                async with client.get(f"/stations/CP001/{chart}.svg") as response:
                    assert (response.status, response.content_type) == (200, "image/svg+xml")
                    assert "script" not in await response.text()
            async with client.get("/stations/CP001/other.svg") as response:
                await _problem(response, 404)

    asyncio.run(main())


@pytest.mark.parametrize("form", [{}, {"name": "ann"}, {"name": "x" * 10_000, "password": "\x00"}, {"name": "ann", "password": "p" * 5000}])
def test_odd_logins_are_wrong(form: dict[str, str]) -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator()), **PEOPLE) as client, client.post("/login", data=form) as response:
            assert response.status == 401
            assert "Set-Cookie" not in response.headers

    asyncio.run(main())


def test_a_cookie_is_for_https_alone_where_that_is() -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator()), behind_proxy=True, **PEOPLE) as client:
            headers = {"X-Forwarded-For": "10.0.0.9"}
            async with client.post(
                "/login", data={"name": "ann", "password": PASSWORD}, headers=headers, allow_redirects=False
            ) as response:
                assert response.status == 303
                cookie = response.headers["Set-Cookie"]
            assert cookie.startswith("__Host-ocppress-admin=")
            for attribute in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
                assert attribute in cookie
            assert "Domain" not in cookie

    asyncio.run(main())


def test_behind_a_proxy_attempts_are_counted_by_what_it_has_added() -> None:
    async def main() -> None:
        async with _asking(cloud_source(CloudOperator()), behind_proxy=True, **PEOPLE) as client:
            for attempt in range(ATTEMPTS + 1):
                forged = {"X-Forwarded-For": f"10.9.9.{attempt}, 10.0.0.1"}
                async with client.get("/metrics", headers={**_bearer("x"), **forged}) as response:
                    assert response.status == (401 if attempt < ATTEMPTS else 429)
            async with client.get("/metrics", headers={**_bearer("x"), "X-Forwarded-For": "10.0.0.1, 10.0.0.2"}) as response:
                assert response.status == 401

    asyncio.run(main())


def test_who_looks_on_has_limits_of_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "STREAMS_MAX", 1)
    monkeypatch.setattr(admin_server, "STREAM_S", 0.5)

    async def main() -> None:
        async with _asking(cloud_source(CloudOperator())) as client:
            async with client.get("/live/stations") as first:
                assert (first.status, first.content_type) == (200, "text/event-stream")
                async with client.get("/live/stations") as response:
                    assert "others look on already" in await _problem(response, 503)
                with contextlib.suppress(aiohttp.ClientError):
                    await asyncio.wait_for(first.read(), 10)
            async with client.get("/live/stations") as again:
                assert again.status == 200

    asyncio.run(main())
