"""The patients of a history, sealed as registration seals them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import polars as pl
from pydantic_core import PydanticCustomError

from lims_api.cli.importing.copying import Copier
from lims_api.cli.importing.errors import HistoryUnusable
from lims_api.core.ids import uuid7_texts
from lims_api.core.keys import KeyStore
from lims_api.patients.age import BirthPrecision
from lims_api.patients.models import PatientStatus, Sex
from lims_api.patients.schemas import Identity, phone_number
from lims_api.patients.sealing import Sealer, blind_tokens, number_token

_REGISTERED = "select token, patient_id from lims.patient_numbers where organization_id = %s and token = any(%s)"
_AT_ONCE = 5_000
_SEALED = ("uhid_sealed", "name_sealed", "phone_sealed", "birth_sealed")


def add(copier: Copier, keys: KeyStore, organization_id: UUID, frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Register whom the organization does not know; returns uhid, patient_id, sex and birth of all, and how many are
    new."""
    _refuse(frame)
    tokens = [number_token(keys, organization_id, uhid) for uhid in frame["uhid"]]
    known = dict(copier.connection.execute(_REGISTERED, (organization_id, tokens)).fetchall())
    is_new = pl.Series([token not in known for token in tokens], dtype=pl.Boolean)
    made = iter(uuid7_texts(int(is_new.sum())))
    people = frame.with_columns(
        pl.Series("patient_id", [known[token].hex if token in known else next(made) for token in tokens], pl.String),
        pl.Series("token", tokens, pl.Int64),
    )
    new = people.filter(is_new)
    _copy(copier, keys, organization_id, new)
    return people.select("uhid", "patient_id", "sex", "birth_on", "birth_precision"), new.height


def _copy(copier: Copier, keys: KeyStore, organization_id: UUID, new: pl.DataFrame) -> None:
    """Each chunk's keys are made, and committed in the key store, before its rows are."""
    for part in new.iter_slices(_AT_ONCE):
        ids = part["patient_id"].to_list()
        identities = [_identity(row) for row in part.iter_rows(named=True)]
        sealed = _sealed(keys, organization_id, ids, identities)
        open_ = part.select(pl.col("patient_id").alias("id"), "sex", pl.lit(PatientStatus.ACTIVE.value).alias("status"))
        copier.copy("patients", open_.hstack(sealed))
        copier.copy("patient_numbers", part.select("token", "patient_id"))
        found = list(_tokens(keys, organization_id, ids, identities))
        schema = {"token": pl.Int64, "patient_id": pl.String}
        copier.copy("patient_tokens", pl.DataFrame(found, schema, orient="row"))


def _sealed(keys: KeyStore, organization_id: UUID, ids: Sequence[str], identities: Sequence[Identity]) -> pl.DataFrame:
    patients = [UUID(text) for text in ids]
    made = keys.make_patient_keys(organization_id, patients) if patients else []
    columns = [
        Sealer(keys, key, organization_id, patient).columns(identity)
        for patient, key, identity in zip(patients, made, identities, strict=True)
    ]
    texts = {name: [_bytea(row[name]) for row in columns] for name in _SEALED}
    return pl.DataFrame(texts, dict.fromkeys(_SEALED, pl.String))


def _bytea(sealed: bytes | None) -> str | None:
    return None if sealed is None else f"\\x{sealed.hex()}"


def _tokens(
    keys: KeyStore, organization_id: UUID, ids: Sequence[str], identities: Sequence[Identity]
) -> Iterator[tuple[int, str]]:
    for patient, identity in zip(ids, identities, strict=True):
        for token in blind_tokens(keys, organization_id, identity.name, identity.phone):
            yield token, patient


def _identity(row: dict[str, Any]) -> Identity:
    try:
        phone = phone_number(row["phone"]) if row["phone"] else None
    except PydanticCustomError:
        raise HistoryUnusable("patients.parquet: a phone number is none; leave it null where it is not known") from None
    return Identity(
        uhid=row["uhid"], name=row["name"], phone=phone, birth_on=row["birth_on"],
        birth_precision=BirthPrecision(row["birth_precision"]),
    )  # fmt: skip


def _refuse(frame: pl.DataFrame) -> None:
    if frame["uhid"].str.to_lowercase().n_unique() != frame.height:
        raise HistoryUnusable("patients.parquet has a uhid twice; each patient is one row")
    for column, allowed in (("sex", Sex), ("birth_precision", BirthPrecision)):
        unknown = sorted(set(frame[column]) - set(allowed))
        if unknown:
            raise HistoryUnusable(f"patients.parquet: {column} is one of {', '.join(allowed)}, not {unknown[0]!r}")
