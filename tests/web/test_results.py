"""The technician's worklist: values of a list, filters, and holds that are understood without knowing their codes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import DefinitionIn
from lims_api.core.clock import utc_now
from lims_api.orders import service as orders
from lims_api.orders.models import Priority
from lims_api.orders.schemas import OrderIn
from lims_api.specimens import service as specimens
from tests.integration.laboratory import Drawn, Laboratory
from tests.web.app import App, texts
from tests.web.test_bench import SENT, entered, row, settled

WORDS = texts()
SEROLOGY, CODED = "Serology", "HBSAG"


@pytest.fixture(scope="module")
def serology(lab: Laboratory) -> Laboratory:
    """The laboratory with a test whose values are words, of a discipline that no other test has."""
    coded = {
        "code": CODED, "name": "Hepatitis B surface antigen", "loinc": "5196-1", "discipline": SEROLOGY,
        "kind": "coded", "allowed_values": ["Negative", "Positive", "Indeterminate"], "unit": "", "decimals": 0,
        "intervals": [], "reportable_low": None, "reportable_high": None, "delta_limit_percent": None,
        "delta_window_days": None, "translations": {},
    }  # fmt: skip
    with lab.session("pathologist") as session:
        catalogue.add_version(session, DefinitionIn.model_validate(lab.definitions["GLU"].model_dump() | coded))
    return lab


def received(lab: Laboratory, *tests: str, priority: Priority) -> Drawn:
    """An order of this priority whose specimen is in the laboratory."""
    person, now = lab.person(), utc_now()
    with lab.session("reception") as session:
        wanted = OrderIn(patient_id=person.id, site_id=lab.site_id, priority=priority, tests=list(tests))
        order = orders.place(session, wanted)
        session.flush()
        ((specimen, measured),) = specimens.collect(session, order.id, collected_at=now - timedelta(minutes=20))
        specimens.receive(session, specimen.accession_number, received_at=now - timedelta(minutes=10))
    return Drawn(order.id, person, specimen.accession_number, tuple(measured))


def choose(page: Page, field: str, value: str) -> None:
    page.locator(f"[name={field}]").select_option(value)


@pytest.mark.req("3.4.7")
def test_a_value_of_a_list_is_completed_and_no_other_is_kept(app: App, serology: Laboratory) -> None:
    drawn = serology.draw(CODED)
    page = app.sign_in("technician", "/results")
    row(page, drawn, CODED).locator("td.editable").click()

    page.keyboard.type("in")
    expect(page.locator(".check")).to_contain_text(WORDS["bench.allowed"].format(values="Negative, Positive"))
    expect(page.locator(".check")).to_contain_text("→ Indeterminate")
    page.keyboard.press("Control+a")
    page.keyboard.type("reactive")
    expect(page.locator(".check.wrong")).to_contain_text(WORDS["bench.not_allowed"])
    page.keyboard.press("Enter")
    expect(row(page, drawn, CODED)).to_contain_text(WORDS["bench.not_allowed"])
    row(page, drawn, CODED).locator("td.editable").dblclick()
    page.keyboard.press("Control+a")
    page.keyboard.type("pos")
    expect(page.locator(".check")).to_contain_text("→ Positive")
    page.keyboard.press("Enter")

    expect(row(page, drawn, CODED)).to_contain_text("Positive")
    expect(row(page, drawn, CODED)).to_contain_text(WORDS["bench.held"], timeout=SENT)
    assert app.violations() == []
    kept = serology.rows("select value_text, value, status from lims.results where order_id = %s", drawn.order_id)
    assert kept == [("Positive", None, "held")]


def test_the_filters_narrow_the_list_and_an_empty_one_says_so(app: App, serology: Laboratory) -> None:
    routine = received(serology, CODED, priority=Priority.ROUTINE)
    stat = received(serology, CODED, priority=Priority.STAT)
    other = received(serology, "GLU", priority=Priority.STAT)
    page = app.sign_in("technician", "/results")
    for drawn, code in ((routine, CODED), (stat, CODED), (other, "GLU")):
        expect(row(page, drawn, code)).to_be_visible()

    choose(page, "discipline", SEROLOGY)
    expect(row(page, other, "GLU")).to_have_count(0)
    expect(row(page, routine, CODED)).to_be_visible()
    choose(page, "priority", "stat")
    expect(row(page, routine, CODED)).to_have_count(0)
    expect(row(page, stat, CODED)).to_be_visible()
    choose(page, "discipline", "")
    expect(row(page, other, "GLU")).to_be_visible()

    page.locator("[name=stage][value=verify]").check()
    choose(page, "discipline", SEROLOGY)
    choose(page, "priority", "urgent")
    expect(page.get_by_role("grid")).to_have_count(0)
    expect(page.locator(".empty")).to_contain_text(WORDS["bench.none_filtered"])
    assert app.violations() == []
    page.get_by_role("button", name=WORDS["bench.clear_filter"]).click()
    expect(page.locator("[name=discipline]")).to_have_value("")
    expect(page.locator("[name=priority]")).to_have_value("")
    expect(page.locator(".empty", has_text=WORDS["bench.none_filtered"])).to_have_count(0)


@pytest.mark.req("12.2")
def test_another_person_s_identity_is_said_in_words(app: App) -> None:
    before = app.lab.measure("GLU")
    measured = app.lab.measure("GLU", stated={"name": "Somebody Else", "sex": "female"}, person=before.drawn.person)
    assert "identity_mismatch" in measured.reasons()
    page = app.sign_in("technician", "/receive")
    page.get_by_role("navigation").get_by_role("link", name=WORDS["nav.results"]).click()
    page.locator("[name=stage][value=verify]").check()
    line = row(page, measured.drawn, "GLU")

    expect(line).to_contain_text(WORDS["hold.identity_mismatch"])
    expect(line).not_to_contain_text("identity_mismatch")
    reasons = line.locator(".reasons")
    assert reasons.evaluate("list => getComputedStyle(list).display") == "flex"  # not as the receiving screen has it
    line.locator("td").first.click()
    page.keyboard.press("Enter")
    stated = page.get_by_role("dialog").locator(".banner.wrong")
    expect(stated.get_by_role("heading")).to_have_text(WORDS["hold.identity_mismatch"])
    expect(stated.get_by_role("row", name="Somebody Else")).to_contain_text(measured.drawn.person.name)
    expect(stated.get_by_role("row", name="Somebody Else")).to_contain_text(WORDS["bench.identity.name"])
    sex = stated.get_by_role("row").filter(has_text=WORDS["bench.identity.sex"])
    expect(sex.get_by_role("cell")).to_have_text([WORDS["bench.sex.female"], WORDS["bench.sex.male"]])
    assert app.violations() == []


@pytest.mark.req("3.4.7", "3.12.6")
def test_the_server_has_the_last_word_on_who_verifies_a_value(app: App, serology: Laboratory) -> None:
    """Also when the device does not know who entered it."""
    drawn = serology.draw(CODED)
    result_id = entered(app, drawn, {CODED: "Negative"}, by="technician")[CODED]
    page = app.sign_in("technician", "/results")
    page.locator("[name=stage][value=verify]").check()
    expect(row(page, drawn, CODED)).to_be_visible()
    app.forget("results", result_id, "entered_by_id")
    page.locator("[name=stage][value=verify]").check()
    choose(page, "discipline", SEROLOGY)

    row(page, drawn, CODED).locator("td").first.click()
    page.keyboard.press("v")

    expect(page.locator(".status")).to_contain_text(WORDS["status.refused_one"].format(count=1), timeout=SENT)
    expect(row(page, drawn, CODED)).to_contain_text(WORDS["bench.refused"].format(why="Entered by the same person"))
    settled(page)
    assert app.sideways() == []
    assert app.lab.rows("select verified_at from lims.results where id = %s", result_id) == [(None,)]
