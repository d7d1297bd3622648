"""Whether the person that an analyser states is the one registered; pure."""

from dataclasses import dataclass
from datetime import date

from ingest.contract import StatedIdentity
from lims_api.patients.age import BirthPrecision
from lims_api.patients.names import names_agree
from lims_api.patients.schemas import Identity


@dataclass(frozen=True)
class Difference:
    """What the analyser states of one thing, and what is registered. Both are personal data: shown, never logged."""

    field: str
    stated: str
    registered: str


def differences(stated: StatedIdentity, registered: Identity, sex: str) -> list[Difference]:
    """Each thing stated that is not the registered one; what is not stated, or not registered, does not differ."""
    found = []
    if stated.patient_number is not None and stated.patient_number != registered.uhid:
        found.append(Difference("patient_number", stated.patient_number, registered.uhid))
    if stated.name is not None and not names_agree(stated.name, registered.name):
        found.append(Difference("name", stated.name, registered.name))
    if stated.sex is not None and stated.sex != sex:
        found.append(Difference("sex", stated.sex, sex))
    if stated.birth_on is not None and not _births_agree(stated.birth_on, registered):
        found.append(Difference("birth_on", str(stated.birth_on), str(registered.birth_on)))
    return found


def agrees(stated: StatedIdentity | None, registered: Identity, sex: str) -> bool | None:
    """False when anything differs; None when neither a number nor a name confirms whose specimen it is."""
    if stated is not None and differences(stated, registered, sex):
        return False
    return True if stated is not None and (stated.patient_number or stated.name) else None


def _births_agree(stated: date, registered: Identity) -> bool:
    """At the registration's own precision."""
    known = registered.birth_on
    if known is None or registered.birth_precision is BirthPrecision.YEAR:
        return known is None or stated.year == known.year
    if registered.birth_precision is BirthPrecision.MONTH:
        return (stated.year, stated.month) == (known.year, known.month)
    return stated == known
