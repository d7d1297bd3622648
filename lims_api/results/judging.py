"""From what is known to a verdict: gathers the facts of each result and asks the pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from ingest.contract import Observation
from lims_api.catalogue.schemas import Definition, Limits
from lims_api.core.db import actor_of
from lims_api.equipment.service import Mapping
from lims_api.qc.service import ControlState, in_control
from lims_api.results.autoverification import RULES_VERSION, Facts, Reason, reasons_to_hold
from lims_api.results.delta_check import Delta, delta
from lims_api.results.flags import CRITICAL_FLAGS
from lims_api.results.knowledge import Earlier, Knowledge, KnownSpecimen, Ordered, Source
from lims_api.results.measurement import Measurement, measured_facts, measurement
from lims_api.results.models import SwitchScope
from lims_api.results.ports import Accession, EarlierValue, ModelUnusable, PanelValue, Risk, RiskModel
from lims_api.results.queries import HISTORY, STANDING, SWITCHES

_UNKNOWN = Risk(None, holds=False)
_QC_REASON = {
    ControlState.IN_CONTROL: None,
    ControlState.OUT_OF_CONTROL: Reason.QC_OUT_OF_CONTROL,
    ControlState.STALE: Reason.QC_STALE,
    ControlState.MISSING: Reason.QC_MISSING,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One value of an ordered test that is about to become a result, by whomever it was measured."""

    id: UUID
    specimen: KnownSpecimen
    ordered: Ordered
    mapping: Mapping
    observation: Observation
    observed_at: datetime
    age_days: int | None

    def verdict(self) -> Verdict:
        """The value in its interval, flagged, as the next version; with nothing yet to hold it for."""
        definition, specimen = self.ordered.definition, self.specimen
        version, corrects_id = specimen.next_version(definition.code, self.id)
        found = measurement(self.observation, self.mapping, definition, specimen.sex, self.age_days)
        return Verdict(definition=definition, measured=found, version=version, corrects_id=corrects_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate(Value):
    """A value that an analyser sent: mapped and matched."""

    message_id: UUID
    source: Source
    identity_agrees: bool | None


@dataclass(kw_only=True, slots=True)
class Verdict:
    """What was found of a result, and why it is held; no reason means released."""

    definition: Definition
    measured: Measurement
    version: int
    corrects_id: UUID | None
    reasons: list[Reason] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    risk: float | None = None
    model_version: str | None = None
    model_sha256: str | None = None
    rules_version: str = RULES_VERSION
    authorisation_id: UUID | None = None
    signatory_id: UUID | None = None

    @property
    def value(self) -> Decimal | None:
        return self.measured.value

    @property
    def unit(self) -> str:
        return self.measured.unit

    @property
    def limits(self) -> Limits | None:
        return self.measured.limits

    @property
    def flag(self) -> str | None:
        return self.measured.flag

    @property
    def is_critical(self) -> bool:
        return self.flag in CRITICAL_FLAGS

    @property
    def reference_low(self) -> Decimal | None:
        return self.limits.low if self.limits else None

    @property
    def reference_high(self) -> Decimal | None:
        return self.limits.high if self.limits else None

    @property
    def critical_low(self) -> Decimal | None:
        return self.limits.critical_low if self.limits else None

    @property
    def critical_high(self) -> Decimal | None:
        return self.limits.critical_high if self.limits else None


class Judge:
    """Judges the results of one batch; every look-up is made once."""

    def __init__(self, session: Session, knowledge: Knowledge) -> None:
        self.session, self.knowledge = session, knowledge
        self.services = session.info["services"]
        tolerance = timedelta(seconds=self.services.clock_tolerance_seconds)
        self.clocks_agree = timedelta(milliseconds=knowledge.offset_ms) <= tolerance
        self.future = knowledge.now + tolerance

    def judge(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Verdict]]:
        """A verdict for each candidate, in order."""
        if not candidates:
            return []
        for candidate in candidates:
            candidate.specimen.measured[candidate.mapping.test_code] += 1
        history = earlier_results(
            self.session, {candidate.specimen.patient_id for candidate in candidates}, before=self.knowledge.now
        )
        controls = self._controls(candidates)
        switched_off = self._switched_off()
        model = self._model()
        standing = self._standing(model)
        judged = [(candidate, candidate.verdict()) for candidate in candidates]
        risks = self._risks(judged, history, model)
        for candidate, verdict in judged:
            signed = standing.get(verdict.definition.code)
            change = delta_of(candidate, verdict, history, self.knowledge.now)
            risk = risks.get(candidate.id, _UNKNOWN)
            facts = self._facts(candidate, verdict, change, controls, switched_off, model, signed is not None, risk)
            verdict.reasons = reasons_to_hold(facts)
            verdict.evidence = _evidence(change, risk, self.knowledge.offset_ms)
            verdict.risk = risk.risk
            if model:
                verdict.model_version, verdict.model_sha256 = model.version, model.sha256
            if signed:
                verdict.authorisation_id, verdict.signatory_id = signed
        return judged

    # what is known

    def _controls(self, candidates: Iterable[Candidate]) -> dict[tuple[UUID, str], ControlState]:
        codes: dict[UUID, set[str]] = {}
        for candidate in candidates:
            codes.setdefault(candidate.source.id, set()).add(candidate.mapping.test_code)
        return {
            (analyser_id, code): state
            for analyser_id, wanted in codes.items()
            for code, state in in_control(self.session, analyser_id, wanted, self.knowledge.now).items()
        }

    def _switched_off(self) -> set[tuple[str, str]]:
        rows = self.session.execute(SWITCHES, {"organization_id": self.knowledge.organization_id})
        return {(row.scope, row.target) for row in rows if row.is_off}

    def _model(self) -> RiskModel | None:
        try:
            champion: RiskModel = self.services.models.champion(self.knowledge.organization_id)
        except ModelUnusable:
            return None
        return champion

    def _standing(self, model: RiskModel | None) -> dict[str, tuple[UUID, UUID]]:
        """The newest valid standing authorisation for each test under these rules and this model."""
        version = model.version if model else "none"
        rows = self.session.execute(
            STANDING,
            {
                "organization_id": self.knowledge.organization_id,
                "rules_version": RULES_VERSION,
                "model_version": version,
                "at": self.knowledge.now,
            },
        )
        found: dict[str, tuple[UUID, UUID]] = {}
        for row in rows:
            for code in row.test_codes:
                found.setdefault(code, (row.id, row.signatory_id))
        return found

    # one result

    def _facts(
        self,
        candidate: Candidate,
        verdict: Verdict,
        change: Delta | None,
        controls: dict[tuple[UUID, str], ControlState],
        switched_off: set[tuple[str, str]],
        model: RiskModel | None,
        is_authorised: bool,
        risk: Risk,
    ) -> Facts:
        definition, specimen = verdict.definition, candidate.specimen
        return Facts(
            **measured_facts(candidate.observation, verdict.measured, definition, specimen.sex, candidate.age_days),
            in_control=_QC_REASON[controls[candidate.source.id, definition.code]],
            identity_agrees=candidate.identity_agrees,
            is_restricted=definition.is_restricted,
            is_approved=definition.is_approved,
            clock_agrees=self.clocks_agree and candidate.observed_at <= self.future,
            switched_off=bool(switched_off) and not switched_off.isdisjoint(_scopes(candidate)),
            is_authorised=is_authorised,
            is_repeat=verdict.corrects_id is not None or specimen.measured[definition.code] > 1,
            delta_exceeded=change is not None and change.exceeded,
            model_usable=not self.services.model_required or _has_a_word(model, verdict, risk),
            model_holds=risk.holds,
        )

    def _risks(
        self, judged: Sequence[tuple[Candidate, Verdict]], history: dict[UUID, list[Earlier]], model: RiskModel | None
    ) -> dict[UUID, Risk]:
        """The model's word, specimen by specimen; restricted tests never reach it."""
        if model is None:
            return {}
        by_specimen: dict[UUID, list[tuple[Candidate, Verdict]]] = {}
        for candidate, verdict in judged:
            if verdict.value is not None and not verdict.definition.is_restricted:
                by_specimen.setdefault(candidate.specimen.id, []).append((candidate, verdict))
        accessions = [
            self._accession(
                items,
                [e for e in history.get(items[0][0].specimen.patient_id, ()) if e.specimen_id != specimen_id],
            )
            for specimen_id, items in by_specimen.items()
        ]
        risks: dict[UUID, Risk] = {}
        for items, by_code in zip(by_specimen.values(), model.score(accessions), strict=True):
            for candidate, verdict in items:
                risks[candidate.id] = by_code.get(verdict.definition.code, Risk(None, holds=True))
        return risks

    def _accession(self, items: Sequence[tuple[Candidate, Verdict]], earlier: Iterable[Earlier]) -> Accession:
        first = items[0][0]
        return Accession(
            sex=first.specimen.sex or "unknown", age_days=first.age_days, scored_at=self.knowledge.now,
            results={
                verdict.definition.code: PanelValue(
                    float(verdict.value or 0), _float(verdict.reference_low), _float(verdict.reference_high),
                    candidate.observation.comparator,
                )
                for candidate, verdict in items
            },
            history=[EarlierValue(item.test_code, float(item.value), item.available_at) for item in earlier],
        )  # fmt: skip


