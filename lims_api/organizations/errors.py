"""What can go wrong with organizations."""

from lims_api.core.errors import Unprocessable


class AccreditationEndsFirst(Unprocessable):
    slug, title = "accreditation-ends-first", "The certificate ends before it begins"
