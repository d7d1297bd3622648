"""A report bears the laboratory that examined, and its certificate beside what the certificate covers."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.orders import service as orders
from lims_api.organizations import service as organizations
from lims_api.organizations.errors import AccreditationEndsFirst
from lims_api.organizations.models import Site, SiteKind
from lims_api.reports import service
from lims_api.reports.content import AUTOMATIC, OUT_OF_SCOPE, content_of
from lims_api.reports.gathering import gather
from lims_api.reports.layout import ReportContent
from tests.integration.laboratory import Laboratory, Measured, today
from tests.integration.reports.test_reports import pdf, reports, system, text_of

CERTIFICATE = "ISO 15189:2022, certificate MC-0000 (EXAMPLE)"
YEAR = timedelta(days=365)


def laboratory(lab: Laboratory, code: str, **scope: Any) -> UUID:
    """Another laboratory of the organization, accredited for glucose this year unless told otherwise."""
    with lab.session() as session:
        site = organizations.add_site(
            session, code=code, name="North laboratory", kind=SiteKind.LAB, address="9 North Road", contact="020 1111"
        )
        accredit(session, site, **scope)
        return site.id


def accredit(session: Any, site: Site, **scope: Any) -> None:
    usual = {
        "certificate": CERTIFICATE,
        "test_codes": ["GLU"],
        "valid_from": today() - YEAR,
        "valid_to": today() + YEAR,
    }
    organizations.accredit(session, site, **(usual | scope))


def content(lab: Laboratory, measured: Measured) -> ReportContent:
    with transaction(system(lab)) as session:
        found = gather(session, orders.get(session, measured.drawn.order_id))
        return content_of(found, version=1, issued_at=utc_now())


def marks(report: ReportContent) -> dict[str, tuple[str, ...]]:
    return {line.test: line.marks for group in report.groups for line in group.lines}


@pytest.mark.req("12.10")
def test_the_certificate_is_named_and_what_lies_outside_its_scope_is_marked(lab: Laboratory) -> None:
    measured = lab.measure("GLU", "K", site_id=laboratory(lab, "N1"))

    report = content(lab, measured)

    assert report.laboratory.accreditation == CERTIFICATE
    assert {test for test, notes in marks(report).items() if OUT_OF_SCOPE in notes} == {"Potassium"}


@pytest.mark.req("12.10")
@pytest.mark.parametrize(
    ("code", "scope"),
    [
        ("N2", {"test_codes": ["K"]}),
        ("N3", {"valid_to": today() - timedelta(days=1)}),
        ("N4", {"valid_from": today() + timedelta(days=1)}),
    ],
    ids=["another test", "ended", "not yet begun"],
)
def test_a_report_without_a_test_in_scope_names_no_certificate(
    lab: Laboratory, code: str, scope: dict[str, Any]
) -> None:
    report = content(lab, lab.measure("GLU", site_id=laboratory(lab, code, **scope)))

    assert report.laboratory.accreditation == ""
    assert [notes for notes in marks(report).values() if OUT_OF_SCOPE in notes] == []


@pytest.mark.req("12.10")
def test_a_certificate_that_ends_before_it_begins_is_refused(lab: Laboratory) -> None:
    with pytest.raises(AccreditationEndsFirst):
        laboratory(lab, "N5", valid_from=date(2026, 1, 2), valid_to=date(2026, 1, 1))

    assert lab.rows("select 1 from lims.sites where code = 'N5'") == []


@pytest.mark.req("12.10")
def test_a_new_letterhead_or_certificate_amends_nothing_that_was_released(lab: Laboratory) -> None:
    site_id = laboratory(lab, "N6", test_codes=["GLU", "K"])
    measured = lab.measure("GLU", "K", site_id=site_id)
    lab.settle()
    before = reports(lab, measured.drawn.order_id)
    with lab.session() as session:
        site = organizations.site(session, site_id)
        organizations.describe(session, site, address="10 North Road", contact="020 3333")
        (certificate,) = organizations.accreditations(session, site_id)
        certificate.test_codes = ["GLU"]

    with transaction(system(lab)) as session:
        again = service.release(session, measured.drawn.order_id)

    assert [str(again.id)] == [report["id"] for report in before]
    assert OUT_OF_SCOPE in marks(content(lab, measured))["Potassium"], "the next report would say so"


@pytest.mark.req("3.5.8")
def test_results_stand_in_the_order_in_which_they_were_asked_for(lab: Laboratory) -> None:
    report = content(lab, lab.measure("K", "ALT", "GLU", "CREA"))

    (group,) = report.groups
    assert [line.test.split(" ")[0] for line in group.lines] == ["Potassium", "Alanine", "Glucose", "Creatinine"]


@pytest.mark.req("3.5.8")
def test_a_collection_centres_order_bears_the_laboratory_that_examined(lab: Laboratory) -> None:
    measured = lab.measure(site_id=lab.centre_id)
    lab.settle()
    (report,) = reports(lab, measured.drawn.order_id)

    words = text_of(pdf(lab, report["id"]))

    assert "EXAMPLE address, Pune 411001" in words
    assert "EXAMPLE telephone 020 0000 0000" in words
    assert "Collection centre" not in words


@pytest.mark.req("12.1")
def test_where_some_were_released_automatically_and_some_examined_each_says_which(lab: Laboratory) -> None:
    mixed, automatic = lab.measure("GLU", "K", values={"K": "6.6"}), lab.measure("GLU", "K")
    lab.post("/v1/results/authorise", {"result_ids": [mixed.line("K")["id"]]})

    assert {test for test, notes in marks(content(lab, mixed)).items() if AUTOMATIC in notes} == {"Glucose"}
    assert {test for test, notes in marks(content(lab, automatic)).items() if AUTOMATIC in notes} == set()
    assert [signatory.statement.split(" ")[0] for signatory in content(lab, mixed).signatories] == [
        "Examined",
        "Released",
    ]
