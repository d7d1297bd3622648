"""A history comes in whole or not at all, each row with its own times and in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from rich.progress import Progress

from lims_api.catalogue import service as catalogue
from lims_api.cli.importing import HistoryUnusable, Imported, Importer, files
from lims_api.cli.seeding import example_tests
from lims_api.core.db import SystemCaller, transaction
from lims_api.equipment import service as equipment
from lims_api.organizations import service as organizations
from lims_api.organizations.models import SiteKind
from lims_api.patients import service as patients
from lims_api.qc import service as qc
from tests.conftest import Environment
from tests.factories import organization

AT = datetime(2021, 3, 4, 5, 30, tzinfo=UTC)
EMPTY = Imported(patients=0, orders=0, specimens=0, results=0, controls=0)
Change = Callable[[pl.DataFrame], pl.DataFrame]


class Lab:
    """An organization to import into, and its files."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment, self.folder, self.code = environment, folder, f"h{folder.name[-6:]}{id(folder) % 1000}"
        self.id = organization(environment, code=self.code)
        with transaction(SystemCaller(database=environment.system, organization_id=self.id)) as session:
            self.site = organizations.add_site(session, code="MAIN", name="Main", kind=SiteKind.LAB, address="x").id
            self.second = organizations.add_site(session, code="TWO", name="Two", kind=SiteKind.LAB, address="x").id
            tests = example_tests()
            glucose = tests[0].model_dump()
            blood = {"code": "HGB", "unit": "g/dL", "specimen_type": "Whole blood", "container": "EDTA 3 mL"}
            for test in [*tests, type(tests[0]).model_validate(glucose | blood)]:
                catalogue.add_version(session, test)
        self.write("patients", [person("P-1"), person("P-2", phone=None, sex="male", birth_precision="year")])
        self.write(
            "results", [result(), result(test_code="GLU", value=42.0, value_text="42", unit="mg/dL", uhid="P-1")]
        )

    def write(self, name: str, rows: list[dict[str, Any]]) -> None:
        schema = {"patients": files.PATIENTS, "results": files.RESULTS, "controls": files.CONTROLS}[name]
        optional = {column: kind for column, kind in files.OPTIONAL.items() if rows and column in rows[0]}
        pl.DataFrame(rows, {**schema, **optional}).write_parquet(self.folder / f"{name}.parquet")

    def change(self, name: str, change: Change) -> None:
        file = self.folder / f"{name}.parquet"
        change(pl.read_parquet(file)).write_parquet(file)

    def run(self) -> Imported:
        url = self.environment.url("lims_importer")
        return Importer(url, self.environment.keys, self.code, Progress(disable=True)).run(self.folder)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.environment.superuser_dsn) as connection:
            return connection.execute(statement.encode(), {"own": self.id}).fetchall()

    def count(self, table: str) -> int:
        return int(self.rows(f"select count(*) from lims.{table} where organization_id = %(own)s")[0][0])


@pytest.fixture
def lab(environment: Environment, tmp_path: Path) -> Lab:
    return Lab(environment, tmp_path)


def person(uhid: str, **changed: Any) -> dict[str, Any]:
    return {
        "uhid": uhid, "name": "Asha Example", "phone": "98220 12345", "sex": "female", "birth_on": date(1980, 1, 1),
        "birth_precision": "day",
    } | changed  # fmt: skip


def result(**changed: Any) -> dict[str, Any]:
    return {
        "uhid": "P-1", "order_number": "HO-1", "accession_number": "H-1", "test_code": "K", "value": 4.1,
        "value_text": "4.1", "comparator": None, "unit": "mmol/L", "reference_low": 3.5, "reference_high": 5.1,
        "critical_low": 2.5, "critical_high": 6.5, "ordered_at": AT, "collected_at": AT + timedelta(minutes=10),
        "received_at": AT + timedelta(minutes=20), "occurred_at": AT + timedelta(minutes=50),
        "available_at": AT + timedelta(minutes=51), "authorised_at": AT + timedelta(minutes=70), "analyser": None,
        "instrument_flags": "",
    } | changed  # fmt: skip


