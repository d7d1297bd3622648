"""A small lake on disk with the gold tables of two laboratories, and tokens signed as the application signs them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import streamlit as st
from joserfc import jwt
from joserfc.jwk import OKPKey
from pyiceberg.catalog.sql import SqlCatalog

OURS = "01990000-0000-7000-8000-000000000001"
THEIRS = "01990000-0000-7000-8000-000000000002"
NOBODYS = "01990000-0000-7000-8000-000000000003"
MOMENT = pl.Datetime("us", "UTC")
LAST_RELEASE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TURNAROUND_SCHEMA = {
    "organization_id": pl.String, "order_test_id": pl.String, "order_id": pl.String, "site_id": pl.String,
    "test_code": pl.String, "priority": pl.String, "placed_at": MOMENT, "collected_at": MOMENT, "received_at": MOMENT,
    "first_result_at": MOMENT, "authorised_at": MOMENT, "due_at": MOMENT, "minutes_order_to_collection": pl.Float64,
    "minutes_receipt_to_result": pl.Float64, "minutes_result_to_authorised": pl.Float64, "minutes_total": pl.Float64,
    "is_late": pl.Boolean, "is_automatic": pl.Boolean,
}  # fmt: skip
CONTROL_SCHEMA = {
    "organization_id": pl.String, "control_result_id": pl.String, "run_id": pl.String, "analyser_id": pl.String,
    "analyser_code": pl.String, "material": pl.String, "lot_number": pl.String, "level": pl.Int64,
    "test_code": pl.String, "value": pl.Float64, "mean": pl.Float64, "sd": pl.Float64, "z": pl.Float64,
    "violated": pl.String, "status": pl.String, "occurred_at": MOMENT,
}  # fmt: skip


def ordered_test(number: int, **changes: Any) -> dict[str, Any]:
    """One released glucose of ours: placed 10 * (number + 1) minutes before its release, one release a day."""
    total = 10.0 * (number + 1)
    released = LAST_RELEASE - timedelta(days=number)
    return {
        "organization_id": OURS, "order_test_id": f"t{number}", "order_id": f"o{number}", "site_id": "s1",
        "test_code": "GLU", "priority": "routine", "placed_at": released - timedelta(minutes=total),
        "collected_at": None, "received_at": None, "first_result_at": None, "authorised_at": released,
        "due_at": released, "minutes_order_to_collection": 1.0, "minutes_receipt_to_result": 2.0,
        "minutes_result_to_authorised": 3.0, "minutes_total": total, "is_late": False, "is_automatic": True,
    } | changes  # fmt: skip


def control(number: int, **changes: Any) -> dict[str, Any]:
    """One accepted level 1 glucose control of ours: mean 100, SD 2, one a day."""
    row: dict[str, Any] = {
        "organization_id": OURS, "control_result_id": f"c{number}", "run_id": f"r{number}", "analyser_id": "a1",
        "analyser_code": "AU-1", "material": "Example Serum", "lot_number": "L100", "level": 1, "test_code": "GLU",
        "value": 100.0, "mean": 100.0, "sd": 2.0, "violated": "", "status": "accepted",
        "occurred_at": LAST_RELEASE - timedelta(days=number),
    } | changes  # fmt: skip
    return row | {"z": (row["value"] - row["mean"]) / row["sd"]} if "z" not in row else row


def our_turnaround() -> list[dict[str, Any]]:
    """Ten glucoses (10 to 100 minutes; median 55, p90 91; two late, seven automatic), one old, one waiting."""
    released = [ordered_test(n, is_late=n >= 8, is_automatic=n < 7) for n in range(10)]
    old = ordered_test(60, minutes_total=9999.0, is_late=True, is_automatic=False)
    waiting = ordered_test(99, authorised_at=None, minutes_total=None, is_late=None, is_automatic=None)
    return [*released, old, waiting]


def our_controls() -> list[dict[str, Any]]:
    """Level 1: nine at the mean and one rejected at +4 SD; level 2: ten at mean 250 with one warning."""
    first = [control(n, value=100.0) for n in range(1, 10)]
    rejected = control(0, value=108.0, status="rejected", violated="1-3s")
    second = [control(20 + n, level=2, mean=250.0, sd=5.0, value=250.0, occurred_at=LAST_RELEASE - timedelta(days=n))
              for n in range(9)]  # fmt: skip
    warned = control(29, level=2, mean=250.0, sd=5.0, value=261.0, status="warning", violated="1-2s",
                     occurred_at=LAST_RELEASE - timedelta(days=9))  # fmt: skip
    return [*first, rejected, *second, warned]


@dataclass(frozen=True)
class Signer:
    """The application's side of the token."""

    key: OKPKey

    def token(self, *, key: OKPKey | None = None, algorithm: str = "Ed25519", **changes: Any) -> str:
        """A good token for our laboratory, with what the test changes; None leaves a claim out."""
        claims = {
            "iss": "nidan",
            "aud": "dashboards",
            "sub": "01990000-0000-7000-8000-00000000000a",
            "organization_id": OURS,
            "exp": int((datetime.now(UTC) + timedelta(minutes=10)).timestamp()),
        } | changes
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": algorithm}, present, key or self.key, algorithms=[algorithm])


