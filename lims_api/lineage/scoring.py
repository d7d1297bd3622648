"""The model asked again: a specimen's panel and its patient's history as they stood when it was recorded; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from lims_api.lineage.known import Version
from lims_api.results.models import Entry
from lims_api.results.ports import Accession, EarlierValue, PanelValue, Risk, RiskModel

NEWEST, NEWEST_AUTHORISED = 4, 2
"""How much of each test's past `HISTORY` brings."""

Panel = tuple[UUID, datetime]
"""A specimen, and when its results were recorded: those of one transaction were scored together."""


def scored_again(
    model: RiskModel, of_patients: Mapping[UUID, Sequence[Version]], panels: Iterable[Panel], restricted: set[str]
) -> dict[tuple[Panel, str], Risk]:
    """The model's word on each test of each panel; `of_patients` has every result of the patients they are of."""
    wanted = set(panels)
    found: dict[Panel, list[Version]] = {}
    for version in (one for several in of_patients.values() for one in several):
        panel = version.specimen_id, version.recorded_at
        scored = version.entry is Entry.INSTRUMENT and version.value is not None and version.test_code not in restricted
        if scored and panel in wanted:
            found.setdefault(panel, []).append(version)
    asked = [_accession(results, of_patients[results[0].patient_id]) for results in found.values()]
    answers = zip(found, model.score(asked), strict=True) if asked else ()
    return {(panel, code): risk for panel, by_code in answers for code, risk in by_code.items()}


def _accession(results: list[Version], of_patient: Sequence[Version]) -> Accession:
    first = results[0]
    return Accession(
        sex=first.sex or "unknown", age_days=first.age_days, scored_at=first.recorded_at,
        results={
            one.test_code: PanelValue(
                float(one.value or 0), _float(one.reference_low), _float(one.reference_high), one.comparator
            )
            for one in sorted(results, key=lambda one: one.id)
        },
        history=[
            EarlierValue(one.test_code, float(one.value or 0), one.available_at)
            for one in history_then(of_patient, first.recorded_at) if one.specimen_id != first.specimen_id
        ],
    )  # fmt: skip


def history_then(of_patient: Sequence[Version], then: datetime) -> list[Version]:
    """What `HISTORY` brought at that moment: each test's newest results that stood, and its newest authorised."""
    of_specimen: dict[tuple[UUID, str], list[Version]] = {}
    for one in of_patient:
        of_specimen.setdefault((one.specimen_id, one.test_code), []).append(one)
    by_test: dict[str, list[Version]] = {}
    for versions in of_specimen.values():
        known = [one for one in versions if one.value is not None and max(one.recorded_at, one.available_at) < then]
        for one in known:
            if not superseded_then(one, versions, then):
                by_test.setdefault(one.test_code, []).append(one)
    return [one for standing in by_test.values() for one in _newest(standing, then)]


def _newest(standing: list[Version], then: datetime) -> list[Version]:
    standing = sorted(standing, key=lambda one: one.available_at, reverse=True)
    authorised = [one for one in standing if one.authorised_at is not None and one.authorised_at <= then]
    newest = standing[:NEWEST]
    return newest + [one for one in authorised[:NEWEST_AUTHORISED] if one not in newest]


def superseded_then(one: Version, versions: Iterable[Version], then: datetime) -> bool:
    """Whether another version had taken its place: authorised, or typed over it while it was held."""
    for other in versions:
        if other.version <= one.version:
            continue
        if other.authorised_at is not None and other.authorised_at <= then:
            return True
        typed = other.entry is Entry.MANUAL and other.corrects_id == one.id and other.recorded_at < then
        if typed and (one.authorised_at is None or one.authorised_at > other.recorded_at):
            return True
    return False


def _float(value: object) -> float | None:
    return None if value is None else float(str(value))
