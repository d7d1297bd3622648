"""`lims history import`: a laboratory's past, from Parquet through the bulk path.

COPY under the importer's role: services are bypassed, triggers, constraints and frozen ranges are not. One transaction;
what is there already is left alone, so that a second import of the same files changes nothing.
"""

from lims_api.cli.importing.errors import HistoryUnusable
from lims_api.cli.importing.importer import Imported, Importer

__all__ = ["HistoryUnusable", "Imported", "Importer"]