@pytest.mark.req("7.2.1")
def test_each_row_comes_in_with_its_own_times_limits_and_its_line_of_the_ledger(lab: Lab) -> None:
    assert lab.run() == Imported(patients=2, orders=1, specimens=1, results=2, controls=0)

    ((value, flag, age, low, occurred, available, recorded, flags),) = lab.rows(
        "select value, flag, age_days, reference_low, occurred_at, available_at, recorded_at, instrument_flags"
        " from lims.results where organization_id = %(own)s and test_code = 'K'"
    )
    assert (value, flag, age, low) == (Decimal("4.1"), "N", 41 * 1461 // 4, Decimal("3.5"))
    assert (occurred, available) == (AT + timedelta(minutes=50), AT + timedelta(minutes=51))
    assert recorded > available + timedelta(days=365)
    assert flags == []
    ledger = dict(
        lab.rows("select table_name, count(*) from lims.ledger where organization_id = %(own)s and op = 'I' group by 1")
    )
    for table in ("patients", "orders", "specimens", "order_tests", "results"):
        assert ledger[table] == lab.count(table) > 0


def test_a_patient_is_found_and_opened_like_a_registered_one(lab: Lab) -> None:
    lab.run()

    with transaction(SystemCaller(database=lab.environment.app, organization_id=lab.id)) as session:
        (second,) = patients.find(session, uhid="p-2").hits
        (by_phone,) = patients.find(session, phone="+919822012345").hits
        by_name = patients.find(session, name="exampl").hits
    assert (second.uhid, second.name, second.phone, second.birth_precision) == ("P-2", "Asha Example", None, "year")
    assert (by_phone.uhid, by_phone.birth_on) == ("P-1", date(1980, 1, 1))
    assert {hit.uhid for hit in by_name} == {"P-1", "P-2"}


@pytest.mark.req("7.2.1")
def test_a_second_import_changes_nothing_and_new_orders_are_added(lab: Lab) -> None:
    lab.run()
    assert lab.run() == EMPTY

    lab.write("results", [result(), result(order_number="HO-2", accession_number="H-2", uhid="P-2")])
    assert lab.run() == Imported(patients=0, orders=1, specimens=1, results=1, controls=0)


def test_what_cannot_be_judged_has_no_flag(lab: Lab) -> None:
    lab.write(
        "results",
        [
            result(test_code="K", value=None, value_text="haemolysed"),
            result(test_code="NA", value=140.0, reference_low=None, reference_high=None, critical_low=None,
                   critical_high=None),
            result(test_code="CL", value=3.0, value_text="<3", comparator="<", critical_low=None, critical_high=None),
        ],
    )  # fmt: skip
    lab.change("results", lambda rows: rows.with_columns(pl.lit("mmol/L").alias("unit")))
    lab.run()

    found = dict(lab.rows("select test_code, flag from lims.results where organization_id = %(own)s"))
    assert found == {"K": None, "NA": None, "CL": "L"}


def test_specimens_are_of_the_type_that_the_catalogue_or_the_row_says(lab: Lab) -> None:
    blood = result(test_code="HGB", unit="g/dL", accession_number="H-2")
    lab.write("results", [result(), blood])
    lab.run()
    assert set(lab.rows("select specimen_type, container from lims.specimens where organization_id = %(own)s")) == {
        ("Serum", "SST 5 mL"), ("Whole blood", "EDTA 3 mL"),
    }  # fmt: skip

    stated = {"specimen_type": "Plasma", "container": "Heparin 4 mL", "site_code": "TWO"}
    lab.write("results", [result(order_number="HO-3", accession_number="H-3") | stated])
    lab.run()
    assert lab.rows(
        "select specimen_type, container, site_id from lims.specimens"
        " where organization_id = %(own)s and accession_number = 'H-3'"
    ) == [("Plasma", "Heparin 4 mL", lab.second)]


def test_instrument_flags_are_kept_each(lab: Lab) -> None:
    lab.write("results", [result(instrument_flags='H,,A"B\\C,*')])
    lab.run()

    assert lab.rows("select instrument_flags from lims.results where organization_id = %(own)s") == [
        (["H", 'A"B\\C', "*"],)
    ]


def test_controls_are_judged_in_their_order_and_of_their_lot_and_analyser(lab: Lab, environment: Environment) -> None:
    lab.write("controls", _controls(lab, environment, [100.0, 105.0, 105.0, 107.0]))

    assert lab.run().controls == 4
    found = lab.rows("select status, violated from lims.control_results where organization_id = %(own)s order by id")
    assert found == [
        ("accepted", []), ("warning", ["1-2s (run)"]), ("rejected", ["1-2s (run)", "2-2s (level 1)"]),
        ("rejected", ["1-2s (run)", "1-3s (run)", "2-2s (level 1)"]),
    ]  # fmt: skip
    assert lab.run().controls == 0


@pytest.mark.req("7.2.1")
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("results", lambda rows: rows.drop("unit"), "no column unit"),
        ("results", lambda rows: rows.with_columns(unit=pl.lit("g")), "comes in g, the catalogue has"),
        ("results", lambda rows: rows.with_columns(test_code=pl.lit("NONE")), "catalogue has no NONE"),
        ("results", lambda rows: rows.with_columns(uhid=pl.lit("P-9")), "2 rows are of a uhid"),
        ("results", lambda rows: rows.with_columns(site_code=pl.lit("X")), "no site X"),
        ("results", lambda rows: rows.with_columns(uhid=pl.Series(["P-1", "P-2"])), "more than one uhid"),
        ("results", lambda rows: rows.with_columns(specimen_type=pl.Series(["a", "b"])), "more than one specimen_type"),
        ("results", lambda rows: rows.with_columns(value=pl.lit(float("nan"))), "value is not a number"),
        ("results", lambda rows: rows.with_columns(ordered_at=None), "ordered_at is null in 2 rows"),
        ("results", lambda rows: rows.with_columns(value=pl.lit("x")), "another type"),
        ("patients", lambda rows: rows.with_columns(sex=pl.lit("f")), "not 'f'"),
        ("patients", lambda rows: rows.with_columns(uhid=pl.Series(["P-1", "p-1"])), "uhid twice"),
        ("patients", lambda rows: rows.with_columns(phone=pl.lit("12")), "phone number is none"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_imported(lab: Lab, name: str, change: Change, said: str) -> None:
    lab.change(name, change)

    with pytest.raises(HistoryUnusable, match=said):
        lab.run()

    assert [lab.count(table) for table in ("patients", "orders", "results")] == [0, 0, 0]


def test_an_accession_number_that_is_taken_undoes_the_whole_import(lab: Lab) -> None:
    lab.run()
    lab.write("results", [result(order_number="HO-2", uhid="P-2"), result(order_number="HO-3", accession_number="H-3")])

    with pytest.raises(HistoryUnusable, match="uq_specimens_organization_id_accession_number") as refused:
        lab.run()

    assert "H-1" not in str(refused.value)
    assert lab.count("orders") == 1


def test_an_organization_that_is_not_there_is_said(lab: Lab, environment: Environment) -> None:
    with pytest.raises(HistoryUnusable, match="no organization 'nobody'"):
        Importer(environment.url("lims_importer"), environment.keys, "nobody", Progress(disable=True)).run(lab.folder)


def _controls(lab: Lab, environment: Environment, values: list[float]) -> list[dict[str, Any]]:
    with transaction(SystemCaller(database=environment.system, organization_id=lab.id)) as session:
        equipment.add_analyser(session, code="A1", name="A", model="x", channel=lab.code, site_id=lab.site)
        qc.add_lot(session, "Serum", "L1", expires_on=date(2030, 1, 1))
    return [
        {"analyser": "A1", "material": "Serum", "lot_number": "L1", "test_code": "K", "unit": "mmol/L", "level": 1,
         "value": value, "mean": 100.0, "sd": 2.0, "occurred_at": AT + timedelta(days=number)}
        for number, value in enumerate(values)
    ]  # fmt: skip
