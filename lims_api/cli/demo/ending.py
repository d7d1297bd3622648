"""What a person sees when the demonstration's day is over: a table, a chart, two reports, who may sign in where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from lims_api.cli.demo.laboratories import Lab
from lims_api.cli.seeding import STAFF

COLUMNS = ("organization", "analyser", "recorded", "released automatically", "held")
SEES = {
    "reception": "registers patients, places orders, collects, prints reports",
    "phlebotomist": "collects at collection centre 1, and sees that centre alone",
    "technician": "receives specimens, enters and verifies results, calls, controls",
    "pathologist": "authorises, corrects, signs for automatic release, sees dashboards",
    "qc_officer": "controls, Levey-Jennings, the red switch, dashboards",
    "manager": "dashboards, catalogue, controls",
}


def summary_table(summary: dict[str, Any]) -> Table:
    """The day by organization and analyser; the last line is the whole day."""
    table = Table(title="The day")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("organization", "analyser") else "right")
    for code, one in summary["organizations"].items():
        for analyser, counts in one["analysers"].items():
            numbers = (counts["results_recorded"], counts["auto_released"], counts["held"])
            table.add_row(code, analyser, *(f"{number:,}" for number in numbers))
    table.add_section()
    numbers = (summary["results_recorded"], summary["auto_released"], summary["held"])
    table.add_row("all", "", *(f"{number:,}" for number in numbers))
    return table


def in_words(summary: dict[str, Any]) -> str:
    """What was sent is recorded, parked, or lost; and how long it took."""
    return (
        f"[bold]{summary['results_recorded']:,}[/bold] results recorded of {summary['results_sent']:,} sent"
        f" ({summary['results_parked']:,} parked, {summary['results_lost']:,} lost,"
        f" {summary['results_duplicated']:,} twice); the pathologist authorised {summary['authorised_by_hand']:,};"
        f" {summary['reports']:,} reports; {summary['ledger_rows']:,} rows of"
        f" ledger, {summary['bronze_rows']:,} in the lake; {summary['seconds']['total']} s in all."
    )


def logins(labs: Sequence[Lab], folder: Path) -> Table:
    """Who may sign in, and where the password lies; never the password itself."""
    table = Table(title="Sign in")
    for name in ("user", "may", "password in"):
        table.add_column(name, overflow="fold")
    for username, *_ in STAFF:
        table.add_row(username, SEES[username], f"{folder}/keys/<organization>/{username}.password")
    table.caption = f"organizations: {', '.join(lab.code for lab in labs)}"
    return table
