"""The pathologist's screen: its keys, what was released without anybody, who may not, and what is read of a hold."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.app import DESKTOP, App, texts
from tests.web.test_bench import SENT, held, results, settled

WORDS = texts()
IN_CELLS = """
(parts) => parts.map((part) => [part, part.closest("td, th")].map((one) => one.getBoundingClientRect().toJSON()))
"""


def opened(app: App) -> Page:
    """The screen, as the pathologist comes to it."""
    page = app.sign_in("pathologist")
    page.get_by_role("navigation").get_by_role("link", name=WORDS["nav.authorise"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(WORDS["nav.authorise"])
    return page


def here(page: Page, result_id: str) -> None:
    """The keys are about this result."""
    expect(held(page, result_id)).to_have_attribute("aria-current", "true")
    expect(page.locator("tr[aria-current]")).to_have_count(1)


@pytest.mark.req("3.4.7")
def test_the_keys_move_tick_authorise_reject_and_correct(app: App) -> None:
    measured = app.lab.measure("BUN", "CREA", "GLU", values={"BUN": "60", "CREA": "3.1", "GLU": "260"})
    ids = {code: measured.line(code)["id"] for code in ("BUN", "CREA", "GLU")}
    page = opened(app)
    held(page, ids["BUN"]).locator("td").last.click(position={"x": 2, "y": 2})
    here(page, ids["BUN"])

    page.keyboard.press("j")
    here(page, ids["CREA"])
    page.keyboard.press("j")
    here(page, ids["GLU"])
    page.keyboard.press("k")
    here(page, ids["CREA"])
    page.keyboard.press("Space")
    expect(held(page, ids["CREA"]).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("Space")
    expect(held(page, ids["CREA"]).get_by_role("checkbox")).not_to_be_checked()
    page.keyboard.press("Space")
    page.keyboard.press("k")
    page.keyboard.press("a")  # what is ticked, not where one stands
    expect(held(page, ids["CREA"])).to_have_count(0)
    here(page, ids["BUN"])
    page.keyboard.press("r")
    expect(held(page, ids["BUN"])).to_have_count(0)
    held(page, ids["GLU"]).locator("td").last.click(position={"x": 2, "y": 2})
    page.keyboard.press("c")
    expect(page.get_by_role("dialog").locator("[name=value]")).to_be_focused()
    page.keyboard.type("126")
    page.get_by_role("dialog").locator("[name=reason]").select_option("transcription_error")
    page.get_by_role("dialog").get_by_role("button", name=WORDS["bench.correct"]).click()
    expect(page.get_by_role("row").filter(has_text="GLU").filter(has_text="126")).to_be_visible()
    settled(page)

    assert [line[:3] for line in results(app, measured.drawn)] == [
        ("BUN", "60", "rejected"),
        ("CREA", "3.1", "authorised"),
        ("GLU", "260", "superseded"),
        ("GLU", "126", "held"),
    ]


@pytest.mark.req("12.1")
def test_what_was_released_automatically_is_listed_and_nothing_else(app: App) -> None:
    automatic = app.lab.measure("GLU", values={"GLU": "87"})
    assert automatic.reasons() == []
    by_hand = app.lab.measure("GLU", values={"GLU": "261"})
    app.lab.post("/v1/results/authorise", {"result_ids": [by_hand.line()["id"]]})
    released, authorised = (
        app.lab.get(f"/v1/orders/{of.drawn.order_id}")["order_number"] for of in (automatic, by_hand)
    )
    page = opened(app)
    expect(page.get_by_role("row").filter(has_text=released)).to_have_count(0)

    page.locator("[name=tab][value=released]").check()

    line = page.get_by_role("row").filter(has_text=released)
    expect(line).to_contain_text("GLU")
    expect(line).to_contain_text("87")
    expect(line.locator("td").last).to_have_text(re.compile(r"^0\.\d\d$"))  # the model's risk
    expect(page.get_by_role("row").filter(has_text=authorised)).to_have_count(0)
    expect(page.get_by_role("row").get_by_role("checkbox")).to_have_count(0)
    assert app.violations() == []


@pytest.mark.req("3.4.7", "3.12.6")
def test_who_corrected_a_value_may_not_authorise_it_here_nor_at_the_server(app: App) -> None:
    first = app.lab.measure("GLU", values={"GLU": "262"}).line()["id"]
    body = {"value_text": "126", "reason": "dilution_error", "comment": None}
    mine = app.lab.post(f"/v1/results/{first}/correct", body, by="pathologist")["id"]
    page = opened(app)
    expect(held(page, mine)).to_contain_text(WORDS["authorise.own"])
    expect(held(page, mine).get_by_role("checkbox")).to_be_disabled()
    held(page, mine).locator("td").last.click(position={"x": 2, "y": 2})
    page.keyboard.press("a")
    expect(page.locator(".toast.wrong")).to_contain_text(WORDS["authorise.own"])
    expect(page.locator(".status")).not_to_contain_text("waiting")

    app.forget("results", mine, "entered_by_id")
    held(page, mine).locator("td").last.click(position={"x": 2, "y": 2})
    page.keyboard.press("a")
    expect(held(page, mine)).to_have_count(0)

    expect(held(page, mine)).to_contain_text(
        WORDS["bench.refused"].format(why="Entered by the same person"), timeout=SENT
    )
    expect(page.locator(".status")).to_contain_text(WORDS["status.refused_one"].format(count=1))
    assert app.lab.rows("select status, authorised_by_id from lims.results where id = %s", mine) == [("held", None)]


def test_the_reasons_of_a_hold_are_read_without_scrolling_sideways(app: App) -> None:
    person = app.lab.person(name="Venkatanarasimharajuvaripeta Subramanyeswari")
    before = app.lab.measure("GLU", "CREA", "K", person=person)
    waiting = [line["id"] for code in ("GLU", "CREA", "K") if (line := before.line(code))["status"] == "held"]
    if waiting:
        app.lab.post("/v1/results/authorise", {"result_ids": waiting})
    measured = app.lab.measure(
        "GLU", "CREA", "K", values={"GLU": "260", "CREA": "3.1", "K": "7.4"}, person=person,
        stated={"name": "Somebody Else"},
    )  # fmt: skip
    page = opened(app)
    for code in ("GLU", "CREA", "K"):
        found = measured.line(code)
        line = held(page, found["id"])
        for reason in found["reasons"]:
            expect(line.locator("li", has_text=WORDS[f"hold.{reason}"])).to_be_visible()
        assert [within(line, ".reasons li"), within(line, ".flag"), within(line, "button")] == [True] * 3
        reasons = line.locator("td", has=page.locator(".reasons")).bounding_box()
        assert reasons is not None
        assert reasons["width"] >= 200
    assert page.viewport_size == DESKTOP
    assert app.sideways() == []


def within(line: Locator, parts: str) -> bool:
    """Every such part of the line lies in its cell."""
    boxes = line.locator(parts).evaluate_all(IN_CELLS)
    return bool(boxes) and all(cell["left"] <= box["left"] and box["right"] <= cell["right"] for box, cell in boxes)
