"""Rows for tests: keyword overrides, no random data."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.organizations.models import Organization

if TYPE_CHECKING:
    from tests.conftest import Environment


def organization(environment: Environment, *, code: str | None = None, name: str = "Test Laboratory") -> UUID:
    """A new tenant with its keys."""
    tenant = uuid7()
    environment.keys.make_organization_keys(tenant)
    with transaction(SystemCaller(database=environment.system, organization_id=tenant)) as session:
        session.add(Organization(id=tenant, code=code or f"t{tenant.hex[-8:]}", name=name))
    return tenant
