"""Each role's day, from sign-in to sign-out, in a real browser against the running demonstration.

One patient goes through all of them: registered and ordered at the counter, collected at a collection centre by phone,
received and entered by the keyboard alone, measured by an analyser over its socket, authorised, called, looked up.
`NIDAN_DEMO` names the folder of a demonstration that runs already; else one is started and ended here.
The pictures are kept under `docs/pictures/`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ingest.virtual_lab.messages import PatientMessage, SentResult, rendered
from ingest.virtual_lab.patients import Person
from lims_api.cli.installation import Installation, install
from lims_api.core.clock import utc_now
from tests.bench.recording import _send
from tests.web.app import PHONE, ROOT, Visit, texts
from tests.web.conftest import CHROMIUM

pytestmark = [
    pytest.mark.xdist_group("days"),
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
PICTURES = ROOT / "docs" / "pictures"
NAME, PHONE_NUMBER, CENTRE = "Asha Example Kulkarni", "9845012345", "CC1"
READY = "Ctrl-C stops everything"
ENTERED = {"ESR": "22"}
MEASURED = {"GLU": ("118", "mg/dL"), "K": ("7.1", "mmol/L"), "CREA": ("0.84", "mg/dL")}
"""What the analyser sends of the specimen: glucose above its interval, potassium critical, creatinine usual."""


@dataclass
class Story:
    """The demonstration, and what is known of its patient so far."""

    address: str
    folder: Path
    installation: Installation
    account: dict[str, Any]
    chromium: Browser
    known: dict[str, str] = field(default_factory=dict)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As a superuser reads them."""
        with psycopg.connect(self.installation.cluster.superuser_dsn("lims")) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def eventually(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows as soon as there are any: the app sends in the background."""
        until = time.monotonic() + 30
        while not (found := self.rows(statement, *values)) and time.monotonic() < until:
            time.sleep(0.2)
        assert found, statement
        return found

    def visit(self, **options: Any) -> Visit:
        """A browser of one's own, as it comes out of its box."""
        secrets = self.folder / "keys" / "demo"
        return Visit(self.chromium, self.address, "demo", secrets, reduced_motion="reduce", **options)

    def gateway(self) -> tuple[str, int]:
        """Where the chemistry analyser connects to."""
        host, _, port = self.account["urls"]["gateway_demo_BS480-1"].rpartition(":")
        return host, int(port)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with sync_playwright() as playwright, _running(tmp_path_factory) as folder:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        account = json.loads((folder / "demo.json").read_text())
        yield Story(account["urls"]["api"], folder, install(folder), account, chromium)
        chromium.close()


@contextmanager
def _running(folders: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a demonstration whose day is over and whose programs run."""
    if known := os.environ.get("NIDAN_DEMO"):
        yield Path(known).absolute()
        return
    folder = folders.mktemp("days")
    command = [sys.executable, "-u", "-m", "lims_api.cli", "demo", "--folder", str(folder / "var"), "--speed", "0"]
    log = folder / "demo.log"
    with log.open("w") as said:
        demo = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        until = time.monotonic() + 1_200
        while READY not in log.read_text() and time.monotonic() < until:
            assert demo.poll() is None, log.read_text()[-3_000:]
            time.sleep(1)
        assert READY in log.read_text(), log.read_text()[-3_000:]
        yield folder / "var"
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(120)
        shutil.rmtree(folder, ignore_errors=True)


def picture(page: Page, name: str) -> None:
    """What is seen now, kept under `docs/` in few colours."""
    PICTURES.mkdir(exist_ok=True)
    page.evaluate("document.fonts.ready")
    seen = Image.open(BytesIO(page.screenshot()))
    seen.quantize(128).save(PICTURES / f"{name}.png", optimize=True)


def go(page: Page, text: dict[str, str], screen: str) -> None:
    """By the navigation."""
    page.get_by_role("navigation").get_by_role("link", name=text[f"nav.{screen}"], exact=True).click()
    expect(page.locator("main h1")).to_have_text(text[f"nav.{screen}"])


def sent(page: Page) -> None:
    """Nothing waits on the device, and the server is there."""
    expect(page.locator(".status a")).to_have_count(0, timeout=20_000)
    expect(page.locator(".status .state.online")).to_be_visible(timeout=20_000)


def loaded(page: Page) -> None:
    """The first load is over."""
    expect(page.locator(".status .state.online")).to_be_visible(timeout=60_000)


def in_language(page: Page, language: str) -> dict[str, str]:
    """Chosen in the settings; the texts of it."""
    page.goto(page.url.partition("/app/")[0] + "/app/settings")
    page.locator(f"[name=language][value={language}]").check()
    expect(page.locator("html")).to_have_attribute("lang", language)
    return texts(language)


def signed_out(visit: Visit, text: dict[str, str]) -> None:
    """By the settings; nothing of anybody stays on the device, and nothing went wrong on the way."""
    page = visit.page
    sent(page)
    go(page, text, "settings")
    page.get_by_role("button", name=text["settings.sign_out"]).click()
    expect(page.locator("[name=password]")).to_be_visible()
    stores = page.evaluate("async () => (await indexedDB.databases()).map(one => one.name)")
    assert stores == []
    visit.close()
    assert visit.errors == []


def option(page: Page, text: str) -> None:
    page.locator("[role=option]").filter(has_text=text).first.click()


def test_the_receptionist_registers_orders_and_looks_the_patient_up(story: Story) -> None:
    text, visit = texts(), story.visit()
    page = visit.sign_in("reception")
    loaded(page)
    picture(page, "overview-reception")
    go(page, text, "register")
    expect(page.locator("[name=patient]")).to_be_focused()
    page.keyboard.type(NAME)
    page.locator("[role=option]").filter(has_text=NAME).last.click()  # somebody new, not who has this name already
    page.locator("[name=phone]").fill(PHONE_NUMBER)
    page.locator("[name=sex][value=female]").check()
    page.locator("[name=age]").fill("46")
    for code in (*MEASURED, *ENTERED):
        page.locator("[name=tests]").fill(code)
        page.get_by_role("option").filter(has=page.get_by_text(code, exact=True)).first.click()
    page.locator("[name=priority][value=urgent]").check()
    page.get_by_label(text["register.site"]).select_option(label=_centre(story))
    picture(page, "register")
    page.get_by_role("button", name=text["register.submit_both"]).click()
    expect(page.locator(".placed")).to_contain_text(NAME)
    number = page.locator(".placed .number:not(.pending) .code")
    expect(number).to_be_visible()
    story.known["order"] = number.inner_text()
    page.locator(".placed").get_by_role("link", name=text["register.open"]).click()
    uhid = page.locator(".card-of dd.code:not(.pending)").first
    expect(uhid).to_be_visible()
    story.known |= {"uhid": uhid.inner_text(), "patient": page.url.rpartition("/")[2]}
    assert visit.violations() == []
    rows = story.eventually(
        "select o.id::text, o.priority, s.code, o.status from lims.orders o join lims.sites s on s.id = o.site_id"
        " where o.order_number = %s and o.patient_id = %s", story.known["order"], story.known["patient"],
    )  # fmt: skip
    story.known["order_id"] = str(rows[0][0])
    assert [row[1:] for row in rows] == [("urgent", CENTRE, "placed")]
    signed_out(visit, text)


def test_the_phlebotomist_collects_on_a_phone(story: Story) -> None:
    text, visit = texts(), story.visit(viewport=PHONE, is_mobile=True, has_touch=True)
    page = visit.sign_in("phlebotomist", "/collect")
    loaded(page)
    page.locator(".order", has_text=NAME).tap()
    expect(page.locator(".containers")).to_contain_text("GLU")
    picture(page, "collect-phone")
    page.get_by_role("button", name=text["collect.confirm"]).tap()
    expect(page.get_by_role("button", name=text["collect.print"])).to_be_enabled()
    page.evaluate("scrollTo(0, 0)")
    picture(page, "collected-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    rows = story.eventually(
        "select accession_number, status from lims.specimens where order_id = %s order by 1", story.known["order_id"]
    )
    assert {row[1] for row in rows} == {"collected"}
    story.known["accessions"] = ",".join(str(row[0]) for row in rows)
    signed_out(visit, text)


def test_the_technician_receives_and_enters_in_tamil_by_the_keyboard_alone(story: Story) -> None:
    visit = story.visit()
    page = visit.sign_in("technician")
    text = in_language(page, "ta")
    loaded(page)
    page.evaluate("window.clicks = 0; addEventListener('pointerdown', () => window.clicks++, true)")
    _by_keyboard(page, text["nav.receive"])
    expect(page.locator("[name=scan]")).to_be_focused()
    for accession in story.known["accessions"].split(","):
        page.keyboard.type(accession)
        page.keyboard.press("Enter")
        expect(page.locator(".scans tr", has_text=accession).first).to_contain_text(text["receive.state.received"])
    picture(page, "receive-ta")
    accession = next(one for one in story.known["accessions"].split(",") if "ESR" in _tests_of(story, one))
    _by_keyboard(page, text["nav.results"])
    expect(page.get_by_role("grid")).to_be_visible()
    page.get_by_role("grid").locator("[tabindex='0']").focus()
    for _ in range(400):
        here = page.locator("[role=grid] tr:has([tabindex='0'])")
        if accession in here.inner_text() and "ESR" in here.inner_text():
            break
        page.keyboard.press("ArrowDown")
    else:
        raise AssertionError("the patient's ESR is not in the worklist")
    for _ in range(10):
        if page.locator("[role=grid] [tabindex='0'].editable").count():
            break
        page.keyboard.press("ArrowRight")
    page.keyboard.type(ENTERED["ESR"])
    picture(page, "results-ta")
    page.keyboard.press("Enter")
    row = page.get_by_role("row").filter(has_text=accession).filter(has_text="ESR")
    expect(row).to_contain_text(text["bench.held"])
    assert page.evaluate("window.clicks") == 0
    rows = story.eventually(
        "select value_text, entry, status from lims.results where order_id = %s", story.known["order_id"]
    )
    assert rows == [(ENTERED["ESR"], "manual", "held")]
    signed_out(visit, text)


def test_what_the_analyser_sends_stands_on_the_overview(story: Story) -> None:
    stated = Person(
        uhid=story.known["uhid"], name=NAME, phone=None, sex="female", birth_on=date(utc_now().year - 46, 1, 1),
        birth_precision="year",
    )  # fmt: skip
    now = utc_now()
    for accession in story.known["accessions"].split(","):
        results = tuple(
            SentResult(code=code, name=code, text=value, unit=unit)
            for code, (value, unit) in MEASURED.items()
            if code in _tests_of(story, accession)
        )
        if results:
            said = PatientMessage(specimen=accession, own_number=9_001, stated=stated, results=results, observed_at=now)
            _send(story.gateway(), [rendered(said, control_id=int(time.time()), sent_at=now)])
    rows = story.eventually(
        "select test_code, value_text, flag, status, reasons from lims.results where order_id = %s"
        " and entry = 'instrument' order by 1 limit case when (select count(*) from lims.results"
        " where order_id = %s and entry = 'instrument') = 3 then 3 else 0 end",
        story.known["order_id"], story.known["order_id"],
    )  # fmt: skip

    found = {code: (value, status) for code, value, _, status, _ in rows}
    assert {code: value for code, (value, _) in found.items()} == {code: value for code, (value, _) in MEASURED.items()}
    assert found["K"][1] == "held"
    assert "critical_value" in next(reasons for code, *_, reasons in rows if code == "K")


def test_the_pathologist_authorises_calls_and_fetches_the_report(story: Story) -> None:
    text, visit = texts(), story.visit()
    page = visit.sign_in("pathologist")
    loaded(page)
    picture(page, "overview-pathologist")
    go(page, text, "authorise")
    card = page.locator(".of-order", has_text=story.known["order"])
    expect(card).to_be_visible()
    picture(page, "authorise")
    potassium = card.locator("tr", has=page.get_by_role("button", name="K", exact=True))
    expect(potassium).to_contain_text(text["hold.critical_value"])
    assert visit.violations() == []
    for box in card.get_by_role("checkbox").all():
        box.check()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"K {MEASURED['K'][0]}")
    picture(page, "authorise-critical")
    dialog.get_by_role("button", name=text["nav.authorise"], exact=True).click()
    expect(card).to_have_count(0)
    go(page, text, "calls")
    waits = page.locator("li.card", has_text=story.known["uhid"])
    waits.get_by_role("button", name=text["calls.record"]).click()
    dialog.locator("[name=informed]").fill("Dr Example, referring")
    dialog.locator("[name=read_back]").check()
    picture(page, "call")
    dialog.get_by_role("button", name=text["calls.keep"]).click()
    expect(waits).to_have_count(0)
    sent(page)

    called = story.rows(
        "select c.outcome, c.read_back from lims.critical_calls c join lims.results r on r.id = c.result_id"
        " where r.order_id = %s", story.known["order_id"],
    )  # fmt: skip
    assert called == [("informed", True)]
    states = story.rows("select distinct status from lims.results where order_id = %s", story.known["order_id"])
    assert {state for (state,) in states} <= {"authorised", "released"}
    story.eventually("select 1 from lims.reports where order_id = %s", story.known["order_id"])
    page.goto(f"{story.address}/app/patients/{story.known['patient']}")
    report = page.get_by_role("button", name=text["patient.report"].format(version=1)).first
    expect(report).to_be_visible(timeout=20_000)
    expect(page.locator(".cumulative tbody tr")).to_have_count(len(MEASURED) + len(ENTERED))
    picture(page, "patient")
    with page.expect_download() as download:
        report.click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    assert visit.violations() == []
    signed_out(visit, text)


def test_the_receptionist_finds_the_patient_again_in_hindi(story: Story) -> None:
    visit = story.visit()
    page = visit.sign_in("reception")
    text = in_language(page, "hi")
    loaded(page)
    go(page, text, "register")
    expect(page.locator("[name=patient]")).to_be_focused()
    page.keyboard.type("asha kulkarni")
    option(page, story.known["uhid"])
    page.keyboard.type("cbc")
    page.get_by_role("option").filter(has=page.get_by_text("CBC", exact=True)).first.click()
    picture(page, "register-hi")
    page.get_by_role("button", name=text["register.submit"], exact=False).first.click()
    expect(page.locator(".placed")).to_contain_text(NAME)
    expect(page.locator(".placed .number:not(.pending) .code")).to_be_visible()
    page.get_by_role("link", name=text["register.collect"]).click()
    page.locator(".order", has_text=NAME).click()
    picture(page, "collect-hi")
    page.get_by_role("button", name=text["collect.confirm"]).click()
    expect(page.get_by_role("button", name=text["collect.print"])).to_be_visible()
    go(page, text, "overview")
    picture(page, "overview-hi")
    count = story.rows("select count(*) from lims.orders where patient_id = %s", story.known["patient"])
    assert count == [(2,)]
    signed_out(visit, text)


def test_the_technician_sets_a_parked_value_aside_and_verifies(story: Story) -> None:
    text, visit = texts(), story.visit()
    page = visit.sign_in("technician")
    loaded(page)
    picture(page, "overview-technician")
    go(page, text, "parked")
    lines = page.locator(".parked tbody tr")
    expect(lines.first).to_be_visible()
    picture(page, "parked")
    before = lines.count()
    lines.first.get_by_role("button", name=text["parked.set_aside"]).click()
    page.locator("[name=resolution]").first.check()
    page.get_by_role("dialog").get_by_role("button", name=text["parked.set_aside"]).click()
    expect(lines).to_have_count(before - 1)
    go(page, text, "results")
    expect(page.get_by_role("grid").or_(page.locator(".empty")).first).to_be_visible()
    picture(page, "results")
    page.locator("[name=stage][value=verify]").check()
    picture(page, "verify")
    signed_out(visit, text)
    aside = story.rows("select count(*) from lims.parked_observations where resolution is not null")
    assert aside[0][0] >= 1


def test_the_quality_officer_s_day(story: Story) -> None:
    text, visit = texts(), story.visit()
    page = visit.sign_in("qc_officer")
    loaded(page)
    go(page, text, "qc")
    expect(page.locator(".qc-level .point").first).to_be_visible()
    picture(page, "qc")
    fields = page.locator(".qc-entry input")
    expect(fields.first).to_be_visible()
    mean = page.locator(".qc-entry .hint").first.inner_text().split()[0]
    fields.first.fill(mean)
    page.get_by_role("button", name=text["qc.record"]).click()
    expect(page.locator(".qc-answers .card").first).to_contain_text(text["qc.state.in_control"])
    assert visit.violations() == []
    ((switched,),) = story.rows("select count(*) from lims.release_switches where target = 'GLU'")
    go(page, text, "switch")
    page.get_by_label(text["switch.search"]).fill("glu")
    row = page.locator(".switches tbody tr", has=page.get_by_role("rowheader", name="GLU Glucose", exact=True))
    row.get_by_role("button", name=text["switch.turn_off"]).click()
    expect(page.locator(".release-off")).to_contain_text("GLU")
    made = "select count(*) from lims.release_switches where target = 'GLU' having count(*) = %s"
    story.eventually(made, switched + 1)
    expect(row).not_to_have_class("pending")
    picture(page, "switch")
    newest = "select is_off, reason from lims.release_switches where target = 'GLU' order by id desc limit 1"
    assert story.rows(newest) == [(True, "fault_suspected")]
    row.get_by_role("button", name=text["switch.turn_on"]).click()
    page.locator("[name=reason_on][value=cause_mended]").check()
    page.get_by_role("button", name=text["switch.confirm_on"]).click()
    expect(page.locator(".release-off")).to_have_count(0)
    story.eventually(made, switched + 2)
    assert story.rows(newest) == [(False, "cause_mended")]
    signed_out(visit, text)


def test_the_manager_looks_at_the_day_in_the_dark(story: Story) -> None:
    text, visit = texts(), story.visit(color_scheme="dark")
    page = visit.sign_in("manager")
    loaded(page)
    expect(page.get_by_role("heading", name=text["overview.analysers"])).to_be_visible()
    picture(page, "overview-dark")
    go(page, text, "qc")
    expect(page.locator(".qc-level .point").first).to_be_visible()
    assert page.get_by_role("button", name=text["qc.record"]).count() == 0
    picture(page, "qc-dark")
    go(page, text, "settings")
    picture(page, "settings-dark")
    assert visit.violations() == []
    signed_out(visit, text)


def _centre(story: Story) -> str:
    ((name,),) = story.rows(
        "select s.name from lims.sites s join lims.organizations o on o.id = s.organization_id"
        " where o.code = 'demo' and s.code = %s", CENTRE,
    )  # fmt: skip
    return str(name)


def _tests_of(story: Story, accession: str) -> set[str]:
    rows = story.rows(
        "select t.test_code from lims.order_tests t join lims.specimens s on s.id = t.specimen_id"
        " where s.accession_number = %s and t.order_id = %s", accession, story.known["order_id"],
    )  # fmt: skip
    return {str(code) for (code,) in rows}


def _by_keyboard(page: Page, name: str) -> None:
    """Tab to the navigation's link, and Enter."""
    link = page.get_by_role("navigation").get_by_role("link", name=name, exact=True)
    page.locator("body").evaluate("() => document.activeElement?.blur()")
    for _ in range(60):
        page.keyboard.press("Tab")
        if link.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"no way to {name} by the keyboard")
