"""What can go wrong with orders."""

from lims_api.core.errors import NotFound, Unprocessable


class UnknownOrder(NotFound):
    slug, title = "unknown-order", "There is no such order"


class NothingOrdered(Unprocessable):
    slug, title = "nothing-ordered", "An order needs at least one test"
