"""Analysers and what their codes mean."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from lims_api.core.permissions import Permission
from lims_api.equipment import service
from lims_api.equipment.errors import UnknownAnalyser
from tests.factories import organization, staff
from tests.integration.laboratory import CHANNEL, Laboratory


def test_analysers_are_listed_for_who_may_see_them(lab: Laboratory) -> None:
    second = lab.another_analyser("GLU")

    listed = lab.get("/v1/analysers", by="technician")

    codes = [analyser["code"] for analyser in listed]
    assert codes == sorted(codes)
    assert {lab.analyser.code, second.code} <= set(codes)
    assert {"id": str(lab.analyser.id), "channel": CHANNEL, "is_active": True}.items() <= next(
        analyser for analyser in listed if analyser["code"] == lab.analyser.code
    ).items()
    assert lab.call("GET", "/v1/analysers", by="reception").json()["permission"] == "analyser:read"


def test_another_laboratory_has_none_of_them(lab: Laboratory) -> None:
    stranger = staff(lab.environment, organization(lab.environment), [Permission.ANALYSER_READ])

    assert lab.get("/v1/analysers", by=stranger) == []


def test_a_channel_and_a_code_belong_to_one_analyser(lab: Laboratory) -> None:
    for code, channel in ((lab.analyser.code, "free"), ("free", CHANNEL)):
        with pytest.raises(IntegrityError), lab.session() as session:
            service.add_analyser(session, code=code, name="X", model="x", channel=channel, site_id=lab.site_id)


def test_a_code_means_one_test_on_one_analyser_and_may_mean_another_elsewhere(lab: Laboratory) -> None:
    second = lab.another_analyser("K")
    with lab.session() as session:
        service.map_code(session, second, "GLU", test_code="BUN", unit_sent="mmol/L", factor=Decimal("2.8"))

    with lab.session() as session:
        maps = service.code_maps(session, [lab.analyser.id, second.id])

    assert maps[lab.analyser.id]["GLU"] == service.Mapping("GLU", "mg/dL", Decimal(1))
    assert maps[second.id]["GLU"] == service.Mapping("BUN", "mmol/L", Decimal("2.8"))
    with pytest.raises(IntegrityError), lab.session() as session:
        service.map_code(session, second, "GLU", test_code="GLU", unit_sent="mg/dL")


def test_an_unknown_analyser_is_not_found(lab: Laboratory) -> None:
    with pytest.raises(UnknownAnalyser), lab.session() as session:
        service.get(session, uuid4())
