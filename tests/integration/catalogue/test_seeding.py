"""A new example organization begins with the whole catalogue, approved by its example pathologist."""

from __future__ import annotations

from pathlib import Path

import pytest

from lims_api.catalogue import service
from lims_api.catalogue.files import example_catalogue
from lims_api.cli import seeding
from lims_api.core.db import SystemCaller, transaction
from tests.conftest import Environment


@pytest.mark.req("0.6")
def test_it_offers_every_test_and_panel_and_measures_what_its_analyser_does(
    environment: Environment, tmp_path: Path
) -> None:
    whole = example_catalogue()
    units = {test.code: test.unit for test in seeding.example_tests()}
    wanted = seeding.NewOrganization(
        code="whole", name="Whole", tests=whole.test, panels=whole.panel, controls=[],
        analysers=[seeding.NewAnalyser("BS", "Chemistry analyser", "mindray_bs", "whole-1", units)],
    )  # fmt: skip

    seeded = seeding.seed(environment.system, tmp_path, wanted)
    again = seeding.seed(environment.system, tmp_path, wanted)

    with transaction(SystemCaller(database=environment.app, organization_id=seeded.organization_id)) as session:
        tests, panels = service.all_newest(session), service.all_panels(session)
        defined = service.definitions(session, [test.id for test in tests])
    assert again.organization_id == seeded.organization_id
    assert {test.code for test in tests} == {test.code for test in whole.test}
    assert {panel.code: codes for panel, codes in panels} == {panel.code: panel.tests for panel in whole.panel}
    assert {row.version for row in (*tests, *(panel for panel, _ in panels))} == {1}
    assert all(each.is_approved for each in defined.values())
    assert all(panel.approved_by_id for panel, _ in panels)
    assert defined[next(test.id for test in tests if test.code == "GLU")].translations == {"hi": "ग्लूकोज"}
