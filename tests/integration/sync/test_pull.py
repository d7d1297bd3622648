"""The app's documents: the whole working set once, then what changed, to whom it may show."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import event, update

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import PanelIn
from lims_api.core.clock import utc_now
from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.identity.models import Role, User
from lims_api.orders.models import Order
from lims_api.patients.erasure import erase_patient
from lims_api.qc.models import ControlTarget
from lims_api.results import calls
from lims_api.results import service as results
from lims_api.results.models import CallOutcome, Result, SwitchScope
from lims_api.sync import working_set
from lims_api.sync.commands import COMMANDS
from tests.factories import organization, staff
from tests.integration.laboratory import RESTRICTED, Laboratory, message
from tests.integration.sync.conftest import ALL
from tests.integration.sync.store import Store, filled

SEEN = {
    None: {"me"},
    Permission.SITE_READ: {"sites", "users", "switches"},
    Permission.ANALYSER_READ: {"analysers"},
    Permission.CATALOGUE_READ: {"tests", "panels"},
    Permission.CONTROL_READ: {"controls", "control_targets"},
    Permission.PATIENT_READ: {"patients"},
    Permission.ORDER_READ: {"orders"},
    Permission.SPECIMEN_READ: {"specimens"},
    Permission.RESULT_READ: {"results", "critical_calls"},
    Permission.MESSAGE_READ: {"parked"},
    Permission.REPORT_READ: {"reports"},
}
"""Permission → the kinds that it opens."""
KINDS = set().union(*SEEN.values())
FIELDS: dict[str, str] = {
    "me": "id user_id username full_name roles permissions site_id organization",
    "sites": "id code name kind",
    "users": "id full_name",
    "analysers": "id code name model site_id",
    "tests": "id code name translations kind allowed_values loinc unit decimals specimen_type container discipline"
    " method turnaround_minutes list_price reportable_low reportable_high delta_limit_percent delta_window_days"
    " is_restricted is_example",
    "panels": "id code name translations tests list_price is_example",
    "patients": "id uhid name phone sex birth_on birth_precision status",
    "orders": "id order_number patient_id site_id priority status placed_at due_at completed_at report_language tests",
    "specimens": "id accession_number order_id patient_id site_id specimen_type container status collected_at"
    " received_at rejected_at rejection_reason",
    "results": "id order_id order_test_id patient_id specimen_id test_code value value_text comparator unit flag"
    " reference_low reference_high critical_low critical_high status version corrects_id reasons evidence risk"
    " is_automatic entry analyser_id entered_by_id verified_by_id verified_at authorised_by_id authorised_at"
    " occurred_at available_at",
    "critical_calls": "id result_id order_id patient_id called_at called_by_id outcome informed read_back",
    "parked": "id message_id channel code reason recorded_at resolved_at resolution",
    "controls": "id analyser_id lot_id level test_code value unit mean sd z violated status occurred_at",
    "control_targets": "id lot_id material lot_number expires_on level test_code analyser_id mean sd",
    "switches": "id scope target is_off reason set_by_id set_at",
    "reports": "id order_id patient_id version status released_at sha256 supersedes_id is_example",
}


@pytest.fixture(scope="module")
def everything(lab: Laboratory) -> Laboratory:
    """Something of every kind."""
    lab.measure()
    lab.settle()
    lab.draw()
    drawn = lab.draw()
    lab.measure(person=drawn.person, values={"GLU": "900"})
    held = lab.measure(values={"GLU": "800"})
    lab.deliver(message("9900000000", lab.observations(drawn), drawn.person.stated()))
    with lab.session("pathologist") as session:
        results.switch_release(session, SwitchScope.TEST, "TBIL", off=False, reason="a_test")
        catalogue.add_panels(session, [_panel("BASIC", ["GLU", "K"])])
    call(lab, held.line()["id"], informed="Dr Example")
    return lab


def _panel(code: str, tests: list[str], **more: Any) -> Any:
    return PanelIn(code=code, name="A panel", tests=tests, source="EXAMPLE", **more)


def call(lab: Laboratory, result_id: str, *, informed: str) -> UUID:
    """A call about a critical value, as the service records it."""
    with lab.session("pathologist") as session:
        made = calls.record(
            session, result_id=UUID(result_id), called_at=utc_now(), outcome=CallOutcome.INFORMED, informed=informed,
            read_back=True,
        )  # fmt: skip
        return made.id


def everybody(lab: Laboratory) -> str:
    """The token of a new one who holds every permission."""
    return lab.someone(*ALL)


# who sees what


@pytest.mark.req("1.1.3")
def test_the_first_load_has_every_kind_whole_and_says_reset_once(everything: Laboratory) -> None:
    store = Store(everything, everybody(everything))

    store.pull()

    assert store.resets == 1
    assert {kind for kind in store.kinds if store.of(kind)} == KINDS == FIELDS.keys()
    for kind, fields in FIELDS.items():
        for document in store.of(kind).values():
            assert document.keys() == set(fields.split()), kind
    assert {one["informed"] for one in store.of("critical_calls").values()} >= {"Dr Example"}


@pytest.mark.parametrize("permission", SEEN, ids=str)
def test_a_permission_opens_its_kinds_and_no_other(everything: Laboratory, permission: Permission | None) -> None:
    held = {Permission.SYNC_USE} | ({permission} if permission else set())
    store = Store(everything, everything.someone(*held))

    store.pull()
    first = {kind for kind in store.kinds if store.of(kind)}
    everything.measure("GLU", "K", values={"GLU": "700"})
    everything.measure()
    everything.control(0.2)
    came = store.pull()

    assert first == SEEN[permission] | {"me"}
    assert set(came) <= SEEN[permission]
    assert store.resets == 1


@pytest.mark.parametrize("permission", [one for one in SEEN if one], ids=str)
def test_without_a_permission_its_kinds_do_not_come(everything: Laboratory, permission: Permission) -> None:
    store = filled(everything, everything.someone(*(one for one in ALL if one is not permission)))

    everything.measure("GLU", "K", values={"GLU": "700"})
    store.pull()

    assert {kind for kind in store.kinds if store.of(kind)} == KINDS - SEEN[permission]


@pytest.mark.req("3.13.1")
def test_another_laboratory_pulls_nothing_of_this_one(everything: Laboratory) -> None:
    tenant = organization(everything.environment)
    stranger = Store(everything, staff(everything.environment, tenant, ALL))
    ours = filled(everything, everybody(everything))

    stranger.pull()
    everything.measure(values={"GLU": "700"})
    came = stranger.pull()

    assert {kind for kind in stranger.kinds if stranger.of(kind)} == {"me", "users"}
    assert came == {}
    theirs = stranger.ask(ours.cursor).json()
    assert (theirs["reset"], theirs["documents"].keys()) == (True, {"me", "users"})


def test_another_persons_cursor_resets_and_gives_what_the_asker_may_see(everything: Laboratory) -> None:
    rich = filled(everything, everybody(everything))
    poor = Store(everything, everything.someone(Permission.SYNC_USE), cursor=rich.cursor)

    page = poor.once()

    assert (page["reset"], page["documents"].keys()) == (True, {"me"})


def test_results_of_restricted_tests_come_to_whom_may_see_them_alone(everything: Laboratory) -> None:
    before = everything.measure(RESTRICTED)
    few = filled(everything, everything.someone(*(one for one in ALL if one is not Permission.RESTRICTED_READ)))
    all_ = filled(everything, everybody(everything))
    after = everything.measure(RESTRICTED)
    few.pull(), all_.pull()

    for measured in (before, after):
        order = str(measured.drawn.order_id)
        assert [one for one in few.of("results").values() if one["order_id"] == order] == []
        assert len([one for one in all_.of("results").values() if one["order_id"] == order]) == 1


def test_a_test_that_becomes_restricted_takes_its_results_from_the_devices(everything: Laboratory) -> None:
    code = f"T{uuid4().hex[:8].upper()}"
    with everything.session("manager") as session:
        catalogue.add_version(session, everything.definitions["GLU"].model_copy(update={"code": code}))
    store = filled(everything, everything.someone(*(one for one in ALL if one is not Permission.RESTRICTED_READ)))

    with everything.session("manager") as session:
        restricted = everything.definitions["GLU"].model_copy(update={"code": code, "is_restricted": True})
        catalogue.add_version(session, restricted)
    store.pull()

    assert store.resets == 2


def test_a_change_of_permissions_loads_anew(everything: Laboratory) -> None:
    user_id = uuid7()
    store = filled(everything, everything.someone(Permission.SYNC_USE, user_id=user_id))

    _set_permissions(everything, user_id, [Permission.SYNC_USE, Permission.SITE_READ])
    store.pull()
    more = {kind for kind in store.kinds if store.of(kind)}
    _set_permissions(everything, user_id, [Permission.SYNC_USE])
    store.pull()

    assert more == {"me", "sites", "users", "switches"}
    assert {kind for kind in store.kinds if store.of(kind)} == {"me"}
    assert store.resets == 3


def _set_permissions(lab: Laboratory, user_id: UUID, permissions: list[Permission]) -> None:
    with lab.session() as session:
        role = session.query(Role).where(Role.code == f"r{user_id.hex[-12:]}").one()
        role.permissions = sorted(one.value for one in permissions)


def test_without_a_session_or_the_permission_there_is_no_answer(everything: Laboratory) -> None:
    cursor = filled(everything, everybody(everything)).cursor

    assert Store(everything, "unknown").ask(cursor).status_code == 401
    refused = Store(everything, everything.someone(Permission.SITE_READ)).ask(cursor)
    assert (refused.status_code, refused.json()["permission"]) == (403, "sync:use")


# one site


def _at_site(lab: Laboratory, site_id: UUID) -> str:
    user_id = uuid7()
    token = lab.someone(*ALL, user_id=user_id)
    with lab.session() as session:
        session.execute(update(User).where(User.id == user_id).values(site_id=site_id))
    return token


def test_who_works_at_one_site_sees_its_orders_and_patients_alone(everything: Laboratory) -> None:
    lab = everything
    theirs = lab.measure(site_id=lab.centre_id, values={"GLU": "700"})
    store = filled(lab, _at_site(lab, lab.centre_id))
    first = {kind: set(store.of(kind)) for kind in ("patients", "orders", "specimens", "results", "reports")}

    elsewhere = lab.measure(values={"GLU": "700"})
    later = lab.measure(site_id=lab.centre_id, person=elsewhere.drawn.person)
    came = store.pull()

    for kind in ("orders", "specimens"):
        assert {one["site_id"] for one in store.of(kind).values()} == {str(lab.centre_id)}
    assert str(theirs.drawn.person.id) in first["patients"]
    assert str(elsewhere.drawn.order_id) not in store.of("orders")
    assert str(elsewhere.drawn.person.id) in store.of("patients")
    assert {one["order_id"] for one in store.of("results").values()} <= set(store.of("orders"))
    assert (came["orders"], came["results"], came["patients"]) == (1, 1, 1)
    assert str(later.drawn.order_id) in store.of("orders")
    assert {one["patient_id"] for one in store.of("results").values()} <= set(store.of("patients"))


def test_a_patient_registered_at_a_site_comes_to_who_registered_them_and_with_an_order_to_the_others(
    everything: Laboratory,
) -> None:
    lab = everything
    stores = [filled(lab, _at_site(lab, lab.centre_id)) for _ in range(2)]

    made = lab.post("/v1/patients", {"name": "Savitri Example", "sex": "female"}, by=stores[0].token)["id"]
    for store in stores:
        store.pull()
    at_first = [made in store.of("patients") for store in stores]
    lab.post("/v1/orders", {"patient_id": made, "site_id": str(lab.centre_id), "tests": ["GLU"]}, by=stores[1].token)
    for store in stores:
        store.pull()

    assert at_first == [True, False]
    assert [made in store.of("patients") for store in stores] == [True, True]


def test_a_change_of_site_loads_anew(everything: Laboratory) -> None:
    user_id = uuid7()
    store = filled(everything, everything.someone(*ALL, user_id=user_id))
    with everything.session() as session:
        session.execute(update(User).where(User.id == user_id).values(site_id=everything.centre_id))

    store.pull()

    assert store.resets == 2
    assert store.of("me")["me"]["site_id"] == str(everything.centre_id)


# what changes


def test_nothing_changed_is_an_empty_answer_under_a_new_cursor(everything: Laboratory) -> None:
    store = filled(everything, everybody(everything))
    store.pull()

    page = store.once()

    assert (page["reset"], page["documents"], page["gone"], page["more"]) == (False, {}, {}, False)


def test_a_store_that_is_kept_up_by_deltas_is_the_one_that_loads_afresh(everything: Laboratory) -> None:
    lab, token = everything, everybody(everything)
    store = filled(lab, token)

    person = lab.person()
    drawn = lab.draw("GLU", "K", person=person, receive=False)
    store.pull()
    lab.post(f"/v1/specimens/{drawn.accession}/receive", {"received_at": utc_now().isoformat()}, by=token)
    held = lab.measure(person=person, values={"GLU": "600"})
    store.pull()
    lab.post("/v1/results/authorise", {"result_ids": [held.line()["id"]]}, by=token)
    lab.post(
        f"/v1/results/{held.line()['id']}/correct", {"value_text": "91", "reason": "dilution_error"}, by="technician"
    )
    lab.settle()
    lab.control(3.5, "ALT")
    with lab.session("pathologist") as session:
        catalogue.add_version(session, lab.definitions["ALP"].model_copy(update={"name": "Alkaline phosphatase"}))
        catalogue.add_panels(session, [_panel("BASIC", ["GLU"])])
        results.switch_release(session, SwitchScope.TEST, "TBIL", off=False, reason="again")
        old = session.query(ControlTarget).where(ControlTarget.test_code == "ALT", ControlTarget.level == 1).first()
        assert old is not None
        session.add(
            ControlTarget(
                organization_id=lab.organization_id, lot_id=old.lot_id, level=1, test_code="ALT", sd=2, mean=old.mean,
                analyser_id=old.analyser_id, version=2, source="EXAMPLE",
            )
        )  # fmt: skip
    store.pull()

    afresh = filled(lab, token)
    assert store.resets == 1
    assert {kind: store.of(kind) for kind in KINDS} == {kind: afresh.of(kind) for kind in KINDS}


def test_a_patient_of_long_ago_comes_back_with_their_results_when_they_have_a_new_order(
    everything: Laboratory,
) -> None:
    lab = everything
    past = lab.measure("NA", "CL")
    _long_ago(lab, past.drawn.order_id, past.drawn.person.id)
    store = filled(lab, everybody(lab))
    gone = str(past.drawn.person.id) not in store.of("patients")

    lab.draw(person=past.drawn.person)
    came = store.pull()
    lab.draw(person=past.drawn.person)
    again = store.pull()

    assert gone
    assert (came["patients"], came["results"], came["orders"]) == (1, 2, 1)
    assert (again["patients"], again["results"], again["orders"]) == (0, 0, 1)


def test_a_correction_of_a_finished_order_of_long_ago_brings_it_back_whole(everything: Laboratory) -> None:
    lab = everything
    past = lab.measure("NA", "CL")
    _long_ago(lab, past.drawn.order_id, past.drawn.person.id)
    store = filled(lab, everybody(lab))
    gone = str(past.drawn.order_id) not in store.of("orders")

    lab.post(
        f"/v1/results/{past.line('NA')['id']}/correct",
        {"value_text": "141", "reason": "dilution_error"},
        by="technician",
    )
    came = store.pull()
    afresh = filled(lab, everybody(lab))

    assert gone
    assert (came["orders"], came["specimens"], came["patients"], came["results"]) == (1, 1, 1, 3)
    assert str(past.drawn.order_id) in afresh.of("orders")


def _long_ago(lab: Laboratory, order_id: UUID, patient_id: UUID) -> None:
    """As if it had been two months ago; the application itself cannot say so."""
    with psycopg.connect(lab.environment.superuser_dsn) as connection:
        connection.execute("set session_replication_role = replica")
        old = utc_now() - timedelta(days=60)
        connection.execute(
            "update lims.orders set placed_at = %s, completed_at = %s where id = %s", (old, old, order_id)
        )
        connection.execute("update lims.patients set recorded_at = %s where id = %s", (old, patient_id))


def test_an_erased_patient_is_gone(everything: Laboratory) -> None:
    person = everything.person()
    store = filled(everything, everybody(everything))
    before = str(person.id) in store.of("patients")

    caller = SystemCaller(database=everything.environment.app, organization_id=everything.organization_id)
    erase_patient(caller, person.id)
    page = store.once()
    afresh = filled(everything, everybody(everything))

    assert before
    assert page["gone"] == {"patients": [str(person.id)]}
    assert person.name not in str(page)
    assert str(person.id) not in store.of("patients").keys() | afresh.of("patients").keys()


@pytest.mark.req("1.1.3")
def test_behind_too_many_changes_everything_is_loaded_anew(
    everything: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lims_api.sync.delta.TOO_MANY", 10)
    store = filled(everything, everybody(everything))
    everything.person()
    few = store.once()["reset"]
    for _ in range(11):
        everything.person()

    store.pull()

    assert (few, store.resets) == (False, 2)


def test_what_changes_while_the_first_load_is_fetched_comes_behind_its_pages(
    everything: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lims_api.sync.first_load.ENOUGH", 1)
    lab, store = everything, Store(everything, everybody(everything))
    pages, resets = 0, []
    while True:
        page = store.once()
        pages += 1
        resets.append(page["reset"])
        lab.measure(values={"GLU": "700"})
        if not page["more"]:
            break

    store.pull()

    assert pages > 3
    assert resets == [True] + [False] * (pages - 1)
    afresh = filled(lab, store.token)
    assert {kind: store.of(kind) for kind in KINDS} == {kind: afresh.of(kind) for kind in KINDS}


def test_every_patient_that_is_sent_is_logged_as_read_by_whom(everything: Laboratory) -> None:
    lab, user_id = everything, uuid7()
    store = filled(lab, lab.someone(*ALL, user_id=user_id))
    of_patients = [*store.of("orders").values(), *store.of("specimens").values(), *store.of("results").values()]
    told = set(store.of("patients")) | {one["patient_id"] for one in of_patients}
    measured = lab.measure()
    store.pull()

    logged = lab.rows(
        "select patient_id::text, count(*) from lims.access_log"
        " where actor_id = %s and action = 'sync.pull' group by 1",
        user_id,
    )  # fmt: skip
    assert {patient for patient, _ in logged} == told | {str(measured.drawn.person.id)}


def test_how_many_statements_a_pull_takes_does_not_depend_on_how_much_changed(everything: Laboratory) -> None:
    lab, token = everything, everybody(everything)
    one, many = filled(lab, token), filled(lab, token)
    lab.measure(values={"GLU": "700"})
    few = _statements(lab, one)
    for _ in range(12):
        lab.measure("GLU", "K", values={"GLU": "700"})
    more = _statements(lab, many)
    nothing = _statements(lab, many)

    assert few == more <= 12
    assert nothing == 3


def _statements(lab: Laboratory, store: Store) -> int:
    said: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(lab.environment.app.engine, "before_cursor_execute", listen)
    try:
        store.once()
    finally:
        event.remove(lab.environment.app.engine, "before_cursor_execute", listen)
    return len(said)


# how it is sent


def test_the_answer_is_compressed_when_the_app_takes_that_and_stored_nowhere(everything: Laboratory) -> None:
    token = everybody(everything)
    headers = {"Authorization": f"Bearer {token}"}

    packed = everything.client.get("/v1/sync/pull", headers=headers | {"Accept-Encoding": "gzip, br"})
    plain = everything.client.get("/v1/sync/pull", headers=headers | {"Accept-Encoding": "identity"})

    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert packed.json()["documents"] == plain.json()["documents"]
    assert int(packed.headers["content-length"]) * 3 < int(plain.headers["content-length"])
    for answer in (packed, plain):
        assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Accept-Encoding")


def test_orders_and_results_stand_in_the_store_as_the_tables_have_them(everything: Laboratory) -> None:
    store = filled(everything, everybody(everything))

    caller = SystemCaller(database=everything.environment.app, organization_id=everything.organization_id)
    with transaction(caller) as session:
        for order in session.query(Order):
            if str(order.id) in store.of("orders"):
                assert store.of("orders")[str(order.id)]["order_number"] == order.order_number
        held = Result.patient_id.in_(list(store.of("patients"))), Result.available_at > working_set.since()
        compared = session.query(Result).where(*held).all()
        assert len(compared) == len(store.of("results")) > 0
        for result in compared:
            document = store.of("results")[str(result.id)]
            assert (document["value"] and Decimal(document["value"])) == result.value
            assert (document["status"], document["version"]) == (result.status, result.version)


def test_the_reference_page_names_every_command_and_every_kind() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "sync.md").read_text("utf-8")

    for name, command in COMMANDS.items():
        assert f"| `{name}` | `{command.permission}` |" in page
    lines = [line for line in page.partition("## Pull")[2].splitlines() if line.startswith("|")]
    for permission, kinds in SEEN.items():
        for kind in kinds:
            assert [line for line in lines if f"`{kind}`" in line and (not permission or f"| `{permission}` |" in line)]
