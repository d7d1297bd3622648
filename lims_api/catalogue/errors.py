"""What can go wrong with definitions."""

from lims_api.core.errors import Conflict, NotFound, Unprocessable


class UnknownTest(NotFound):
    slug, title = "unknown-test", "The laboratory does not offer this test"


class IntervalsOverlap(Unprocessable):
    slug, title = "intervals-overlap", "Two reference intervals overlap"


class AlreadyApproved(Conflict):
    slug, title = "already-approved", "This version is approved already"
