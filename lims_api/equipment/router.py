"""The laboratory's analysers."""

from fastapi import APIRouter

from lims_api.core.db import transaction
from lims_api.core.http import Caller, requires
from lims_api.core.permissions import Permission
from lims_api.equipment import service
from lims_api.equipment.schemas import AnalyserOut

router = APIRouter(prefix="/v1/analysers", tags=["equipment"])


@router.get("")
@requires(Permission.ANALYSER_READ)
def list_analysers(caller: Caller) -> list[AnalyserOut]:
    """Every analyser."""
    with transaction(caller) as session:
        return [AnalyserOut.model_validate(analyser) for analyser in service.all_analysers(session)]
