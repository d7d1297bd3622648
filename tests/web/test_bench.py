"""The day of the technician and of the pathologist: done on the screen, found in the database; and what is refused."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from lims_api.core.permissions import Permission
from tests.integration.laboratory import Drawn
from tests.web.app import App, texts

WORDS = texts()
SENT = 20_000
"""An undo window and an exchange, milliseconds."""


def row(page: Page, drawn: Drawn, code: str) -> Locator:
    """The worklist's line of a test."""
    return page.get_by_role("row").filter(has_text=drawn.accession).filter(has_text=code)


def held(page: Page, result_id: str) -> Locator:
    """The pathologist's line of a result."""
    return page.locator(f"#held-{result_id}")


def settled(page: Page) -> None:
    """Nothing waits to be sent or fetched."""
    expect(page.locator(".status")).not_to_contain_text("waiting", timeout=SENT)


def results(app: App, drawn: Drawn) -> list[tuple[Any, ...]]:
    return app.lab.rows(
        "select test_code, value_text, status, verified_by_id, authorised_by_id, entered_by_id, version"
        " from lims.results where order_id = %s order by test_code, version",
        drawn.order_id,
    )


def entered(app: App, drawn: Drawn, values: dict[str, str], by: str) -> dict[str, str]:
    """Values that somebody typed elsewhere; the results' ids by test."""
    tests = dict(app.lab.rows("select test_code, id from lims.order_tests where order_id = %s", drawn.order_id))
    body = {
        "values": [{"order_test_id": str(tests[code]), "value_text": text} for code, text in values.items()],
        "measured_at": "2026-01-01T09:00:00+05:30",
    }
    refs = app.lab.post("/v1/results", body, by=by)["results"]
    return dict(zip(values, [ref["id"] for ref in refs], strict=True))


def test_the_technician_types_values_and_verifies_what_others_entered(app: App) -> None:
    before = app.lab.measure("K", values={"K": "4.0"})
    if before.line("K")["status"] == "held":
        app.lab.post("/v1/results/authorise", {"result_ids": [before.line("K")["id"]]})
    drawn = app.lab.draw("K", "GLU", person=before.drawn.person)
    other = app.lab.measure("GLU", "CREA", values={"GLU": "260", "CREA": "3.1"}).drawn
    page = app.sign_in("technician", "/results")

    row(page, drawn, "GLU").locator("td.editable").click()
    page.keyboard.type("12x")
    expect(page.locator(".check.wrong")).to_contain_text(WORDS["bench.not_a_number"])
    page.keyboard.press("Enter")
    expect(row(page, drawn, "GLU")).to_contain_text(WORDS["bench.not_a_number"])

    row(page, drawn, "K").locator("td.editable").click()
    page.keyboard.type("6.0")
    expect(page.locator(".check")).to_contain_text("+50.0 %")
    page.keyboard.press("Enter")
    expect(row(page, drawn, "K")).to_contain_text(WORDS["bench.held"])
    assert app.violations() == []

    page.locator("[name=stage][value=verify]").check()
    row(page, drawn, "K").locator("td").first.click()
    page.keyboard.press("v")
    expect(page.locator(".toast.wrong")).to_contain_text(WORDS["bench.own_verify"])
    expect(row(page, other, "GLU")).to_contain_text(WORDS["hold.outside_reference_interval"])
    for code in ("GLU", "CREA"):
        row(page, other, code).locator("td").first.click()
        page.keyboard.press("Space")
    page.keyboard.press("v")
    expect(row(page, other, "GLU")).to_have_count(0)
    settled(page)

    me = app.lab.users["technician"]
    assert [line[:3] + line[5:6] for line in results(app, drawn)] == [("K", "6.0", "held", me)]
    assert [line[:4] for line in results(app, other)] == [("CREA", "3.1", "held", me), ("GLU", "260", "held", me)]
    page.goto(f"{app.address}/app/settings")
    page.get_by_role("button", name=WORDS["settings.sign_out"]).click()
    expect(page.locator("[name=password]")).to_be_visible()


def test_what_somebody_else_entered_meanwhile_is_refused_and_said(app: App) -> None:
    drawn = app.lab.draw("GLU")
    page = app.sign_in("technician", "/results")
    row(page, drawn, "GLU").locator("td.editable").click()
    page.context.set_offline(True)
    page.keyboard.type("91")
    page.keyboard.press("Enter")
    expect(row(page, drawn, "GLU")).to_contain_text(WORDS["bench.pending"])
    entered(app, drawn, {"GLU": "85"}, by=app.lab.someone(Permission.RESULT_ENTER))

    page.context.set_offline(False)

    expect(page.locator(".status")).to_contain_text("1 refused", timeout=SENT)
    expect(row(page, drawn, "GLU").locator("td").nth(3)).to_have_text("85")
    assert [line[:3] for line in results(app, drawn)] == [("GLU", "85", "held")]


