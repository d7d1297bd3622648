"""A laboratory's ledger for tests: rows as the operational database's triggers write them."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

Session = psycopg.Connection[tuple[Any, ...]]
SCRIPT = Path(__file__).with_name("laboratory.sql")


def write_laboratory(session: Session, organization: UUID, *, orders: int, seed: float = 0.5) -> None:
    """Write `orders` orders of ten tests each (and a restricted test in every fifth) into the ledger."""
    values = {"organization": str(organization), "orders": orders, "seed": seed}
    with session.transaction(), psycopg.ClientCursor(session) as cursor:
        cursor.execute(SCRIPT.read_bytes(), values)
        cursor.execute("drop function pg_temp.result, pg_temp.put, pg_temp.id; drop table measured, orders, analytes")


def write_change(session: Session, table: str, row_id: UUID, op: str, *, organization: UUID, **after: Any) -> None:
    """Write one ledger row: the row after the change, or for `D` the row that was deleted."""
    body = {"before" if op == "D" else "after": after}
    session.execute(
        "insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)"
        " values (%s, %s, %s, %s, %s, %s)",
        (organization, table, row_id, op, json.dumps(body), uuid4()),
    )
