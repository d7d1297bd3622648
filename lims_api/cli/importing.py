"""`lims history import`: a laboratory's past, from Parquet through the bulk path.

COPY under the importer's role: services are bypassed, triggers, constraints and frozen ranges are not. One transaction;
what is there already is left alone, so that a second import of the same files changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from rich.progress import Progress

from lims_api.core.clock import business_day
from lims_api.core.crypto import Key
from lims_api.core.ids import SYSTEM_ACTOR, uuid7
from lims_api.core.keys import KeyStore
from lims_api.patients.age import BirthPrecision, age_days
from lims_api.patients.schemas import Identity, phone_number
from lims_api.patients.sealing import Sealer, blind_tokens, number_token
from lims_api.qc.westgard import rejects, violations
from lims_api.results.flags import flag

PRIORITY, ORDER_STATUS, TEST_STATUS = "routine", "completed", "authorised"


class HistoryUnusable(Exception):
    """The files do not fit this organization; nothing was imported. Says what to correct."""


@dataclass(frozen=True)
class Imported:
    """How many rows went in; what was there already is not counted."""

    patients: int
    orders: int
    specimens: int
    results: int
    controls: int


@dataclass(frozen=True)
class _Known:
    """What the organization has that the rows refer to."""

    organization_id: UUID
    site_id: UUID
    tests: dict[str, dict[str, Any]]
    analysers: dict[str, UUID]
    lots: dict[tuple[str, str], UUID]


@dataclass(frozen=True)
class _Person:
    id: UUID
    sex: str
    birth_on: date
    precision: BirthPrecision


class Importer:
    """One import into one organization."""

    def __init__(self, url: str, keys: KeyStore, organization: str, progress: Progress) -> None:
        self._connection = psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1))
        self._keys, self._organization, self._progress = keys, organization, progress

    def run(self, folder: Path) -> Imported:
        """Import `patients.parquet`, `results.parquet` and, where there is one, `controls.parquet`."""
        with self._connection as connection:
            connection.execute("set timezone = 'UTC'")
            self._known = self._look_up(connection)
            act = "select lims.act(%s, %s, 'import', '', 'history_import')"
            connection.execute(act, (self._known.organization_id, SYSTEM_ACTOR))
            people, new = self._patients(connection, pl.read_parquet(folder / "patients.parquet"))
            orders, specimens, results = self._results(connection, pl.read_parquet(folder / "results.parquet"), people)
            controls = 0
            if (folder / "controls.parquet").exists():
                controls = self._controls(connection, pl.read_parquet(folder / "controls.parquet"))
        return Imported(new, orders, specimens, results, controls)

    # look-ups

    def _look_up(self, connection: psycopg.Connection[Any]) -> _Known:
        row = connection.execute("select id from lims.organizations where code = %s", (self._organization,)).fetchone()
        if row is None:
            raise HistoryUnusable(f"there is no organization '{self._organization}'")
        own = (row[0],)
        site = connection.execute(
            "select id from lims.sites where organization_id = %s and kind = 'lab' order by code limit 1", own
        ).fetchone()
        if site is None:
            raise HistoryUnusable("the organization has no laboratory; add a site first")
        tests = connection.execute(
            "select distinct on (code) code, id, loinc, unit, turnaround_minutes from lims.test_definitions"
            " where organization_id = %s order by code, version desc",
            own,
        )
        analysers = connection.execute("select code, id from lims.analysers where organization_id = %s", own)
        lots = connection.execute(
            "select m.name, l.lot_number, l.id from lims.control_lots l join lims.control_materials m"
            " on m.organization_id = l.organization_id and m.id = l.material_id where l.organization_id = %s",
            own,
        )
        return _Known(
            row[0], site[0],
            {code: {"id": id_, "loinc": loinc, "unit": unit, "turnaround": timedelta(minutes=minutes)}
             for code, id_, loinc, unit, minutes in tests},
            dict(analysers.fetchall()), {(name, lot): id_ for name, lot, id_ in lots},
        )  # fmt: skip

    # patients

    def _patients(self, connection: psycopg.Connection[Any], frame: pl.DataFrame) -> tuple[dict[str, _Person], int]:
        rows = frame.to_dicts()
        tenant = self._known.organization_id
        token = {row["uhid"]: number_token(self._keys, tenant, row["uhid"]) for row in rows}
        registered = dict(
            connection.execute(
                "select token, patient_id from lims.patient_numbers where organization_id = %s and token = any(%s)",
                (tenant, list(token.values())),
            ).fetchall()
        )
        people = {
            row["uhid"]: _Person(
                registered.get(token[row["uhid"]]) or uuid7(),
                row["sex"],
                row["birth_on"],
                BirthPrecision(row["birth_precision"]),
            )
            for row in rows
        }
        new = [row for row in rows if token[row["uhid"]] not in registered]
        ids = [people[row["uhid"]].id for row in new]
        keys = self._keys.make_patient_keys(tenant, ids) if ids else []
        columns = (
            "organization_id",
            "id",
            "uhid_sealed",
            "name_sealed",
            "phone_sealed",
            "birth_sealed",
            "sex",
            "status",
        )
        sealed = (self._sealed(row, person_id, key) for row, person_id, key in zip(new, ids, keys, strict=True))
        self._copy(connection, "patients", columns, sealed, total=len(new))
        numbers = ((tenant, token[row["uhid"]], people[row["uhid"]].id) for row in new)
        self._copy(connection, "patient_numbers", ("organization_id", "token", "patient_id"), numbers)
        self._copy(connection, "patient_tokens", ("organization_id", "token", "patient_id"), self._tokens(new, people))
        return people, len(new)

    def _sealed(self, row: dict[str, Any], patient_id: UUID, key: Key) -> tuple[Any, ...]:
        tenant = self._known.organization_id
        sealed = Sealer(self._keys, key, tenant, patient_id).columns(_identity(row))
        return (
            tenant, patient_id, sealed["uhid_sealed"], sealed["name_sealed"], sealed["phone_sealed"],
            sealed["birth_sealed"], row["sex"], "active",
        )  # fmt: skip

    def _tokens(self, rows: Sequence[dict[str, Any]], people: dict[str, _Person]) -> Iterator[tuple[Any, ...]]:
        tenant = self._known.organization_id
        for row in rows:
            person = _identity(row)
            for token in blind_tokens(self._keys, tenant, person.name, person.phone):
                yield tenant, token, people[row["uhid"]].id

    # results

    def _results(
        self, connection: psycopg.Connection[Any], frame: pl.DataFrame, people: dict[str, _Person]
    ) -> tuple[int, int, int]:
        self._refuse_unknown(frame)
        tenant, site = self._known.organization_id, self._known.site_id
        numbers = frame["order_number"].unique().to_list()
        known = connection.execute(
            "select order_number from lims.orders where organization_id = %s and order_number = any(%s)",
            (tenant, numbers),
        )
        frame = frame.filter(~pl.col("order_number").is_in({row[0] for row in known}))
        rows = frame.to_dicts()
        orders: dict[str, tuple[UUID, dict[str, Any]]] = {}
        specimens: dict[str, tuple[UUID, dict[str, Any]]] = {}
        tests: dict[tuple[str, str], UUID] = {}
        for row in rows:
            orders.setdefault(row["order_number"], (uuid7(), row))
            specimens.setdefault(row["accession_number"], (uuid7(), row))
            tests.setdefault((row["order_number"], row["test_code"]), uuid7())
        last: dict[str, datetime] = {}
        due: dict[str, datetime] = {}
        for row in rows:
            number, at = row["order_number"], row["ordered_at"] + self._known.tests[row["test_code"]]["turnaround"]
            last[number] = max(row["authorised_at"], last.get(number, row["authorised_at"]))
            due[number] = max(at, due.get(number, at))
        self._copy(
            connection, "orders",
            ("organization_id", "id", "order_number", "patient_id", "site_id", "priority", "status", "placed_at",
            "due_at",
             "completed_at", "occurred_at", "available_at"),
            ((tenant, id_, number, people[row["uhid"]].id, site, PRIORITY, ORDER_STATUS, row["ordered_at"],
            due[number],
              last[number], row["ordered_at"], row["ordered_at"]) for number, (id_, row) in orders.items()),
            total=len(orders),
        )  # fmt: skip
        self._copy(
            connection, "specimens",
            ("organization_id", "id", "order_id", "patient_id", "site_id", "accession_number", "specimen_type",
            "container",
             "status", "collected_at", "received_at"),
            ((tenant, id_, orders[row["order_number"]][0], people[row["uhid"]].id, site, number, "Serum", "SST 5 mL",
              "received", row["collected_at"], row["received_at"]) for number, (id_, row) in specimens.items()),
            total=len(specimens),
        )  # fmt: skip
        first = {(row["order_number"], row["test_code"]): row for row in reversed(rows)}
        self._copy(
            connection, "order_tests",
            ("organization_id", "id", "order_id", "test_code", "definition_id", "specimen_id", "status", "due_at"),
            ((tenant, id_, orders[number][0], code, self._known.tests[code]["id"],
              specimens[first[number, code]["accession_number"]][0], TEST_STATUS,
              first[number, code]["ordered_at"] + self._known.tests[code]["turnaround"])
             for (number, code), id_ in tests.items()),
            total=len(tests),
        )  # fmt: skip
        result_rows = (
            self._result(row, people[row["uhid"]], orders[row["order_number"]][0],
            specimens[row["accession_number"]][0],
                         tests[row["order_number"], row["test_code"]])
            for row in rows
        )  # fmt: skip
        self._copy(connection, "results", RESULT_COLUMNS, result_rows, total=len(rows))
        return len(orders), len(specimens), len(rows)

    def _refuse_unknown(self, frame: pl.DataFrame) -> None:
        unknown = sorted(set(frame["test_code"].unique()) - set(self._known.tests))
        if unknown:
            raise HistoryUnusable(f"the catalogue has no {', '.join(unknown)}; import the catalogue first")
        for code, unit in frame.select("test_code", "unit").unique().iter_rows():
            if unit != self._known.tests[code]["unit"]:
                raise HistoryUnusable(f"{code} comes in {unit}, the catalogue has {self._known.tests[code]['unit']}")

    def _result(self, row: dict[str, Any], person: _Person, order: UUID, specimen: UUID, test: UUID) -> tuple[Any, ...]:
        definition = self._known.tests[row["test_code"]]
        value, low, high, critical_low, critical_high = (
            _decimal(row[name])
            for name in ("value", "reference_low", "reference_high", "critical_low", "critical_high")
        )
        age = age_days(person.birth_on, person.precision, business_day(row["collected_at"]))
        return (
            self._known.organization_id, uuid7(), row["occurred_at"], row["available_at"], person.id, order, test,
            specimen,
            self._known.site_id, row["test_code"], definition["loinc"], definition["id"],
            self._known.analysers.get(row["analyser"]), "import", SYSTEM_ACTOR, row["value_text"], value,
            row["comparator"],
            row["unit"], low, high, critical_low, critical_high, age, person.sex,
            flag(value, row["comparator"], low, high, critical_low, critical_high),
            [item for item in row["instrument_flags"].split(",") if item], "authorised", row["authorised_at"],
        )  # fmt: skip

    # controls

    def _controls(self, connection: psycopg.Connection[Any], frame: pl.DataFrame) -> int:
        tenant = self._known.organization_id
        if (
            frame.is_empty()
            or connection.execute(
                "select 1 from lims.control_results where organization_id = %s and occurred_at <= %s limit 1",
                (tenant, frame["occurred_at"].max()),
            ).fetchone()
        ):
            return 0
        columns = (
            "organization_id", "id", "occurred_at", "available_at", "run_id", "analyser_id", "lot_id", "level",
            "test_code",
            "value", "unit", "mean", "sd", "z", "violated", "status",
        )  # fmt: skip
        self._copy(connection, "control_results", columns, self._control_rows(frame), total=len(frame))
        return len(frame)

    def _control_rows(self, frame: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
        """Judged by the rules as if they had come in one by one."""
        tenant = self._known.organization_id
        runs: dict[tuple[str, str], list[dict[int, float]]] = {}
        ids: dict[tuple[str, str], tuple[UUID, datetime]] = {}
        for row in frame.sort("occurred_at").iter_rows(named=True):
            lot = self._known.lots.get((row["material"], row["lot_number"]))
            analyser = self._known.analysers.get(row["analyser"])
            if lot is None or analyser is None:
                raise HistoryUnusable(
                    f"unknown control lot or analyser: {row['material']} {row['lot_number']}, {row['analyser']}"
                )
            z = (row["value"] - row["mean"]) / row["sd"]
            key = (row["lot_number"], row["test_code"])
            earlier = runs.setdefault(key, [])
            found = violations({row["level"]: z}, earlier)
            earlier.insert(0, {row["level"]: z})
            del earlier[12:]
            status = "rejected" if rejects(found) else "warning" if found else "accepted"
            run_key = (row["analyser"], row["test_code"])
            run = ids.get(run_key)
            if run is None or (row["occurred_at"] - run[1]).total_seconds() > 45 * 60:
                run = (uuid7(), row["occurred_at"])
                ids[run_key] = run
            yield (
                tenant, uuid7(), row["occurred_at"], row["occurred_at"], run[0], analyser, lot, row["level"],
                row["test_code"], _decimal(row["value"]), row["unit"], _decimal(row["mean"]), _decimal(row["sd"]), z,
                [f"{item.rule} ({item.scope})" for item in found], status,
            )  # fmt: skip

    def _copy(
        self,
        connection: psycopg.Connection[Any],
        table: str,
        columns: Sequence[str],
        rows: Iterable[tuple[Any, ...]],
        *,
        total: int | None = None,
    ) -> None:
        task = self._progress.add_task(f"import {table}", total=total)
        statement = f"copy lims.{table} ({', '.join(columns)}) from stdin"
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for number, row in enumerate(rows):
                copy.write_row(row)
                if number % 1000 == 0:
                    self._progress.update(task, completed=number)
        self._progress.update(task, completed=total)


RESULT_COLUMNS = (
    "organization_id", "id", "occurred_at", "available_at", "patient_id", "order_id", "order_test_id", "specimen_id",
    "site_id", "test_code", "loinc", "definition_id", "analyser_id", "entry", "entered_by_id", "value_text", "value",
    "comparator", "unit", "reference_low", "reference_high", "critical_low", "critical_high", "age_days", "sex", "flag",
    "instrument_flags", "status", "authorised_at",
)  # fmt: skip


def _identity(row: dict[str, Any]) -> Identity:
    return Identity(
        uhid=row["uhid"], name=row["name"], phone=phone_number(row["phone"]) if row["phone"] else None,
        birth_on=row["birth_on"], birth_precision=BirthPrecision(row["birth_precision"]),
    )  # fmt: skip


def _decimal(value: float | None) -> Decimal | None:
    """By its shortest decimal form: 4.1 stays 4.1."""
    return None if value is None else Decimal(repr(value))
