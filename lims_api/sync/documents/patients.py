"""Patients, opened with one question to the key store for all of them."""

import json
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from lims_api.core.db import keys_of
from lims_api.patients.models import PatientStatus
from lims_api.patients.sealing import Sealer
from lims_api.sync.documents.part import Part, seen_by
from lims_api.sync.scope import Scope

_PATIENTS = text("""
select p.id, p.uhid_sealed, p.name_sealed, p.phone_sealed, p.birth_sealed, p.sex, p.status
from lims.patients p
where p.organization_id = :organization_id and p.id = any (cast(:ids as uuid[]))
  and (cast(:site_id as uuid) is null or p.id = any (cast(:own as uuid[])) or exists (
    select from lims.orders o
     where o.organization_id = p.organization_id and o.patient_id = p.id and o.site_id = cast(:site_id as uuid)))
order by p.id
""")


def patients(session: Session, scope: Scope, part: Part, ids: Collection[UUID], *, own: Collection[UUID] = ()) -> None:
    """Patients by their ids; one who was erased is gone. Who works at one site sees those with an order there, and
    those they registered themselves (`own`)."""
    keys, tenant = keys_of(session), scope.organization_id
    rows = session.execute(_PATIENTS, seen_by(scope, ids=list(ids), own=list(own))).all()
    found = keys.patient_keys(tenant, [row.id for row in rows if row.status == PatientStatus.ACTIVE])
    part.lose("patients", (row.id for row in rows if row.id not in found))
    for row in rows:
        if row.id not in found:
            continue
        identity = Sealer(keys, found[row.id], tenant, row.id).identity(row)
        document = {"id": str(row.id), "sex": row.sex, "status": row.status, **identity.model_dump(mode="json")}
        part.add("patients", [json.dumps(document)], [row.id])