@dataclass(frozen=True)
class LakeOnDisk:
    """Where the lake is, and how to publish a gold table into it."""

    url: str
    folder: str

    def catalog(self) -> SqlCatalog:
        """A catalogue that may create tables."""
        return SqlCatalog("lake", uri=self.url, warehouse=self.folder)

    def publish(self, name: str, rows: list[dict[str, Any]], schema: dict[str, Any]) -> None:
        """Create `gold.<name>` with these rows, in two commits, so that a read spans more than one data file."""
        catalog = self.catalog()
        catalog.create_namespace_if_not_exists("gold")
        table = pl.DataFrame(rows, schema=schema, orient="row").to_arrow(compat_level=pl.CompatLevel.oldest())
        created = catalog.create_table(f"gold.{name}", schema=table.schema)
        created.append(table.slice(0, len(rows) // 2))
        created.append(table.slice(len(rows) // 2))


@pytest.fixture(autouse=True)
def _no_leftovers() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """A signer whose public key the dashboards are configured with."""
    key = OKPKey.generate_key("Ed25519")
    file = tmp_path / "dashboard.pub.pem"
    file.write_bytes(key.as_pem(private=False))
    monkeypatch.setenv("LIMS_DASHBOARD_PUBLIC_KEY_FILE", str(file))
    return Signer(key)


@pytest.fixture
def empty_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeOnDisk:
    """A lake in which nothing was published yet."""
    lake = LakeOnDisk(f"sqlite:///{tmp_path}/catalog.db", str(tmp_path / "lake"))
    monkeypatch.setenv("LIMS_LAKE_CATALOG_URL", lake.url)
    monkeypatch.setenv("LIMS_LAKE_FOLDER", lake.folder)
    return lake


@pytest.fixture
def lake(empty_lake: LakeOnDisk) -> LakeOnDisk:
    """A lake with our rows, and with another laboratory's that would change every figure."""
    theirs = [ordered_test(n, organization_id=THEIRS, test_code="TSH", minutes_total=5000.0) for n in range(5)]
    their_controls = [control(n, organization_id=THEIRS, test_code="TSH", lot_number="X9") for n in range(7)]
    empty_lake.publish("fct_turnaround", [*our_turnaround(), *theirs], TURNAROUND_SCHEMA)
    empty_lake.publish("fct_control_results", [*our_controls(), *their_controls], CONTROL_SCHEMA)
    return empty_lake


@pytest.fixture
def make_control() -> Callable[..., dict[str, Any]]:
    """`control` for the tests of this folder."""
    return control
