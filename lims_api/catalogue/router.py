"""The catalogue: what the laboratory offers, and a person's approval of it."""

from fastapi import APIRouter, Response

from lims_api.catalogue import service
from lims_api.catalogue.models import Panel, TestDefinition
from lims_api.catalogue.schemas import ApprovalOut, PanelApprovalOut, PanelOut, TestOut
from lims_api.core.db import transaction
from lims_api.core.http import Caller, command, requires
from lims_api.core.permissions import Permission

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/tests")
@requires(Permission.CATALOGUE_READ)
def list_tests(caller: Caller) -> list[TestOut]:
    """Every test in its newest version."""
    with transaction(caller) as session:
        return [TestOut.model_validate(row, from_attributes=True) for row in service.all_newest(session)]


@router.post("/tests/{code}/approve", response_model=ApprovalOut)
@requires(Permission.CATALOGUE_APPROVE)
def approve_test(code: str, caller: Caller) -> Response:
    """Approve the newest version of a test."""
    return command(caller, lambda session: _approval(service.approve(session, code)))


@router.get("/panels")
@requires(Permission.CATALOGUE_READ)
def list_panels(caller: Caller) -> list[PanelOut]:
    """Every panel in its newest version, with its tests."""
    with transaction(caller) as session:
        return [_panel(row, tests) for row, tests in service.all_panels(session)]


@router.post("/panels/{code}/approve", response_model=PanelApprovalOut)
@requires(Permission.CATALOGUE_APPROVE)
def approve_panel(code: str, caller: Caller) -> Response:
    """Approve the newest version of a panel."""
    return command(caller, lambda session: _panel_approval(service.approve_panel(session, code)))


def _approval(row: TestDefinition) -> ApprovalOut:
    assert row.approved_on is not None  # noqa: S101  just set
    return ApprovalOut(definition_id=row.id, version=row.version, approved_on=row.approved_on)


def _panel(row: Panel, tests: list[str]) -> PanelOut:
    known = {name: getattr(row, name) for name in PanelOut.model_fields if name != "tests"}
    return PanelOut(tests=tests, **known)


def _panel_approval(row: Panel) -> PanelApprovalOut:
    assert row.approved_on is not None  # noqa: S101  just set
    return PanelApprovalOut(panel_id=row.id, version=row.version, approved_on=row.approved_on)
