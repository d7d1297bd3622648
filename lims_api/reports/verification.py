"""The page behind a report's QR code: whether the paper in hand is ours and still stands. No person and no result."""

import re
from datetime import datetime
from html import escape
from typing import NamedTuple

from sqlalchemy import text

from lims_api.core.db import Database, unauthenticated
from lims_api.reports.wording import moment_text

_CODE = re.compile(r"[A-Za-z0-9_-]{16}")
_FIND = text("select * from lims.verify_report(:code)")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1b1b1b}}
h1{{font-size:1.4rem}}.{tone}{{border-left:.4rem solid;padding:.5rem 1rem;font-weight:600}}
.stands{{color:#0b5d3b}}.replaced{{color:#8a1c1c}}dt{{color:#555;font-size:.85rem}}
dd{{margin:0 0 .7rem;word-break:break-all}}
</style></head><body><h1>{title}</h1><p class="{tone}" role="status">{verdict}</p>{facts}</body></html>"""


class Verified(NamedTuple):
    """A released report as a stranger may know it."""

    laboratory: str
    order_number: str
    version: int
    released_at: datetime
    sha256: str
    is_example: bool
    newest_version: int
    is_in_question: bool


def find(database: Database, code: str) -> Verified | None:
    """The report that bears a code."""
    if not _CODE.fullmatch(code):
        return None
    with unauthenticated(database) as session:
        row = session.execute(_FIND, {"code": code}).one_or_none()
    return Verified._make(row) if row else None


def page(report: Verified | None) -> str:
    """What a phone shows, in HTML; of None, that no report bears the code."""
    if report is None:
        verdict = "No report bears this code. Treat the paper as not ours, and ask the laboratory."
        return _PAGE.format(title="Report not found", tone="replaced", verdict=verdict, facts="")
    facts = {
        "Laboratory": report.laboratory,
        "Report": f"{report.order_number}/{report.version}",
        "Released": moment_text(report.released_at),
        "SHA-256 of the file": report.sha256,
    }
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    lines = f"<dl>{lines}</dl><p>Compare these with the paper. This page shows neither the person nor a result.</p>"
    if report.is_example:
        lines += "<p>EXAMPLE report, not for clinical use.</p>"
    tone, verdict = _verdict(report)
    return _PAGE.format(title="Laboratory report", tone=tone, verdict=verdict, facts=lines)


def _verdict(report: Verified) -> tuple[str, str]:
    if report.newest_version != report.version:
        newest = f"{escape(report.order_number)}/{report.newest_version}"
        return "replaced", f"Replaced: the laboratory has released {newest} since. Ask for that one."
    if report.is_in_question:
        return "replaced", "The laboratory is looking at a result of this order again. Ask before you rely on it."
    return "stands", "Released by this laboratory, and its newest version."
