"""`lims catalogue import` and `export`: files become versions once, and come out as they went in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lims_api.catalogue import service
from lims_api.catalogue.errors import ExampleNotApprovable
from lims_api.catalogue.files import example_catalogue, write
from lims_api.catalogue.schemas import CatalogueIn
from lims_api.cli.catalogue import app
from lims_api.core.db import SystemCaller, transaction
from lims_api.core.ids import uuid7
from lims_api.core.permissions import Permission
from lims_api.core.settings import settings
from lims_api.organizations import service as organizations
from tests.conftest import Environment
from tests.factories import organization, staff

DATA = Path(__file__).parents[2] / "data" / "catalogue"
Run = Any


@dataclass(frozen=True)
class Lab:
    """An organization without any catalogue."""

    environment: Environment
    id: UUID
    code: str

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.environment.app.engine.connect() as connection:
            connection.exec_driver_sql("select lims.act(%s, %s, 'test', '', '')", (self.id, self.id))
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def versions(self) -> dict[str, int]:
        return dict(self.rows("select code, max(version) from lims.test_definitions group by code"))  # type: ignore[arg-type]

    def caller(self, **who: Any) -> SystemCaller:
        return SystemCaller(database=self.environment.app, organization_id=self.id, **who)


@pytest.fixture(autouse=True)
def settled(environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command's settings, as an operator has them in the environment."""
    key = tmp_path / "master.key"
    key.write_text(environment.master.hex())
    key.chmod(0o600)
    for name, value in {
        "LIMS_DATABASE_URL": environment.url("lims_app"),
        "LIMS_SYSTEM_DATABASE_URL": environment.url("lims_system"),
        "LIMS_KEYS_URL": environment.url("lims_keys", driver="postgresql"),
        "LIMS_MASTER_KEY_FILE": str(key),
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def lab(environment: Environment) -> Lab:
    code = f"c{uuid7().hex[-8:]}"
    return Lab(environment, organization(environment, code=code), code)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two tests and a panel of them, in one file."""
    whole = example_catalogue()
    tests = [test for test in whole.test if test.code in ("NA", "K")]
    panel = next(panel for panel in whole.panel if panel.code == "LYTES").model_copy(update={"tests": ["NA", "K"]})
    for file in write(CatalogueIn(test=tests), tmp_path / "small"):
        kept = file
    kept.write_text(kept.read_text() + write(CatalogueIn(panel=[panel]), tmp_path / "panel")[0].read_text())
    return kept


@pytest.mark.req("12.3")
def test_the_whole_catalogue_goes_in_unapproved_and_comes_out_as_it_was(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with as_file(files("lims_api.catalogue") / "examples") as folder:
        shipped = {file.name: file.read_text("utf-8") for file in folder.iterdir()}
        first = app(["import", *map(str, folder.iterdir()), "--organization", lab.code])
        said = capsys.readouterr().out
        out = app(["export", "--organization", lab.code, str(tmp_path / "out")])
        capsys.readouterr()
        second = app(["import", *map(str, (tmp_path / "out").iterdir()), "--organization", lab.code])
        again = capsys.readouterr().out

    assert (first, out, second) == (0, 0, 0)
    assert "248 new, 0 changed, 0 as they were." in said
    assert "0 new, 0 changed, 248 as they were." in again
    assert {file.name: file.read_text("utf-8") for file in (tmp_path / "out").iterdir()} == shipped
    assert lab.rows("select count(*), count(approved_by_id) from lims.reference_intervals")[0][1] == 0
    assert set(lab.versions().values()) == {1}
    made = "select count(*) from lims.ledger where table_name in ('panels', 'panel_tests') and op = 'I'"
    assert lab.rows(made)[0][0] > 300


def test_a_changed_row_is_the_next_version_and_the_others_are_left_alone(
    lab: Lab, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app(["import", str(small), "--organization", lab.code])
    small.write_text(small.read_text().replace('high = "5.1"', 'high = "5.0"').replace('["NA", "K"]', '["K", "NA"]'))
    capsys.readouterr()

    assert app(["import", str(small), "--organization", lab.code]) == 0

    assert "0 new, 2 changed, 1 as they were." in capsys.readouterr().out
    assert lab.versions() == {"K": 2, "NA": 1}
    highs = "select d.version, i.high::text from lims.reference_intervals i join lims.test_definitions d"
    assert dict(lab.rows(f"{highs} on d.id = i.definition_id where d.code = 'K'")) == {1: "5.1", 2: "5.0"}  # type: ignore[arg-type]
    panels = "select p.version, array_agg(t.test_code order by t.position) from lims.panels p join lims.panel_tests t"
    assert dict(lab.rows(f"{panels} on t.panel_id = p.id group by 1")) == {1: ["NA", "K"], 2: ["K", "NA"]}  # type: ignore[arg-type]


def test_another_order_of_the_intervals_is_no_change(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crea = next(test for test in example_catalogue().test if test.code == "CREA")
    reversed_ = crea.model_copy(update={"intervals": crea.intervals[::-1]})
    for name, test in (("a", crea), ("b", reversed_)):
        (file,) = write(CatalogueIn(test=[test]), tmp_path / name)
        assert app(["import", str(file), "--organization", lab.code]) == 0

    assert "0 new, 0 changed, 1 as they were." in capsys.readouterr().out


@pytest.mark.req("12.3")
def test_a_file_with_an_error_imports_nothing_of_any_file(
    lab: Lab, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = app(["import", str(small), str(DATA / "every_mistake.toml"), "--organization", lab.code])

    said = capsys.readouterr().out
    assert status == 1
    assert "Nothing was imported: " in said
    assert "error: every_mistake.toml: SWAPPED: limits: 100 to 70 [limits-swapped] Swap them" in said
    assert lab.versions() == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "list.csv", "--organization", "{code}"], "only reviewed .toml files are imported"),
        (["import", "{small}", "--organization", "nobody"], "there is no organization 'nobody'"),
        (["export", "{folder}", "--organization", "{code}"], "would leave stale"),
    ],
)
def test_what_cannot_be_done_is_said(
    lab: Lab, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "own.toml").write_text("")
    values = {"{code}": lab.code, "{small}": str(small), "{folder}": str(tmp_path / "old")}

    status = app([values.get(argument, argument) for argument in arguments])

    assert status == 2
    assert says in capsys.readouterr().err
    assert lab.versions() == {}


def test_check_counts_and_fails_on_errors_alone(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warned = tmp_path / "warned.toml"
    warned.write_text((DATA / "every_mistake.toml").read_text().split("\n\n")[12])

    assert app(["check", str(small)]) == 0
    assert "1 files, 2 tests, 1 panels: 0 errors, 0 warnings" in capsys.readouterr().out
    assert app(["check", str(warned)]) == 0
    assert "0 errors, 1 warnings" in capsys.readouterr().out
    assert app(["check", str(DATA / "every_mistake.toml")]) == 1
    assert app(["check", str(tmp_path / "none.toml")]) == 1


@pytest.mark.req("12.3")
def test_an_export_names_who_approved_and_an_import_approves_nothing(
    environment: Environment, tmp_path: Path, small: Path
) -> None:
    code, other = f"c{uuid7().hex[-8:]}", f"c{uuid7().hex[-8:]}"
    ours, theirs = uuid7(), uuid7()
    for tenant, name in ((ours, code), (theirs, other)):
        organizations.create(environment.system, tenant, code=name, name="Example", is_example=True)
    app(["import", str(small), "--organization", code])
    approver = uuid7()
    staff(environment, ours, [Permission.CATALOGUE_APPROVE], user_id=approver, full_name="Dr Approver Example")
    lab = Lab(environment, ours, code)
    with transaction(lab.caller(actor_id=approver)) as session:
        service.approve(session, "K")

    app(["export", "--organization", code, str(tmp_path / "out")])
    exported = tomllib.loads((tmp_path / "out" / "clinical_chemistry.toml").read_text())["test"]
    app(["import", str(tmp_path / "out" / "clinical_chemistry.toml"), "--organization", other])

    assert {test["code"]: test["approved_by"] for test in exported} == {"K": "Dr Approver Example", "NA": ""}
    assert [bool(test["approved_on"]) for test in exported] == [True, False]
    approved = Lab(environment, theirs, other).rows("select count(approved_by_id) from lims.test_definitions")
    assert approved == [(0,)]


@pytest.mark.req("12.3")
def test_an_example_cannot_be_approved_in_a_laboratory_that_is_none(lab: Lab, small: Path) -> None:
    """Nor does an approval count that stands there all the same."""
    app(["import", str(small), "--organization", lab.code])
    approver = uuid7()
    staff(lab.environment, lab.id, [Permission.CATALOGUE_APPROVE], user_id=approver)

    with pytest.raises(ExampleNotApprovable), transaction(lab.caller(actor_id=approver)) as session:
        service.approve(session, "K")
    with transaction(lab.caller(actor_id=approver)) as session:
        row = service.newest(session, "K")
        service.approve_all(session, [row])
        counted = service.definitions(session, [row.id])[row.id].is_approved
    small.write_text(small.read_text().replace("is_example = true", "is_example = false"))
    app(["import", str(small), "--organization", lab.code])
    with transaction(lab.caller(actor_id=approver)) as session:
        own = service.approve(session, "K")
        own_counts = service.definitions(session, [own.id])[own.id].is_approved

    assert (counted, own_counts) == (False, True)
