"""From what was gathered of an order to what its report says, in its language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from pydantic_core import to_json

from lims_api.core.clock import business_day
from lims_api.core.i18n import Language, Words, words
from lims_api.patients.age import age_days
from lims_api.reports.gathering import Gathered
from lims_api.reports.layout import (
    Group,
    Laboratory,
    Line,
    Patient,
    ReportContent,
    ReportStatus,
    Signatory,
)
from lims_api.reports.layout import Specimen as SpecimenLines
from lims_api.reports.wording import (
    age_text,
    interval_text,
    moment_text,
    previous_text,
    reason_text,
    release_statement,
    sex_text,
    value_text,
)
from lims_api.results.models import Result

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXAMPLE = "Reference interval and limits are EXAMPLE values: not approved for clinical use"
EXAMPLE_WORDS = "The words of this report are an EXAMPLE translation: not approved by a named person"
OUT_OF_SCOPE = "Not in the laboratory's scope of accreditation"
AUTOMATIC = "Released automatically"


def content_of(found: Gathered, *, version: int, issued_at: datetime) -> ReportContent:
    """What the report says in this version."""
    order, say = found.order, words(found.order.report_language)
    return ReportContent(
        laboratory=_laboratory(found),
        report_number=f"{order.order_number}/{version}", version=version,
        status=ReportStatus.AMENDED if version > 1 else ReportStatus.FINAL,
        patient=_patient(found, say), referring_doctor=say("Self"), order_number=order.order_number,
        reported=moment_text(issued_at), issued_at=issued_at,
        groups=tuple(_groups(found, say)), signatories=tuple(_signatories(found, say)),
        is_example=_is_example(found, say), language=say.language,
        amendment_reason=reason_text(_reasons(found), say) if version > 1 else "",
        supersedes=f"{order.order_number}/{version - 1}" if version > 1 else "",
        notes=(say(EXAMPLE_WORDS),) if say.is_example else (),
    )  # fmt: skip


def fingerprint(content: ReportContent) -> bytes:
    """What a report says of its patient, without frame and time: two equal ones are one report.

    A new letterhead, certificate or wording is no reason to amend what was released.
    """
    lines = [(group.specimen, [replace(line, marks=()) for line in group.lines]) for group in content.groups]
    return to_json((content.patient, content.order_number, content.language, lines, content.signatories))


def _is_example(found: Gathered, say: Words) -> bool:
    unapproved = any(definition.is_example for definition in found.definitions.values())
    return found.organization.is_example or unapproved or say.is_example


def _laboratory(found: Gathered) -> Laboratory:
    lab = found.laboratory
    name = found.organization.name
    certificates = {certificate for result in found.results if (certificate := _certificate(found, result))}
    return Laboratory(
        name=name if lab.name == name else f"{name}, {lab.name}", address=lab.address or "", contact=lab.contact or "",
        accreditation="; ".join(sorted(certificates)),
    )  # fmt: skip


def _certificate(found: Gathered, result: Result) -> str:
    """The certificate whose scope covers a test on the day it was examined; empty for none."""
    day = business_day(result.occurred_at)
    return next((one.certificate for one in found.accreditations if one.covers(result.test_code, day)), "")


def _patient(found: Gathered, say: Words) -> Patient:
    who = found.who
    on = business_day(found.order.placed_at)
    age = age_days(who.birth_on, who.birth_precision, on) if who.birth_on and who.birth_precision else None
    return Patient(name=who.name, uhid=who.uhid, age=age_text(age, say), sex=sex_text(found.patient.sex, say))


def _groups(found: Gathered, say: Words) -> Iterable[Group]:
    by_group: dict[tuple[str, UUID], list[Result]] = {}
    for result in found.results:
        by_group.setdefault((found.definitions[result.definition_id].discipline, result.specimen_id), []).append(result)
    disciplines = list(dict.fromkeys(discipline for discipline, _ in by_group))
    for (discipline, specimen_id), results in sorted(by_group.items(), key=lambda one: disciplines.index(one[0][0])):
        specimen = found.specimens[specimen_id]
        yield Group(
            title=say(discipline),
            specimen=SpecimenLines(
                accession_number=specimen.accession_number, specimen_type=say(specimen.specimen_type),
                collected=moment_text(specimen.collected_at), received=moment_text(specimen.received_at),
            ),
            lines=tuple(_line(result, found, say) for result in results),
        )  # fmt: skip


def _line(result: Result, found: Gathered, say: Words) -> Line:
    definition = found.definitions[result.definition_id]
    translated = definition.translations.get(say.language, "") if say.language is not Language.ENGLISH else ""
    before = found.previous.get(result.test_code)
    return Line(
        test=translated or definition.name, in_english=definition.name if translated else "",
        method=definition.method, unit=result.unit, value=printed_value(result, found),
        interval=interval_text(result.reference_low, result.reference_high, definition.decimals, say),
        flag=result.flag, is_critical=result.flag in ("LL", "HH"), corrected_from=earlier_value(result, found),
        marks=tuple(map(say, _marks(result, found))), **(previous_text(*before) if before else {}),
    )  # fmt: skip


def printed_value(result: Result, found: Gathered) -> str:
    """A result with the decimals of its definition, or as the words that it is."""
    decimals = found.definitions[result.definition_id].decimals
    return value_text(result.value, comparator=result.comparator, decimals=decimals, received=result.value_text)


def earlier_value(result: Result, found: Gathered) -> str:
    """What the report said before the result was corrected; empty if it never said another."""
    old = found.replaced.get(result.corrects_id) if result.corrects_id else None
    return printed_value(old, found) if old else ""


def _marks(result: Result, found: Gathered) -> Iterable[str]:
    if found.definitions[result.definition_id].is_example:
        yield EXAMPLE
    if any(_certificate(found, other) for other in found.results) and not _certificate(found, result):
        yield OUT_OF_SCOPE
    if result.is_automatic and not all(other.is_automatic for other in found.results):
        yield AUTOMATIC


def _signatories(found: Gathered, say: Words) -> Iterable[Signatory]:
    """Each person once for what they examined, once for what was released under an authorisation of theirs."""
    released = {
        (result.signatory_id, found.signed_at.get(result.authorisation_id) if result.authorisation_id else None)
        for result in found.results if result.signatory_id
    }  # fmt: skip
    for signatory_id, signed_at in sorted(released, key=lambda one: (one[0], one[1] or EPOCH)):
        person = found.people[signatory_id]
        statement = release_statement(person.name, say, signed_at=signed_at)
        yield Signatory(name=person.name, registration=person.registration, statement=statement)


def _reasons(found: Gathered) -> set[str]:
    return {result.correction_reason for result in found.results if result.correction_reason}
