"""Every screen: without a violation of WCAG 2.2 AA, in each language and both colour schemes, small enough."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.web.app import PHONE, ROOT, App, texts

LANGUAGES = ["en", "hi", "ta", "te", "mr", "bn", "kn"]
SCREENS = sorted(path.parent.name for path in (ROOT / "web" / "src" / "screens").glob("*/index.tsx"))
PATHS = {"overview": "/", "patient": None}
"""Addresses that are not the screen's name; None: needs something to show, and has a test of its own."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_screen_has_no_violation(app: App, scheme: str) -> None:
    app.again(color_scheme=scheme)
    app.page.goto(f"{app.address}/app/")
    app.page.locator("[name=password]").wait_for()

    assert app.violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_has_a_violation(app: App, scheme: str) -> None:
    app.again(color_scheme=scheme)
    app.sign_in("pathologist")
    found = {}
    for screen in SCREENS:
        path = PATHS.get(screen, f"/{screen}")
        if path is None:
            continue
        app.page.goto(f"{app.address}/app{path}")
        app.page.locator("main :is(h1, .empty)").first.wait_for()
        found[screen] = app.violations()

    assert {screen: lines for screen, lines in found.items() if lines} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_language_is_switched_on_the_spot_and_stays(app: App, language: str) -> None:
    page = app.sign_in("technician", "/settings")

    page.locator(f"[name=language][value={language}]").check()

    expect(page.get_by_role("heading", level=1)).to_have_text(texts(language)["nav.settings"])
    assert page.evaluate("document.documentElement.lang") == language
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(texts(language)["nav.settings"])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_script_s_font_is_fetched_only_with_its_language(app: App) -> None:
    fetched: list[str] = []
    app.page.on("request", lambda request: fetched.append(request.url))
    page = app.sign_in("technician", "/settings")
    page.locator("[name=theme][value=dark]").check()
    before = [url for url in fetched if "noto-sans" in url]

    page.locator("[name=language][value=hi]").check()
    page.wait_for_function("document.fonts.check('16px Script', 'अ') && document.fonts.status === 'loaded'")

    assert not [url for url in before if "latin" in url]
    assert [url for url in fetched if re.search(r"noto-sans-devanagari-.*\.woff2$", url)]


def test_without_the_network_the_app_says_so_and_goes_on(app: App) -> None:
    page = app.sign_in("technician")

    page.context.set_offline(True)

    expect(page.locator(".banner")).to_have_text(texts()["banner.offline"])
    expect(page.locator(".status .state")).to_have_text(texts()["status.offline"])
    page.get_by_role("link", name=texts()["nav.overview"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(texts()["nav.overview"])
    page.context.set_offline(False)
    expect(page.locator(".banner", has_text=texts()["banner.offline"])).to_have_count(0)


def test_the_dark_scheme_is_chosen_and_stays(app: App) -> None:
    page = app.sign_in("technician", "/settings")
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    page.locator("[name=theme][value=dark]").check()

    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert dark != light
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == dark


def test_the_first_load_is_small(app: App) -> None:
    """JS and CSS as they travel, in Brotli, from nothing to the sign-in screen and on to the overview."""
    sizes: dict[str, int] = {}
    session = app.page.context.new_cdp_session(app.page)
    session.send("Network.enable")
    urls: dict[str, str] = {}
    session.on("Network.responseReceived", lambda event: urls.update({event["requestId"]: event["response"]["url"]}))
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({urls.get(event["requestId"], ""): event["encodedDataLength"]}),
    )
    app.sign_in("technician")
    app.page.wait_for_load_state("networkidle")

    code = {url: size for url, size in sizes.items() if url.endswith((".js", ".css"))}
    print(f"first load: {sum(code.values()) / 1000:.1f} kB in {len(code)} files")
    assert 0 < sum(code.values()) < 90_000


def test_on_a_phone_every_screen_fits(app: App) -> None:
    app.again(viewport=PHONE, is_mobile=True, has_touch=True)
    page = app.sign_in("pathologist")
    for screen in SCREENS:
        path = PATHS.get(screen, f"/{screen}")
        if path is None:
            continue
        page.goto(f"{app.address}/app{path}")
        page.locator("main :is(h1, .empty)").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], screen
