"""What can go wrong when a result is traced."""

from lims_api.core.errors import NotFound


class NothingToTrace(NotFound):
    """Also for what belongs to another organization."""

    slug, title = "nothing-to-trace", "There is nothing of that name to trace"
