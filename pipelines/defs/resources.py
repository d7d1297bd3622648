"""What every asset works with: the settings, read from the environment where the asset runs, and the lake."""

import logging

import dagster as dg
from pyiceberg.catalog.sql import SqlCatalog

from pipelines.lake import open_lake
from pipelines.run import EVENTS
from pipelines.settings import Settings

OWNERS = ["team:data"]
TIMEZONE = "Asia/Kolkata"


class Stores(dg.ConfigurableResource[None]):
    """The stores. It has no configuration of its own, so that no password is shown on Dagster's pages."""

    def settings(self) -> Settings:
        """Addresses from the environment. Raises pydantic's ValidationError when one is missing."""
        return Settings()

    def lake(self) -> SqlCatalog:
        """The lake's catalog, freshly opened."""
        return open_lake(self.settings())


@dg.logger
def events(_: dg.InitLoggerContext) -> logging.Logger:
    """Hands Dagster's events to whoever listens to this Python logger, and prints nothing."""
    logger = logging.getLogger(EVENTS)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return logger


@dg.definitions
def resources() -> dg.Definitions:
    """One instance for all assets. Steps run in the run's own process: importing the stack takes seconds."""
    return dg.Definitions(resources={"stores": Stores()}, executor=dg.in_process_executor, loggers={"events": events})
