"""The dashboard in a real browser: logging in, searching, a station's page, changing its plan, what is live, on a phone, in the dark, and by axe's rules."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from ocppress_gateway import taps as taps_module
from ocppress_gateway.admin import pages as admin_pages
from ocppress_gateway.core.events import Handling, Observe
from ocppress_gateway.taps import Taps
from tests.support.admin import PASSWORD, PEOPLE, CloudOperator, EdgeOperator, admin_config, cloud_source, edge_source, serving

BROWSER = shutil.which("chromium")
WITHIN_S = 120.0

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
"""Of axe-core: WCAG 2.2, level AA, and what its authors think good besides."""


@contextlib.asynccontextmanager
async def _browsing(url: str, *, width: int = 1280, dark: bool = False) -> AsyncIterator[Page]:
    """A page of a fresh browser. Anything that it complains of, such as a policy that is broken, fails the test."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        try:
            context = await browser.new_context(
                base_url=url, color_scheme="dark" if dark else "light", viewport={"width": width, "height": 800}
            )
            page = await context.new_page()
            page.set_default_timeout(20_000)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            yield page
        finally:
            await browser.close()
    refusals = [text for text in complaints if "status of 40" not in text and "status of 429" not in text]
    assert refusals == []


@contextlib.asynccontextmanager
async def _cloud(operator: CloudOperator, taps: Taps | None = None, **browsing: Any) -> AsyncIterator[Page]:
    async with serving(admin_config(**PEOPLE), cloud_source(operator, taps=taps), WITHIN_S) as url, _browsing(url, **browsing) as page:
        yield page


async def _log_in(page: Page, name: str = "ann", password: str = PASSWORD) -> None:
    await page.goto("/")
    await expect(page).to_have_url("/login")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").or_(page.get_by_role("button", name="Log out"))).to_be_visible()


async def _accessible(page: Page) -> None:
    results = await Axe().run(page, options=RULES)
    found = [(one["id"], [node["html"] for node in one["nodes"]]) for one in results.response["violations"]]
    assert found == []


async def _fits(page: Page) -> None:
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "the page scrolls sideways"


def test_logging_in_and_out() -> None:
    async def main() -> None:
        async with _cloud(CloudOperator()) as page:
            await _log_in(page, password="wrong horse battery")
            await expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
            await _log_in(page, name="nobody")
            await expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
            await _log_in(page)
            await expect(page.get_by_role("heading", level=1)).to_have_text("Stations")
            (cookie,) = await page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
            await page.goto("/login")
            await expect(page).to_have_url("/")
            await page.get_by_role("button", name="Log out").click()
            await expect(page).to_have_url("/login")
            await page.goto("/stations/CP001")
            await expect(page).to_have_url("/login")
            assert await page.context.cookies() == []

    asyncio.run(main())


def test_too_many_attempts_are_told_to_wait() -> None:
    async def main() -> None:
        async with _cloud(CloudOperator()) as page:
            for _ in range(6):
                await _log_in(page, password="wrong horse battery")
                await expect(page.get_by_role("alert")).to_be_visible()
            await expect(page.get_by_role("alert")).to_contain_text("Too many attempts")
            await _log_in(page)
            await expect(page.get_by_role("alert")).to_contain_text("Too many attempts")

    asyncio.run(main())


def test_searching_the_fleet() -> None:
    async def main() -> None:
        operator = CloudOperator()
        station = operator.current.view.stations[0]
        many = (station, *(replace(station, identity=f"DE-{number:03}") for number in range(120)))
        operator.current = replace(operator.current, view=replace(operator.current.view, stations=many))
        async with _cloud(operator) as page:
            await _log_in(page)
            facts = page.locator("dl").first
            for words in ("14.0 kB by 1 edge", "95.0 kB, 6.8 times as much", "310 kB, 22.1 times as much"):
                await expect(facts).to_contain_text(words)
            await expect(page.locator("caption")).to_have_text("122 stations, 1 to 50")
            await page.get_by_role("link", name="Next").click()
            await expect(page.locator("caption")).to_have_text("122 stations, 51 to 100")
            await page.get_by_label("Station or edge").fill("SITE-3")
            await page.keyboard.press("Enter")
            await expect(page.locator("tbody th")).to_have_text(["CP003"])
            await page.get_by_label("Station or edge").fill('"><script>alert(1)</script>')
            await page.keyboard.press("Enter")
            await expect(page.locator("caption")).to_have_text('0 stations with “"><script>alert(1)</script>”')
            await page.get_by_label("Station or edge").fill("cp001")
            await page.get_by_role("button", name="Search").click()
            row = page.locator("tbody tr")
            await expect(row).to_contain_text("800 kB of 25.0 MB")
            await expect(row).to_contain_text("site-1")
            await row.get_by_role("link", name="CP001", exact=True).click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("CP001")

    asyncio.run(main())


