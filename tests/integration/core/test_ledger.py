"""The ledger: every change by trigger, read by snapshot difference, written by nobody else."""

import pytest
from sqlalchemy import text

from lims_api.core.db import SystemCaller, transaction
from lims_api.organizations.models import Site, SiteKind
from tests.conftest import Environment
from tests.factories import organization


@pytest.mark.req("4.3.1")
def test_a_change_is_in_the_ledger_with_before_and_after(environment: Environment) -> None:
    tenant = organization(environment)

    with transaction(SystemCaller(database=environment.system, organization_id=tenant)) as session:
        site = Site(organization_id=tenant, code="C1", name="Centre", kind=SiteKind.COLLECTION_CENTRE)
        session.add(site)
        session.flush()
        site.name = "Centre One"

    with transaction(SystemCaller(database=environment.app, organization_id=tenant)) as session:
        rows = session.execute(
            text(
                "select op, body::jsonb->'before' as before, body::jsonb->'after'->>'name' as name from lims.ledger"
                " where row_id = :id order by seq"
            ),
            {"id": site.id},
        ).all()
    assert [(row.op, row.before, row.name) for row in rows] == [
        ("I", None, "Centre"),
        ("U", {"name": "Centre"}, "Centre One"),
    ]
