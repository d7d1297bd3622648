"""What can go wrong with organizations."""

from lims_api.core.errors import Conflict, Unprocessable


class AccreditationEndsFirst(Unprocessable):
    slug, title = "accreditation-ends-first", "The certificate ends before it begins"


class AlreadyAccredited(Conflict):
    slug, title = "already-accredited", "The certificate is already entered"
