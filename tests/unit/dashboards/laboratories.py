"""Two laboratories' gold rows, a lake on disk to publish them in, and tokens signed as the application signs them.

The tables have the columns that the pipelines publish: a page that reads another one fails here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from joserfc import jwt
from joserfc.jwk import OKPKey
from pyiceberg.catalog.sql import SqlCatalog

from pipelines.gold import MARTS

OURS = "01990000-0000-7000-8000-000000000001"
THEIRS = "01990000-0000-7000-8000-000000000002"
NOBODYS = "01990000-0000-7000-8000-000000000003"
LAST_RELEASE = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
Row = dict[str, Any]


def ordered_test(number: int, **changes: Any) -> Row:
    """One released glucose of ours: placed 10 * (number + 1) minutes before its release, one release a day."""
    total = 10.0 * (number + 1)
    released = LAST_RELEASE - timedelta(days=number)
    return {
        "organization_id": OURS, "order_test_id": f"t{number}", "order_id": f"o{number}", "site_id": "s1",
        "site_name": "Our laboratory", "test_code": "GLU", "test_name": "Glucose", "discipline": "Chemistry",
        "is_example": False, "priority": "routine", "analyser_code": "AU-1",
        "placed_at": released - timedelta(minutes=total),
        "authorised_at": released, "due_at": released, "minutes_target": 60.0, "minutes_order_to_collection": 1.0,
        "minutes_collection_to_receipt": 4.0, "minutes_receipt_to_result": 2.0, "minutes_result_to_authorised": 3.0,
        "minutes_total": total, "is_late": False, "is_automatic": True, "recorded_at": released,
    } | changes  # fmt: skip


def result(number: int, **changes: Any) -> Row:
    """One glucose of ours that was released automatically, one a day."""
    known = LAST_RELEASE - timedelta(days=number)
    return {
        "organization_id": OURS, "result_id": f"r{number}", "patient_key": f"patient {number}",
        "site_name": "Our laboratory", "test_code": "GLU", "test_name": "Glucose", "discipline": "Chemistry",
        "is_example": False, "priority": "routine", "analyser_code": "AU-1", "entry": "instrument",
        "status": "authorised", "is_automatic": True, "is_correction": False, "reasons": "", "model_version": "3",
        "rules_version": "1", "available_at": known, "authorised_at": known, "recorded_at": known,
    } | changes  # fmt: skip


def held(number: int, minutes: float | None = None, **changes: Any) -> Row:
    """One glucose of ours that was held, and released by a person after so many minutes, or still waits."""
    known = LAST_RELEASE - timedelta(days=number)
    released = None if minutes is None else known + timedelta(minutes=minutes)
    about = {"is_automatic": False, "status": "authorised" if released else "held", "reasons": "delta_check"}
    return result(number, **about | {"authorised_at": released, "minutes_held": minutes} | changes)


def control(number: int, **changes: Any) -> Row:
    """One accepted level 1 glucose control of ours: mean 100, SD 2, one a day."""
    row: Row = {
        "organization_id": OURS, "control_result_id": f"c{number}", "run_id": f"r{number}", "analyser_id": "a1",
        "analyser_code": "AU-1", "site_name": "Our laboratory", "material": "Example Serum", "lot_number": "L100",
        "level": 1, "test_code": "GLU", "test_name": "Glucose", "unit": "mg/dL", "target_source": "20 runs",
        "is_example": False, "value": 100.0, "mean": 100.0, "sd": 2.0, "violated": "", "status": "accepted",
        "occurred_at": LAST_RELEASE - timedelta(days=number), "recorded_at": LAST_RELEASE - timedelta(days=number),
    } | changes  # fmt: skip
    return row | {"z": (row["value"] - row["mean"]) / row["sd"]} if "z" not in row else row


def our_turnaround() -> list[Row]:
    """Ten glucoses (10 to 100 minutes; two late, seven automatic), one old potassium, one that waits for its result."""
    released = [ordered_test(n, is_late=n >= 8, is_automatic=n < 7) for n in range(10)]
    old = ordered_test(60, test_code="K", test_name="Potassium", minutes_total=9999.0, is_late=True)
    waiting = ordered_test(
        99, placed_at=LAST_RELEASE - timedelta(hours=5), received_at=LAST_RELEASE - timedelta(hours=4), is_late=True,
        authorised_at=None, minutes_total=None, minutes_result_to_authorised=None, is_automatic=False,
    )  # fmt: skip
    return [*released, old, waiting]


def our_results() -> list[Row]:
    """Of the last week: four automatic, two released by a person after 20 and 60 minutes, one that waits, one replaced
    before its release. Then a correction of yesterday, an old automatic one, and an imported one."""
    return [
        *[result(n) for n in range(4)],
        held(1, 20.0, reasons="delta_check,model_risk", result_id="h1"),
        held(2, 60.0, reasons="delta_check", result_id="h2", test_code="K", test_name="Potassium"),
        held(0, reasons="critical_value", result_id="h3"),
        held(3, reasons="repeat_measurement", status="superseded", result_id="h4"),
        held(0, 5.0, reasons="correction", entry="manual", is_correction=True, result_id="h5"),
        result(40, result_id="old", model_version="2"),
        result(0, entry="import", is_automatic=False, result_id="imported"),
    ]


def our_controls() -> list[Row]:
    """Level 1: nine at the mean and one rejected at +4 SD; level 2: ten at mean 250 with one warning."""
    first = [control(n, value=100.0) for n in range(1, 10)]
    rejected = control(0, value=108.0, status="rejected", violated="1-2s (run),1-3s (run)")
    second = [control(20 + n, level=2, mean=250.0, sd=5.0, value=250.0, occurred_at=LAST_RELEASE - timedelta(days=n))
              for n in range(9)]  # fmt: skip
    warned = control(29, level=2, mean=250.0, sd=5.0, value=261.0, status="warning", violated="1-2s (run)",
                     occurred_at=LAST_RELEASE - timedelta(days=9))  # fmt: skip
    return [*first, rejected, *second, warned]


THEIR_NAMES: Row = {
    "organization_id": THEIRS, "site_name": "Their laboratory", "test_code": "TSH", "test_name": "Thyrotropin",
    "discipline": "Immunoassay", "analyser_code": "X-9",
}  # fmt: skip


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

    def publish(self, name: str, rows: list[Row], *, without: str = "") -> None:
        """Create `gold.<name>` with these rows, in two commits, so that a read spans more than one data file."""
        catalog = SqlCatalog("lake", uri=self.url, warehouse=self.folder)
        catalog.create_namespace_if_not_exists("gold")
        table = pa.Table.from_pylist(rows, schema=MARTS[f"gold.{name}"].schema)
        table = table.drop_columns([without]) if without else table
        created = catalog.create_table(f"gold.{name}", schema=table.schema)
        created.append(table.slice(0, len(rows) // 2))
        created.append(table.slice(len(rows) // 2))
