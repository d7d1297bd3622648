"""`lims dashboards levey-jennings`: a picture of what was asked for, or a sentence that says what to do."""

from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from dashboards.cli import app
from dashboards.levey_jennings.command import measurements
from tests.unit.dashboards.laboratories import LAST_RELEASE, OURS, THEIRS, LakeOnDisk, control

pytestmark = pytest.mark.req("3.6.3")


def run(out: Path, *options: str, organization: str = OURS, test: str = "GLU") -> int:
    return app(["levey-jennings", "--organization", organization, "--test", test, "--out", str(out), *options])


@pytest.mark.usefixtures("lake", "signer")
@pytest.mark.parametrize("organization", [OURS, "Our laboratory"])
def test_a_picture_is_written(organization: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "chart.png"

    assert run(out, organization=organization) == 0
    assert Image.open(out).size == (1753, 1240)
    assert capsys.readouterr().out == f"{out}: 20 control results\n"


@pytest.mark.usefixtures("lake", "signer")
@pytest.mark.parametrize(
    ("options", "organization", "test", "said"),
    [
        ((), OURS, "TSH", "Give --test one of: GLU."),
        ((), THEIRS, "GLU", "Give --test one of: TSH."),
        (("--lot", "X9"), OURS, "GLU", "Give --lot one of: L100."),
        (("--analyser", "X-9"), OURS, "GLU", "Give --analyser one of: AU-1."),
        (("--days", "0"), OURS, "GLU", "--days must be 1 or more."),
        ((), "Nobody's laboratory", "GLU", "0 organizations have a laboratory named"),
        ((), "01990000-0000-7000-8000-000000000003", "GLU", "there are no control results here"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_written(
    options: tuple[str, ...],
    organization: str,
    test: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "chart.png"

    assert run(out, *options, organization=organization, test=test) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.usefixtures("signer")
def test_among_several_analysers_one_must_be_named(
    empty_lake: LakeOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty_lake.publish("fct_control_results", [control(0), control(1, analyser_code="AU-2")])

    assert run(tmp_path / "chart.png") == 1
    assert "Give --analyser one of: AU-1, AU-2." in capsys.readouterr().err
    assert run(tmp_path / "chart.png", "--analyser", "AU-2") == 0


@pytest.mark.usefixtures("signer")
def test_days_count_back_from_the_newest_control(empty_lake: LakeOnDisk) -> None:
    empty_lake.publish("fct_control_results", [control(n) for n in range(5, 45)])

    assert measurements(OURS, "GLU", days=30).height == 30
    assert measurements(OURS, "GLU", days=1)["day"].to_list() == [LAST_RELEASE.date() - timedelta(days=5)]


@pytest.mark.usefixtures("signer")
def test_two_control_materials_do_not_come_into_one_chart(
    empty_lake: LakeOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [control(0), control(1), control(50, material="Other serum", lot_number="Z1", occurred_at=LAST_RELEASE)]
    empty_lake.publish("fct_control_results", rows)

    assert run(tmp_path / "chart.png") == 1
    assert "Give --lot one of: L100, Z1." in capsys.readouterr().err
    assert measurements(OURS, "GLU", lot="L100").height == 2


@pytest.mark.usefixtures("signer")
def test_a_name_that_two_organizations_have_is_refused(
    empty_lake: LakeOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty_lake.publish("fct_control_results", [control(0), control(1, organization_id=THEIRS)])

    assert run(tmp_path / "chart.png", organization="Our laboratory") == 1
    assert "2 organizations have a laboratory named 'Our laboratory'. Give the organization's id." in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("empty_lake")
def test_a_missing_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LIMS_LAKE_FOLDER")

    assert run(tmp_path / "chart.png") == 1
    assert "LIMS_LAKE_FOLDER is not set." in capsys.readouterr().err


@pytest.mark.usefixtures("signer")
def test_controls_without_a_target_make_no_chart(
    empty_lake: LakeOnDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty_lake.publish("fct_control_results", [control(n, mean=None, sd=None, z=None) for n in range(2)])

    assert run(tmp_path / "chart.png") == 1
    assert "Set a target first." in capsys.readouterr().err