def test_the_worst_of_a_fleet_come_first() -> None:
    async def main() -> None:
        operator = CloudOperator()
        station = operator.current.view.stations[0]
        many = (*(replace(station, identity=f"A-{number:03}") for number in range(70)), replace(station, identity="Z", heard_s=200_000.0))
        operator.current = replace(operator.current, view=replace(operator.current.view, stations=(station, *many)))
        async with _cloud(operator) as page:
            await _log_in(page)
            rows = page.locator("tbody th")
            await expect(rows.first).to_have_text("A-000")
            await page.get_by_label("Order").select_option("worst")
            await page.get_by_role("button", name="Search").click()
            await expect(page.locator("caption")).to_have_text("73 stations, 1 to 50")
            assert await rows.all_inner_texts() == ["CP001", "CP003", "Z", *(f"A-{number:03}" for number in range(47))]
            await page.get_by_role("link", name="Next").click()
            await expect(page.locator("caption")).to_have_text("73 stations, 51 to 73")
            await expect(rows.first).to_have_text("A-047")
            await expect(page.get_by_label("Order")).to_have_value("worst")
            await page.get_by_label("only with troubles").check()
            await page.get_by_role("button", name="Search").click()
            await expect(page.locator("caption")).to_have_text("3 stations with troubles")
            await expect(rows).to_have_text(["CP001", "CP003", "Z"])
            await expect(page.get_by_role("row", name="Z").locator(".bad")).to_have_text("2 d ago")
            await _accessible(page)

    asyncio.run(main())


def test_a_station_with_its_charts_and_a_plan_changed_with_a_reason() -> None:
    async def main() -> None:
        operator = CloudOperator()
        async with _cloud(operator) as page:
            await _log_in(page)
            await page.goto("/stations/CP001")
            for chart in await page.locator("figure img").all():
                await expect(chart).to_have_js_property("complete", True)
                assert await chart.evaluate("image => image.naturalWidth") > 0
            assert await page.locator("figure img").count() == 4
            await page.get_by_text("The figures").click()
            await expect(page.get_by_role("row", name="2026-03-01")).to_contain_text("14.0 kB")
            for row, words in (("2026-03-01", "310 kB"), ("tcp/ip", "5.00 kB"), ("MeterValues", "12.4 kB")):
                await expect(page.get_by_role("row", name=row)).to_contain_text(words)
            await page.get_by_role("combobox", name="Plan").select_option("saver")
            await page.get_by_role("button", name="Change the plan").click()
            assert operator.asked == [], "the browser wants a reason first"
            await page.get_by_label("Reason").fill("   ")
            await page.get_by_role("button", name="Change the plan").click()
            await expect(page.get_by_role("alert")).to_contain_text("A plan needs a reason")
            await expect(page.get_by_role("combobox", name="Plan")).to_have_value("saver")
            await page.get_by_label("Reason").fill("a month that costs too much")
            await page.get_by_role("button", name="Change the plan").click()
            await expect(page.get_by_role("status")).to_contain_text("The edge is told")
            await page.get_by_role("button", name="Send now what waits").click()
            await expect(page.get_by_role("status")).to_contain_text("is being sent")
            assert operator.asked == [("plan", "site-1", "saver", "ann: a month that costs too much"), ("flush", "CP001")]
            await page.goto("/stations/CP003")
            await page.get_by_label("Reason").fill("x")
            await page.get_by_role("button", name="Change the plan").click()
            await expect(page.get_by_role("alert")).to_contain_text("link to edge site-3 is down")

    asyncio.run(main())


