"""Who comes in, who does not, and what each of them finds."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from lims_api.cli.seeding import STAFF
from tests.web.app import PHONE, App, texts

NAMES = [username for username, *_ in STAFF]


@pytest.mark.parametrize("username", NAMES)
def test_a_member_of_staff_signs_in_and_finds_what_is_theirs(app: App, username: str) -> None:
    page = app.sign_in(username)

    expect(page.get_by_role("heading", level=1)).to_have_text(texts()["nav.overview"])
    expect(page.get_by_role("navigation").get_by_role("link", name=texts()["nav.settings"])).to_be_visible()


@pytest.mark.parametrize(
    ("username", "password", "organization"),
    [("technician", "wrong", None), ("nobody", "wrong", None), ("technician", "", "elsewhere")],
    ids=["wrong password", "unknown person", "unknown laboratory"],
)
def test_who_does_not_belong_here_stays_outside(
    app: App, username: str, password: str, organization: str | None
) -> None:
    app.fill_in(username, password or app.password(username), organization)

    expect(app.page.get_by_role("alert")).to_have_text(texts()["sign_in.refused"])
    expect(app.page.locator("[name=password]")).to_have_value("")
    expect(app.page.get_by_role("navigation")).to_have_count(0)


def test_without_the_network_nobody_signs_in_and_the_screen_says_why(app: App) -> None:
    app.page.goto(f"{app.address}/app/")
    app.page.route("**/v1/**", lambda route: route.abort())
    app.page.locator("[name=organization]").fill(app.lab.code)
    app.page.locator("[name=username]").fill("technician")
    app.page.locator("[name=password]").fill("anything")
    app.page.locator("button[type=submit]").click()

    expect(app.page.get_by_role("alert")).to_have_text(texts()["sign_in.unreachable"])


def test_the_session_outlives_the_page_and_ends_with_signing_out(app: App) -> None:
    page = app.sign_in("technician", "/settings")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(texts()["nav.settings"])

    page.get_by_role("button", name=texts()["settings.sign_out"]).click()

    expect(page.locator("[name=password]")).to_be_visible()
    stores = page.evaluate("async () => (await indexedDB.databases()).map(one => one.name)")
    assert [name for name in stores if name.startswith("nidan:")] == []


def test_the_address_is_kept_over_the_sign_in(app: App) -> None:
    app.page.goto(f"{app.address}/app/outbox")
    app.page.locator("[name=organization]").fill(app.lab.code)
    app.page.locator("[name=username]").fill("technician")
    app.page.locator("[name=password]").fill(app.password("technician"))
    app.page.locator("button[type=submit]").click()

    expect(app.page.get_by_role("heading", level=1)).to_have_text(texts()["nav.outbox"])
    expect(app.page).to_have_url(re.compile("/app/outbox$"))


def test_without_the_permission_a_screen_is_neither_offered_nor_shown(app: App) -> None:
    page = app.sign_in("manager")

    expect(page.get_by_role("link", name=texts()["nav.authorise"])).to_have_count(0)


def test_on_a_phone_nothing_is_wider_than_the_screen(app: App) -> None:
    app.again(viewport=PHONE, is_mobile=True, has_touch=True)
    page = app.sign_in("technician", "/settings")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
