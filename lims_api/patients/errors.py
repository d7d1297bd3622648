"""What can go wrong with patients. No detail holds a name, a number or a phone."""

from lims_api.core.errors import Conflict, NotFound, Unprocessable


class PatientUnknown(NotFound):
    slug, title = "patient-unknown", "There is no such patient"


class PatientNumberTaken(Conflict):
    slug, title = "patient-number-taken", "Another patient has this UHID"


class PatientIsErased(Conflict):
    slug, title = "patient-is-erased", "This patient was erased"


class BirthDateImpossible(Unprocessable):
    slug, title = "birth-date-impossible", "Nobody alive can have been born then"


class SearchTooShort(Unprocessable):
    slug, title = "search-too-short", "Three letters of one name are needed"


class RetentionNotOver(Conflict):
    """DPDP Act s.8(7): what another law obliges the laboratory to keep is kept until that time is over."""

    slug, title = "retention-not-over", "The records of this patient must still be kept"


class UnderLegalHold(Conflict):
    slug, title = "patient-under-legal-hold", "This patient's records are under legal hold"
