"""Everything around a batch of results, in a fixed number of statements."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, select, text
from sqlalchemy.orm import Session

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import Definition
from lims_api.core.db import actor_of
from lims_api.core.ledger import history
from lims_api.equipment.models import Analyser, CodeMap
from lims_api.equipment.service import Mapping as CodeMapping
from lims_api.lineage.known import CodeAt, Copied, Entry, Kept, Known, Version
from lims_api.lineage.ports import Programs
from lims_api.lineage.reported import StoredReport, reports_of, that_show
from lims_api.lineage.scoring import Panel, scored_again
from lims_api.lineage.transmissions import kept_messages, measured
from lims_api.results.models import Result, StandingAuthorisation
from lims_api.results.ports import ModelUnusable, Risk, RiskModel
from lims_api.specimens.models import Specimen

_ROWS = text(
    "select r.id, row_to_json(r)::text as row from lims.results r where organization_id = :o and id = any (:ids)"
)
_VERSION = (
    Result.id, Result.patient_id, Result.specimen_id, Result.test_code, Result.version, Result.status, Result.value,
    Result.corrects_id, Result.recorded_at, Result.available_at, Result.authorised_at, Result.entry, Result.comparator,
    Result.reference_low, Result.reference_high, Result.sex, Result.age_days,
)  # fmt: skip
Test = tuple[UUID, str]
"""A specimen's or a patient's id, and a test's code."""


@dataclass
class CodeMaps:
    """What analysers' codes meant at any time, by the ledger; remembered for a whole run."""

    _states: dict[UUID, list[tuple[datetime, str, CodeAt]]] = field(default_factory=dict)
    _at: dict[tuple[UUID, datetime], dict[str, CodeAt]] = field(default_factory=dict)

    def learn(self, session: Session, analyser_ids: Collection[UUID]) -> None:
        """Read the history of analysers that are not known yet."""
        wanted = set(analyser_ids) - self._states.keys()
        if not wanted:
            return
        self._states |= {analyser_id: [] for analyser_id in wanted}
        rows = {row.id: row for row in session.scalars(select(CodeMap).where(CodeMap.analyser_id.in_(wanted)))}
        since = min((row.recorded_at for row in rows.values()), default=None)
        changes = history(session, "code_maps", list(rows), since=since) if since else {}
        for row_id, row in rows.items():
            self._states[row.analyser_id] += _states(row, changes.get(row_id, []))

    def at(self, analyser_id: UUID, moment: datetime) -> dict[str, CodeAt]:
        """Every code of the analyser as it was mapped then."""
        known = self._at.get((analyser_id, moment))
        if known is None:
            states = self._states.get(analyser_id, ())
            known = {code: state for recorded_at, code, state in states if recorded_at <= moment}
            self._at[analyser_id, moment] = known
        return known


def _states(row: CodeMap, changes: Sequence[RowMapping]) -> list[tuple[datetime, str, CodeAt]]:
    """A code's meanings, oldest first; of one that the ledger does not know, the present one."""
    if not changes:
        return [(row.recorded_at, row.code, CodeAt(CodeMapping(row.test_code, row.unit_sent, row.factor), None, False))]
    found = []
    for change in changes:
        after = json.loads(change["body"], parse_float=Decimal)["after"]
        mapping = CodeMapping(after["test_code"], after["unit_sent"], Decimal(after["factor"]))
        state = CodeAt(mapping, change["seq"], change is not changes[-1])
        found.append((change["recorded_at"], after["code"], state))
    return found


def gather(session: Session, result_ids: Collection[UUID], programs: Programs, codes: CodeMaps) -> list[Known]:
    """What is known of each result that exists, in the order of their ids."""
    ids = list(result_ids)
    results = list(session.scalars(select(Result).where(Result.id.in_(ids)).order_by(Result.id)))
    if not results:
        return []
    analysers = _analysers(session, {result.analyser_id for result in results if result.analyser_id})
    codes.learn(session, analysers.keys())
    messages = kept_messages(session, {one.message_id for one in results if one.message_id}, analysers, programs)
    definitions = catalogue.definitions(session, {result.definition_id for result in results})
    of_patients, model = _of_patients(session, {result.patient_id for result in results}), _model(session)
    around = _Around(
        rows=_rows(session, ids),
        definitions=definitions,
        accessions=_accessions(session, {result.specimen_id for result in results}),
        analysers=analysers,
        messages=messages,
        versions=_by_specimen(of_patients),
        of_patients=of_patients,
        signed=_signed(session, {one.authorisation_id for one in results if one.authorisation_id}),
        model=model,
        scores=_scores(session, model, of_patients, results),
        entries=_entries(session, results),
        copies=_copies(session, results, programs),
        codes=codes,
    )
    reports = reports_of(session, {result.order_id for result in results})
    return [around.of(result, reports.get(result.order_id, [])) for result in results]


