"""What can go wrong with definitions."""

from lims_api.core.errors import Conflict, NotFound, Unprocessable


class UnknownTest(NotFound):
    slug, title = "unknown-test", "The laboratory does not offer this test"


class UnknownPanel(NotFound):
    slug, title = "unknown-panel", "The laboratory does not offer this panel"


class IntervalsOverlap(Unprocessable):
    slug, title = "intervals-overlap", "Two reference intervals overlap"


class AlreadyApproved(Conflict):
    slug, title = "already-approved", "This version is approved already"


class ExampleNotApprovable(Conflict):
    slug, title = "example-not-approvable", "An EXAMPLE row is approved by nobody but an example organization"