def test_a_viewer_changes_nothing() -> None:
    async def main() -> None:
        operator = CloudOperator()
        async with _cloud(operator) as page:
            await _log_in(page, name="vic")
            await page.goto("/stations/CP001")
            await expect(page.get_by_text("Only operators change it.")).to_be_visible()
            await expect(page.get_by_role("button", name="Change the plan")).to_have_count(0)
            response = await page.request.post("/stations/CP001/plan", form={"plan": "saver", "reason": "x"})
            assert response.status == 403
        assert operator.asked == []

    asyncio.run(main())


PASSED = [
    Observe("CP001", True, '[2,"m1","MeterValues",{"connectorId":1}]', Handling.EARLY),
    Observe("CP001", False, '[3,"m1",{}]'),
    Observe("CP001", False, '[2,"c","ChangeConfiguration",{"key":"AuthorizationKey","value":"hunter2"}]'),
    Observe("CP001", True, f'[2,"<b>{"i" * 200}","<b>DataTransfer",{{"data":"<script>alert(1)</script>{"x" * 300}"}}]', Handling.RELAYED),
    Observe("CP001", True, "<script>alert(1)</script>hunter2"),
]


def test_messages_are_seen_as_they_pass_until_it_has_been_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_pages, "LIVE_S", 0.1)
    monkeypatch.setattr(taps_module, "WATCH_S", 6.0)

    async def main() -> None:
        taps = Taps(lambda event: None)
        async with _cloud(CloudOperator(), taps) as page:
            await _log_in(page)
            taps.take(PASSED[0])
            await page.goto("/stations/CP001")
            await page.get_by_role("link", name="Look at its messages").click()
            rows = page.locator("tbody tr")
            await expect(rows).to_have_text(["Nothing yet."])
            for passed in PASSED:
                taps.take(passed)
            await expect(rows).to_have_count(len(PASSED))
            for number, words in enumerate(
                (
                    "no OCPP-J",
                    '"<script>alert(1)</script>xxx',
                    '{"key":"AuthorizationKey","value":"***"}',
                    "down CALLRESULT MeterValues",
                    "up CALL MeterValues",
                )
            ):
                await expect(rows.nth(number)).to_contain_text(words)
            assert "hunter2" not in await page.content()
            await expect(page.get_by_role("status")).to_contain_text("Nobody watches this station any more", timeout=15_000)
            await expect(page.locator("table")).to_have_count(0)
            await page.reload()
            await expect(rows).to_have_text(["Nothing yet."])

    asyncio.run(main())


def test_a_viewer_sees_no_messages() -> None:
    async def main() -> None:
        taps = Taps(lambda event: None)
        async with _cloud(CloudOperator(), taps) as page:
            await _log_in(page, name="vic")
            await page.goto("/stations/CP001")
            await expect(page.get_by_text("Only operators look at messages.")).to_be_visible()
            taps.open("CP001")
            for path in ("/stations/CP001/messages", "/live/stations/CP001/messages", "/api/v1/stations/CP001/messages"):
                assert (await page.request.get(path)).status == 403, path

    asyncio.run(main())


def test_a_form_of_another_page_changes_nothing() -> None:
    async def main() -> None:
        operator = CloudOperator()
        async with _cloud(operator) as page:
            await _log_in(page)
            await expect(page.get_by_role("heading", level=1)).to_have_text("Stations")
            for path, form in (("/stations/CP001/plan", {"plan": "saver", "reason": "x"}), ("/stations/CP001/flush", {}), ("/logout", {})):
                for csrf in ({}, {"csrf": "x" * 43}):
                    response = await page.request.post(path, form={**form, **csrf})
                    assert response.status == 403, path
            response = await page.request.put("/api/v1/stations/CP001/plan", data={"plan": "saver", "reason": "x"})
            assert response.status == 403, "a session's cookie alone isn't enough for the REST interface either"
        assert operator.asked == []

    asyncio.run(main())


