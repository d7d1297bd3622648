"""What every screen has in common: zoom, the way by keyboard, the help, and several tabs of one person."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.web.app import PHONE, App, texts
from tests.web.test_screens import PATHS, SCREENS

TEXT = texts()
ZOOMED: ViewportSize = {"width": 640, "height": 400}
READY = {"qc": ".qc-today tbody tr", "switch": ".switches tbody tr", "overview": ".figures"}
"""What is there once the documents are."""


@pytest.mark.parametrize("size", [ZOOMED, PHONE], ids=["zoomed", "phone"])
def test_every_screen_fits(app: App, size: ViewportSize) -> None:
    """1280 by 800 at 200 % is 640 by 400 with two device pixels each: nothing scrolls sideways but tables."""
    app.again(viewport=size, device_scale_factor=2)
    page = app.sign_in("technician")
    page.locator(".synced").wait_for()
    for screen in SCREENS:
        path = PATHS.get(screen, f"/{screen}")
        if path is None:
            continue
        page.goto(f"{app.address}/app{path}")
        page.locator("main :is(h1, .empty)").first.wait_for()
        page.locator(READY.get(screen, "main")).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], screen


def test_what_comes_first_skips_to_the_content(app: App) -> None:
    page = app.sign_in("technician")
    page.locator(".brand").focus()

    page.keyboard.press("Shift+Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


def test_a_new_screen_takes_the_focus_to_its_title_and_names_the_tab(app: App) -> None:
    page = app.sign_in("technician")

    for key in ("nav.parked", "nav.switch", "nav.outbox"):
        page.get_by_role("navigation").get_by_role("link", name=TEXT[key]).press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(TEXT[key])
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        assert page.title().startswith(TEXT[key])


def test_the_question_mark_lists_the_keys_and_escape_goes_back(app: App) -> None:
    page = app.sign_in("technician", "/switch")
    page.locator("h1").focus()

    page.keyboard.press("?")

    keys = page.get_by_role("dialog")
    for key in ("help.tab", "help.record", "help.verify"):
        expect(keys).to_contain_text(TEXT[key])
    assert app.violations() == []
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    expect(page.locator("h1")).to_be_focused()


def test_of_two_tabs_one_speaks_with_the_server_and_the_other_takes_over(app: App) -> None:
    first = app.sign_in("technician")
    second = first.context.new_page()
    pulls: dict[str, int] = {"first": 0, "second": 0}
    count(first, "first", pulls)
    count(second, "second", pulls)
    second.goto(f"{app.address}/app/switch")
    expect(second.locator(".switches tbody tr").first).to_be_visible()
    expect(second.locator(".status .state")).to_have_text(TEXT["status.online"])
    locks = second.evaluate(
        "async () => { const all = await navigator.locks.query();"
        " return [all.held, all.pending].map(some => some.filter(one => one.name.endsWith(':sync')).length) }"
    )
    assert locks == [1, 1]

    # what one tab does, the other shows; the leading one sends it
    second.get_by_label(TEXT["switch.search"]).fill("ALP")
    switch = second.locator(".switches tbody tr", has_text="ALP").get_by_role("button")
    switch.click()
    expect(first.locator(".release-off")).to_contain_text("ALP")
    switch.click()
    second.locator("[name=reason_on]").first.check()
    second.get_by_role("button", name=TEXT["switch.confirm_on"]).click()
    expect(first.locator(".release-off")).to_have_count(0)
    first.wait_for_timeout(5_500)
    assert pulls["first"] > 0
    assert pulls["second"] == 0

    first.close()

    with second.expect_request("**/v1/sync/pull*", timeout=10_000):
        second.bring_to_front()
    app.page = second


def count(page: Page, name: str, pulls: dict[str, int]) -> None:
    """How often this tab asks the server for changes."""

    def asked(url: str) -> None:
        pulls[name] += "/v1/sync/" in url

    page.on("request", lambda request: asked(request.url))


def test_signing_out_leaves_nothing_of_the_person_on_the_device(app: App) -> None:
    app.lab.draw("GLU")
    page = app.sign_in("technician")
    page.wait_for_function("async () => (await indexedDB.databases()).some(one => one.name.startsWith('nidan:'))")
    page.goto(f"{app.address}/app/settings")

    # another connection keeps the store for a while: nobody is asked to sign in before it is gone
    page.evaluate(
        "async () => { const { name } = (await indexedDB.databases())[0];"
        " indexedDB.open(name).onsuccess = (opened) => { window.held = opened.target.result } }"
    )
    page.wait_for_function("() => window.held")

    page.get_by_role("button", name=TEXT["settings.sign_out"]).click()

    expect(page.locator("#app")).to_be_empty()
    page.wait_for_timeout(500)
    expect(page.locator("#app")).to_be_empty()
    page.evaluate("() => window.held.close()")
    expect(page.locator("[name=password]")).to_be_visible()
    left = page.evaluate(
        "async () => [(await indexedDB.databases()).length, (await caches.keys()).length, sessionStorage.length,"
        " Object.keys(localStorage).filter(key => !/^nidan:(device|language|organization|theme)$/.test(key))]"
    )
    assert left == [0, 0, 0, []]
