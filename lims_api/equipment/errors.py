"""What can go wrong with analysers."""

from lims_api.core.errors import NotFound


class UnknownAnalyser(NotFound):
    slug, title = "unknown-analyser", "There is no such analyser"
