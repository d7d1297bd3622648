"""Catalogue files of many makes as lists that can be checked: our TOML, tables in CSV, TSV and XLSX, units in JSON."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lims_api.catalogue import spreadsheet
from lims_api.catalogue.listing import NO_END, Entry, Finding, Limits, Listing, PanelEntry, Severity, listing_of
from lims_api.catalogue.schemas import CatalogueIn

Row = Mapping[str, str]
DAYS_A_MONTH = 30.4375
HEADERS = {
    "name": ("name", "test", "title"), "unit": ("unit",), "low": ("min", "low_normal"), "high": ("max", "high_normal"),
    "reportable_low": ("low_valid", "lowerdetectionlimit"), "reportable_high": ("high_valid", "upperdetectionlimit"),
    "sex": ("sex", "gender"), "from": ("min_age_months",), "to": ("max_age_months",), "prose": ("ideal",),
    "values": ("choices",), "kind": ("kind", "type (float/string/choice)"), "loinc": ("loinc",),
    "specimen": ("specimen", "description"),
}  # fmt: skip
"""What a table's columns are called, by what they mean."""
SAYS_A_TEST = ("unit", "low", "high", "values", "prose")
SEXES = {"": "any", "m": "male", "f": "female", "male": "male", "female": "female", "any": "any"}
KINDS = {"float": True, "numeric": True, "choice": False, "string": False, "coded": False, "text": False}
SERVICES, SPECIFICATIONS = "Analysis Services", "Analysis Specifications"
PROFILES, MEMBERS, OPTIONS = "Analysis Profiles", "Analysis Profile Services", "AnalysisService ResultOptions"


def read(file: Path) -> Listing:
    """The list that a file holds, by the file's ending; a file that cannot be read is a finding, never an exception."""
    reader = {".toml": _toml, ".csv": _csv, ".tsv": _tsv, ".json": _json, ".xlsx": _xlsx}.get(file.suffix.casefold())
    if reader is None:
        return _unreadable(file, "its ending is none of .toml, .csv, .tsv, .json, .xlsx", "Give it its own ending.")
    try:
        return reader(file)
    except OSError as reason:
        return _unreadable(file, reason.strerror or "it cannot be opened", "Name a file that exists and may be read.")
    except UnicodeDecodeError as reason:
        return _unreadable(file, f"byte {reason.start} is not UTF-8", "Save the file as UTF-8.")
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, csv.Error, spreadsheet.NotAWorkbook) as reason:
        return _unreadable(file, str(reason), "Correct the file's form at that place.")


def catalogue_of(file: Path) -> CatalogueIn:
    """Our own reviewed file; `ValidationError`, `TOMLDecodeError` or `OSError` when it is none."""
    return CatalogueIn.model_validate(tomllib.loads(file.read_text("utf-8")))


def _unreadable(file: Path, wrong: str, remedy: str) -> Listing:
    return Listing(file=file.name, findings=[Finding(file.name, "", Severity.ERROR, "unreadable", wrong, remedy)])


# our own


def _toml(file: Path) -> Listing:
    try:
        return listing_of(file.name, catalogue_of(file))
    except ValidationError as reason:
        content = tomllib.loads(file.read_text("utf-8"))
        return Listing(file=file.name, findings=[_malformed(file, each, content) for each in reason.errors()])


def _malformed(file: Path, error: Any, content: dict[str, Any]) -> Finding:
    place = [str(part) for part in error["loc"]]
    row = place[0] if place else ""
    if len(error["loc"]) > 1 and isinstance(error["loc"][1], int):
        stated = content[error["loc"][0]][error["loc"][1]]
        row = str(stated.get("code") or f"{row} {error['loc'][1] + 1}") if isinstance(stated, dict) else row
        place = place[2:]
    wrong = f"{'.'.join(place)}: {error['msg']}" if place else str(error["msg"])
    return Finding(file.name, row, Severity.ERROR, "malformed-row", wrong, "See the reference of catalogue files.")


# tables


def _csv(file: Path) -> Listing:
    return _table(file, ",")


def _tsv(file: Path) -> Listing:
    return _table(file, "\t")


def _table(file: Path, delimiter: str) -> Listing:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = [
            {(name or "").strip().casefold(): text or "" for name, text in row.items() if isinstance(text, str)}
            for row in csv.DictReader(lines, delimiter=delimiter)
        ]
    known = _columns(rows[0]) if rows else {}
    if "name" not in known or not set(SAYS_A_TEST) & set(known):
        return _unreadable(file, "no column names tests, or none says a unit or limits", "Name the columns in line 1.")
    return Listing(file=file.name, entries=list(_entries(rows, known)))


def _columns(row: Row) -> dict[str, str]:
    found = {meaning: next((name for name in names if name in row), "") for meaning, names in HEADERS.items()}
    return {meaning: name for meaning, name in found.items() if name}


