"""The day at the counter and at the chair: register, order, collect, receive; asserted in the database."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import DefinitionIn, PanelIn
from lims_api.core.clock import utc_now
from lims_api.core.i18n import Language
from lims_api.orders import service as orders
from lims_api.orders.schemas import OrderIn
from lims_api.specimens import service as specimens
from lims_api.specimens.models import RejectionReason
from tests.integration.laboratory import Laboratory, Person
from tests.web.app import PHONE, App, texts

T = texts()
COUNTING = """
() => {
    window.clicks = 0;
    window.keys = 0;
    addEventListener("pointerdown", () => window.clicks++, true);
    addEventListener("keydown", () => window.keys++, true);
}
"""
PRINTING = """
() => {
    window.print = () => {
        const lines = (label) => [...label.querySelectorAll("strong, span")].map((line) => line.textContent);
        window.labels = [...document.querySelectorAll(".printed .label")].map(lines);
        dispatchEvent(new Event("afterprint"));
    };
}
"""


@pytest.fixture(scope="session")
def counter(lab: Laboratory) -> Laboratory:
    """The laboratory with a blood count: two tests of an EDTA tube, in a panel."""
    glucose = lab.definitions["GLU"].model_dump()
    tube = {"specimen_type": "Whole blood", "container": "EDTA 3 mL", "discipline": "Haematology", "list_price": "90"}
    blood = [
        DefinitionIn.model_validate(glucose | tube | {"code": code, "name": name, "loinc": loinc})
        for code, name, loinc in (("HGB", "Haemoglobin", "718-7"), ("WBC", "Leukocytes", "6690-2"))
    ]
    panel = PanelIn.model_validate(
        {
            "code": "CBC", "name": "Complete blood count", "translations": {"hi": "सम्पूर्ण रक्त गणना"},
            "tests": ["HGB", "WBC"], "list_price": "150", "is_example": True, "source": "EXAMPLE",
        }
    )  # fmt: skip
    with lab.session("pathologist") as session:
        catalogue.add_versions(session, blood)
        catalogue.add_panels(session, [panel])
    return lab


def place(lab: Laboratory, person: Person, site_id: UUID, *tests: str) -> UUID:
    """An order that waits for its collection."""
    with lab.session("reception") as session:
        return orders.place(session, OrderIn(patient_id=person.id, site_id=site_id, tests=list(tests or ("GLU",)))).id


def eventually(lab: Laboratory, statement: str, *values: object) -> list[tuple[object, ...]]:
    """The rows, as soon as there are any: the app sends in the background."""
    until = time.monotonic() + 10
    while not (rows := lab.rows(statement, *values)) and time.monotonic() < until:
        time.sleep(0.05)
    return rows


def type_slowly(page: Page, text: str) -> None:
    """As a practised person types: seven letters a second."""
    page.keyboard.type(text, delay=140)


def option(page: Page, text: str) -> None:
    page.get_by_role("option").filter(has_text=text).first.click()


def scan(page: Page, code: str) -> None:
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def print_is_recorded(page: Page) -> None:
    """What the browser's print dialog would be given."""
    page.evaluate(PRINTING)


