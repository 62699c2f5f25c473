"""Signing in at an OpenID provider: one that others wrote, in a real browser, and one that lies in each way that must not get anybody in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from playwright.async_api import async_playwright, expect

from ocppress_gateway.admin import openid, sign_in
from ocppress_gateway.admin.problems import Refused
from ocppress_gateway.admin.sign_in import LOGIN_S
from ocppress_gateway.doctor.findings import Verdict
from ocppress_gateway.doctor.operators import operators_provider
from tests.support.admin import PASSWORD, PEOPLE, CloudOperator, admin_config, cloud_source, serving
from tests.support.openid import KEY, PUBLIC_PEM, LyingProvider, free_port, provider_process, signed

BROWSER = shutil.which("chromium")
SECRET = "client's secret: +/&"


@contextlib.asynccontextmanager
async def _served(issuer: str, **values: Any) -> AsyncIterator[str]:
    port = free_port()
    oidc = {"issuer": issuer, "client_id": "ocppress", "public_url": f"http://localhost:{port}", "operators": ["charging"]} | values
    config = admin_config(**PEOPLE, listen=f"localhost:{port}", oidc=oidc)
    async with serving(config, cloud_source(CloudOperator()), 120.0):
        yield f"http://localhost:{port}"


class _Browser:
    """As far as cookies go; follows nothing by itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.session = aiohttp.ClientSession()

    async def get(self, path: str, **query: str) -> tuple[int, str, str]:
        """Status, where it leads, text."""
        async with self.session.get(self._url + path, params=query, allow_redirects=False, headers={"Accept": "text/html"}) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def is_in(self) -> bool:
        return (await self.get("/"))[0] == 200


@contextlib.asynccontextmanager
async def _lying(**values: Any) -> AsyncIterator[tuple[LyingProvider, str, _Browser]]:
    provider = LyingProvider()
    await provider.start()
    try:
        async with _served(provider.issuer, **values) as url:
            browser = _Browser(url)
            async with browser.session:
                yield provider, url, browser
    finally:
        await provider.close()


async def _back(provider: LyingProvider, browser: _Browser, **changes: str) -> tuple[int, str, str]:
    status, location, _ = await browser.get("/login/oidc")
    assert status == 303
    return await browser.get("/login/oidc/callback", **(provider.authorized(location) | changes))


# --- in a browser, with a provider that others wrote


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")
def test_a_browser_signs_in_and_out(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET)

    async def main() -> None:
        users: dict[str, dict[str, Any]] = {"olga": {"groups": ["charging"], "preferred_username": "olga"}, "max": {"groups": ["cleaning"]}}
        async with (
            provider_process(users) as issuer,
            _served(issuer, client_secret_file=str(secret_file)) as url,
            async_playwright() as playwright,
        ):
            chromium = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
            page = await (await chromium.new_context(base_url=url)).new_page()
            try:
                await page.goto("/")
                await page.get_by_role("link", name="Sign in with").click()
                await page.locator("input[name=sub]").fill("max")
                await page.get_by_role("button", name="Authorize").click()
                await expect(page.get_by_role("alert")).to_contain_text("nothing lets you look on here")
                await page.get_by_role("link", name="Sign in with").click()
                await page.get_by_role("button", name="Deny").click()
                # This provider says no without the state, which RFC 6749 4.1.2.1 wants: so it might be anybody's answer.
                await expect(page.get_by_role("alert")).to_contain_text("belongs to another login")
                await page.get_by_role("link", name="Sign in with").click()
                await page.locator("input[name=sub]").fill("olga")
                await page.get_by_role("button", name="Authorize").click()
                await expect(page.get_by_role("heading", level=1)).to_have_text("Stations")
                await expect(page.locator("header")).to_contain_text("oidc:olga (operator)")
                cookies = await page.context.cookies(url)
                assert [(one["name"], one["sameSite"]) for one in cookies] == [("ocppress-admin", "Strict")]
                await page.get_by_role("button", name="Log out").click()
                await page.get_by_role("button", name="End session").click()
                await expect(page).to_have_url(f"{url}/login")
                assert [one["name"] for one in await page.context.cookies(url)] == []
                await page.get_by_label("Name").fill("ann")
                await page.get_by_label("Password").fill(PASSWORD)
                await page.keyboard.press("Enter")
                await expect(page.locator("header")).to_contain_text("ann (operator)")
            finally:
                await chromium.close()

    asyncio.run(main())


