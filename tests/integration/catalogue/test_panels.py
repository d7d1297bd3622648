"""Panels: versions of their own, approved by a person, ordered as their tests."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from lims_api.catalogue import service
from lims_api.catalogue.errors import UnknownTest
from lims_api.catalogue.schemas import PanelIn
from lims_api.core.permissions import Permission
from tests.factories import organization, staff
from tests.integration.laboratory import Answer, Laboratory, today


def new(lab: Laboratory, *tests: str, code: str | None = None) -> str:
    wanted = PanelIn(
        code=code or f"P{uuid4().hex[:8].upper()}", name="A panel", translations={"hi": "एक पैनल"},
        tests=list(tests), source="EXAMPLE",
    )  # fmt: skip
    with lab.session("manager") as session:
        service.add_panels(session, [wanted])
    return wanted.code


def place(lab: Laboratory, **wanted: Any) -> Answer:
    body = {"site_id": str(lab.site_id), "patient_id": str(lab.person().id)} | wanted
    return lab.call("POST", "/v1/orders", body, by="reception")


def ordered(lab: Laboratory, answer: Answer) -> list[str]:
    rows = lab.rows("select test_code from lims.order_tests where order_id = %s order by 1", answer.json()["id"])
    return [code for (code,) in rows]


def listed(lab: Laboratory, code: str) -> dict[str, Any]:
    (found,) = [panel for panel in lab.get("/v1/panels", by="reception") if panel["code"] == code]
    one: dict[str, Any] = found
    return one


@pytest.mark.req("3.3.3")
def test_a_panel_is_ordered_as_its_tests_and_a_test_of_two_panels_once(lab: Laboratory) -> None:
    salts, kidney = new(lab, "NA", "K", "CL"), new(lab, "CREA", "K")

    answer = place(lab, tests=["GLU", "CREA"], panel_codes=[salts, kidney])

    assert answer.status_code == 201
    assert ordered(lab, answer) == ["CL", "CREA", "GLU", "K", "NA"]


def test_an_order_of_a_panel_alone_is_an_order(lab: Laboratory) -> None:
    assert ordered(lab, place(lab, panel_codes=[new(lab, "NA", "K")])) == ["K", "NA"]


@pytest.mark.req("3.3.3")
def test_an_unknown_panel_is_not_found_and_nothing_is_ordered(lab: Laboratory) -> None:
    before = lab.rows("select count(*) from lims.orders")

    answer = place(lab, tests=["GLU"], panel_codes=["NOTHING"])

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (404, "unknown-panel")
    assert lab.rows("select count(*) from lims.orders") == before


def test_an_order_of_neither_tests_nor_panels_is_refused(lab: Laboratory) -> None:
    assert place(lab, tests=[], panel_codes=[]).status_code == 422


def test_a_panel_names_no_test_that_is_not_there(lab: Laboratory) -> None:
    with pytest.raises(UnknownTest, match="NOBODY"):
        new(lab, "GLU", "NOBODY", code="HALF")

    assert lab.rows("select count(*) from lims.panels where code = 'HALF'") == [(0,)]


def test_the_next_version_is_what_is_ordered_and_needs_its_own_approval(lab: Laboratory) -> None:
    code = new(lab, "NA", "K")
    lab.post(f"/v1/panels/{code}/approve")
    before = listed(lab, code)
    new(lab, "CL", "NA", code=code)

    after = listed(lab, code)

    assert (before["version"], before["tests"], before["approved_on"]) == (1, ["NA", "K"], today().isoformat())
    assert (after["version"], after["tests"], after["approved_on"]) == (2, ["CL", "NA"], None)
    assert after["translations"] == {"hi": "एक पैनल"}
    assert ordered(lab, place(lab, panel_codes=[code])) == ["CL", "NA"]


@pytest.mark.req("12.3")
def test_a_panel_is_approved_once_by_who_may(lab: Laboratory) -> None:
    code = new(lab, "NA", "K")
    stranger = staff(lab.environment, organization(lab.environment), [Permission.CATALOGUE_APPROVE])

    answers = [
        lab.call("POST", f"/v1/panels/{code}/approve", by="technician"),
        lab.call("POST", f"/v1/panels/{code}/approve", by=stranger),
        lab.call("POST", f"/v1/panels/{code}/approve"),
        lab.call("POST", f"/v1/panels/{code}/approve"),
    ]

    assert [answer.status_code for answer in answers] == [403, 404, 200, 409]


@pytest.mark.req("3.13.1")
def test_another_laboratorys_panel_does_not_exist(lab: Laboratory) -> None:
    code = new(lab, "NA", "K")
    stranger = staff(lab.environment, organization(lab.environment), [Permission.CATALOGUE_READ])

    assert code not in [panel["code"] for panel in lab.get("/v1/panels", by=stranger)]
