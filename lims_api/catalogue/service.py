"""Definitions and panels in versions: imported from reviewed files, approved by a person, frozen on every result."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from lims_api.catalogue.errors import AlreadyApproved, ExampleNotApprovable, IntervalsOverlap, UnknownPanel, UnknownTest
from lims_api.catalogue.models import Panel, PanelTest, ReferenceInterval, TestDefinition
from lims_api.catalogue.reference_intervals import overlapping
from lims_api.catalogue.schemas import CatalogueIn, Definition, DefinitionIn, IntervalIn, PanelIn
from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import actor_of
from lims_api.organizations import service as organizations

APPROVAL = {"approved_by", "approved_on"}
"""What a reviewed file says of its approval: read, never imported."""


@dataclass
class Imported:
    """Codes by what became of them."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


def add_version(session: Session, wanted: DefinitionIn) -> TestDefinition:
    """The next version of a test; unapproved, so that it can neither authorise nor be verified automatically."""
    return add_versions(session, [wanted])[0]


def add_versions(session: Session, wanted: Sequence[DefinitionIn]) -> list[TestDefinition]:
    """The next version of each test, in a fixed number of statements; all of them or none."""
    organization_id, now = actor_of(session).organization_id, utc_now()
    latest = _latest(session, TestDefinition, [each.code for each in wanted])
    definitions = [
        TestDefinition(
            organization_id=organization_id,
            version=latest.get(each.code, 0) + 1,
            valid_from=now,
            **each.model_dump(exclude={"intervals", *APPROVAL}),
        )
        for each in wanted
    ]
    bands = [
        ReferenceInterval(organization_id=organization_id, definition_id=row.id, **interval.model_dump())
        for row, each in zip(definitions, wanted, strict=True)
        for interval in each.intervals
    ]
    for each in wanted:
        if overlapping(each.intervals):
            raise IntervalsOverlap(f"Two intervals of {each.code} claim one age. Correct the file and import it again.")
    session.add_all(definitions)
    session.flush()
    session.add_all(bands)
    session.flush()
    return definitions


def add_panels(session: Session, wanted: Sequence[PanelIn]) -> list[Panel]:
    """The next version of each panel; a test that the catalogue does not have is `UnknownTest`."""
    organization_id, now = actor_of(session).organization_id, utc_now()
    latest = _latest(session, Panel, [each.code for each in wanted])
    known = _latest(session, TestDefinition, {code for each in wanted for code in each.tests})
    panels, members = [], []
    for each in wanted:
        missing = sorted(set(each.tests) - set(known))
        if missing:
            raise UnknownTest(f"Panel {each.code} names {', '.join(missing)}. Import those tests first.")
        values = each.model_dump(exclude={"tests", *APPROVAL})
        version = latest.get(each.code, 0) + 1
        panels.append(Panel(organization_id=organization_id, version=version, valid_from=now, **values))
        members += [
            PanelTest(organization_id=organization_id, panel_id=panels[-1].id, test_code=code, position=position)
            for position, code in enumerate(each.tests, start=1)
        ]
    session.add_all(panels)
    session.flush()
    session.add_all(members)
    session.flush()
    return panels


def import_rows(session: Session, wanted: CatalogueIn) -> Imported:
    """Make the catalogue say what the file says: a new row is version 1, a changed one the next version, unapproved;
    a row that says the same is left alone, and so is a test that the file does not name."""
    now_stated = stated(session)
    known_tests = {test.code: test for test in now_stated.test}
    known_panels = {panel.code: panel for panel in now_stated.panel}
    done = Imported()
    tests = [test for test in wanted.test if _is_news(test, known_tests.get(test.code), done)]
    panels = [panel for panel in wanted.panel if _is_news(panel, known_panels.get(panel.code), done)]
    add_versions(session, tests)
    add_panels(session, panels)
    return done


def _is_news(row: DefinitionIn | PanelIn, known: DefinitionIn | PanelIn | None, done: Imported) -> bool:
    same = known is not None and row.model_dump(exclude=APPROVAL) == known.model_dump(exclude=APPROVAL)
    (done.unchanged if same else done.changed if known else done.added).append(row.code)
    return not same


def stated(session: Session) -> CatalogueIn:
    """The newest version of everything, by code, as a reviewed file states it; `approved_by` is the approver's id."""
    rows = all_newest(session)
    bands = _bands(session, [row.id for row in rows])
    tests = [
        DefinitionIn(
            **{name: getattr(row, name) for name in DefinitionIn.model_fields if name not in {"intervals", *APPROVAL}},
            intervals=[_stated_interval(band) for band in bands.get(row.id, [])],
            approved_by=str(row.approved_by_id or ""),
            approved_on=row.approved_on,
        )
        for row in rows
    ]
    panels = [
        PanelIn(
            **{name: getattr(panel, name) for name in PanelIn.model_fields if name not in {"tests", *APPROVAL}},
            tests=codes,
            approved_by=str(panel.approved_by_id or ""),
            approved_on=panel.approved_on,
        )
        for panel, codes in all_panels(session)
    ]
    return CatalogueIn(test=tests, panel=panels)


def _stated_interval(band: ReferenceInterval) -> dict[str, object]:
    return {name: getattr(band, name) for name in IntervalIn.model_fields}


