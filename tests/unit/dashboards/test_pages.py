"""The door of every page: figures of the token's organization, and without a good token nothing at all."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import dashboards.cli
from dashboards.access import REMEMBERED
from dashboards.cli import APP, app, options
from dashboards.parts import is_stale
from tests.unit.dashboards.laboratories import (
    LAST_RELEASE,
    NOBODYS,
    THEIRS,
    LakeOnDisk,
    Signer,
    our_controls,
    our_results,
    our_turnaround,
)  # fmt: skip
from tests.unit.dashboards.visits import PAGES, everything_sent, figures, is_only_the_invitation, visit

COUNTED = {"turnaround": "Tests released", "verification": "Results", "levey_jennings": "Control results"}
OURS_ALONE = ("Our laboratory", "GLU", "Glucose", "AU-1", "L100", "Example Serum", "Chemistry")
THEIRS_ALONE = ("Their laboratory", "TSH", "Thyrotropin", "X-9", "X9", "Their serum", "Immunoassay")


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.req("3.10.1")
def test_each_page_opens_with_a_good_token_and_says_until_when_it_knows(name: str, signer: Signer) -> None:
    page = visit(signer.token(), name)

    assert not page.exception
    assert COUNTED[name] in figures(page)
    assert page.caption[0].value.startswith(f"Captured until {LAST_RELEASE + timedelta(hours=5.5):%d-%b-%Y} 17:30 IST")
    assert "(0 min ago)" in page.caption[0].value
    assert not page.warning


@pytest.mark.usefixtures("lake")
def test_the_token_is_taken_out_of_the_address_and_the_next_run_needs_none(signer: Signer) -> None:
    page = visit(signer.token())
    assert "t" not in page.query_params

    page.run()

    assert figures(page)["Tests released"] == "7"


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    "changes", [{"exp": 1}, {"aud": "reports"}, {"iss": "other"}, {"organization_id": None}], ids=str
)
@pytest.mark.req("3.10.1")
def test_a_token_with_a_wrong_claim_gets_the_invitation_and_nothing_else(
    signer: Signer, changes: dict[str, Any]
) -> None:
    assert is_only_the_invitation(visit(signer.token(**changes)))


@pytest.mark.usefixtures("lake", "signer")
@pytest.mark.parametrize("token", [None, "", "rubbish", "a.b.c"])
def test_no_token_or_rubbish_gets_the_invitation_and_nothing_else(token: str | None) -> None:
    assert is_only_the_invitation(visit(token))


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("missing", ["LIMS_DASHBOARD_PUBLIC_KEY_FILE", "LIMS_LAKE_CATALOG_URL"])
def test_a_missing_setting_closes_the_door(signer: Signer, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv(missing)

    assert is_only_the_invitation(visit(signer.token()))


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("name", PAGES)
def test_each_page_closes_when_the_access_expires(name: str, signer: Signer) -> None:
    page = visit(signer.token(), name)
    assert figures(page)

    page.session_state[REMEMBERED] = replace(page.session_state[REMEMBERED], expires_at=datetime.now(UTC))
    page.run()

    assert is_only_the_invitation(page)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("name", PAGES)
def test_a_bad_token_on_a_page_that_was_open_closes_it(name: str, signer: Signer) -> None:
    page = visit(signer.token(), name)

    page.query_params["t"] = signer.token(aud="reports")
    page.run()

    assert is_only_the_invitation(page)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.req("3.13.1")
def test_on_no_page_is_anything_of_another_organization(name: str, signer: Signer, downloads: dict[str, bytes]) -> None:
    ours = everything_sent(visit(signer.token(), name))
    our_files = b"".join(downloads.values()).decode()
    downloads.clear()
    theirs = everything_sent(visit(signer.token(organization_id=THEIRS), name))
    their_files = b"".join(downloads.values()).decode()

    assert [word for word in THEIRS_ALONE if word in ours or word in our_files] == []
    assert [word for word in OURS_ALONE if word in theirs or word in their_files] == []
    assert "GLU" in ours
    assert "GLU" in our_files
    assert "TSH" in theirs
    assert "TSH" in their_files


@pytest.mark.usefixtures("lake")
def test_a_second_token_in_the_same_session_changes_the_organization(signer: Signer) -> None:
    page = visit(signer.token())
    page.query_params["t"] = signer.token(organization_id=THEIRS)
    page.run()

    assert figures(page)["Tests released"] == "5"
    assert "GLU" not in everything_sent(page)


ASKED_FOR = [
    ("levey_jennings", "control lot", "X9"), ("levey_jennings", "control test", "TSH · Thyrotropin"),
    ("levey_jennings", "control analyser_code", "X-9"), ("levey_jennings", "control material", "Their serum"),
    ("levey_jennings", "control levels", [3]), ("turnaround", "turnaround test", ["TSH · Thyrotropin"]),
    ("turnaround", "turnaround site_name", ["Their laboratory"]),
    ("verification", "verification analyser_code", ["X-9"]),
]  # fmt: skip


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(("name", "key", "value"), ASKED_FOR, ids=str)
@pytest.mark.req("3.13.1")
def test_what_belongs_to_another_organization_cannot_be_asked_for(
    name: str, key: str, value: Any, signer: Signer
) -> None:
    undisturbed = visit(signer.token(), name)
    page = visit(signer.token(), "verification" if name == "turnaround" else "turnaround")

    page.session_state[key] = value
    page.switch_page(f"app_pages/{name}.py").run()

    assert not page.exception
    assert [word for word in THEIRS_ALONE if word in everything_sent(page)] == []
    assert figures(page) == figures(undisturbed)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("name", PAGES)
def test_an_organization_without_rows_is_told_what_to_do(name: str, signer: Signer) -> None:
    page = visit(signer.token(organization_id=NOBODYS), name)

    assert not page.exception
    assert "after the next hourly run of the pipelines" in page.info[0].value
    assert figures(page) == {}
    assert not page.get("vega_lite_chart")


@pytest.mark.usefixtures("empty_lake")
@pytest.mark.parametrize("name", PAGES)
def test_before_the_first_publication_each_page_is_empty_and_whole(name: str, signer: Signer) -> None:
    page = visit(signer.token(), name)

    assert not page.exception
    assert "lims pipelines run" in page.info[0].value
    assert figures(page) == {}


@pytest.mark.usefixtures("lake")
def test_an_unreachable_lake_is_an_apology_without_details(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMS_LAKE_CATALOG_URL", "sqlite:////nonexistent/folder/catalog.db")

    page = visit(signer.token())

    assert not page.exception
    assert [error.value for error in page.error] == ["The lake cannot be read now. Try again in a few minutes."]


@pytest.mark.parametrize("name", PAGES)
def test_a_lake_of_an_earlier_version_is_said_so(name: str, empty_lake: LakeOnDisk, signer: Signer) -> None:
    empty_lake.publish("fct_turnaround", our_turnaround(), without="minutes_target")
    empty_lake.publish("fct_results", our_results(), without="rules_version")
    empty_lake.publish("fct_control_results", our_controls(), without="unit")

    page = visit(signer.token(), name)

    assert not page.exception
    assert "by an earlier version" in page.error[0].value


def test_figures_are_old_when_several_hourly_runs_did_not_publish() -> None:
    published = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)

    assert not is_stale(published, published + timedelta(hours=3))
    assert is_stale(published, published + timedelta(hours=3, seconds=1))


def test_the_server_listens_on_loopback_and_reports_to_nobody() -> None:
    chosen = options(28501)

    assert chosen["server.address"] == "127.0.0.1"
    assert chosen["server.headless"] is True
    assert chosen["browser.gatherUsageStats"] is False
    assert chosen["client.showErrorDetails"] == "none"


def test_the_command_serves_on_the_port_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[int] = []
    monkeypatch.setattr(dashboards.cli, "serve", served.append)

    assert app(["--port", "28777"]) == 0
    assert app([]) == 0
    assert served == [28777, 28501]


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(SystemExit):
        app(["--port", port])


def test_no_module_here_hides_one_of_pythons_own() -> None:
    assert not {file.stem for file in Path(APP).parent.glob("*.py")} & set(sys.stdlib_module_names)
