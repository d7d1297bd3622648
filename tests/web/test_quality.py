"""The quality officer's day: controls, the red switch, parked values; and what the server does not take."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from lims_api.core.clock import business_day, utc_now
from lims_api.core.ids import uuid7
from lims_api.equipment.models import Analyser
from lims_api.qc import service as qc
from lims_api.qc.models import ControlLot, ControlResult
from lims_api.results import service as results
from lims_api.results.models import ParkedObservation, ReleaseSwitch, SwitchScope
from tests.integration.laboratory import MATERIAL, Laboratory, message
from tests.web.app import App, texts

TEXT = texts()


def choose(page: Page, analyser: Analyser, test: str) -> None:
    """What is measured: the analyser and the test of which everything below speaks."""
    page.get_by_label(TEXT["qc.analyser"], exact=True).select_option(str(analyser.id))
    page.get_by_label(TEXT["qc.test"], exact=True).select_option(test)


def answer(page: Page, level: int) -> Locator:
    return page.locator(f".qc-answers [data-level='{level}']")


def switch_row(page: Page, test: str) -> Locator:
    page.get_by_label(TEXT["switch.search"]).fill(test)
    return page.locator(".switches tbody tr", has_text=test)


def sent(page: Page) -> None:
    """The server has everything."""
    expect(page.locator(".status a")).to_have_count(0, timeout=20_000)


def newest_switch(lab: Laboratory, test: str) -> tuple[bool, str] | None:
    with lab.session() as session:
        query = select(ReleaseSwitch).where(ReleaseSwitch.target == test).order_by(ReleaseSwitch.id.desc()).limit(1)
        found = session.scalars(query).one_or_none()
        return (found.is_off, found.reason) if found else None


def test_the_quality_officer_s_day(app: App) -> None:
    lab, analyser = app.lab, app.lab.another_analyser("BUN")
    page = app.sign_in("qc_officer", "/qc")
    choose(page, analyser, "BUN")
    today = page.locator(".qc-today tbody tr", has=page.get_by_role("button", name="BUN", exact=True))
    expect(today.filter(has_text=TEXT["qc.state.not_run"])).to_have_count(1)

    # level 1 in control, level 2 more than four standard deviations above
    page.locator("[name=level-1]").fill("100.5")
    page.locator("[name=level-2]").fill("204.2")
    page.keyboard.press("Enter")

    expect(answer(page, 1)).to_contain_text(TEXT["qc.state.in_control"])
    expect(answer(page, 2)).to_contain_text(TEXT["qc.rule.1-3s"])
    expect(answer(page, 2)).to_contain_text(TEXT["qc.rejected_do"])
    expect(page.locator(".qc-level .point")).to_have_count(2)
    expect(page.locator(".qc-level .point.rejected text")).to_have_text("1-2s 1-3s")
    expect(today.filter(has_text=TEXT["qc.state.rejected"])).to_have_count(1)
    assert app.violations() == []
    with lab.session() as session:
        query = select(ControlResult).where(ControlResult.analyser_id == analyser.id).order_by(ControlResult.level)
        kept = [(row.level, row.value, str(row.status)) for row in session.scalars(query)]
    assert kept == [(1, Decimal("100.5"), "accepted"), (2, Decimal("204.2"), "rejected")]

    # measured again
    page.locator("[name=level-2]").fill("200.1")
    page.keyboard.press("Enter")
    expect(answer(page, 2)).to_contain_text(TEXT["qc.state.in_control"])
    with lab.session() as session:
        assert qc.in_control(session, analyser.id, ["BUN"], utc_now()) == {"BUN": qc.ControlState.IN_CONTROL}

    # off in one step, and at once; on in two
    page.get_by_role("navigation").get_by_role("link", name=TEXT["nav.switch"]).click()
    row = switch_row(page, "BUN")
    row.get_by_role("button", name=TEXT["switch.turn_off"]).click()
    expect(page.locator(".release-off")).to_contain_text("BUN")
    expect(row).not_to_have_class("pending")
    sent(page)
    assert newest_switch(lab, "BUN") == (True, "fault_suspected")
    assert app.violations() == []
    row.get_by_role("button", name=TEXT["switch.turn_on"]).click()
    confirm = page.get_by_role("button", name=TEXT["switch.confirm_on"])
    expect(confirm).to_be_disabled()
    page.locator("[name=reason_on][value=cause_mended]").check()
    confirm.click()
    expect(page.locator(".release-off")).to_have_count(0)
    expect(row).not_to_have_class("pending")
    sent(page)
    assert newest_switch(lab, "BUN") == (False, "cause_mended")

    # nothing stays on the device
    page.get_by_role("link", name="Example Quality Officer").click()
    page.get_by_role("button", name=TEXT["settings.sign_out"]).click()
    expect(page.locator("[name=password]")).to_be_visible()
    stores = page.evaluate("async () => (await indexedDB.databases()).map(one => one.name)")
    assert stores == []


def test_off_overtakes_what_waits_to_be_undone(app: App) -> None:
    lab = app.lab
    drawn = lab.draw("K", receive=False)
    lab.deliver(message(drawn.accession, lab.observations(drawn), drawn.person.stated()))
    page = app.sign_in("technician", "/parked")
    page.locator(".parked tbody tr").first.get_by_role("button", name=TEXT["parked.set_aside"]).click()
    page.locator("[name=resolution][value=wrong_barcode]").check()
    page.get_by_role("dialog").get_by_role("button", name=TEXT["parked.set_aside"]).click()

    page.get_by_role("navigation").get_by_role("link", name=TEXT["nav.switch"]).click()
    row = switch_row(page, "GLU")
    row.get_by_role("button", name=TEXT["switch.turn_off"]).click()
    expect(row.get_by_role("button", name=TEXT["switch.turn_on"])).to_be_visible()
    expect(row).not_to_have_class("pending")

    assert newest_switch(lab, "GLU") == (True, "fault_suspected")
    page.get_by_role("button", name=TEXT["toast.undo"]).click()  # the other still waits
    expect(page.locator(".toast")).to_contain_text(TEXT["toast.undone"])
    with lab.session() as session:
        results.switch_release(session, SwitchScope.TEST, "GLU", off=False, reason="cause_mended")


def test_without_a_network_off_says_that_nobody_heard_it(app: App) -> None:
    page = app.sign_in("qc_officer", "/switch")
    row = switch_row(page, "CREA")
    page.context.set_offline(True)

    row.get_by_role("button", name=TEXT["switch.turn_off"]).click()

    expect(page.locator(".banner", has_text=TEXT["switch.not_sent"])).to_be_visible()
    expect(row).to_contain_text(TEXT["bench.pending"])
    assert newest_switch(app.lab, "CREA") is None
    page.context.set_offline(False)
    expect(row).not_to_have_class("pending")
    expect(page.locator(".banner", has_text=TEXT["switch.not_sent"])).to_have_count(0)
    assert newest_switch(app.lab, "CREA") == (True, "fault_suspected")
    with app.lab.session() as session:
        results.switch_release(session, SwitchScope.TEST, "CREA", off=False, reason="cause_mended")


def test_a_switch_of_something_unknown_cannot_be_made(app: App) -> None:
    page = app.sign_in("qc_officer", "/switch")
    expect(switch_row(page, "NOPE")).to_have_count(0)
    body = {"scope": "test", "target": "NOPE", "off": True, "reason": "other"}
    command = {
        "id": str(uuid7()), "name": "release.switch", "body": body, "made_at": utc_now().isoformat(),
        "device": str(uuid4()),
    }  # fmt: skip

    reply = app.lab.post("/v1/sync/push", {"commands": [command]}, by="qc_officer")

    assert reply["answers"][0]["status"] == 404
    assert newest_switch(app.lab, "NOPE") is None


def test_a_control_whose_lot_expired_meanwhile_is_refused_and_taken_back(app: App) -> None:
    lab, analyser, number = app.lab, app.lab.another_analyser("GLU"), f"L-{uuid4().hex[:6]}"
    with lab.session("pathologist") as session:
        lot = qc.add_lot(session, MATERIAL, number, expires_on=business_day(utc_now() + timedelta(days=30)))
        qc.set_target(
            session, lot, 1, "CREA", analyser_id=analyser.id, mean=Decimal(1), sd=Decimal("0.1"), source="EXAMPLE"
        )
    page = app.sign_in("qc_officer", "/qc")
    choose(page, analyser, "CREA")
    page.context.set_offline(True)
    page.locator("[name=level-1]").fill("1.05")
    page.keyboard.press("Enter")
    expect(answer(page, 1)).to_contain_text(TEXT["qc.state.pending"])
    expect(page.locator(".qc-level .point")).to_have_count(1)
    with lab.session("pathologist") as session:
        kept = session.scalars(select(ControlLot).where(ControlLot.lot_number == number)).one()
        kept.expires_on = business_day(utc_now() - timedelta(days=2))

    page.context.set_offline(False)

    expect(page.locator(".status .wrong")).to_be_visible(timeout=20_000)
    expect(page.locator(".qc-level .point")).to_have_count(0)
    page.locator(".status .wrong").click()
    expect(page.locator(".card.wrong")).to_contain_text("This lot has no target for this test on this analyser")
    with lab.session() as session:
        query = select(ControlResult).where(ControlResult.analyser_id == analyser.id)
        assert session.scalars(query).all() == []


def test_the_manager_sees_controls_and_analysers_and_changes_nothing(app: App) -> None:
    page = app.sign_in("manager")

    expect(page.get_by_role("heading", name=TEXT["overview.analysers"])).to_be_visible()
    expect(page.get_by_role("link", name="Chemistry analyser").first).to_be_visible()
    expect(page.locator(".figure")).to_have_count(0)
    expect(page.get_by_role("navigation").get_by_role("link", name=TEXT["nav.switch"])).to_have_count(0)
    page.get_by_role("navigation").get_by_role("link", name=TEXT["nav.qc"]).click()
    expect(page.locator(".qc-today tbody tr").first).to_be_visible()
    expect(page.get_by_role("button", name=TEXT["qc.record"])).to_have_count(0)


def test_a_parked_value_is_set_aside_taken_back_and_set_aside(app: App) -> None:
    lab = app.lab
    drawn = lab.draw("K", receive=False)
    lab.deliver(message(drawn.accession, lab.observations(drawn), drawn.person.stated()))
    page = app.sign_in("technician", "/parked")
    row = page.locator(".parked tbody tr", has_text=TEXT["parked.why.specimen_not_received"]).first
    expect(row).to_contain_text(TEXT["parked.next.specimen_not_received"])
    before = page.locator(".parked tbody tr").count()
    assert app.violations() == []

    def set_aside() -> None:
        row.get_by_role("button", name=TEXT["parked.set_aside"]).click()
        page.locator("[name=resolution][value=wrong_barcode]").check()
        page.get_by_role("dialog").get_by_role("button", name=TEXT["parked.set_aside"]).click()
        expect(page.locator(".parked tbody tr")).to_have_count(before - 1)

    set_aside()
    page.get_by_role("button", name=TEXT["toast.undo"]).click()
    expect(page.locator(".parked tbody tr")).to_have_count(before)
    assert resolution(lab) is None
    set_aside()
    expect(page.locator(".status a")).to_have_count(1)
    sent(page)

    assert resolution(lab) == "wrong_barcode"
    page.locator("[name=tab][value=done]").check()
    expect(page.locator(".parked tbody tr").first).to_contain_text(TEXT["parked.resolution.wrong_barcode"])


def resolution(lab: Laboratory) -> str | None:
    """How the newest parked observation was decided on."""
    with lab.session() as session:
        query = select(ParkedObservation.resolution).order_by(ParkedObservation.id.desc()).limit(1)
        return session.scalars(query).one()
