"""`lims letterhead`, as an operator types it: what it sets is on the next report, and a mistake changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lims_api.core.clock import utc_now
from lims_api.core.db import transaction
from lims_api.core.i18n import Language
from lims_api.orders import service as orders
from lims_api.reports.content import content_of
from lims_api.reports.gathering import gather
from lims_api.reports.layout import ReportContent
from tests.conftest import Environment
from tests.integration.laboratory import Laboratory, open_laboratory
from tests.integration.reports.test_reports import system

Type = Callable[..., "subprocess.CompletedProcess[str]"]
CERTIFICATE = "ISO 15189:2022, certificate MC-0001 (EXAMPLE)"
YEARS = ("--from", "2026-01-01", "--to", "2099-12-31")


@pytest.fixture(scope="module")
def lab(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A laboratory of its own: the commands change what every report of it bears."""
    yield from open_laboratory(environment, tmp_path_factory.mktemp("letterhead"), code="letterhead")


@pytest.fixture
def type_in(lab: Laboratory, tmp_path: Path) -> Type:
    """Run `lims letterhead …` for the laboratory's organization."""
    master = tmp_path / "master.key"
    master.write_text(lab.environment.master.hex())
    master.chmod(0o600)
    own = {
        "LIMS_DATABASE_URL": lab.environment.url("lims_app"),
        "LIMS_SYSTEM_DATABASE_URL": lab.environment.url("lims_system"),
        "LIMS_KEYS_URL": lab.environment.url("lims_keys"),
        "LIMS_MASTER_KEY_FILE": str(master),
    }

    def run(*words: str, organization: str = lab.code) -> subprocess.CompletedProcess[str]:
        program = "import sys; from lims_api.cli.letterhead import letterhead; sys.exit(letterhead(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *words, "--organization", organization]
        return subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=False)

    return run


def next_report(lab: Laboratory) -> ReportContent:
    measured = lab.measure("GLU", "K")
    with transaction(system(lab)) as session:
        found = gather(session, orders.get(session, measured.drawn.order_id))
        return content_of(found, version=1, issued_at=utc_now())


@pytest.mark.req("3.5.8", "5.1.1", "12.10")
def test_what_is_set_is_on_the_next_report(lab: Laboratory, type_in: Type) -> None:
    done = [
        type_in("site", "--site", "MAIN", "--address", "7 New Road, Pune", "--contact", "020 2222"),
        type_in("accredit", "--site", "MAIN", "--certificate", CERTIFICATE, "--tests", "GLU", "CREA", *YEARS),
        type_in("language", "hi"),
    ]

    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3
    report = next_report(lab)
    assert (report.laboratory.address, report.laboratory.contact) == ("7 New Road, Pune", "020 2222")
    assert (report.laboratory.accreditation, report.language) == (CERTIFICATE, Language.HINDI)


@pytest.mark.req("12.10")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("site", "--site", "SOUTH", "--address", "x", "--contact", "y"), "no site SOUTH"),
        (
            ("accredit", "--site", "MAIN", "--certificate", "C", "--tests", "GLUU", *YEARS),
            "GLUU is not in the catalogue",
        ),
        (
            (
                "accredit",
                "--site",
                "MAIN",
                "--certificate",
                "C",
                "--tests",
                "GLU",
                "--from",
                "2026-02-01",
                "--to",
                "2026-01-01",
            ),
            "ends before it begins",
        ),
        (("language", "ta"), "invalid Language value"),
    ],
    ids=["no such site", "no such test", "ends first", "no such language"],
)
def test_a_mistake_is_said_and_changes_nothing(
    lab: Laboratory, type_in: Type, words: tuple[str, ...], said: str
) -> None:
    before = lab.rows("select count(*) from lims.ledger")

    refused = type_in(*words)

    assert refused.returncode == 2
    assert said in refused.stderr
    assert lab.rows("select count(*) from lims.ledger") == before


def test_a_certificate_is_entered_once(lab: Laboratory, type_in: Type) -> None:
    words = ("accredit", "--site", "MAIN", "--certificate", "MC-0002 (EXAMPLE)", "--tests", "GLU", *YEARS)

    first, again = type_in(*words), type_in(*words)

    assert (first.returncode, again.returncode) == (0, 2)
    assert "already entered" in again.stderr
    assert lab.rows("select count(*) from lims.accreditations where certificate = 'MC-0002 (EXAMPLE)'") == [(1,)]


def test_another_organization_has_to_exist(type_in: Type) -> None:
    refused = type_in("language", "en", organization="nowhere")

    assert (refused.returncode, "no organization nowhere" in refused.stderr) == (2, True)
