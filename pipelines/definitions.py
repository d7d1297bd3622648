"""Everything Dagster knows: what lies in `defs/`."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """The assets, checks, jobs and schedules of the folder `defs`."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