def approve(session: Session, code: str) -> TestDefinition:
    """The caller approves the newest version of a test and its intervals, dated today; EXAMPLE rows only in an
    organization that is itself an example."""
    definition = newest(session, code)
    if definition.is_example and not _is_example(session):
        raise ExampleNotApprovable(
            f"{code} is an EXAMPLE. Import it with your own source and `is_example = false`, then approve that version."
        )
    if definition.approved_by_id is not None:
        raise AlreadyApproved(f"{code} version {definition.version} was approved on {definition.approved_on}.")
    approve_all(session, [definition])
    return definition


def approve_all(session: Session, definitions: Iterable[TestDefinition], panels: Iterable[Panel] = ()) -> None:
    """The caller approves these versions and their intervals, dated today."""
    approver, day = actor_of(session).actor_id, business_day(utc_now())
    rows: list[TestDefinition | ReferenceInterval | Panel] = list(definitions)
    bands = _bands(session, [row.id for row in rows]).values()
    rows += [*(band for some in bands for band in some), *panels]
    for row in rows:
        row.approved_by_id, row.approved_on = approver, day
    session.flush()


def approve_panel(session: Session, code: str) -> Panel:
    """The caller approves the newest version of a panel: its name and what is in it."""
    panel = newest_panel(session, code)
    if panel.approved_by_id is not None:
        raise AlreadyApproved(f"{code} version {panel.version} was approved on {panel.approved_on}.")
    approve_all(session, (), [panel])
    return panel


def newest_panel(session: Session, code: str) -> Panel:
    """The newest version of a panel, or `UnknownPanel`."""
    query = select(Panel).where(Panel.code == code).order_by(Panel.version.desc()).limit(1)
    found = session.scalars(query).first()
    if found is None:
        raise UnknownPanel(f"{code} is no panel of the catalogue.", panel=code)
    return found


def all_panels(session: Session) -> list[tuple[Panel, list[str]]]:
    """The newest version of every panel, by code, with its tests in their order."""
    query = select(Panel).ext(distinct_on(Panel.code)).order_by(Panel.code, Panel.version.desc())
    panels = list(session.scalars(query))
    members = select(PanelTest).where(PanelTest.panel_id.in_([panel.id for panel in panels]))
    codes: dict[UUID, list[str]] = {}
    for member in session.scalars(members.order_by(PanelTest.position)):
        codes.setdefault(member.panel_id, []).append(member.test_code)
    return [(panel, codes.get(panel.id, [])) for panel in panels]


def tests_of_panels(session: Session, codes: Iterable[str]) -> list[str]:
    """The tests of the newest versions of these panels, each once, in the panels' order."""
    tests: dict[str, None] = {}
    for code in codes:
        members = select(PanelTest.test_code).where(PanelTest.panel_id == newest_panel(session, code).id)
        tests |= dict.fromkeys(session.scalars(members.order_by(PanelTest.position)))
    return list(tests)


def _latest(session: Session, table: type[TestDefinition] | type[Panel], codes: Collection[str]) -> dict[str, int]:
    query = select(table.code, func.max(table.version)).where(table.code.in_(codes)).group_by(table.code)
    return dict(session.execute(query).tuples().all())


def _bands(session: Session, definition_ids: Collection[UUID]) -> dict[UUID, list[ReferenceInterval]]:
    """In a fixed order: any, female, male; by pregnancy; by age."""
    query = select(ReferenceInterval).where(ReferenceInterval.definition_id.in_(definition_ids))
    order = (ReferenceInterval.sex, ReferenceInterval.pregnancy, ReferenceInterval.age_from_days)
    found: dict[UUID, list[ReferenceInterval]] = {}
    for band in session.scalars(query.order_by(*order)):
        found.setdefault(band.definition_id, []).append(band)
    return found


def newest(session: Session, code: str) -> TestDefinition:
    """The newest version of a test, or `UnknownTest`."""
    query = select(TestDefinition).where(TestDefinition.code == code).order_by(TestDefinition.version.desc()).limit(1)
    found = session.scalars(query).first()
    if found is None:
        raise UnknownTest(f"{code} is not in the catalogue.", test=code)
    return found


def all_newest(session: Session) -> list[TestDefinition]:
    """The newest version of every test, by code."""
    query = select(TestDefinition).ext(distinct_on(TestDefinition.code))
    return list(session.scalars(query.order_by(TestDefinition.code, TestDefinition.version.desc())))


def definitions(session: Session, ids: Collection[UUID]) -> dict[UUID, Definition]:
    """Definitions with their bands, by id, in two statements."""
    if not ids:
        return {}
    bands = _bands(session, ids)
    rows = list(session.scalars(select(TestDefinition).where(TestDefinition.id.in_(ids))))
    restricted = set(restricted_codes(session))
    examples_count = any(row.is_example for row in rows) and _is_example(session)
    return {
        row.id: Definition.of(
            row,
            bands.get(row.id, []),
            is_restricted=row.code in restricted,
            may_count=examples_count or not row.is_example,
        )
        for row in rows
    }


def _is_example(session: Session) -> bool:
    return organizations.own(session).is_example


def restricted_codes(session: Session) -> list[str]:
    """Tests of which any version is restricted; once restricted, its results stay so."""
    return list(session.scalars(select(TestDefinition.code).where(TestDefinition.is_restricted).distinct()))


def may_see_restricted(session: Session) -> bool:
    """Whether the caller holds the permission of restricted tests."""
    return bool(session.execute(text("select lims.holds('restricted:read')")).scalar())


def hidden_codes(session: Session) -> list[str]:
    """Tests whose results do not exist for this caller."""
    return [] if may_see_restricted(session) else restricted_codes(session)
