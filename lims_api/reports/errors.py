"""What can go wrong with reports."""

from lims_api.core.errors import Conflict, NotFound


class UnknownReport(NotFound):
    slug, title = "unknown-report", "There is no such report"


class OrderNotComplete(Conflict):
    slug, title = "order-not-complete", "The order is not complete"
