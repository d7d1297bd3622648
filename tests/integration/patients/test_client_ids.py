"""Patients whose id a client made while it was offline: taken once, and never a second key for one patient."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from lims_api.core.ids import derived, uuid7
from tests.conftest import Environment

from .conftest import Desk


def keys_of(environment: Environment, desk: Desk, patient_id: str) -> int:
    """How many keys the key store has for a patient of a laboratory."""
    with psycopg.connect(environment.cluster.superuser_dsn(environment.keys_name)) as connection:
        row = connection.execute(
            "select count(*) from patient_keys where organization_id = %s and patient_id = %s",
            (desk.organization_id, patient_id),
        ).fetchone()
    assert row is not None
    return int(row[0])


def slug(body: dict[str, str]) -> str:
    return body["type"].rsplit("/", 1)[-1]


@pytest.mark.req("0.5")
def test_the_id_that_a_client_made_is_the_patients(environment: Environment, desk: Desk) -> None:
    made = str(uuid7())

    answer = desk.register(id=made)

    assert (answer.status_code, answer.json()) == (201, {"id": made})
    assert desk.read(made).json()["name"] == "Lakshmi Sharma"
    assert keys_of(environment, desk, made) == 1


@pytest.mark.req("0.5")
def test_a_used_id_is_refused_and_its_patient_stays_readable(environment: Environment, desk: Desk) -> None:
    made = str(uuid7())
    desk.register(id=made)

    answer = desk.register(id=made, name="Somebody Else")

    assert (answer.status_code, slug(answer.json())) == (409, "id-taken")
    assert "Lakshmi" not in answer.text
    assert desk.read(made).json()["name"] == "Lakshmi Sharma"
    assert keys_of(environment, desk, made) == 1


@pytest.mark.req("3.13.1")
def test_an_id_of_another_laboratory_is_as_free_as_any(desk: Desk, another_desk: Desk) -> None:
    made = str(uuid7())
    desk.register(id=made)

    answer = another_desk.register(id=made, name="Somebody Else")

    assert answer.status_code == 201
    assert desk.read(made).json()["name"] == "Lakshmi Sharma"
    assert another_desk.read(made).json()["name"] == "Somebody Else"


def test_two_at_once_under_one_id_are_one_patient_with_one_key(environment: Environment, desk: Desk) -> None:
    made = str(uuid7())

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: desk.register(id=made, name=name), ("Asha", "Usha", "Nisha", "Trisha")))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert keys_of(environment, desk, made) == 1
    assert desk.read(made).status_code == 200


def test_a_refused_registration_leaves_its_key_for_the_next_try(environment: Environment, desk: Desk) -> None:
    desk.register(uhid="A-1")
    made = str(uuid7())

    refused = desk.register(id=made, uhid="A-1")
    again = desk.register(id=made, uhid="A-2")

    assert (refused.status_code, again.status_code) == (409, 201)
    assert keys_of(environment, desk, made) == 1
    assert desk.read(made).json()["uhid"] == "A-2"


@pytest.mark.parametrize(
    "made", ["0b0f5f0e-6f0a-4a0e-9d3c-1c2d3e4f5a6b", str(derived(UUID(int=1), "x")), "1", "", "P26-000001"]
)
def test_an_id_is_of_version_7(desk: Desk, made: str) -> None:
    answer = desk.register(id=made)

    assert (answer.status_code, slug(answer.json())) == (422, "invalid-request")