def earlier_results(session: Session, patient_ids: set[UUID], *, before: datetime) -> dict[UUID, list[Earlier]]:
    """The newest results of each test of these patients that were available before a moment, by patient."""
    values = {"organization_id": actor_of(session).organization_id, "patient_ids": list(patient_ids), "before": before}
    found: dict[UUID, list[Earlier]] = {}
    for row in session.execute(HISTORY, values):
        earlier = Earlier(row.specimen_id, row.test_code, row.value, row.status, row.available_at)
        found.setdefault(row.patient_id, []).append(earlier)
    return found


def delta_of(value: Value, verdict: Verdict, history: dict[UUID, list[Earlier]], now: datetime) -> Delta | None:
    """Against the patient's last authorised result of the test on another specimen."""
    definition = verdict.definition
    if verdict.value is None or definition.delta_limit_percent is None or definition.delta_window_days is None:
        return None
    earlier = [
        item
        for item in history.get(value.specimen.patient_id, ())
        if item.test_code == definition.code and item.status == "authorised" and item.specimen_id != value.specimen.id
    ]
    if not earlier:
        return None
    last = max(earlier, key=lambda item: item.available_at)
    return delta(
        verdict.value, now, last.value, last.available_at,
        limit_percent=definition.delta_limit_percent, window_days=definition.delta_window_days,
    )  # fmt: skip


