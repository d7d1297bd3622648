"""Finding the sealed: by UHID, phone, and the beginnings of a name in whatever spelling and script."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from lims_api.core.db import SystemCaller, transaction
from lims_api.patients import queries, service
from lims_api.patients.schemas import PatientIn
from tests.conftest import Environment

from .conftest import Desk

FILL = """
insert into lims.patient_tokens (organization_id, token, patient_id)
select %s, n %% 500, gen_random_uuid() from generate_series(1, 20000) n
"""


@pytest.fixture
def registered(desk: Desk) -> dict[str, str]:
    """Names and the ids of their patients, the oldest first."""
    people = ("Lakshmi Sharma", "Muhammad Arif Khan", "Ananya Chowdhury", "Sreenivas Rao", "Ramesh Kumar", "Om Jha")
    return {name: desk.register(name=name, phone=f"98200 1234{n}").json()["id"] for n, name in enumerate(people)}


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("lak", "Lakshmi Sharma"),
        ("laxmi", "Lakshmi Sharma"),
        ("shar lak", "Lakshmi Sharma"),
        ("laxmee sarma", "Lakshmi Sharma"),
        ("लक्ष्मी शर्मा", "Lakshmi Sharma"),
        ("shr lak", None),
        ("L Sharma", "Lakshmi Sharma"),
        ("Mrs Lakshmi Sharma", "Lakshmi Sharma"),
        ("mohd khan", "Muhammad Arif Khan"),
        ("मोहम्मद खान", "Muhammad Arif Khan"),
        ("choudhary", "Ananya Chowdhury"),
        ("shrinivas", "Sreenivas Rao"),
        ("jha", "Om Jha"),
        ("lakshmi verma", None),
        ("rakesh", None),
    ],
)
def test_a_person_is_found_by_parts_of_the_name(
    desk: Desk, registered: dict[str, str], typed: str, name: str | None
) -> None:
    assert desk.found(name=typed) == ([registered[name]] if name else [])


def test_a_person_is_found_by_phone_in_any_way_of_writing_it(desk: Desk, registered: dict[str, str]) -> None:
    for typed in ("9820012343", "+91 98200 12343", "098200-12343"):
        assert desk.found(phone=typed) == [registered["Sreenivas Rao"]]
    assert desk.found(phone="98200 99999") == []


def test_a_person_is_found_by_uhid_in_any_case(desk: Desk) -> None:
    patient_id = desk.register(uhid="AB-7").json()["id"]

    assert desk.found(uhid="ab-7") == [patient_id]
    assert desk.found(uhid="AB-8") == []


def test_the_nearest_name_comes_first_and_then_the_newest(desk: Desk) -> None:
    ids = [desk.register(name=name).json()["id"] for name in ("Sharmila Bose", "Sarma Rao", "Sharma Das", "Sharma Roy")]

    assert desk.found(name="sharma") == [ids[3], ids[2], ids[1], ids[0]]


def test_a_hit_shows_what_tells_people_of_one_name_apart(desk: Desk) -> None:
    desk.register(name="Asha Rao", uhid="A-1", birth_on="1984-03-09", birth_precision="year")

    assert desk.search(name="asha rao").json()["hits"][0].items() >= {
        "uhid": "A-1", "name": "Asha Rao", "phone": None, "birth_on": "1984-03-09", "birth_precision": "year",
    }.items()  # fmt: skip


@pytest.mark.parametrize("typed", ["ra", "S K", "", "..", "र"])
def test_under_three_letters_nothing_is_looked_for(desk: Desk, typed: str) -> None:
    answer = desk.search(name=typed)

    assert answer.status_code == 422
    assert answer.json()["type"].endswith("/search-too-short")


@pytest.mark.parametrize("criteria", [{}, {"name": "asha", "phone": "98200 12345"}, {"phone": "1"}, {"email": "a"}])
def test_a_search_is_by_one_thing(desk: Desk, criteria: dict[str, str]) -> None:
    answer = desk.search(**criteria)

    assert answer.status_code == 422
    assert answer.json()["type"].endswith("/invalid-request")


def test_more_than_fifty_are_not_shown_and_older_ones_lie_behind_the_cursor(
    environment: Environment, desk: Desk
) -> None:
    person = PatientIn.model_validate({"name": "Kumar Das", "sex": "male"})
    with transaction(SystemCaller(database=environment.app, organization_id=desk.organization_id)) as session:
        ids = [str(service.register(session, person).id) for _ in range(queries.NEWEST + 5)]

    first = desk.search(name="kumar").json()
    behind = desk.search(name="kumar", cursor=first["cursor"]).json()

    assert [hit["id"] for hit in first["hits"]] == ids[: -service.SHOWN - 1 : -1]
    assert first["refine"] is True
    assert first["cursor"] == ids[5]
    assert [hit["id"] for hit in behind["hits"]] == ids[4::-1]
    assert behind["refine"] is False
    assert behind["cursor"] is None


@pytest.mark.parametrize("words", [1, 2])
def test_the_applications_role_searches_by_index_alone(environment: Environment, desk: Desk, words: int) -> None:
    """Row-level security keeps an index from conditions that are not leakproof; a superuser's plan would not tell."""
    with psycopg.connect(environment.superuser_dsn, autocommit=True) as connection:
        connection.execute(FILL, (desk.organization_id,))
        connection.execute("vacuum analyze lims.patient_tokens")

    with transaction(SystemCaller(database=environment.app, organization_id=desk.organization_id)) as session:
        event.listen(session.connection(), "before_cursor_execute", explained, retval=True)
        if words == 1:
            plan = queries.by_any(session, desk.organization_id, [1, 2, 3], None)
        else:
            plan = queries.by_every(session, desk.organization_id, [[1, 2, 3], [4, 5, 6]], None)

    lines = [str(line) for line in plan]
    assert any("Index Only Scan" in line for line in lines)
    assert not any("Seq Scan" in line or "Filter: (token" in line for line in lines), lines


def explained(*given: Any) -> tuple[str, Any]:
    """The statement's plan instead of its rows."""
    return f"explain {given[2]}", given[3]
