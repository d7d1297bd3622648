"""Commands of an app: applied once, answered once and for ever, refusals too."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event

from lims_api.core.clock import utc_now
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.identity.models import Role
from lims_api.sync.commands import COMMANDS, Kind
from lims_api.worker import _forget_replies
from tests.factories import organization, staff
from tests.integration.laboratory import LOT, MATERIAL, Laboratory, message
from tests.integration.sync.app import App, Command, changes, command, fresh, kept, receive, register, slug
from tests.integration.sync.conftest import ALL

NOW = utc_now().isoformat()
Making = Callable[[Laboratory], dict[str, Any]]


def _held(lab: Laboratory) -> str:
    return str(lab.measure(values={"GLU": "300"}).line()["id"])


def _placed(lab: Laboratory) -> str:
    body = {"patient_id": str(lab.person().id), "site_id": str(lab.site_id), "tests": ["GLU", "K"]}
    return str(lab.post("/v1/orders", body, by="reception")["id"])


def _parked(lab: Laboratory) -> str:
    drawn = lab.draw()
    lab.deliver(message("9900000000", lab.observations(drawn), drawn.person.stated()))
    return str(lab.parked()[-1]["id"])


def _order_test(lab: Laboratory) -> str:
    ((found,),) = lab.rows("select id from lims.order_tests where order_id = %s", lab.draw().order_id)
    return str(found)


BODIES: dict[str, Making] = {
    "controls.record": lambda lab: {
        "analyser_id": str(lab.analyser.id), "material": MATERIAL, "lot_number": LOT, "level": 1, "test_code": "GLU",
        "value": "100.2", "unit": lab.definitions["GLU"].unit, "occurred_at": NOW,
    },
    "critical_calls.record": lambda lab: {
        "id": str(uuid7()), "result_id": str(lab.measure(values={"GLU": "900"}).line()["id"]), "called_at": NOW,
        "outcome": "informed", "informed": "Dr Example", "read_back": True,
    },
    "orders.place": lambda lab: {
        "id": str(uuid7()), "patient_id": str(lab.person().id), "site_id": str(lab.site_id), "tests": ["GLU"],
    },
    "parked.set_aside": lambda lab: {"id": _parked(lab), "reason": "not_ours"},
    "patients.register": lambda _: {"id": str(uuid7()), "name": "Savitri Example", "sex": "female"},
    "release.switch": lambda _: {"scope": "test", "target": "TBIL", "off": False, "reason": "test_of_commands"},
    "results.authorise": lambda lab: {"result_ids": [_held(lab)]},
    "results.correct": lambda lab: {"result_id": _held(lab), "value_text": "91", "reason": "dilution_error"},
    "results.enter": lambda lab: {
        "values": [{"order_test_id": _order_test(lab), "value_text": "91"}], "measured_at": NOW,
    },
    "results.reject": lambda lab: {"result_id": _held(lab)},
    "results.verify": lambda lab: {"result_ids": [_held(lab)]},
    "specimens.collect": lambda lab: {"order_id": _placed(lab), "collected_at": NOW},
    "specimens.receive": lambda lab: {"accession_number": lab.draw(receive=False).accession, "received_at": NOW},
    "specimens.reject": lambda lab: {
        "accession_number": lab.draw().accession, "rejected_at": NOW, "reason": "clotted",
    },
}  # fmt: skip
"""A body of every command, on things made for it."""
MISSING = [
    name for name in COMMANDS if any(part in name for part in ("receive", "reject", "authorise", "correct", "verify"))
]
"""Commands about something that must exist."""


def test_every_command_is_in_these_tests() -> None:
    assert BODIES.keys() == COMMANDS.keys()
    assert list(COMMANDS) == sorted(COMMANDS)


@pytest.mark.req("1.1.1")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_applied_by_who_may_push_and_holds_its_permission(lab: Laboratory, name: str) -> None:
    app = App(lab, lab.someone(Permission.SYNC_USE, COMMANDS[name].permission))
    wanted = command(name, BODIES[name](lab))

    status, reply = app.one(wanted)

    assert status == COMMANDS[name].status, reply
    assert "name" not in reply
    ((device, made_at, route),) = lab.rows(
        "select device::text, made_at, route from lims.idempotency_keys where organization_id = %s and key = %s",
        lab.organization_id, wanted["id"],
    )  # fmt: skip
    assert (device, made_at.isoformat(), route) == (wanted["device"], wanted["made_at"], f"sync {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_its_permission_is_answered_403_and_succeeds_when_it_is_given(
    lab: Laboratory, name: str
) -> None:
    needed, user_id = COMMANDS[name].permission, uuid7()
    app = App(lab, lab.someone(*(one for one in ALL if one is not needed), user_id=user_id))
    wanted = command(name, BODIES[name](lab))
    before = changes(lab)

    status, reply = app.one(wanted)

    assert (status, slug(reply), reply["permission"]) == (403, "forbidden", needed.value)
    assert changes(lab) == before
    assert kept(lab, [wanted["id"]]) == []
    _grant(lab, f"r{user_id.hex[-12:]}", needed)
    assert app.one(wanted)[0] == COMMANDS[name].status


def _grant(lab: Laboratory, role: str, permission: Permission) -> None:
    with lab.session() as session:
        held = session.query(Role).where(Role.code == role).one()
        held.permissions = [*held.permissions, permission.value]


@pytest.mark.req("1.1.1")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_command_again_is_answered_the_same_and_changes_nothing(app: App, name: str) -> None:
    wanted = command(name, BODIES[name](app.lab))
    first = app.one(wanted)
    before = changes(app.lab)

    reordered = wanted | {"body": dict(reversed(wanted["body"].items())), "made_at": utc_now().isoformat()}
    again = [app.one(wanted), app.one(reordered)]

    assert again == [first, first]
    assert changes(app.lab) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_another_body_or_name_under_the_same_id_is_refused_and_the_first_answer_stays(app: App, name: str) -> None:
    wanted = command(name, BODIES[name](app.lab))
    first = app.one(wanted)
    before = changes(app.lab)
    other = "results.reject" if name != "results.reject" else "results.authorise"

    answers = app.push(
        wanted | {"body": wanted["body"] | {"more": 1}}, wanted | {"name": other}, wanted | {"name": "nothing.known"}
    )

    assert [(one["status"], slug(one["reply"])) for one in answers] == [(409, "command-id-reused")] * 3
    assert changes(app.lab) == before
    assert app.one(wanted) == first


@pytest.mark.req("1.1.1")
def test_a_refusal_is_kept_also_when_it_would_succeed_by_now(app: App) -> None:
    drawn = app.lab.draw(receive=False)
    wanted = command("specimens.collect", {"order_id": str(drawn.order_id), "collected_at": NOW})

    first = app.one(wanted)
    app.push(command("specimens.reject", {
        "accession_number": drawn.accession, "rejected_at": NOW, "reason": "clotted",
    }))  # fmt: skip
    before = changes(app.lab)
    again = app.one(wanted)

    assert (first[0], slug(first[1])) == (409, "nothing-to-collect")
    assert again == first
    assert changes(app.lab) == before
    assert app.one(wanted | {"id": str(uuid7())})[0] == 201, "the order does wait for a specimen again"


@pytest.mark.parametrize("name", MISSING)
def test_what_is_another_laboratorys_does_not_exist_for_a_command(app: App, name: str) -> None:
    tenant = organization(app.lab.environment)
    stranger = App(app.lab, staff(app.lab.environment, tenant, ALL))
    wanted = command(name, BODIES[name](app.lab))
    before = changes(app.lab)

    status, _ = stranger.one(wanted)

    assert status == 404
    assert changes(app.lab) == before
    assert app.one(wanted)[0] == COMMANDS[name].status, "its id is taken for the stranger alone"


@pytest.mark.req("1.1.1")
def test_the_same_id_is_another_command_for_another_person_and_another_laboratory(app: App) -> None:
    wanted = register()
    tenant = organization(app.lab.environment)
    others = [App(app.lab, app.lab.someone(*ALL)), App(app.lab, staff(app.lab.environment, tenant, ALL))]

    answers = [one.one(wanted) for one in (app, *others)]

    assert [status for status, _ in answers] == [201] * 3
    assert len({reply["id"] for _, reply in answers}) == 3
    assert [one.one(wanted) for one in (app, *others)] == answers


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "body",
    [{}, {"result_ids": []}, {"tests": "GLU"}, {"accession_number": "x" * 41}, {"value": "∞"}],
)
def test_a_body_of_another_shape_is_refused_for_ever_and_not_repeated(
    app: App, name: str, body: dict[str, Any]
) -> None:
    wanted = command(name, body)
    before = changes(app.lab)

    status, reply = app.one(wanted)

    assert (status, slug(reply)) == (422, "invalid-request")
    assert reply["fields"]
    assert kept(app.lab, [wanted["id"]]) == [(wanted["id"], 422)]
    assert changes(app.lab) == before


@pytest.mark.req("4.4.3")
def test_what_was_typed_is_in_no_kept_refusal(app: App) -> None:
    typed = {
        "name": "98450 Kulkarni" * 20,
        "phone": "98450 1234",
        "sex": "Asha Kulkarni",
        "birth_on": "9.3.1984",
        "Asha K": 1,
    }

    status, reply = app.one(command("patients.register", typed))

    assert (status, {one["field"] for one in reply["fields"]}) == (422, {"name", "phone", "sex", "birth_on", "…"})
    assert not [part for part in ("Asha", "Kulkarni", "98450", "1984") if part in str(reply)]


def test_half_a_character_is_refused_and_holds_up_nothing(app: App) -> None:
    whole = json.dumps({"commands": [register(name="half"), register()]}).replace('"half"', r'"\ud800"')
    headers = {"Authorization": f"Bearer {app.token}", "Content-Type": "application/json"}

    answer = app.lab.client.post("/v1/sync/push", content=whole.encode(), headers=headers)

    assert [one["status"] for one in answer.json()["answers"]] == [422, 201]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("evil", ["\0", "a\0b", "\\\0"])
def test_what_cannot_be_stored_is_refused_and_holds_up_nothing(app: App, name: str, evil: str) -> None:
    body = BODIES[name](app.lab)
    first = next(iter(body))

    answers = app.push(command(name, body | {first: evil}), command(name, body | {evil: 1}), register())

    assert [one["status"] for one in answers] == [422, 422, 201]
    assert [slug(one["reply"]) for one in answers[:2]] == ["not-storable"] * 2


def test_a_number_or_day_out_of_range_is_taken_or_refused_and_holds_up_nothing(app: App) -> None:
    control = BODIES["controls.record"](app.lab)
    huge = command("controls.record", control | {"value": "1e200000"})
    early = command(
        "specimens.receive", BODIES["specimens.receive"](app.lab) | {"received_at": "0001-01-01T00:00:00+14:00"}
    )

    answers = app.push(huge, early, register())

    assert answers[-1]["status"] == 201
    assert [one["status"] for one in answers[:2] if one["status"] >= 500] == []


def test_an_unknown_command_is_refused_and_the_others_are_done(app: App) -> None:
    answers = app.push(register(), command("patients.delete", {}), register())

    assert [one["status"] for one in answers] == [201, 404, 201]
    assert slug(answers[1]["reply"]) == "unknown-command"


def test_commands_are_done_in_the_order_sent(app: App) -> None:
    accession = app.lab.draw(receive=False).accession
    rejection = command("specimens.reject", {"accession_number": accession, "rejected_at": NOW, "reason": "clotted"})

    answers = app.push(rejection, receive(accession))

    assert [one["status"] for one in answers] == [200, 409]
    assert answers[1]["reply"]["status_now"] == "rejected"


@pytest.mark.parametrize(
    "change",
    [
        {"id": fresh()}, {"id": "x"}, {"made_at": "2026-11-24T10:00:00"}, {"device": "x"}, {"name": 1}, {"body": []},
        {"more": 1}, {"name": "x" * 61},
    ],
)  # fmt: skip
def test_an_envelope_of_another_shape_is_refused_whole(app: App, change: dict[str, Any]) -> None:
    good, before = register(), changes(app.lab)

    answer = app.send(good, register() | change)

    assert (answer.status_code, slug(answer.json())) == (422, "invalid-request")
    assert "Savitri" not in answer.text
    assert changes(app.lab) == before
    assert kept(app.lab, [good["id"]]) == []


@pytest.mark.parametrize("count", [0, 101])
def test_a_push_holds_one_to_a_hundred_commands(app: App, count: int) -> None:
    assert app.send(*(register() for _ in range(count))).status_code == 422


def test_without_a_session_or_the_permission_to_push_nothing_is_looked_at(app: App) -> None:
    other = App(app.lab, app.lab.someone(*(one for one in ALL if one is not Permission.SYNC_USE)))
    wanted, before = register(), changes(app.lab)

    nobody, refused = App(app.lab, "unknown").send(wanted), other.send(wanted)

    assert (nobody.status_code, refused.status_code, refused.json()["permission"]) == (401, 403, "sync:use")
    assert changes(app.lab) == before


def test_an_ended_session_refuses_the_whole_push_and_keeps_nothing(lab: Laboratory) -> None:
    token = lab.someone(*ALL)
    app, wanted = App(lab, token), register()
    lab.call("DELETE", "/v1/sessions/current", by=token)

    assert app.send(wanted).status_code == 401
    assert kept(lab, [wanted["id"]]) == []


def test_the_ledger_names_the_device_that_made_the_command(app: App) -> None:
    device = uuid4()
    wanted = command("patients.register", {"name": "Savitri Example", "sex": "female"}, device=device)

    _, reply = app.one(wanted)

    assert app.lab.rows("select device from lims.ledger where row_id = %s", reply["id"]) == [(str(device),)]


# at the same time


@pytest.mark.req("1.1.1")
def test_eight_pushes_of_one_command_at_once_apply_it_once_and_all_get_its_answer(lab: Laboratory) -> None:
    app = App(lab, lab.someone(*ALL))
    for _ in range(5):
        wanted, before = register(), changes(lab)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, wanted=wanted: app.one(wanted), range(8)))

        assert answers[0][0] == 201
        assert [answer for answer in answers if answer != answers[0]] == []
        assert changes(lab) == before + 1


@pytest.mark.req("1.1.1")
def test_eight_pushes_of_one_refused_command_at_once_all_get_the_same_refusal(lab: Laboratory) -> None:
    app = App(lab, lab.someone(*ALL))
    for _ in range(5):
        wanted, before = receive(lab.draw().accession), changes(lab)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, wanted=wanted: app.one(wanted), range(8)))

        assert (answers[0][0], slug(answers[0][1])) == (409, "specimen-not-receivable")
        assert [answer for answer in answers if answer != answers[0]] == []
        assert changes(lab) == before


@pytest.mark.req("1.1.1")
def test_a_refusal_that_comes_true_meanwhile_has_one_answer_whoever_is_faster(lab: Laboratory) -> None:
    """Collecting is refused until the specimen is rejected, which happens while eight devices ask for it."""
    app = App(lab, lab.someone(*ALL))
    seen = set()
    for _ in range(6):
        drawn = lab.draw()
        wanted = command("specimens.collect", {"order_id": str(drawn.order_id), "collected_at": NOW})
        turning = command(
            "specimens.reject", {"accession_number": drawn.accession, "rejected_at": NOW, "reason": "leaked"}
        )

        with ThreadPoolExecutor(9) as pool:
            waiting = [pool.submit(app.one, each) for each in (*[wanted] * 4, turning, *[wanted] * 4)]
            answers = [one.result() for one in waiting]
        answers.pop(4)

        assert [answer for answer in answers if answer != answers[0]] == []
        assert app.one(wanted) == answers[0]
        seen.add(answers[0][0])
    assert seen <= {201, 409}


def test_a_database_that_is_away_ends_the_push_and_the_rest_is_sent_again(lab: Laboratory) -> None:
    """The connections are cut behind the first command: the second is answered 503, and the third is not tried."""
    app = App(lab, lab.someone(*ALL))
    commands = [register(), register(), register()]
    engine = lab.environment.app.engine
    claims = 0

    def cut(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal claims
        claims += "insert into lims.idempotency_keys" in statement
        if claims == 2:
            claims += 1
            pid = connection.connection.dbapi_connection.info.backend_pid
            lab.rows("select pg_terminate_backend(%s)", pid)

    event.listen(engine, "before_cursor_execute", cut)
    try:
        answers = app.push(*commands)
    finally:
        event.remove(engine, "before_cursor_execute", cut)

    assert [one["status"] for one in answers] == [201, 503]
    assert slug(answers[1]["reply"]) == "database-unavailable"
    assert len(kept(lab, [one["id"] for one in commands])) == 1
    again = app.push(*commands)
    assert [one["status"] for one in again] == [201] * 3
    assert again[0] == answers[0]


def test_a_fault_of_ours_in_one_command_leaves_the_others_their_answers(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that fails as nobody expected is not kept: it succeeds once the fault is mended."""

    def fails(_session: object, _body: object) -> Any:
        raise RuntimeError("a fault")

    wanted: list[Command] = [register(), command("specimens.receive", BODIES["specimens.receive"](app.lab)), register()]
    kind = COMMANDS["specimens.receive"]
    monkeypatch.setitem(COMMANDS, "specimens.receive", Kind(kind.permission, kind.schema, fails))

    broken = app.push(*wanted)
    monkeypatch.undo()
    mended = app.push(*wanted)

    assert [one["status"] for one in broken] == [201, 500]
    assert slug(broken[1]["reply"]) == "internal-error"
    assert [one["status"] for one in mended] == [201, 200, 201]
    assert mended[0] == broken[0]


def test_commands_are_not_forgotten_with_old_replies(app: App) -> None:
    wanted = register()
    app.one(wanted)
    plain = app.lab.call("POST", "/v1/patients", {"name": "Savitri Example", "sex": "female"}, by=app.token)
    old = utc_now() - timedelta(days=400)
    with psycopg.connect(app.lab.environment.superuser_dsn) as connection:
        connection.execute("update lims.idempotency_keys set created_at = %s", (old,))

    _forget_replies(app.lab.work())

    assert plain.status_code == 201
    assert kept(app.lab, [wanted["id"]]) == [(wanted["id"], 201)]
    assert app.lab.rows("select count(*) from lims.idempotency_keys where device is null") == [(0,)]