@dataclass(frozen=True, kw_only=True)
class _Around:
    """Look-ups for a batch."""

    rows: Mapping[UUID, Mapping[str, Any]]
    definitions: Mapping[UUID, Definition]
    accessions: Mapping[UUID, str]
    analysers: Mapping[UUID, Analyser]
    messages: Mapping[UUID, Kept]
    versions: Mapping[Test, list[Version]]
    of_patients: Mapping[UUID, list[Version]]
    signed: Mapping[UUID, StandingAuthorisation]
    model: RiskModel | None
    scores: Mapping[tuple[Panel, str], Risk]
    entries: Mapping[UUID, list[Entry]]
    copies: Mapping[UUID, Copied]
    codes: CodeMaps

    def of(self, result: Result, reports: Sequence[StoredReport]) -> Known:
        """One result with all that belongs to it."""
        kept = self.messages.get(result.message_id) if result.message_id else None
        known = self.codes.at(result.analyser_id, result.recorded_at) if result.analyser_id else {}
        tests = {code: state.mapping.test_code for code, state in known.items()}
        found = measured(kept, result, tests) if kept else None
        analyser = self.analysers.get(result.analyser_id) if result.analyser_id else None
        versions = self.versions.get((result.specimen_id, result.test_code), [])
        return Known(
            result=result, row=self.rows.get(result.id, {}), definition=self.definitions[result.definition_id],
            accession_number=self.accessions.get(result.specimen_id, ""), analyser=analyser.code if analyser else None,
            kept=kept, measured=found, code=known.get(found.observation.code) if found else None,
            versions=versions, earlier=self._earlier(result),
            authorisation=self.signed.get(result.authorisation_id) if result.authorisation_id else None,
            threshold=self.model.threshold if self._is_deployed(result) and self.model else None,
            scored=self._scored(result), reports=that_show(result, versions, reports),
            entries=self.entries.get(result.id, []), copied=self.copies.get(result.id),
        )  # fmt: skip

    def _earlier(self, result: Result) -> list[Version]:
        return [one for one in self.of_patients[result.patient_id] if one.test_code == result.test_code]

    def _is_deployed(self, result: Result) -> bool:
        return self.model is not None and self.model.sha256 == result.model_sha256

    def _scored(self, result: Result) -> Risk | None:
        panel = result.specimen_id, result.recorded_at
        return self.scores.get((panel, result.test_code)) if self._is_deployed(result) else None


def _rows(session: Session, ids: list[UUID]) -> dict[UUID, Mapping[str, Any]]:
    """As the ledger writes a row, so that both are read in one way."""
    found = session.execute(_ROWS, {"o": actor_of(session).organization_id, "ids": ids})
    return {row.id: json.loads(row.row, parse_float=Decimal) for row in found}


def _accessions(session: Session, ids: set[UUID]) -> dict[UUID, str]:
    rows = session.execute(select(Specimen.id, Specimen.accession_number).where(Specimen.id.in_(ids)))
    return {row.id: row.accession_number for row in rows}


def _analysers(session: Session, ids: set[UUID]) -> dict[UUID, Analyser]:
    return {row.id: row for row in session.scalars(select(Analyser).where(Analyser.id.in_(ids)))}


def versions_of(session: Session, condition: ColumnElement[bool]) -> list[Version]:
    """Results as their versions, in the order of their ids."""
    return [Version(*tuple(row)) for row in session.execute(select(*_VERSION).where(condition).order_by(Result.id))]


def _of_patients(session: Session, ids: set[UUID]) -> dict[UUID, list[Version]]:
    """Every result of these patients."""
    found: dict[UUID, list[Version]] = {}
    for one in versions_of(session, Result.patient_id.in_(ids)):
        found.setdefault(one.patient_id, []).append(one)
    return found


def _by_specimen(of_patients: Mapping[UUID, list[Version]]) -> dict[Test, list[Version]]:
    found: dict[Test, list[Version]] = {}
    for one in (version for versions in of_patients.values() for version in versions):
        found.setdefault((one.specimen_id, one.test_code), []).append(one)
    return found


def _signed(session: Session, ids: set[UUID]) -> dict[UUID, StandingAuthorisation]:
    query = select(StandingAuthorisation).where(StandingAuthorisation.id.in_(ids))
    return {row.id: row for row in session.scalars(query)}


def _model(session: Session) -> RiskModel | None:
    """The deployed model; an earlier one's file is no longer here."""
    try:
        champion: RiskModel = session.info["services"].models.champion(actor_of(session).organization_id)
    except ModelUnusable:
        return None
    return champion


def _scores(
    session: Session, model: RiskModel | None, of_patients: Mapping[UUID, list[Version]], results: Iterable[Result]
) -> dict[tuple[Panel, str], Risk]:
    if model is None:
        return {}
    panels = {(one.specimen_id, one.recorded_at) for one in results if one.model_sha256 == model.sha256}
    return scored_again(model, of_patients, panels, set(catalogue.restricted_codes(session)))


def _entries(session: Session, results: Sequence[Result]) -> dict[UUID, list[Entry]]:
    since = min(result.recorded_at for result in results)
    found = history(session, "results", [result.id for result in results], since=since)
    return {row_id: [_entry(row) for row in rows] for row_id, rows in found.items()}


def _entry(row: RowMapping) -> Entry:
    body = row["body"]
    return Entry(
        row["seq"], row["xid"], row["op"], sha256(body.encode()).hexdigest(), json.loads(body, parse_float=Decimal),
        row["actor_id"], row["reason"], row["recorded_at"],
    )  # fmt: skip


def _copies(session: Session, results: Sequence[Result], programs: Programs) -> dict[UUID, Copied]:
    if programs.copies is None:
        return {}
    question = {
        "organization_id": str(actor_of(session).organization_id),
        "row_ids": [str(result.id) for result in results],
        "since": min(result.recorded_at for result in results).isoformat(),
    }
    answer = programs.copies.ask(question)
    captured, loaded, bronze, mart = (answer[name] for name in ("captured", "loaded", "bronze", "mart"))
    return {
        result.id: Copied(captured, loaded, bronze.get(str(result.id), []), mart.get(str(result.id)))
        for result in results
    }