def _scopes(candidate: Candidate) -> tuple[tuple[str, str], ...]:
    """Every switch that can stop this result's release."""
    return (
        (SwitchScope.TEST, candidate.ordered.definition.code), (SwitchScope.ANALYSER, str(candidate.source.id)),
        (SwitchScope.LAB, str(candidate.specimen.site_id)), (SwitchScope.LAB, str(candidate.source.site_id)),
        (SwitchScope.LAB, "*"),
    )  # fmt: skip


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _has_a_word(model: RiskModel | None, verdict: Verdict, risk: Risk) -> bool:
    """A model that does not know a test is as good as none; what it is never asked about, other gates hold."""
    never_asked = verdict.value is None or verdict.definition.is_restricted
    return model is not None and (never_asked or risk.risk is not None)


def _evidence(change: Delta | None, risk: Risk, offset_ms: int) -> dict[str, Any]:
    """The numbers behind the reasons; no names, no free text."""
    evidence: dict[str, Any] = {"clock_offset_ms": offset_ms}
    if change:
        evidence["delta_percent"] = round(float(change.percent), 1)
    if risk.because:
        evidence["model"] = [
            {"code": code, "test": test, "z": z and round(z, 2), "expected": expected and round(expected, 3)}
            for code, test, z, expected in risk.because
        ]
    return evidence
