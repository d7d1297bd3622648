"""From the verdict to the report: who answers for a result, which version stands, and what showed it; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from lims_api.lineage.chain import Link, Pair, Step, absent, compared
from lims_api.lineage.known import Known, ReportFile, Version
from lims_api.reports.wording import number_text
from lims_api.results.models import Entry, ResultStatus, StandingAuthorisation


def standing(known: Known) -> list[Link]:
    """Release, versions and report."""
    return [_release(known), _versions(known), _report(known)]


def _release(known: Known) -> Link:
    result = known.result
    facts = {
        "status": result.status, "automatic": result.is_automatic, "held_by": list(result.reasons),
        "signatory_id": result.signatory_id, "authorised_by_id": result.authorised_by_id,
        "authorised_at": result.authorised_at, "standing_authorisation": result.authorisation_id,
    }  # fmt: skip
    if result.entry is Entry.IMPORT:
        return absent(Step.RELEASE, "imported history: authorised where it comes from", facts)
    if result.authorised_at is None:
        pairs: list[Pair] = [("automatic", False, result.is_automatic)]
        if result.status is ResultStatus.AUTHORISED:
            pairs.append(("authorised_at", "an instant", None))
        link = compared(Step.RELEASE, pairs, facts)
        return link if link.differences else absent(Step.RELEASE, "nobody has authorised it", facts)
    return compared(Step.RELEASE, _automatic(known) if result.is_automatic else _by_a_person(known), facts)


def _automatic(known: Known) -> Iterator[Pair]:
    """Nothing held it, and a standing authorisation covered it at that moment."""
    result, signed = known.result, known.authorisation
    yield "reasons", [], list(result.reasons)
    if signed is None or result.authorised_at is None:
        yield "standing authorisation", "one that exists", result.authorisation_id
        return
    yield "signatory", signed.signatory_id, result.signatory_id
    yield "authorised by", signed.signatory_id, result.authorised_by_id
    yield "rules version", signed.rules_version, result.rules_version
    yield "model version", signed.model_version, result.model_version or "none"
    yield "covers the test", True, result.test_code in signed.test_codes
    yield "in force", True, _in_force(signed, result.authorised_at)


def _in_force(signed: StandingAuthorisation, at: datetime) -> bool:
    return signed.valid_from <= at < signed.valid_to and (signed.revoked_at is None or at <= signed.revoked_at)


def _by_a_person(known: Known) -> Iterator[Pair]:
    result = known.result
    yield "signatory", result.authorised_by_id, result.signatory_id
    yield "another person entered it", True, result.entered_by_id != result.authorised_by_id
    yield "standing authorisation", None, result.authorisation_id


def _versions(known: Known) -> Link:
    result, versions = known.result, known.versions
    newer = [one for one in versions if one.version > result.version]
    facts = {
        "version": result.version, "replaces": result.corrects_id, "correction_reason": result.correction_reason,
        "replaced_by": [one.id for one in newer],
    }  # fmt: skip
    pairs: list[Pair] = [("another of this version", [], _others(known))]
    if result.corrects_id is not None:
        pairs.append(("replaces one of the same test", True, _replaces(known)))
    replaced = any(one.authorised_at is not None for one in newer)
    if replaced or result.status is ResultStatus.SUPERSEDED:
        stands = result.status in (ResultStatus.AUTHORISED, ResultStatus.HELD)
        pairs.append(("stands beside its correction", False, stands and replaced))
    if not newer and result.corrects_id is None:
        link = compared(Step.VERSIONS, pairs, facts)
        return link if link.differences else absent(Step.VERSIONS, "the only version", facts)
    return compared(Step.VERSIONS, pairs, facts)


def _others(known: Known) -> list[Any]:
    result = known.result
    return [one.id for one in known.versions if one.version == result.version and one.id != result.id]


def _replaces(known: Known) -> bool:
    result = known.result
    return any(one.id == result.corrects_id and one.version < result.version for one in known.versions)


def shown_by(version: Version, versions: list[Version], released_at: datetime) -> bool:
    """Whether a report released at that moment shows this version: authorised, and not replaced by then."""
    if version.authorised_at is None or version.authorised_at > released_at:
        return False
    return not any(
        one.version > version.version and one.authorised_at is not None and one.authorised_at <= released_at
        for one in versions
    )


def _report(known: Known) -> Link:
    if not known.reports:
        return absent(Step.REPORT, _why_unreported(known))
    facts = {"reports": [_said_of(file) for file in known.reports]}
    if all(file.erased for file in known.reports):
        return absent(Step.REPORT, "the patient was erased: nothing opens the file", facts)
    pairs: list[Pair] = []
    for file in known.reports:
        name = f"{file.order_number}/{file.report.version}"
        pairs.append((f"file of {name}", "", file.problem))
        if file.line is not None:
            shown = _line(known)
            pairs.append((f"line of {name}", shown, {key: file.line.get(key) for key in shown}))
    return compared(Step.REPORT, pairs, facts)


def _line(known: Known) -> dict[str, Any]:
    """What the report's part for computers says of a result: the value with the digits that are printed."""
    result = known.result
    value = None if result.value is None else Decimal(number_text(result.value, known.definition.decimals))
    unit = result.unit if value is not None else None
    return {
        "loinc": result.loinc, "value": value, "comparator": result.comparator if value is not None else None,
        "unit": unit or None, "flag": result.flag,
    }  # fmt: skip


def _said_of(file: ReportFile) -> dict[str, Any]:
    report = file.report
    return {
        "report": f"{file.order_number}/{report.version}", "status": str(report.status), "sha256": report.sha256,
        "released_at": report.released_at, "code": report.verification_code,
    }  # fmt: skip


def _why_unreported(known: Known) -> str:
    if known.result.entry is Entry.IMPORT:
        return "imported history: reported where it comes from"
    if known.result.authorised_at is None:
        return f"{known.result.status}: no report shows it"
    return "no report was released while it stood"
