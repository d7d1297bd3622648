"""Controls entered by hand, and the state of an analyser."""

from fastapi import APIRouter, Response

from lims_api.core.http import Caller, command, requires
from lims_api.core.permissions import Permission
from lims_api.qc import service
from lims_api.qc.schemas import ControlIn, ControlOut

router = APIRouter(prefix="/v1/controls", tags=["qc"])


@router.post("", status_code=201, response_model=ControlOut)
@requires(Permission.CONTROL_RECORD)
def record_control(body: ControlIn, caller: Caller) -> Response:
    """Enter one control value; the reply says which rules it broke."""
    value = service.Measured(body.test_code, body.value, body.unit)
    return command(
        caller,
        lambda session: ControlOut.model_validate(
            service.record_by_hand(
                session,
                body.material,
                body.lot_number,
                body.level,
                value,
                analyser_id=body.analyser_id,
                occurred_at=body.occurred_at,
            )
        ),
        status=201,
    )
