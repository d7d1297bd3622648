"""Collection, receipt and rejection of specimens."""

from fastapi import APIRouter, Response

from lims_api.core.db import transaction
from lims_api.core.http import Caller, command, requires
from lims_api.core.permissions import Permission
from lims_api.specimens import service
from lims_api.specimens.models import Specimen
from lims_api.specimens.schemas import Collected, Collection, Container, Receipt, Rejection, SpecimenOut

router = APIRouter(prefix="/v1/specimens", tags=["specimens"])


@router.post("", status_code=201, response_model=Collected)
@requires(Permission.SPECIMEN_COLLECT)
def collect_specimens(body: Collection, caller: Caller) -> Response:
    """Collect what an order still needs; the reply names each container's accession number."""
    labels = {label.container: label.accession_number for label in body.labels}
    return command(
        caller,
        lambda session: _collected(
            service.collect(session, body.order_id, collected_at=body.collected_at, labels=labels)
        ),
        status=201,
    )


@router.get("/{accession_number}")
@requires(Permission.SPECIMEN_READ)
def get_specimen(accession_number: str, caller: Caller) -> SpecimenOut:
    """One specimen."""
    with transaction(caller) as session:
        return SpecimenOut.model_validate(service.by_accession(session, accession_number))


@router.post("/{accession_number}/receive", response_model=SpecimenOut)
@requires(Permission.SPECIMEN_RECEIVE)
def receive_specimen(accession_number: str, body: Receipt, caller: Caller) -> Response:
    """Book a specimen into the laboratory."""
    return command(
        caller,
        lambda session: SpecimenOut.model_validate(
            service.receive(session, accession_number, received_at=body.received_at)
        ),
    )


@router.post("/{accession_number}/reject", response_model=SpecimenOut)
@requires(Permission.SPECIMEN_REJECT)
def reject_specimen(accession_number: str, body: Rejection, caller: Caller) -> Response:
    """Refuse a specimen, with a reason."""
    return command(
        caller,
        lambda session: SpecimenOut.model_validate(
            service.reject(session, accession_number, reason=body.reason, rejected_at=body.rejected_at)
        ),
    )


def _collected(drawn: list[tuple[Specimen, list[str]]]) -> Collected:
    return Collected(
        specimens=[
            Container(**SpecimenOut.model_validate(specimen).model_dump(), tests=tests) for specimen, tests in drawn
        ]
    )
