"""The reviewed files of a catalogue: TOML that is read by people, compared line by line, and always written alike."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lims_api.catalogue.schemas import CatalogueIn, DefinitionIn, PanelIn, Reviewed

PANELS = "panels"
NOTICE = (
    "# This material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief Institute, Inc.",
    "# and the LOINC Committee, available at no cost under the license at http://loinc.org/license. Units are of UCUM.",
)
EXAMPLE = (
    "# EXAMPLE rows. Every interval, limit, price and translation was written for this project and approved by nobody;",
    "# they are not for clinical use. A laboratory enters its own values, and a named person approves them.",
)


def example_catalogue() -> CatalogueIn:
    """The whole catalogue that is shipped: EXAMPLE rows of every discipline, and panels."""
    folder = files("lims_api.catalogue") / "examples"
    texts = [each.read_text("utf-8") for each in sorted(folder.iterdir(), key=lambda file: file.name)]
    parts = [CatalogueIn.model_validate(tomllib.loads(text)) for text in texts]
    return CatalogueIn(
        test=[test for part in parts for test in part.test], panel=[panel for part in parts for panel in part.panel]
    )


def texts_of(catalogue: CatalogueIn) -> dict[str, str]:
    """File name → text: one file a discipline and one of the panels, rows by code."""
    by_discipline: dict[str, list[DefinitionIn]] = {}
    for test in sorted(catalogue.test, key=lambda test: test.code):
        by_discipline.setdefault(test.discipline, []).append(test)
    written = {f"{_slug(name)}.toml": _text(name, "test", tests) for name, tests in sorted(by_discipline.items())}
    panels = sorted(catalogue.panel, key=lambda panel: panel.code)
    return written | ({f"{PANELS}.toml": _text("Panels", "panel", panels)} if panels else {})


def write(catalogue: CatalogueIn, folder: Path) -> list[Path]:
    """Write the files into a folder, over those of the same names; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts_of(catalogue).items():
        (folder / name).write_text(text, "utf-8")
        written.append(folder / name)
    return written


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_") or "other"


def _text(title: str, table: str, rows: Iterable[DefinitionIn | PanelIn]) -> str:
    rows = list(rows)
    head = [f"# {title}", *(EXAMPLE if any(row.is_example for row in rows) else ()), *NOTICE]
    return "\n".join([*head, *(line for row in rows for line in _row(table, row))]) + "\n"


def _row(table: str, row: Reviewed) -> Iterator[str]:
    yield from ("", f"[[{table}]]")
    yield from _lines(row, without={"intervals"})
    if isinstance(row, DefinitionIn):
        if not row.intervals:
            yield "intervals = []"
        for interval in row.intervals:
            yield from ("", f"[[{table}.intervals]]")
            yield from _lines(interval)


def _lines(row: BaseModel, *, without: Iterable[str] = ()) -> Iterator[str]:
    """What is said, its review last; a default that means nothing is left out, who approved never is."""
    always = {"approved_by", "approved_on", "sex", "age_from_days", "age_to_days", "unit"}
    fields = type(row).model_fields
    for name in sorted(fields, key=lambda name: name in Reviewed.model_fields):
        value = getattr(row, name)
        if name not in without and (name in always or value != fields[name].default):
            yield f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    if value is None:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_value(each)}' for key, each in sorted(value.items()))} }}"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
