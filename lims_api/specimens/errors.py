"""What can go wrong with specimens."""

from lims_api.core.errors import Conflict, NotFound


class UnknownSpecimen(NotFound):
    slug, title = "unknown-specimen", "There is no such specimen"


class SpecimenNotReceivable(Conflict):
    slug, title = "specimen-not-receivable", "Specimen cannot be received"


class SpecimenNotRejectable(Conflict):
    slug, title = "specimen-not-rejectable", "Specimen cannot be rejected"


class NothingToCollect(Conflict):
    slug, title = "nothing-to-collect", "Every specimen of this order is collected already"


class AccessionNumberTaken(Conflict):
    slug, title = "accession-number-taken", "Another specimen has this accession number"


class LabelNotNeeded(Conflict):
    slug, title = "label-not-needed", "A label is for a container that this order does not need"
