"""What the demonstration leaves to look at: two reports and a Levey-Jennings chart."""

from __future__ import annotations

from pathlib import Path

import psycopg

from lims_api.cli.demo.calling import Staff
from lims_api.cli.demo.laboratories import Lab, Run
from lims_api.cli.installation import Installation

LONGEST_REPORTS = """
select distinct on (o.report_language) o.report_language, r.id
  from lims.reports r
  join lims.orders o on o.organization_id = r.organization_id and o.id = r.order_id
  join lims.order_tests t on t.organization_id = o.organization_id and t.order_id = o.id
 where r.organization_id = %s
 group by o.report_language, r.id
 order by o.report_language, count(*) desc, r.id desc
"""
CHARTED = "GLU"


def reports(installation: Installation, lab: Lab, staff: Staff) -> dict[str, Path]:
    """The report with most tests in each language, fetched as the staff fetch it."""
    with psycopg.connect(installation.cluster.superuser_dsn("lims")) as connection:
        found = connection.execute(LONGEST_REPORTS, (lab.seeded.organization_id,)).fetchall()
    kept: dict[str, Path] = {}
    for language, report_id in found:
        kept[f"report_{language}"] = installation.folder / "demo" / f"report-{language}.pdf"
        kept[f"report_{language}"].write_bytes(staff.fetch(f"/v1/reports/{report_id}/pdf"))
    return kept


def chart(installation: Installation, lab: Lab, lims: Run) -> dict[str, Path]:
    """The controls of one test as a QC officer's chart, from the lake."""
    target = installation.folder / "demo" / "levey-jennings.png"
    organization = str(lab.seeded.organization_id)
    lims("dashboards", "levey-jennings", "--organization", organization, "--test", CHARTED, "--out", str(target))
    return {"levey_jennings": target}