def settle(lab: Laboratory) -> None:
    """What the worker does; in a thread of its own, since the browser's has a loop already."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(lab.settle).result()


def orders_of(lab: Laboratory, person: Person) -> list[tuple[object, ...]]:
    return eventually(
        lab, "select id, order_number, priority, site_id from lims.orders where patient_id = %s", person.id
    )


def test_the_receptionist_s_day(app: App, counter: Laboratory) -> None:
    """A known patient and a blood count in four clicks; then collected, labelled, received, and signed out."""
    person = counter.person(name="Lakshmi Venkatraman", phone="9840011111", sex="female")
    page = app.sign_in("reception")
    page.evaluate(COUNTING)
    began = time.monotonic()
    page.get_by_role("link", name=T["nav.register"]).click()
    expect(page.locator("[name=patient]")).to_be_focused()
    type_slowly(page, "laxmi ven")
    option(page, "Lakshmi Venkatraman")
    type_slowly(page, "cbc")
    option(page, "CBC")
    expect(page.locator("[data-total]")).to_have_attribute("data-total", "15000")
    page.get_by_role("button", name=T["register.submit"]).click()
    expect(page.locator(".placed")).to_contain_text("Lakshmi Venkatraman")
    took, clicks, keys = time.monotonic() - began, page.evaluate("window.clicks"), page.evaluate("window.keys")
    print(f"known patient and CBC: {clicks} clicks, {keys} keys, {took:.1f} s")
    assert clicks <= 6
    assert took <= 20

    ((order_id, number, priority, site_id),) = orders_of(counter, person)
    assert (priority, site_id) == ("routine", counter.site_id)
    codes = counter.rows("select test_code from lims.order_tests where order_id = %s order by 1", order_id)
    assert codes == [("HGB",), ("WBC",)]
    expect(page.locator(".placed .number")).to_contain_text(str(number))

    page.get_by_role("link", name=T["register.collect"]).click()
    print_is_recorded(page)
    page.locator(".order", has_text="Lakshmi Venkatraman").click()
    expect(page.locator("[name=label]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=T["collect.print"])).to_be_focused()
    page.keyboard.press("Enter")
    ((accession, container, status),) = counter.rows(
        "select accession_number, container, status from lims.specimens where order_id = %s", order_id
    )
    assert (container, status) == ("EDTA 3 mL", "collected")
    (printed,) = page.evaluate("window.labels")
    assert printed == [str(accession), "Lakshmi Venkatraman", f"{_age()} F · EDTA 3 mL"]
    assert app.violations() == []

    page.get_by_role("link", name=T["nav.receive"]).click()
    expect(page.locator("[name=scan]")).to_be_focused()
    for code, verdict in (
        (accession, "receive.received"), (accession, "receive.already"), ("NOBODY-1", "receive.unknown")
    ):  # fmt: skip
        scan(page, str(code))
        expect(page.locator(".verdict")).to_contain_text(_said(verdict, number=str(code)))
    page.locator("h1").click()
    scan(page, str(accession))
    expect(page.locator(".scans tr")).to_have_count(4)
    assert app.violations() == []
    assert eventually(counter, "select 1 from lims.specimens where order_id = %s and received_at is not null", order_id)

    page.get_by_role("link", name=T["nav.settings"]).click()
    expect(page.locator(".status .state")).to_have_text(T["status.online"])
    page.get_by_role("button", name=T["settings.sign_out"]).click()
    expect(page.locator("[name=password]")).to_be_visible()


def _age() -> str:
    """Of `Laboratory.person`, born on 9 March 1984."""
    today = utc_now()
    return f"{today.year - 1984 - ((today.month, today.day) < (3, 9))} y"


def _said(key: str, **values: str) -> str:
    """What a text begins with, up to its first value that is not given."""
    return T[key].format_map({**dict.fromkeys(("time", "name", "container", "reason"), "\0"), **values}).split("\0")[0]


def test_a_shared_phone_alone_is_no_match_and_somebody_new_is_registered_by_the_keyboard_alone(
    app: App, counter: Laboratory
) -> None:
    """Nothing is clicked: a new patient, and a STAT order of a panel and a test that it contains."""
    counter.person(name="Ravi Subramanian", phone="9840022222")
    page = app.sign_in("reception", "/register")
    page.evaluate(COUNTING)
    type_slowly(page, "9840022222")
    expect(page.get_by_role("option", name="Ravi Subramanian")).to_contain_text(T["register.by.phone"])
    page.keyboard.press("Enter")
    expect(page.locator("[name=patient]")).to_have_value("9840022222")
    page.keyboard.press("Escape")
    page.keyboard.type("Meena Subramanian")
    expect(page.locator("[role=option][aria-selected=true]")).to_contain_text("Meena Subramanian")
    page.keyboard.press("Enter")
    expect(page.locator("[name=phone]")).to_be_focused()
    page.keyboard.type("9840022222")
    expect(page.locator(".duplicates")).to_contain_text(T["register.shared_phone"])
    page.keyboard.press("Control+Enter")
    expect(page.locator(".person-form .error")).to_have_text(T["register.sex_wrong"])
    assert page.evaluate("document.activeElement.name") == "sex"
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("34")
    page.locator("[name=tests]").focus()
    page.keyboard.type("hgb")
    page.keyboard.press("Enter")
    page.keyboard.type("cbc")
    expect(page.locator("[role=option][aria-selected=true]")).to_contain_text("CBC")
    page.keyboard.press("Enter")
    expect(page.locator("[data-total]")).to_have_attribute("data-total", "15000")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert app.violations() == []
    page.keyboard.press("Control+Enter")
    expect(page.locator(".placed")).to_contain_text("Meena Subramanian")
    number = page.locator(".placed .number:not(.pending) .code").inner_text()
    rows = eventually(
        counter,
        "select o.id, o.priority, p.sex, p.id from lims.orders o join lims.patients p on p.id = o.patient_id"
        " where o.order_number = %s and o.organization_id = %s", number, counter.organization_id,
    )  # fmt: skip
    ((order_id, priority, sex, patient_id),) = rows
    assert (priority, sex) == ("stat", "female")
    card = counter.get(f"/v1/patients/{patient_id}")
    assert (card["name"], card["phone"], card["birth_precision"]) == ("Meena Subramanian", "+919840022222", "year")
    assert card["birth_on"] == f"{utc_now().year - 34}-01-01"

    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog").locator("[name=patient]")).to_be_focused()
    page.keyboard.type("meena sub")
    expect(page.get_by_role("option", name="Meena Subramanian")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Meena Subramanian")
    assert page.evaluate("window.clicks") == 0
    assert counter.rows("select count(*) from lims.order_tests where order_id = %s", order_id) == [(2,)]


def test_the_phlebotomist_collects_at_the_own_site_alone(app: App, counter: Laboratory) -> None:
    """With a label printed before; one that is used elsewhere is refused, said so, and taken back."""
    here, there = counter.person(name="Farida Centre"), counter.person(name="Gopal Mainlab")
    first = place(counter, here, counter.centre_id, "GLU")
    second = place(counter, here, counter.centre_id, "HGB")
    elsewhere = place(counter, there, counter.site_id)
    with counter.session("reception") as session:
        ((taken, _),) = specimens.collect(session, elsewhere, collected_at=utc_now(), labels={"SST 5 mL": "PRE-1"})
        assert taken.accession_number == "PRE-1"
    place(counter, there, counter.site_id)

    page = app.sign_in("phlebotomist", "/collect")
    expect(page.locator(".order")).to_have_count(2)
    expect(page.locator("main")).not_to_contain_text("Gopal Mainlab")
    page.locator(".order", has_text="SST").or_(page.locator(".order", has_text=T["cap.yellow"])).first.click()
    expect(page.locator(".containers")).to_contain_text("GLU")
    scan(page, "PRE-2")
    expect(page.locator(".just li .code")).to_have_text("PRE-2")
    rows = eventually(counter, "select accession_number, site_id from lims.specimens where order_id = %s", first)
    assert rows == [("PRE-2", counter.centre_id)]

    page.locator(".order").first.click()
    scan(page, "PRE-2")
    expect(page.locator(".containers .error")).to_have_text(T["collect.label_taken"].format(code="PRE-2"))
    page.keyboard.press("Control+a")
    scan(page, "PRE-1")
    expect(page.locator(".banner.wrong")).to_contain_text("PRE-1")
    expect(page.locator(".order")).to_have_count(1)
    assert app.violations() == []
    assert counter.rows("select 1 from lims.specimens where order_id = %s", second) == []
    page.get_by_role("button", name=T["outbox.acknowledge"]).click()
    expect(page.locator(".banner.wrong")).to_have_count(0)


def test_the_technician_rejects_with_one_key_and_can_take_it_back(app: App, counter: Laboratory) -> None:
    drawn = counter.draw("GLU", person=counter.person(name="Harini Clotted"), receive=False)
    page = app.sign_in("technician", "/receive")
    button = page.get_by_role("button", name=f"{T['receive.reject']} {drawn.accession}")

    button.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("2")
    page.get_by_role("button", name=T["toast.undo"]).click()
    expect(button).to_be_visible()
    button.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("1")

    rejected = "select rejection_reason from lims.specimens where accession_number = %s and organization_id = %s"
    found = f"{rejected} and status = 'rejected'"
    assert eventually(counter, found, drawn.accession, counter.organization_id) == [("haemolysed",)]
    scan(page, drawn.accession)
    expect(page.locator(".verdict.refused")).to_contain_text(drawn.accession)


STAYS_OPEN = "() => { window.printed = 0; window.print = () => { window.printed += 1; }; }"
"""As while the print dialog is open: what would be printed stays."""
SHOWN = """
() => [...document.body.children].filter((part) => part.getClientRects().length > 0).map((part) => part.className)
"""
CUT = """
(label) => {
    const paper = label.getBoundingClientRect();
    return [...label.children].map((part) => part.getBoundingClientRect()).filter(
        (box) => box.bottom > paper.bottom || box.left < paper.left || box.right > paper.right
    ).length;
}
"""


@pytest.mark.req("3.2.1")
def test_a_label_for_each_container_is_printed_and_nothing_else(app: App, counter: Laboratory, tmp_path: Path) -> None:
    name = "MEENAKSHISUNDARAM THIRUNAVUKKARASU"
    order = place(counter, counter.person(name=name, sex="female"), counter.site_id, "GLU", "HGB")
    page = app.sign_in("reception", "/collect")
    page.evaluate(STAYS_OPEN)
    page.locator(".order", has_text=name).click()
    page.get_by_role("button", name=T["collect.confirm"]).click()
    page.get_by_role("button", name=T["collect.print"]).click()

    labels = page.locator(".printed .label")
    expect(labels).to_have_count(2)
    accessions = [
        str(number)
        for (number,) in counter.rows(
            "select accession_number from lims.specimens where order_id = %s order by accession_number", order
        )
    ]
    assert page.evaluate("window.printed") == 1
    page.emulate_media(media="print")
    assert page.evaluate(SHOWN) == ["printed"]
    page.set_viewport_size({"width": 181, "height": 200})  # 48 mm: the label's page without its margins
    assert [label.evaluate(CUT) for label in labels.all()] == [0, 0]
    printed = tmp_path / "labels.pdf"
    page.pdf(path=printed, prefer_css_page_size=True)
    sheets = PdfReader(printed).pages
    assert [tuple(round(float(side) / 72 * 25.4) for side in sheet.mediabox[2:]) for sheet in sheets] == [(50, 25)] * 2
    words = [sheet.extract_text() for sheet in sheets]
    for accession, text in zip(accessions, words, strict=True):
        assert accession in text
        assert T["collect.today"] not in text
    assert sorted(scanned(printed, tmp_path)) == accessions
    page.emulate_media(media="screen")
    expect(labels).to_have_count(0)  # taken away after it was printed
    expect(page.get_by_role("button", name=T["collect.print"])).to_be_visible()


def scanned(printed: Path, folder: Path) -> list[str]:
    """What a reader finds on a print, one code a page."""
    if not (draw := shutil.which("pdftoppm")) or not (read := shutil.which("zbarimg")):
        pytest.skip("pdftoppm and zbarimg are not installed: apt install poppler-utils zbar-tools")
    subprocess.run([draw, "-r", "300", "-png", printed, folder / "label"], check=True)
    pictures = sorted(folder.glob("label*.png"))
    found = subprocess.run([read, "-q", "--raw", *pictures], capture_output=True, check=True, text=True)
    return found.stdout.split()


def test_a_printed_screen_fills_the_paper_in_black_on_white(app: App, counter: Laboratory) -> None:
    person = counter.person(name="Sarojini Paper")
    counter.measure("GLU", "CREA", person=person)
    app.again(color_scheme="dark")
    page = app.sign_in("pathologist", f"/patients/{person.id}")
    page.locator(".cumulative").wait_for()
    assert page.evaluate("document.fonts.ready.then(() => getComputedStyle(document.body).color)") != "rgb(0, 0, 0)"

    page.emulate_media(media="print")

    width = page.evaluate("document.querySelector('main').getBoundingClientRect().width")
    assert width == page.evaluate("document.documentElement.clientWidth")
    colours = "[...document.querySelectorAll('.cumulative :is(th, td)')].map((cell) => getComputedStyle(cell).color)"
    luminous = [max(map(int, re.findall(r"\d+", colour)[:3])) for colour in page.evaluate(colours)]
    assert luminous
    assert max(luminous) < 0x80


@pytest.mark.req("1.1.1")
def test_the_scans_of_a_sitting_are_there_after_another_screen_and_those_refused_are_said(
    app: App, counter: Laboratory
) -> None:
    good, bad = (counter.draw("GLU", receive=False) for _ in range(2))
    page = app.sign_in("technician", "/receive")
    menu = page.get_by_role("navigation")
    for drawn in (good, bad):
        expect(page.get_by_role("button", name=f"{T['receive.reject']} {drawn.accession}")).to_be_visible()
    page.context.set_offline(True)
    for number in (good.accession, bad.accession, "NOBODY-2"):
        scan(page, number)
        expect(page.locator(".verdict")).to_contain_text(number)
    with counter.session("technician") as session:
        specimens.reject(session, bad.accession, reason=RejectionReason.CLOTTED, rejected_at=utc_now())
    page.context.set_offline(False)
    line = {number: page.locator(".scans tr", has_text=number) for number in (good.accession, bad.accession)}
    expect(line[bad.accession]).to_contain_text("already rejected", timeout=20_000)
    expect(line[good.accession]).to_contain_text(T["receive.state.received"], timeout=20_000)

    page.locator(".status a", has_text=T["status.refused_one"].format(count=1)).click()
    page.get_by_role("button", name=T["outbox.acknowledge"]).click()
    expect(page.locator(".card.wrong")).to_have_count(0)
    menu.get_by_role("link", name=T["nav.receive"]).click()

    expect(page.get_by_role("heading", name=T["receive.sitting_other"].format(count=3))).to_be_visible()
    expect(page.locator(".scans tr")).to_have_count(3)
    expect(page.locator(".scans tr.refused")).to_have_count(2)
    expect(line[good.accession].locator(".state-of")).to_have_text(T["receive.state.received"])
    expect(line[bad.accession]).to_contain_text(f"{T['receive.state.refused']} {T['receive.refused_read']}")
    expect(page.locator(".scans tr", has_text="NOBODY-2").locator(".state-of")).to_have_text(T["receive.state.refused"])
    scan(page, good.accession)
    expect(page.locator(".scans tr")).to_have_count(4)
    menu.get_by_role("link", name=T["nav.settings"]).click()
    page.get_by_role("button", name=T["settings.sign_out"]).click()
    expect(page.locator("[name=password]")).to_be_visible()
    app.fill_in("technician", app.password("technician"))
    menu.get_by_role("link", name=T["nav.receive"]).click()
    expect(page.locator(".scans tr")).to_have_count(0)


def test_a_patient_s_results_stand_beside_those_before(app: App, counter: Laboratory) -> None:
    person = counter.person(name="Kavita Cumulative")
    counter.measure("GLU", "CREA", person=person)
    second = counter.measure("GLU", person=person, values={"GLU": "130"})
    if second.reasons():
        counter.post("/v1/results/authorise", {"result_ids": [second.line()["id"]]})
    settle(counter)
    page = app.sign_in("pathologist", f"/patients/{person.id}")

    row = page.locator(".cumulative tbody tr", has_text="GLU")
    expect(row.locator("td").nth(1)).to_contain_text("130")
    expect(row.locator("td").nth(1)).to_contain_text(T["flag.high"])
    expect(row.locator("td").nth(1)).to_contain_text("▲ 53 %")
    expect(row.locator("td").nth(2)).to_contain_text("85")
    expect(page.locator(".trend circle")).to_have_count(2)
    expect(page.locator(".trend .interval")).to_have_count(1)
    assert app.violations() == []
    with page.expect_download() as download:
        page.get_by_role("button", name=T["patient.report"].format(version=1)).first.click()
    with open(download.value.path(), "rb") as file:
        assert file.read(5) == b"%PDF-"
    page.emulate_media(media="print")
    assert page.locator(".cumulative").is_visible()
    assert not page.locator(".orders-of").is_visible()


def test_a_label_scanned_right_after_the_order_was_opened_is_read_whole(app: App, counter: Laboratory) -> None:
    """The keys are pressed in the task of the click itself: no effect of a later frame can have run before them."""
    place(counter, counter.person(name="Hasty Scanner"), counter.centre_id, "GLU")
    page = app.sign_in("phlebotomist", "/collect")
    page.locator(".order", has_text="Hasty Scanner").wait_for()

    focused = page.evaluate(
        "async () => { [...document.querySelectorAll('.order')].find(one => one.textContent.includes('Hasty')).click();"
        " await null; await null; return document.activeElement.getAttribute('name'); }"
    )

    assert focused == "label"


def test_a_report_is_offered_in_the_languages_that_reports_are_written_in(app: App) -> None:
    page = app.sign_in("reception", "/register")

    offered = page.locator("[name=language] option").evaluate_all("all => all.map(one => one.value)")

    assert offered == ["", *(str(one) for one in Language)]


def test_the_patient_s_page_fits_on_a_phone(app: App, counter: Laboratory) -> None:
    person = counter.person(name="Padma Phone")
    counter.measure("GLU", "CREA", person=person)
    app.again(viewport=PHONE, is_mobile=True, has_touch=True)
    page = app.sign_in("pathologist", f"/patients/{person.id}")
    page.locator(".cumulative").wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
