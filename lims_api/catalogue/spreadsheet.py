"""The cells of an XLSX workbook as text: sheets as rows by column letter. No formulas, no formats."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree  # its expat (2.4.1 and later) refuses entities that grow without end

Row = dict[str, str]
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
LARGEST_PART = 64 * 1024 * 1024


class NotAWorkbook(ValueError):
    """The file cannot be read as a workbook; says why."""


def sheets(file: Path) -> dict[str, list[Row]]:
    """Sheet name → its rows, each column letter → text; empty cells and rows are left out."""
    try:
        with zipfile.ZipFile(file) as parts:
            shared = _shared(parts)
            targets = {each.get("Id"): each.get("Target") for each in _xml(parts, "xl/_rels/workbook.xml.rels")}
            named = [
                (each.get("name"), targets[each.get(_RELATION)]) for each in _tags(parts, "xl/workbook.xml", "sheet")
            ]
            return {str(name): _rows(parts, f"xl/{str(target).removeprefix('/xl/')}", shared) for name, target in named}
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, IndexError, ValueError) as reason:
        raise NotAWorkbook(str(reason)) from reason


def table(rows: list[Row]) -> list[Row]:
    """Rows by the names of the first row, in lower case."""
    if not rows:
        return []
    names = {column: name.strip().casefold() for column, name in rows[0].items()}
    return [{names[column]: text for column, text in row.items() if column in names} for row in rows[1:]]


def _xml(parts: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if parts.getinfo(name).file_size > LARGEST_PART:
        raise NotAWorkbook(f"{name} is larger than {LARGEST_PART} bytes")
    return ElementTree.fromstring(parts.read(name))  # noqa: S314  bounded above; entities are refused by expat


def _tags(parts: zipfile.ZipFile, name: str, tag: str) -> list[ElementTree.Element]:
    return list(_xml(parts, name).iter(_MAIN + tag))


def _shared(parts: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in parts.namelist():
        return []
    return [_text(item) for item in _tags(parts, "xl/sharedStrings.xml", "si")]


def _text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter(_MAIN + "t"))


def _rows(parts: zipfile.ZipFile, name: str, shared: list[str]) -> list[Row]:
    found = [
        {re.sub(r"\d", "", cell.get("r", "")): text for cell in row.iter(_MAIN + "c") if (text := _cell(cell, shared))}
        for row in _tags(parts, name, "row")
    ]
    return [row for row in found if row]


def _cell(cell: ElementTree.Element, shared: list[str]) -> str:
    value = cell.find(_MAIN + "v")
    if cell.get("t") == "inlineStr":
        return _text(cell)
    if value is None or value.text is None:
        return ""
    return shared[int(value.text)] if cell.get("t") == "s" else value.text
