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
