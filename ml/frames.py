"""The batch form of the features: rows of gold.fct_results in, one row of features a result out, point in time.

A result is scored at its own `available_at`, with the results of its specimen that were there by then, and with the
patient's results of other specimens that were available strictly before. A corrected result leaves the history when its
correction was available strictly before; so the version that was known then is the one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml import schemas
from ml.features import ANALYTES, HISTORY, SEX, UNKNOWN_SEX, Array, Draws, FeatureSpec, compute, feature_names

Index = NDArray[np.int64]
CHUNK = 20_000
MICROSECONDS_A_DAY = 86_400e6
NEVER = np.iinfo(np.int64).max


class MixedOrganizations(ValueError):
    """Models are trained per organization: one frame holds one."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Scored accessions of one organization.

    `events`: one row a scoring instant of a specimen (patient_key, specimen_id, scored_at). `rows`: the results that
    are scored, with their `event` and `place` (analyte) in `draws`. `source` (E, A): the row of `results` that a value
    came from, or -1.
    """

    draws: Draws
    events: pl.DataFrame
    rows: pl.DataFrame
    results: pl.DataFrame
    source: Index

    def matrix(self, column: str) -> Array:
        """A column of the results by event and analyte, NaN where there is no value."""
        return _gather(_floats(self.results[column]), self.source)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The results as arrays, in order of (available_at, value); `rank`: place of the instant among all instants."""

    patient: Index
    specimen: Index
    analyte: Index
    at: Index
    rank: Index
    superseded_at: Index


def _floats(series: pl.Series) -> Array:
    return series.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _codes(series: pl.Series) -> Index:
    return series.rank("dense").cast(pl.Int64).to_numpy() - 1


def _gather(values: Array, source: Index) -> Array:
    return np.where(source >= 0, values[source], np.nan)


def _usable(results: pl.DataFrame, analytes: tuple[str, ...]) -> pl.DataFrame:
    """The rows that can be scored, oldest first; `superseded_at`: when a correction of the row became available."""
    corrections = (
        results.filter(pl.col("corrects_id").is_not_null())
        .group_by("corrects_id")
        .agg(pl.col("available_at").min().alias("superseded_at"))
    )
    return (
        results.join(corrections, left_on="result_id", right_on="corrects_id", how="left")
        .filter(pl.col("test_code").is_in(analytes) & pl.col("value").is_finite())
        .sort("available_at", "value", "result_id")
    )


def _arrays(results: pl.DataFrame, analytes: tuple[str, ...]) -> _Rows:
    place = {code: index for index, code in enumerate(analytes)}
    at = results["available_at"].dt.epoch("us").to_numpy()
    return _Rows(
        patient=_codes(results["patient_key"]),
        specimen=_codes(results["specimen_id"]),
        analyte=results["test_code"].replace_strict(place, return_dtype=pl.Int64).to_numpy(),
        at=at,
        rank=np.unique(at, return_inverse=True)[1],
        superseded_at=results["superseded_at"].dt.epoch("us").fill_null(NEVER).to_numpy(),
    )


def _panel_source(rows: _Rows, first: Index, size: int) -> Index:
    """(E, A): the newest row of the specimen and analyte at or before the event, or -1."""
    span = int(rows.rank.max()) + 1
    group = rows.specimen * size + rows.analyte
    order = np.lexsort((rows.rank, group))
    key = (group * span + rows.rank)[order]
    wanted = rows.specimen[first][:, None] * size + np.arange(size)
    at = np.searchsorted(key, wanted * span + rows.rank[first][:, None], side="right") - 1
    found = (at >= 0) & (group[order][at] == wanted)
    return np.where(found, order[at], -1)


def _history_source(rows: _Rows, first: Index, size: int) -> Index:
    """(E, A, HISTORY): rows of the patient and analyte strictly before the event, newest first, or -1.

    Results of the same specimen, and results whose correction was known by then, are stepped over.
    """
    span = int(rows.rank.max()) + 1
    group = rows.patient * size + rows.analyte
    order = np.lexsort((rows.rank, group))
    grouped = group[order]
    wanted = rows.patient[first][:, None] * size + np.arange(size)
    place = np.searchsorted(grouped * span + rows.rank[order], wanted * span + rows.rank[first][:, None], side="left")
    specimen, at = rows.specimen[first][:, None], rows.at[first][:, None]

    def inside(place: Index) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = (place >= 0) & (grouped[place] == wanted)
        return known

    found = np.full((*wanted.shape, HISTORY), -1, dtype=np.int64)
    for slot in range(HISTORY):
        place = place - 1
        while True:
            row = order[place]
            skip = inside(place) & ((rows.specimen[row] == specimen) | (rows.superseded_at[row] < at))
            if not skip.any():
                break
            place = place - skip
        found[:, :, slot] = np.where(inside(place), order[place], -1)
    return found


