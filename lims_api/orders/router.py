"""Placing orders."""

from fastapi import APIRouter, Response

from lims_api.core.http import Caller, command, requires
from lims_api.core.permissions import Permission
from lims_api.orders import service
from lims_api.orders.schemas import OrderIn, OrderRef

router = APIRouter(prefix="/v1/orders", tags=["orders"])


@router.post("", status_code=201, response_model=OrderRef)
@requires(Permission.ORDER_PLACE)
def place_order(body: OrderIn, caller: Caller) -> Response:
    """Place an order for a registered patient."""
    return command(
        caller, lambda session: OrderRef.model_validate(service.place(session, body), from_attributes=True), status=201
    )
