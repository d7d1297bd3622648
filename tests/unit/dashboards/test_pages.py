"""The page as a visitor gets it: refused without a token, and with one, the figures of one laboratory."""

import json
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
from streamlit.testing.v1 import AppTest

import dashboards.cli
from dashboards.access import REMEMBERED
from dashboards.cli import APP, app, options

THEIRS = "01990000-0000-7000-8000-000000000002"
NOBODYS = "01990000-0000-7000-8000-000000000003"
INVITATION = "Open the dashboard from the application: sign in there and choose **Dashboards**."


class Signs(Protocol):
    """What `signer` of conftest offers."""

    def token(self, **changes: Any) -> str: ...


def visit(token: str | None) -> AppTest:
    """The page after its first run, opened with a token in the address or without."""
    page = AppTest.from_file(str(APP), default_timeout=60)
    if token is not None:
        page.query_params["t"] = token
    return page.run()


def figures(page: AppTest) -> dict[str, str]:
    """The labelled figures of the page."""
    return {metric.label: metric.value for metric in page.metric}


def is_only_the_invitation(page: AppTest) -> bool:
    """Whether the page says where to go and shows nothing else at all."""
    others = [*page.metric, *page.title, *page.tabs, *page.dataframe, *page.selectbox, *page.error, *page.exception]
    return [text.value for text in page.markdown] == [INVITATION] and not others and not page.get("vega_lite_chart")


@pytest.mark.usefixtures("lake")
@pytest.mark.req("3.10.1")
def test_the_page_shows_the_figures_of_the_tokens_laboratory(signer: Signs) -> None:
    page = visit(signer.token())

    assert not page.exception
    assert figures(page) == {"Tests released": "10", "Median": "55 min", "90th percentile": "91 min", "Late": "20.0 %",
                             "Released automatically": "70.0 %", "Waiting now": "1", "Control results": "20",
                             "Warnings": "1", "Rejected": "1"}  # fmt: skip
    assert [tab.label for tab in page.tabs] == ["Turnaround", "Levey\u2013Jennings"]
    assert [heading.value for heading in page.subheader][-3:] == ["Level 1", "Level 2", "Observed against target"]


@pytest.mark.usefixtures("lake")
def test_the_token_is_taken_out_of_the_address_and_the_next_run_needs_none(signer: Signs) -> None:
    page = visit(signer.token())
    assert "t" not in page.query_params

    page.run()

    assert figures(page)["Tests released"] == "10"


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    "changes", [{"exp": 1}, {"aud": "reports"}, {"iss": "other"}, {"organization_id": None}], ids=str
)
def test_a_token_with_a_wrong_claim_gets_the_invitation_and_nothing_else(
    signer: Signs, changes: dict[str, Any]
) -> None:
    assert is_only_the_invitation(visit(signer.token(**changes)))


@pytest.mark.usefixtures("lake", "signer")
@pytest.mark.parametrize("token", [None, "", "rubbish", "a.b.c"])
def test_no_token_or_rubbish_gets_the_invitation_and_nothing_else(token: str | None) -> None:
    assert is_only_the_invitation(visit(token))


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("missing", ["LIMS_DASHBOARD_PUBLIC_KEY_FILE", "LIMS_LAKE_CATALOG_URL"])
def test_a_missing_setting_closes_the_door(signer: Signs, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv(missing)

    assert is_only_the_invitation(visit(signer.token()))


@pytest.mark.usefixtures("lake")
def test_the_page_closes_when_the_access_expires(signer: Signs) -> None:
    page = visit(signer.token())
    assert figures(page)["Tests released"] == "10"

    page.session_state[REMEMBERED] = replace(page.session_state[REMEMBERED], expires_at=datetime.now(UTC))
    page.run()

    assert is_only_the_invitation(page)


@pytest.mark.usefixtures("lake")
def test_another_laboratorys_rows_are_never_shown(signer: Signs) -> None:
    ours, theirs = visit(signer.token()), visit(signer.token(organization_id=THEIRS))

    assert figures(theirs)["Tests released"] == "5"
    assert figures(theirs)["Median"] == "83.3 h"
    assert theirs.selectbox(key="Test").options == ["TSH"]
    assert ours.selectbox(key="Test").options == ["GLU"]
    assert len(ours.get("vega_lite_chart")) == 5
    assert ("GLU" in everything_sent(ours), "TSH" in everything_sent(ours)) == (True, False)
    assert ("TSH" in charts_sent(theirs), "GLU" in everything_sent(theirs)) == (True, False)


def charts_sent(page: AppTest) -> str:
    """The charts of the page with their data, as text."""
    return " ".join(str(chart.proto) for chart in page.get("vega_lite_chart"))


def everything_sent(page: AppTest) -> str:
    """All that the server would send to the browser for this page, charts and tables included, as text."""
    frames = [frame.value.to_csv() for frame in page.dataframe]
    widgets = [str(widget.options) for widget in (*page.selectbox, *page.multiselect)]
    return json.dumps([frames, charts_sent(page), widgets, figures(page)])


@pytest.mark.usefixtures("lake")
def test_a_second_token_in_the_same_session_changes_the_laboratory(signer: Signs) -> None:
    page = visit(signer.token())
    page.query_params["t"] = signer.token(organization_id=THEIRS)
    page.run()

    assert figures(page)["Tests released"] == "5"


@pytest.mark.usefixtures("lake")
def test_a_laboratory_without_rows_gets_two_empty_states(signer: Signs) -> None:
    page = visit(signer.token(organization_id=NOBODYS))

    assert not page.exception
    assert [message.value.split(" are")[0] for message in page.info] == ["No released tests", "No control results"]
    assert figures(page) == {}


@pytest.mark.usefixtures("empty_lake")
def test_before_the_first_publication_the_page_is_empty_and_whole(signer: Signs) -> None:
    page = visit(signer.token())

    assert not page.exception
    assert len(page.info) == 2


@pytest.mark.usefixtures("lake")
def test_an_unreachable_lake_is_an_apology_without_details(signer: Signs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMS_LAKE_CATALOG_URL", "sqlite:////nonexistent/folder/catalog.db")

    page = visit(signer.token())

    assert not page.exception
    assert [error.value for error in page.error] == ["The lake cannot be read now. Try again in a few minutes."]


@pytest.mark.usefixtures("lake")
def test_filters_narrow_the_figures(signer: Signs) -> None:
    page = visit(signer.token())

    page.selectbox(key="phase").select("Receipt to result").run()
    assert figures(page)["Median"] == "2 min"

    page.date_input(key="period Released").set_value((date(2026, 11, 19), date(2026, 11, 20))).run()
    assert figures(page)["Tests released"] == "2"

    page.multiselect(key="levels").select(2).run()
    assert (figures(page)["Control results"], figures(page)["Warnings"], figures(page)["Rejected"]) == ("10", "1", "0")


@pytest.mark.usefixtures("lake")
def test_half_a_period_is_one_day(signer: Signs) -> None:
    page = visit(signer.token())

    page.date_input(key="period Released").set_value((date(2026, 11, 20),)).run()

    assert not page.exception
    assert figures(page)["Tests released"] == "1"


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