def _draws(results: pl.DataFrame, rows: _Rows, first: Index, panel: Index, history: Index) -> Draws:
    value = _floats(results["value"])
    newest = history[:, :, 0]
    elapsed = (rows.at[first][:, None] - rows.at[newest]) / MICROSECONDS_A_DAY
    sex = results["sex"].replace_strict(SEX, default=UNKNOWN_SEX, return_dtype=pl.Float64)
    comparator = (results["comparator"].fill_null("") != "").cast(pl.Float64).to_numpy()
    return Draws(
        value=_gather(value, panel),
        low=_gather(_floats(results["reference_low"]), panel),
        high=_gather(_floats(results["reference_high"]), panel),
        censored=np.where(panel >= 0, comparator[panel], 0.0),
        sex=sex.fill_null(UNKNOWN_SEX).to_numpy()[first],
        age_years=_floats(results["age_days"])[first] / 365.25,
        prior=_gather(value, history),
        days=np.where(newest >= 0, elapsed, np.nan),
    )


def batch_of(results: pl.DataFrame, analytes: tuple[str, ...] = ANALYTES) -> Batch:
    """Arrays of every scoring instant; `results` as `schemas.RESULTS`. Raises MixedOrganizations, ValueError."""
    if results["organization_id"].n_unique() > 1:
        raise MixedOrganizations("results of more than one organization")
    usable = _usable(results, analytes)
    if usable.is_empty():
        raise ValueError("no result can be scored")
    rows, size = _arrays(usable, analytes), len(analytes)
    keys = rows.specimen * (int(rows.rank.max()) + 1) + rows.rank
    _, first, event = np.unique(keys, return_index=True, return_inverse=True)
    panel = _panel_source(rows, first, size)
    scored = usable.select(
        "organization_id",
        "result_id",
        "patient_key",
        "specimen_id",
        "test_code",
        pl.col("available_at").alias("scored_at"),
    ).with_columns(event=pl.Series(event), place=pl.Series(rows.analyte))
    is_scored = panel[event, rows.analyte] == np.arange(len(event))
    return Batch(
        draws=_draws(usable, rows, first, panel, _history_source(rows, first, size)),
        events=scored.select("patient_key", "specimen_id", "scored_at")[first],
        rows=scored.filter(pl.Series(is_scored)),
        results=usable,
        source=panel,
    )


def feature_columns(draws: Draws, rows: pl.DataFrame, spec: FeatureSpec) -> pl.DataFrame:
    """The features of `rows` (columns `event`, `place`: where it is in `draws`), in their order; missing is null."""
    names = feature_names(spec)
    event, analyte = rows["event"].to_numpy(), rows["place"].to_numpy()
    matrix = np.empty((len(rows), len(names)))
    for start in range(0, len(draws.sex), CHUNK):
        here = (event >= start) & (event < start + CHUNK)
        block = compute(draws.take(slice(start, start + CHUNK)), spec)
        matrix[here] = block[event[here] - start, analyte[here]]
    return pl.DataFrame(matrix, schema=list(names), orient="row").fill_nan(None)


def feature_frame(results: pl.DataFrame, spec: FeatureSpec) -> pl.DataFrame:
    """The batch form: one row a scored result (keys, then features), ordered by scored_at and result_id.

    `results`: rows of gold.fct_results of one organization; columns outside `schemas.RESULTS` are dropped unread.
    Raises schemas.ContractBroken, MixedOrganizations, ValueError when there is nothing.
    """
    batch = batch_of(schemas.validated(results, schemas.RESULTS), spec.analytes)
    columns = feature_columns(batch.draws, batch.rows, spec)
    frame = batch.rows.drop("event", "place").hstack(columns).sort("scored_at", "result_id")
    return schemas.validated(frame, schemas.features_schema(spec))
