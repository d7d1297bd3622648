"""What may cross the borders of `ml`: pandera schemas of the rows that come in and of the features that go out.

`RESULTS` is also the allow-list: every column it does not name is dropped before anything is computed.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaError

from ml.features import FeatureSpec, feature_names


class ContractBroken(ValueError):
    """Rows are not what the schema says; names the column and the rule, never a value."""


UTC_MICROSECONDS = pl.Datetime("us", "UTC")

_RESULTS = {
    "organization_id": pa.Column(pl.String),
    "result_id": pa.Column(pl.String, unique=True),
    "corrects_id": pa.Column(pl.String, nullable=True),
    "patient_key": pa.Column(pl.String),
    "specimen_id": pa.Column(pl.String),
    "test_code": pa.Column(pl.String),
    "value": pa.Column(pl.Float64, nullable=True),
    "comparator": pa.Column(pl.String, nullable=True),
    "reference_low": pa.Column(pl.Float64, nullable=True),
    "reference_high": pa.Column(pl.Float64, nullable=True),
    "age_days": pa.Column(pl.Int64, pa.Check.in_range(0, 60_000), nullable=True),
    "sex": pa.Column(pl.String, pa.Check.isin(["male", "female", "other", "unknown"]), nullable=True),
    "available_at": pa.Column(UTC_MICROSECONDS),
}
RESULTS = pa.DataFrameSchema(_RESULTS, strict="filter", coerce=True)

# The rule baselines of `evaluate` look at critical limits; the features never do.
LIMITS = {
    "critical_low": pa.Column(pl.Float64, nullable=True),
    "critical_high": pa.Column(pl.Float64, nullable=True),
}
TRAINING_RESULTS = pa.DataFrameSchema(_RESULTS | LIMITS, strict="filter", coerce=True)

KEYS = {
    "organization_id": pa.Column(pl.String),
    "result_id": pa.Column(pl.String),
    "patient_key": pa.Column(pl.String),
    "specimen_id": pa.Column(pl.String),
    "test_code": pa.Column(pl.String),
    "scored_at": pa.Column(UTC_MICROSECONDS),
}

LABELS = {
    "event": pa.Column(pl.Int64),
    "block": pa.Column(pl.String, pa.Check.isin(["train", "calibrate", "test"])),
    "error": pa.Column(pl.String),
    "label": pa.Column(pl.Int8, pa.Check.isin([0, 1])),
    "weight": pa.Column(pl.Float64, pa.Check.ge(0)),
    "is_critical": pa.Column(pl.Boolean),
}


def validated(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> pl.DataFrame:
    """The frame with the schema's columns and types. Raises ContractBroken."""
    if missing := [name for name in schema.columns if name not in frame.columns]:
        raise ContractBroken(f"missing: {', '.join(missing)}")
    try:
        return schema.validate(frame)
    except SchemaError as error:
        name = getattr(error.schema, "name", None) or "frame"
        raise ContractBroken(f"{name}: {error.reason_code.name if error.reason_code else 'refused'}") from None


def _features(spec: FeatureSpec) -> dict[str, pa.Column]:
    return {name: pa.Column(pl.Float64, nullable=True) for name in feature_names(spec)}


def features_schema(spec: FeatureSpec) -> pa.DataFrameSchema:
    """The feature frame: one row a result, keys first; missing features are null."""
    return pa.DataFrameSchema(KEYS | _features(spec), strict=True)


def training_schema(spec: FeatureSpec) -> pa.DataFrameSchema:
    """The frame that `train` and `evaluate` take: features, block, injected error, label, weight."""
    return pa.DataFrameSchema(KEYS | LABELS | _features(spec), strict=True)
