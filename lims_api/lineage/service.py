"""A result traced from the analyser's bytes to its last copy; and the results that stand behind a report, a
transmission or a specimen."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from lims_api.core.access import saw, saw_many
from lims_api.lineage.chain import Chain
from lims_api.lineage.copies import copies
from lims_api.lineage.errors import NothingToTrace
from lims_api.lineage.gather import CodeMaps, gather, versions_of
from lims_api.lineage.judgement import judgement
from lims_api.lineage.known import Known, Version
from lims_api.lineage.origin import origin
from lims_api.lineage.ports import Programs
from lims_api.lineage.standing import shown_by, standing
from lims_api.lineage.transmissions import patients_in
from lims_api.reports.models import Report
from lims_api.results.models import InstrumentMessage, Result
from lims_api.specimens import service as specimens

ACTION = "result.traced"


def trace(session: Session, result_ids: Collection[UUID], programs: Programs, codes: CodeMaps) -> list[Chain]:
    """The chain of each result that exists, by id. That their patients' data was read is logged."""
    known = gather(session, result_ids, programs, codes)
    _log(session, known)
    return [chain_of(one) for one in known]


def chain_of(known: Known) -> Chain:
    """Every link, each compared with the one before."""
    result = known.result
    links = [*origin(known), *judgement(known), *standing(known), *copies(known)]
    return Chain(result.id, result.test_code, result.version, str(result.status), str(result.entry), links)


def behind_report(session: Session, *, sha256: str | None = None, code: str | None = None) -> list[UUID]:
    """The results that a report shows, by its file's hash or its verification code."""
    wanted = Report.sha256 == sha256 if sha256 else Report.verification_code == code
    report = session.scalars(select(Report).where(wanted)).first()
    if report is None:
        raise NothingToTrace("No report has this code or is this file, byte for byte.")
    versions = versions_of(session, Result.order_id == report.order_id)
    return [one.id for one in versions if shown_by(one, _same_test(one, versions), report.released_at)]


def behind_message(session: Session, body_sha256: str) -> list[UUID]:
    """The results of a transmission, by the hash of its bytes."""
    ids = list(session.scalars(select(InstrumentMessage.id).where(InstrumentMessage.body_sha256 == body_sha256)))
    if not ids:
        raise NothingToTrace("No transmission has this SHA-256.")
    return list(session.scalars(select(Result.id).where(Result.message_id.in_(ids)).order_by(Result.id)))


def of_specimen(session: Session, accession_number: str) -> list[UUID]:
    """The results of a specimen, every version."""
    specimen = specimens.by_accession(session, accession_number)
    return list(session.scalars(select(Result.id).where(Result.specimen_id == specimen.id).order_by(Result.id)))


def recorded_since(session: Session, since: datetime | None, *, after: UUID | None, limit: int) -> list[UUID]:
    """The next results of the organization, by id."""
    query = select(Result.id).order_by(Result.id).limit(limit)
    if since is not None:
        query = query.where(Result.recorded_at >= since)
    return list(session.scalars(query.where(Result.id > after) if after else query))


def _log(session: Session, known: Collection[Known]) -> None:
    others = patients_in({one.kept.row.id: one.kept for one in known if one.kept}.values())
    patients = others | {one.result.patient_id for one in known}
    if len(known) == 1:
        (only,) = known
        saw(session, ACTION, only.result.patient_id, only.result.id)
        patients -= {only.result.patient_id}
    saw_many(session, ACTION, list(patients))


def _same_test(one: Version, versions: list[Version]) -> list[Version]:
    return [other for other in versions if (other.specimen_id, other.test_code) == (one.specimen_id, one.test_code)]
