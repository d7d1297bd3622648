"""The catalogue: versions that never change, and a person's approval before anything is released by them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from lims_api.catalogue import service
from lims_api.catalogue.errors import IntervalsOverlap
from lims_api.catalogue.models import ReferenceInterval
from lims_api.catalogue.schemas import CatalogueIn, DefinitionIn
from lims_api.core.permissions import Permission
from tests.factories import organization, staff
from tests.integration.laboratory import RESTRICTED, UNAPPROVED, Laboratory, today


@pytest.fixture
def wanted(lab: Laboratory) -> DefinitionIn:
    """A test that the laboratory does not have yet."""
    return lab.definitions["CREA"].model_copy(update={"code": f"C{uuid4().hex[:8].upper()}"})


def add(lab: Laboratory, wanted: DefinitionIn) -> Any:
    with lab.session("manager") as session:
        return service.add_version(session, wanted).id


@pytest.mark.req("12.3")
def test_a_new_version_is_not_approved_until_a_person_says_so(lab: Laboratory, wanted: DefinitionIn) -> None:
    definition_id = add(lab, wanted)
    before = _listed(lab, wanted.code)

    approval = lab.post(f"/v1/tests/{wanted.code}/approve")

    assert (before["version"], before["approved_on"]) == (1, None)
    assert approval == {"definition_id": str(definition_id), "version": 1, "approved_on": today().isoformat()}
    assert _listed(lab, wanted.code)["approved_on"] == today().isoformat()
    approvers = lab.rows(
        "select approved_by_id, approved_on, source from lims.reference_intervals where definition_id = %s",
        definition_id,
    )
    assert {row[:2] for row in approvers} == {(lab.users["pathologist"], today())}
    assert all(row[2] for row in approvers)


def _listed(lab: Laboratory, code: str) -> dict[str, Any]:
    (found,) = [test for test in lab.get("/v1/tests", by="reception") if test["code"] == code]
    listed: dict[str, Any] = found
    return listed


def test_a_version_is_approved_once(lab: Laboratory, wanted: DefinitionIn) -> None:
    add(lab, wanted)
    lab.post(f"/v1/tests/{wanted.code}/approve")

    again = lab.call("POST", f"/v1/tests/{wanted.code}/approve")

    assert (again.status_code, again.json()["type"].rsplit("/", 1)[-1]) == (409, "already-approved")


@pytest.mark.req("12.3")
def test_the_next_version_needs_its_own_approval_and_leaves_the_first_as_it_is(
    lab: Laboratory, wanted: DefinitionIn
) -> None:
    first = add(lab, wanted)
    lab.post(f"/v1/tests/{wanted.code}/approve")
    second = add(lab, wanted.model_copy(update={"name": "Another name"}))

    with lab.session() as session:
        defined = service.definitions(session, [first, second])

    assert (defined[first].version, defined[first].is_approved, defined[first].name) == (1, True, "Creatinine")
    assert (defined[second].version, defined[second].is_approved, defined[second].name) == (2, False, "Another name")
    assert _listed(lab, wanted.code)["version"] == 2


@pytest.mark.req("12.3")
def test_one_unapproved_interval_makes_a_definition_unapproved(lab: Laboratory, wanted: DefinitionIn) -> None:
    definition_id = add(lab, wanted)
    lab.post(f"/v1/tests/{wanted.code}/approve")
    with lab.session() as session:
        bands = select(ReferenceInterval).where(ReferenceInterval.definition_id == definition_id)
        session.scalars(bands.limit(1)).one().approved_by_id = None

    with lab.session() as session:
        assert service.definitions(session, [definition_id])[definition_id].is_approved is False


def test_a_price_is_shown_and_another_one_is_the_next_version(lab: Laboratory, wanted: DefinitionIn) -> None:
    priced = wanted.model_copy(update={"list_price": Decimal("160")})
    add(lab, priced)
    first = _listed(lab, wanted.code)

    with lab.session("manager") as session:
        same = service.import_rows(session, CatalogueIn(test=[priced]))
        dearer = priced.model_copy(update={"list_price": Decimal("170.50")})
        changed = service.import_rows(session, CatalogueIn(test=[dearer]))

    assert first["list_price"] == "160"
    assert (same.unchanged, changed.changed) == ([wanted.code], [wanted.code])
    assert (_listed(lab, wanted.code)["list_price"], _listed(lab, wanted.code)["version"]) == ("170.50", 2)


def test_intervals_that_claim_one_age_are_refused_whole(lab: Laboratory, wanted: DefinitionIn) -> None:
    twice = wanted.model_copy(update={"intervals": [wanted.intervals[0], wanted.intervals[0]]})

    with pytest.raises(IntervalsOverlap), lab.session("manager") as session:
        service.add_version(session, twice)

    assert lab.rows("select count(*) from lims.test_definitions where code = %s", wanted.code) == [(0,)]


@pytest.mark.req("12.4")
def test_a_test_is_restricted_when_any_version_is(lab: Laboratory, wanted: DefinitionIn) -> None:
    plain = add(lab, wanted)
    with lab.session() as session:
        before = service.definitions(session, [plain])[plain].is_restricted, service.restricted_codes(session)
    add(lab, wanted.model_copy(update={"is_restricted": True}))
    add(lab, wanted)

    with lab.session() as session:
        after = service.definitions(session, [plain])[plain].is_restricted, service.restricted_codes(session)

    assert (before[0], wanted.code in before[1]) == (False, False)
    assert (after[0], wanted.code in after[1]) == (True, True)
    assert RESTRICTED in after[1]


def test_a_permission_decides_what_is_hidden(lab: Laboratory) -> None:
    with lab.session("technician") as session:
        hidden = service.hidden_codes(session)
    with lab.session("pathologist") as session:
        shown = service.hidden_codes(session)

    assert RESTRICTED in hidden
    assert shown == []


def test_the_catalogue_is_read_whole_and_says_what_is_an_example(lab: Laboratory) -> None:
    listed = lab.get("/v1/tests", by="reception")

    codes = [test["code"] for test in listed]
    assert codes == sorted(codes)
    assert {"GLU", "CREA", RESTRICTED, UNAPPROVED} <= set(codes)
    assert all(test["is_example"] for test in listed if test["code"] in lab.definitions)


def test_who_may_not_approve_is_refused_and_an_unknown_test_is_not_found(lab: Laboratory, wanted: DefinitionIn) -> None:
    add(lab, wanted)
    stranger = staff(lab.environment, organization(lab.environment), [Permission.CATALOGUE_APPROVE])

    answers = [
        lab.call("POST", f"/v1/tests/{wanted.code}/approve", by="technician"),
        lab.call("POST", f"/v1/tests/{wanted.code}/approve", by=stranger),
        lab.call("POST", "/v1/tests/NONE/approve"),
    ]

    assert [answer.status_code for answer in answers] == [403, 404, 404]
    assert _listed(lab, wanted.code)["approved_on"] is None


def test_limits_keep_every_decimal(lab: Laboratory, wanted: DefinitionIn) -> None:
    exact = wanted.intervals[0].model_copy(update={"low": Decimal("0.1234567890123456789")})
    definition_id = add(lab, wanted.model_copy(update={"intervals": [exact]}))

    with lab.session() as session:
        (band,) = service.definitions(session, [definition_id])[definition_id].bands

    assert band.low == Decimal("0.1234567890123456789")
