"""The whole CDISC pilot study in the ledger: every row of its file, in original units, judged by its own limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.progress import Progress

from ingest.virtual_lab import cdisc, cdisc_reference
from lims_api.catalogue import service as catalogue
from lims_api.cli.importing import Imported, Importer
from lims_api.cli.seeding import definitions
from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.organizations import service as organizations
from lims_api.organizations.models import SiteKind
from lims_api.patients import service as patients
from tests import study
from tests.conftest import Environment
from tests.factories import organization

FLAGS = {"LOW": "L", "HIGH": "H", "NORMAL": "N"}
UNITS = {
    "mEq/L": "meq/L", "THOU/uL": "10*3/uL", "MILL/uL": "10*6/uL", "uIU/mL": "u[IU]/mL", "FRACTION": "1",
    "NO UNITS": "1",
}  # fmt: skip
RESULTS = """
select s.accession_number, r.patient_id, r.test_code, s.collected_at, r.value_text, r.unit, r.reference_low,
       r.reference_high, r.flag, r.instrument_flags, r.value
  from lims.results r join lims.specimens s on s.organization_id = r.organization_id and s.id = r.specimen_id
 where r.organization_id = %s
"""


@dataclass(frozen=True)
class Kept:
    """One result as the database has it."""

    value_text: str
    unit: str
    low: Decimal | None
    high: Decimal | None
    flag: str | None
    instrument_flags: list[str]
    value: Decimal | None


@dataclass(frozen=True)
class Study:
    """What was imported, and the file's rows by subject, test and time."""

    imported: Imported
    rows: dict[tuple[str, str, datetime], study.Row]
    kept: dict[tuple[str, str, datetime], Kept]
    ledger: dict[str, int]


@pytest.fixture(scope="module")
def imported(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Study:
    shared = Path(__file__).parents[4] / "shared"
    if not (shared / study.FOLDER).is_dir():
        pytest.skip("../shared is not here")
    folder, code = tmp_path_factory.mktemp("study"), f"s{uuid7().hex[-8:]}"
    tenant = organization(environment, code=code)
    caller = SystemCaller(database=environment.system, organization_id=tenant)
    with transaction(caller) as session:
        organizations.add_site(session, code="MAIN", name="Main", kind=SiteKind.LAB, address="x")
        for test in definitions(cdisc_reference.reference_catalogue(shared / study.FOLDER)):
            catalogue.add_version(session, test)
    cdisc.write_history(shared / study.FOLDER, folder, whole=True)
    importer = Importer(environment.url("lims_importer"), environment.keys, code, Progress(disable=True))
    counts = importer.run(folder)
    with psycopg.connect(environment.superuser_dsn) as connection:
        found: list[tuple[Any, ...]] = connection.execute(RESULTS, (tenant,)).fetchall()
        ledger = dict(
            connection.execute(
                "select table_name, count(*) from lims.ledger where organization_id = %s group by 1", (tenant,)
            ).fetchall()
        )
    file = study.rows(shared)
    codes = {test.study: test.code for test in cdisc.tests()}
    with transaction(caller) as session:
        hits = (patients.find(session, uhid=uhid).hits for uhid in {row["USUBJID"] for row in file})
        people = {hit.id: hit.uhid for (hit,) in hits}
    return Study(
        counts,
        {(row["USUBJID"], codes[row["LBTESTCD"]], study.moment(row)): row for row in file},
        {(people[patient], test, moment): Kept(*rest) for _, patient, test, moment, *rest in found},
        ledger,
    )


@pytest.mark.req("7.2.1")
def test_every_row_of_the_file_is_a_result_and_a_line_of_the_ledger(imported: Study) -> None:
    assert len(imported.rows) == len(imported.kept) == imported.imported.results == 32_043
    assert imported.kept.keys() == imported.rows.keys()
    assert imported.ledger["results"] == imported.ledger["order_tests"] == 32_043
    assert imported.imported.patients == imported.ledger["patients"] == 138
    assert imported.imported.orders == len({(subject, moment) for subject, _, moment in imported.rows}) == 1_015


@pytest.mark.req("7.2.1")
def test_each_of_the_30449_flags_is_the_files_own(imported: Study) -> None:
    judged = {key: row for key, row in imported.rows.items() if study.kind(row) == "judged"}

    wrong = [key for key, row in judged.items() if imported.kept[key].flag != FLAGS[row["LBNRIND"]]]

    assert wrong == []
    assert Counter(imported.kept[key].flag for key in judged) == {"N": 29_250, "H": 842, "L": 357}


def test_the_rest_is_unjudged_and_nothing_is_dropped(imported: Study) -> None:
    rest = {key: row for key, row in imported.rows.items() if study.kind(row) != "judged"}

    assert Counter(study.kind(row) for row in rest.values()) == {"comparator": 4, "no limits": 1_111, "text": 479}
    assert {imported.kept[key].flag for key in rest} == {None}
    said = Counter(tuple(imported.kept[key].instrument_flags) for key in rest)
    assert said == {("ABNORMAL",): 168, (): 1_426}


def test_text_unit_and_limits_are_as_they_stand_in_the_file(imported: Study) -> None:
    for key, row in imported.rows.items():
        kept = imported.kept[key]
        unit = "[pH]" if row["LBTESTCD"] == "PH" else UNITS.get(row["LBORRESU"], row["LBORRESU"])
        assert (kept.value_text, kept.unit) == (row["LBORRES"], unit)
        assert kept.low == (Decimal(row["LBORNRLO"]) if row["LBORNRLO"] else None)
        assert kept.high == (Decimal(row["LBORNRHI"]) if row["LBORNRHI"] else None)
        number = row["LBORRES"].lstrip("<")
        assert kept.value == (None if study.kind(row) == "text" else Decimal(number))