def test_the_pathologist_authorises_a_batch_rejects_corrects_and_calls(app: App) -> None:
    high = app.lab.measure("GLU", "CREA", "BUN", values={"GLU": "260", "CREA": "3.1", "BUN": "60"})
    critical = app.lab.measure("K", values={"K": "7.4"})
    ids = {code: high.line(code)["id"] for code in ("GLU", "CREA", "BUN")} | {"K": critical.line("K")["id"]}
    page = app.sign_in("pathologist", "/authorise")

    expect(held(page, ids["K"])).to_contain_text(WORDS["hold.critical_value"])
    page.get_by_role("button", name=WORDS["authorise.tick_all"]).click()
    expect(held(page, ids["GLU"]).get_by_role("checkbox")).to_be_checked()
    expect(held(page, ids["K"]).get_by_role("checkbox")).not_to_be_checked()
    assert app.violations() == []
    page.reload()
    expect(held(page, ids["GLU"]).get_by_role("checkbox")).not_to_be_checked()

    held(page, ids["BUN"]).locator("td").last.click(position={"x": 2, "y": 2})
    page.keyboard.press("r")
    expect(held(page, ids["BUN"])).to_have_count(0)
    page.locator(".toast").get_by_role("button", name=WORDS["toast.undo"]).click()
    expect(held(page, ids["BUN"])).to_have_count(1)

    for code in ("GLU", "K"):
        held(page, ids[code]).get_by_role("checkbox").check()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Authorise 2 results?")
    expect(dialog).to_contain_text("K 7.4")
    dialog.get_by_role("button", name=WORDS["nav.authorise"]).click()
    expect(held(page, ids["GLU"])).to_have_count(0)

    held(page, ids["CREA"]).locator("td").last.click(position={"x": 2, "y": 2})
    page.keyboard.press("c")
    dialog.locator("[name=value]").fill("1.25")
    dialog.locator("[name=reason]").select_option("dilution_error")
    dialog.get_by_role("button", name=WORDS["bench.correct"]).click()
    corrected = page.get_by_role("row").filter(has_text="CREA").filter(has_text="1.25")
    expect(corrected).to_contain_text(WORDS["authorise.own"])
    settled(page)

    page.goto(f"{app.address}/app/calls")
    card = page.locator("li.card", has_text=critical.drawn.person.uhid)
    card.get_by_role("button", name=WORDS["calls.record"]).click()
    dialog.get_by_role("button", name=WORDS["calls.keep"]).click()
    expect(dialog.get_by_role("alert")).to_have_text(WORDS["calls.missing"])
    dialog.locator("[name=informed]").fill("Dr Example on ward 3")
    dialog.locator("[name=read_back]").check()
    assert app.violations() == []
    dialog.get_by_role("button", name=WORDS["calls.keep"]).click()
    expect(card).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="Dr Example on ward 3")).to_have_count(1)
    settled(page)

    me = app.lab.users["pathologist"]
    assert [line[:3] + line[4:5] for line in results(app, high.drawn)] == [
        ("BUN", "60", "held", None),
        ("CREA", "3.1", "superseded", None),
        ("CREA", "1.25", "held", None),
        ("GLU", "260", "authorised", me),
    ]
    assert [line[2] for line in results(app, critical.drawn)] == ["authorised"]
    called = app.lab.rows("select outcome, read_back from lims.critical_calls where result_id = %s", ids["K"])
    assert called == [("informed", True)]


def test_what_another_pathologist_authorised_meanwhile_is_said(app: App) -> None:
    result_id = app.lab.measure("GLU", values={"GLU": "260"}).line()["id"]
    page = app.sign_in("pathologist", "/authorise")
    held(page, result_id).locator("td").last.click(position={"x": 2, "y": 2})
    page.keyboard.press("r")
    expect(held(page, result_id)).to_have_count(0)
    other = app.lab.someone(Permission.RESULT_AUTHORISE)
    app.lab.post("/v1/results/authorise", {"result_ids": [result_id]}, by=other)

    expect(page.locator(".status")).to_contain_text("1 refused", timeout=SENT)
    expect(held(page, result_id)).to_have_count(0)
    page.goto(f"{app.address}/app/outbox")
    expect(page.locator(".card.wrong")).to_contain_text("Only a held result can be authorised or rejected")
    assert app.lab.rows("select status from lims.results where id = %s", result_id) == [("authorised",)]