# --- with one that lies


def test_an_honest_answer_lets_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")

    async def main() -> None:
        async with _lying(client_secret_file=str(tmp_path / "secret")) as (provider, _, browser):
            status, _, text = await _back(provider, browser)
            assert (status, 'content="0; url=/"' in text) == (200, True)
            assert await browser.is_in()
            assert provider.authorizations[0].startswith("Basic ")

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    (fields,) = [record.__dict__["fields"] for record in caplog.records if record.message == "logged in"]
    assert (fields["user"], fields["subject"], fields["role"]) == ("oidc:olga", "248289761001", "operator")
    assert SECRET not in caplog.text + str([record.__dict__ for record in caplog.records])


OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    ("lie", "token"),
    [
        pytest.param({"nonce": "another"}, signed, id="nonce"),
        pytest.param({"nonce": None}, signed, id="no nonce"),
        pytest.param({"aud": "somebody-else"}, signed, id="audience"),
        pytest.param({"aud": ["ocppress", "somebody-else"]}, signed, id="several audiences"),
        pytest.param({"azp": "somebody-else"}, signed, id="authorized party"),
        pytest.param({"iss": "https://evil.example.com"}, signed, id="issuer"),
        pytest.param({"exp": int(time.time()) - 3600}, signed, id="expired"),
        pytest.param({"exp": None}, signed, id="no expiry"),
        pytest.param({"iat": int(time.time()) + 7200}, signed, id="of the future"),
        pytest.param({"groups": "chargin"}, signed, id="another role"),
        pytest.param({"groups": {"charging": True}}, signed, id="a role of another shape"),
        pytest.param({"sub": 5}, signed, id="a subject that is a number"),
        pytest.param({}, lambda claims: signed(claims, algorithm="none"), id="alg none"),
        pytest.param({}, lambda claims: signed(claims, algorithm="HS256", key=PUBLIC_PEM), id="HS256 with the public key"),
        pytest.param({}, lambda claims: signed(claims, key=OTHER), id="another key"),
        pytest.param({}, lambda claims: signed(claims, key=KEY, kid="two"), id="a key that isn't published"),
        pytest.param({}, lambda claims: signed(claims)[:-8] + "AAAAAAAA", id="broken signature"),
        pytest.param({}, lambda claims: "no token", id="no token"),
    ],
)
def test_a_lie_lets_nobody_in(lie: dict[str, Any], token: Callable[[dict[str, Any]], str], caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with _lying() as (provider, _, browser):
            provider.lie = lambda claims: {name: value for name, value in (claims | lie).items() if value is not None}
            provider.token = token
            status, _, _ = await _back(provider, browser)
            assert status in (403, 502)
            assert not await browser.is_in()
            provider.lie, provider.token = lambda claims: claims, signed
            assert (await _back(provider, browser))[0] == 200

    asyncio.run(main())
    assert "eyJ" not in caplog.text + str([record.__dict__ for record in caplog.records])


def test_an_answer_belongs_to_the_browser_that_began() -> None:
    async def main() -> None:
        async with _lying() as (provider, url, browser):
            _, location, _ = await browser.get("/login/oidc")
            answer = provider.authorized(location)
            victim = _Browser(url)
            async with victim.session:  # login fixation: the enemy's answer in somebody else's browser
                assert (await victim.get("/login/oidc/callback", **answer))[0] == 400
                await victim.get("/login/oidc")
                assert (await victim.get("/login/oidc/callback", **answer))[0] == 400
                assert not await victim.is_in()
            assert (await browser.get("/login/oidc/callback", **answer))[0] == 200
            assert (await browser.get("/login/oidc/callback", **answer))[0] == 400, "a replay"
            assert provider.asked.count("/token") == 1
            for changes in {"state": "another"}, {"state": "ü"}, {"code": ""}, {"code": "x" * 5000}:
                assert (await _back(provider, browser, **changes))[0] == 400
            assert (await _back(provider, browser, iss="https://evil.example.com"))[0] == 502
            assert (await _back(provider, browser, code="guessed"))[0] == 502
            assert (await _back(provider, browser, iss=provider.issuer))[0] == 200

    asyncio.run(main())


def test_who_is_refused_is_told_without_the_words_of_others(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with _lying() as (provider, _, browser):
            status, _, text = await _back(provider, browser, error="access_denied\n<b>", error_description="<script>alert(1)</script>")
            assert (status, "let you sign in" in text, "alert(1)" in text) == (403, True, False)
            assert not provider.asked.count("/token")

    asyncio.run(main())
    (fields,) = [record.__dict__["fields"] for record in caplog.records if "fields" in record.__dict__]
    assert fields["error"] == "access_denied__b_"


def test_a_login_ends() -> None:
    async def main() -> None:
        now = 0.0
        provider = LyingProvider()
        await provider.start()
        try:
            config = admin_config(
                oidc={"issuer": provider.issuer, "client_id": "c", "public_url": "http://localhost:1", "viewers": ["charging"]}
            ).oidc
            assert config is not None
            one = sign_in.SignIn(config, openid.OpenIdProvider(config), is_https=False, clock=lambda: now)
            for _ in range(sign_in.LOGINS_MAX + 5):
                cookie = (await one.begin()).cookies["ocppress-login"].value
            assert len(one._logins) == sign_in.LOGINS_MAX
            now = LOGIN_S
            request = type("Request", (), {"cookies": {"ocppress-login": cookie}, "query": {"state": "s", "code": "c"}})
            with pytest.raises(Refused, match="too long ago"):
                await one.finish(request, "")  # type: ignore[arg-type]
        finally:
            await provider.close()

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
@pytest.mark.parametrize("how", ["big", "hangs"])
def test_a_provider_that_floods_or_hangs(path: str, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(openid, "ISSUER_S", 0.5)

    async def main() -> None:
        async with _lying() as (provider, _, browser):
            getattr(provider, how).add(path)
            status, location, text = await browser.get("/login/oidc")
            if status == 303:
                status, _, text = await browser.get("/login/oidc/callback", **provider.authorized(location))
            assert (status, "failed at the OpenID provider" in text) == (502, True)
            assert not await browser.is_in()

    asyncio.run(main())
    (error,) = [record.__dict__["fields"]["error"] for record in caplog.records if record.message == "the OpenID provider"]
    assert ("bytes" if how == "big" else "within 0.5 s") in error


def test_a_provider_that_hangs_leaves_the_dashboard_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with _lying() as (provider, _, browser):
            provider.hangs.add("/.well-known/openid-configuration")
            async with asyncio.TaskGroup() as group:
                asks = [group.create_task(browser.get("/login/oidc")) for _ in range(sign_in.ASKING_MAX + 3)]
                await asyncio.sleep(0.5)
                assert (await browser.get("/login"))[0] == 200
            assert sorted(task.result()[0] for task in asks) == [502] * sign_in.ASKING_MAX + [503] * 3

    monkeypatch.setattr(openid, "ISSUER_S", 3.0)
    asyncio.run(main())


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example.com"},
        {"token_endpoint": "http://evil.example.com/token"},
        {"end_session_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 5},
    ],
)
def test_metadata_that_lead_elsewhere(metadata: dict[str, Any]) -> None:
    async def main() -> None:
        async with _lying() as (provider, _, browser):
            provider.metadata = metadata
            assert (await browser.get("/login/oidc"))[0] == 502

    asyncio.run(main())


def test_the_doctor_asks_the_provider() -> None:
    async def main() -> None:
        provider = LyingProvider()
        await provider.start()
        oidc = {"issuer": provider.issuer, "client_id": "c", "public_url": "http://localhost:1", "viewers": ["charging"]}
        config = admin_config(oidc=oidc)
        assert (await operators_provider(None)).verdict is Verdict.SKIP
        assert (await operators_provider(admin_config())).verdict is Verdict.SKIP
        assert (await operators_provider(config)).verdict is Verdict.PASS
        await provider.close()
        assert (await operators_provider(config)).verdict is Verdict.FAIL

    asyncio.run(main())
