"""A value as a person types it; pure."""

import re
from decimal import Decimal

from lims_api.catalogue.models import ResultKind
from lims_api.catalogue.schemas import Definition
from lims_api.results.errors import NotAllowed, NotANumber

_NUMBER = re.compile(r"(<=|>=|<|>)?[ ]?([+-]?[0-9]{1,12}(?:\.[0-9]{1,12})?)")


def typed_value(definition: Definition, text: str, *, censored: bool = False) -> tuple[str | None, Decimal | None]:
    """Comparator and number of a numeric test's value; neither of a coded one, which must be one of the test's values.

    Only with `censored` may a number have a comparator. What a person would type into a text result may name somebody:
    it is not taken here. Raises `NotANumber`, `NotAllowed`.
    """
    if definition.kind is ResultKind.NUMERIC:
        return _number(text, censored)
    if definition.kind is ResultKind.TEXT:
        raise NotAllowed("A text result is not typed. Reject it and measure again.", test=definition.code)
    if text not in definition.allowed_values:
        raise NotAllowed(f"Give one of: {', '.join(definition.allowed_values)}.", test=definition.code)
    return None, None


def _number(text: str, censored: bool) -> tuple[str | None, Decimal]:
    found = _NUMBER.fullmatch(text.strip())
    if found is None or (found[1] and not censored):
        raise NotANumber("Give the value as a number with a decimal point.")
    return found[1], Decimal(found[2])
