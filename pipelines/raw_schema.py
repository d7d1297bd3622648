"""What the warehouse takes out of a ledger row: table by table, column by column. The only place that says so.

A column that is not named here never leaves bronze; a sealed one cannot be named (`declare` refuses it). A change of
this page changes the fingerprint, and the next load builds `raw` anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import polars as pl
import pyarrow as pa

Kind = Literal["text", "integer", "number", "boolean", "instant", "day", "codes"]

_JSON_TYPE: Mapping[Kind, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "instant": pl.String(),
    "day": pl.String(),
    "codes": pl.List(pl.String()),
}
_ARROW_TYPE: Mapping[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "instant": pa.timestamp("us", tz="UTC"),
    "day": pa.date32(),
    "codes": pa.string(),
}
_SQL_TYPE: Mapping[Kind, str] = {
    "text": "text",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "instant": "timestamptz",
    "day": "date",
    "codes": "text",
}
CHANGE: Mapping[str, tuple[pa.DataType, str]] = {
    "organization_id": (pa.string(), "text"),
    "row_id": (pa.string(), "text not null"),
    "op": (pa.string(), "text not null"),
    "seq": (pa.int64(), "bigint not null"),
    "recorded_at": (pa.timestamp("us", tz="UTC"), "timestamptz not null"),
    "capture": (pa.int64(), "bigint not null"),
}
"""What every raw table starts with: whose row, which, what happened to it, in which order, when, by which capture."""


@dataclass(frozen=True)
class RawTable:
    """One raw table: its columns by name, and the name each has in the operational table."""

    name: str
    kinds: Mapping[str, Kind]
    origins: Mapping[str, str]

    @property
    def arrow(self) -> pa.Schema:
        """Its columns as Arrow types, the change's own first."""
        change = [(name, arrow) for name, (arrow, _) in CHANGE.items()]
        return pa.schema(change + [(name, _ARROW_TYPE[kind]) for name, kind in self.kinds.items()])

    @property
    def ddl(self) -> str:
        """The statement that creates it."""
        change = [f"{name} {sql}" for name, (_, sql) in CHANGE.items()]
        columns = change + [f"{name} {_SQL_TYPE[kind]}" for name, kind in self.kinds.items()]
        return f"create table raw.{self.name} ({', '.join(columns)})"

    @property
    def json(self) -> pl.Struct:
        """The part of the ledger's body that is read: the wanted fields of the row after the change."""
        fields = {self.origins[name]: _JSON_TYPE[kind] for name, kind in self.kinds.items()}
        return pl.Struct({"after": pl.Struct(fields)})


def declare(name: str, /, **columns: Kind | tuple[str, Kind]) -> RawTable:
    """Declare a raw table. A column is `name=kind`, or `name=(name in the operational table, kind)`."""
    pairs = {raw: (raw, spec) if isinstance(spec, str) else spec for raw, spec in columns.items()}
    for origin, _ in pairs.values():
        if origin.endswith("_sealed"):
            raise ValueError(f"{name}.{origin} is sealed; the warehouse never holds it")
    return RawTable(
        name,
        kinds={raw: kind for raw, (_, kind) in pairs.items()},
        origins={raw: origin for raw, (origin, _) in pairs.items()},
    )


_TABLES = (
    declare("organizations", code="text", name="text"),
    declare("sites", code="text", name="text", kind="text", parent_id="text"),
    declare("patients", sex="text", status="text"),
    declare(
        "test_definitions",
        code="text",
        version="integer",
        name="text",
        loinc="text",
        unit="text",
        decimals="integer",
        specimen_type="text",
        discipline="text",
        method="text",
        turnaround_minutes="integer",
        is_restricted="boolean",
        is_example="boolean",
    ),
    declare(
        "orders",
        order_number="text",
        patient_id="text",
        site_id="text",
        priority="text",
        status="text",
        placed_at="instant",
        due_at="instant",
        completed_at="instant",
    ),
    declare(
        "order_tests",
        order_id="text",
        test_code="text",
        definition_id="text",
        specimen_id="text",
        status="text",
        due_at="instant",
    ),
    declare(
        "specimens",
        order_id="text",
        patient_id="text",
        site_id="text",
        specimen_type="text",
        status="text",
        collected_at="instant",
        received_at="instant",
        rejected_at="instant",
        rejection_reason="text",
    ),
    declare("analysers", code="text", name="text", model="text", channel="text", site_id="text", is_active="boolean"),
    declare("control_materials", name="text"),
    declare("control_lots", material_id="text", lot_number="text", expires_on="day"),
    declare(
        "control_targets",
        lot_id="text",
        level="integer",
        test_code="text",
        analyser_id="text",
        version="integer",
        mean="number",
        sd="number",
        source="text",
    ),
    declare(
        "control_results",
        run_id="text",
        analyser_id="text",
        lot_id="text",
        level="integer",
        test_code="text",
        value="number",
        unit="text",
        mean="number",
        sd="number",
        z="number",
        violated="codes",
        status="text",
        occurred_at="instant",
        available_at="instant",
    ),
    declare(
        "results",
        patient_id="text",
        order_id="text",
        order_test_id="text",
        specimen_id="text",
        site_id="text",
        test_code="text",
        loinc="text",
        definition_id="text",
        analyser_id="text",
        run="text",
        value="number",
        comparator="text",
        unit="text",
        reference_low="number",
        reference_high="number",
        critical_low="number",
        critical_high="number",
        age_days="integer",
        sex="text",
        flag="text",
        instrument_flags="codes",
        entry="text",
        status="text",
        version="integer",
        corrects_id="text",
        reasons="codes",
        risk="number",
        model_version="text",
        rules_version="text",
        authorised_at="instant",
        is_automatic="boolean",
        occurred_at="instant",
        available_at="instant",
        first_recorded_at=("recorded_at", "instant"),
    ),
)
RAW: Mapping[str, RawTable] = {table.name: table for table in _TABLES}

RESTRICTED_BY = ("results", "order_tests")
"""Raw tables whose rows are left out when their test is restricted: analytics must not show who had such a test."""


def fingerprint() -> str:
    """A short hash of everything above: another one means that `raw` must be built anew."""
    return sha256("\n".join(table.ddl + str(table.origins) for table in _TABLES).encode()).hexdigest()[:16]
