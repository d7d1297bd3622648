"""The sites of the caller's organization."""

from fastapi import APIRouter

from lims_api.core.db import transaction
from lims_api.core.http import Caller, requires
from lims_api.core.permissions import Permission
from lims_api.organizations import service
from lims_api.organizations.schemas import SiteOut

router = APIRouter(prefix="/v1/sites", tags=["organizations"])


@router.get("")
@requires(Permission.SITE_READ)
def list_sites(caller: Caller) -> list[SiteOut]:
    """Every site."""
    with transaction(caller) as session:
        return [SiteOut.model_validate(site) for site in service.sites(session)]
