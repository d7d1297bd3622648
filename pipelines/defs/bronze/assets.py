"""Ledger and outbox, as they were written, in the lake."""

from datetime import timedelta

import dagster as dg

from pipelines.capture import LEDGER, OUTBOX, Feed, bronze_table, capture
from pipelines.defs.resources import OWNERS, Stores
from pipelines.settings import libpq

PATIENCE = timedelta(seconds=60)


def _captured(stores: Stores, feed: Feed) -> dg.MaterializeResult[None]:
    found = capture(libpq(stores.settings().ledger_url), bronze_table(stores.lake(), feed), feed, patience=PATIENCE)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": found.rows, "capture": found.number, "snapshot": found.snapshot}
    )


@dg.asset(key=["bronze", "ledger"], group_name="bronze", kinds={"iceberg"}, owners=OWNERS)
def bronze_ledger(stores: Stores) -> dg.MaterializeResult[None]:
    """Every committed change since the last capture, once; the offset commits with the rows."""
    return _captured(stores, LEDGER)


@dg.asset(key=["bronze", "outbox"], group_name="bronze", kinds={"iceberg"}, owners=OWNERS)
def bronze_outbox(stores: Stores) -> dg.MaterializeResult[None]:
    """Every published event since the last capture, once."""
    return _captured(stores, OUTBOX)
