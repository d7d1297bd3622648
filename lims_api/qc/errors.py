"""What can go wrong in quality control."""

from lims_api.core.errors import NotFound


class NoControlTarget(NotFound):
    slug, title = "no-control-target", "This lot has no target for this test on this analyser"