def _entries(rows: Iterable[Row], columns: Mapping[str, str]) -> Iterator[Entry]:
    """One of each row, or of all rows of a test where they differ by sex and age."""
    many = bool({"sex", "from"} & set(columns))
    grouped: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for line, row in enumerate(rows):
        cells = {meaning: row.get(name, "") for meaning, name in columns.items()}
        key = (cells["name"], cells.get("specimen", "")) if many else (str(line),)
        grouped.setdefault(key, []).append(cells)
    for same in grouped.values():
        yield _entry(same, has_loinc="loinc" in columns)


def _entry(rows: list[dict[str, str]], *, has_loinc: bool) -> Entry:
    first = rows[0]
    limits = [_limits(row) for row in rows]
    stated = [each for each in limits if each.low or each.high]
    kind = KINDS.get(first.get("kind", "").strip().casefold())
    if kind is None and (first.get("unit", "").strip() or stated):
        kind = True
    return Entry(
        name=first["name"], unit=first.get("unit", "").strip(), is_numeric=kind,
        loinc=first["loinc"].strip() if has_loinc else None, specimen=_specimen(first),
        values=tuple(value.strip() for value in first.get("values", "").split(",") if value.strip()),
        limits=tuple(stated), reportable_low=_finite(first.get("reportable_low", "")),
        reportable_high=_finite(first.get("reportable_high", "")), prose=first.get("prose", "").strip(),
    )  # fmt: skip


def _specimen(row: dict[str, str]) -> str:
    """The description's last bracket, where it repeats the name: 'Glucose(Plasma)'."""
    found = re.search(r"\(([^()]*)\)\s*$", row.get("specimen", "").removeprefix(row["name"]))
    return found[1] if found else ""


def _limits(row: dict[str, str]) -> Limits:
    return Limits(
        sex=SEXES.get(row.get("sex", "").strip().casefold(), row.get("sex", "")),
        age_from_days=_days(row.get("from", "")) or 0, age_to_days=_days(row.get("to", "")) or NO_END,
        low=_finite(row.get("low", "")), high=_finite(row.get("high", "")),
    )  # fmt: skip


def _days(months: str) -> int | None:
    try:
        return round(float(months) * DAYS_A_MONTH)
    except (ValueError, OverflowError):
        return None


def _finite(text: str) -> str:
    return "" if text.strip().casefold() in ("inf", "-inf", "infinity", "-infinity") else text.strip()


# conversions


def _json(file: Path) -> Listing:
    content = json.loads(file.read_text("utf-8"))
    rows = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "traditional_units" in row for row in rows):
        return _unreadable(file, "it is no list of analytes with units", "See the reference of catalogue files.")
    return Listing(file=file.name, entries=[_analyte(row) for row in rows])


def _analyte(row: Mapping[str, Any]) -> Entry:
    specimen = row.get("specimen", "")
    return Entry(
        name=str(row.get("name", "")), loinc=str(row.get("loinc_num", "")), unit=str(row["traditional_units"]),
        other_unit=str(row.get("si_units", "")), conversion=str(row.get("conversion_factor", "")), has_limits=False,
        specimen=", ".join(specimen) if isinstance(specimen, list) else str(specimen),
    )  # fmt: skip


# SENAITE's set-up workbook


def _xlsx(file: Path) -> Listing:
    book = {name: spreadsheet.table(rows) for name, rows in spreadsheet.sheets(file).items()}
    if SERVICES not in book:
        return _unreadable(file, f"it has no sheet '{SERVICES}'", "Save the tests' sheet as CSV with named columns.")
    # the second and third rows repeat the columns' names for people
    sheets = {name: rows[2:] for name, rows in book.items()}
    limits = _grouped(sheets.get(SPECIFICATIONS, []), "service")
    options = _grouped(sheets.get(OPTIONS, []), "service_title")
    entries = [
        _service(row, limits.get(row["title"], []), options.get(row["title"], []))
        for row in sheets[SERVICES] if row.get("title")
    ]  # fmt: skip
    members = _grouped(sheets.get(MEMBERS, []), "profile")
    panels = [
        PanelEntry(name=row["title"], tests=tuple(each.get("service", "") for each in members.get(row["title"], [])))
        for row in sheets.get(PROFILES, []) if row.get("title")
    ]  # fmt: skip
    return Listing(file=file.name, entries=entries, panels=panels)


def _service(row: Row, limits: Iterable[Row], options: Iterable[Row]) -> Entry:
    values = tuple(each.get("resulttext", "") for each in options)
    return Entry(
        name=row["title"], unit=row.get("unit", ""), is_numeric=not values, values=values,
        loinc=None, reportable_low=row.get("lowerdetectionlimit", ""),
        reportable_high=row.get("upperdetectionlimit", ""),
        limits=tuple(
            Limits(group=f"{each.get('client_title', '')} {each.get('title', '')}".strip(), low=each.get("min", ""),
                   high=each.get("max", ""))
            for each in limits
        ),
    )  # fmt: skip


def _grouped(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.get(column, ""), []).append(row)
    return found