def test_what_changes_is_seen_without_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_pages, "LIVE_S", 0.1)

    async def main() -> None:
        operator = CloudOperator()
        async with _cloud(operator) as page:
            await _log_in(page)
            await expect(page.locator("tbody tr").first).to_contain_text("waiting")
            before = operator.current.view
            operator.current = replace(operator.current, view=replace(before, stations=(replace(before.stations[0], state="open"),)))
            await expect(page.locator("tbody tr").first).to_contain_text("open")
            await page.goto("/stations/CP001")
            await expect(page.locator("main")).to_contain_text("open 1.6")
            operator.current = replace(operator.current, view=before)
            await expect(page.locator("main")).to_contain_text("waiting 1.6")

    asyncio.run(main())


def test_dead_letters_are_listed_without_what_is_in_them() -> None:
    async def main() -> None:
        async with _cloud(CloudOperator()) as page:
            await _log_in(page)
            await page.get_by_role("navigation").get_by_role("link", name="Dead letters").click()
            await expect(page.locator("tbody tr")).to_have_count(2)
            await expect(page.locator("tbody tr").first).to_contain_text("TransactionEvent")
            assert "secret" not in await page.content()
            await page.goto("/")
            await page.get_by_role("link", name="1 dead letters of CP001").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Dead letters of CP001")
            await expect(page.locator("tbody tr")).to_have_count(1)
            await page.get_by_role("cell").get_by_role("link", name="CP001").click()
            await expect(page).to_have_url("/stations/CP001")
            await page.get_by_role("main").get_by_role("link", name="1", exact=True).click()
            await expect(page).to_have_url("/dead-letters?station=CP001")
            response = await page.goto("/dead-letters?station=%3Cscript%3E")
            assert response is not None
            assert response.status == 400

    asyncio.run(main())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_each_page_is_accessible_and_fits(width: int, dark: bool) -> None:
    async def main() -> None:
        taps = Taps(lambda event: None)
        async with _cloud(CloudOperator(), taps, width=width, dark=dark) as page:
            await page.goto("/login")
            await _accessible(page)
            await _fits(page)
            back = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert back == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
            await _log_in(page)
            await expect(page.get_by_role("heading", level=1)).to_have_text("Stations")
            for path in (
                "/",
                "/?search=nothing",
                "/stations/CP001",
                "/stations/CP003",
                "/stations/CP001/messages",
                "/dead-letters",
                "/dead-letters?station=CP001",
                "/stations/CP009",
            ):
                await page.goto(path)
                if path.endswith("/messages"):
                    for passed in PASSED:
                        taps.take(passed)
                    await page.reload()
                    await expect(page.locator("tbody tr")).to_have_count(len(PASSED))
                if path == "/stations/CP001":
                    await page.get_by_text("The figures").click()
                await _accessible(page)
                await _fits(page)

    asyncio.run(main())


def test_the_edges_own_dashboard() -> None:
    async def main() -> None:
        operator = EdgeOperator()
        async with serving(admin_config(), edge_source(operator), WITHIN_S) as url, _browsing(url, width=360) as page:
            await page.goto("/")
            facts = page.locator("dl").first
            for words in ("up for 1 h 2 min", "1,240 messages, 400 kB", "0 B of 25.0 MB, 0.0 %", "auto, now live"):
                await expect(facts).to_contain_text(words)
            await _accessible(page)
            await _fits(page)
            await page.get_by_role("link", name="CP001").click()
            await expect(page.get_by_text("Only operators change it.")).to_be_visible()
            await _accessible(page)
            await _fits(page)

    asyncio.run(main())


def test_by_keyboard_alone() -> None:
    async def main() -> None:
        operator = CloudOperator()
        async with _cloud(operator) as page:
            await _log_in(page)
            await page.goto("/stations/CP001")
            await page.keyboard.press("Tab")
            await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
            await page.keyboard.press("Enter")
            await page.keyboard.press("Tab")
            await expect(page.get_by_role("main").get_by_role("link").first).to_be_focused()
            await page.keyboard.press("Tab")
            await expect(page.get_by_role("combobox", name="Plan")).to_be_focused()
            await page.keyboard.type("saver")
            await page.keyboard.press("Tab")
            await page.keyboard.type("by keyboard")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("status")).to_be_visible()
        assert operator.asked == [("plan", "site-1", "saver", "ann: by keyboard")]

    asyncio.run(main())
