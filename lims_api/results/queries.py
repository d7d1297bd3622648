"""Results' reads that more than one caller needs, and the hot ones."""

from sqlalchemy import Select, select, text

from lims_api.results.flags import CRITICAL_FLAGS
from lims_api.results.models import (
    CallOutcome,
    CriticalCall,
    Entry,
    InstrumentMessage,
    ParkedObservation,
    Result,
    ResultStatus,
)

HISTORY = text("""
select patient_id, specimen_id, test_code, value, status, available_at from (
  select patient_id, specimen_id, test_code, value, status, available_at,
         row_number() over (partition by patient_id, test_code order by available_at desc) as n,
         row_number() over (partition by patient_id, test_code, status order by available_at desc) as of_status
    from lims.results
   where organization_id = :organization_id and patient_id = any (:patient_ids) and value is not null
     and available_at < :before and status <> 'superseded') as newest
where n <= 4 or (status = 'authorised' and of_status <= 2)
""")
"""A patient's newest four results of each test (three besides the specimen that is judged), and the newest authorised
ones however many were held or rejected since."""

STANDING = text("""
select a.id, a.signatory_id, a.test_codes from lims.standing_authorisations a
  join lims.users u on u.organization_id = a.organization_id and u.id = a.signatory_id and u.is_active
 where a.organization_id = :organization_id and a.rules_version = :rules_version and a.model_version = :model_version
   and a.revoked_at is null and a.valid_from <= :at and a.valid_to > :at
 order by a.signed_at desc
""")

SWITCHES = text("""
select distinct on (scope, target) scope, target, is_off from lims.release_switches
 where organization_id = :organization_id order by scope, target, id desc
""")

ORDER = """
select json_build_object(
  'id', o.id, 'order_number', o.order_number, 'status', o.status, 'priority', o.priority, 'placed_at', o.placed_at,
  'due_at', o.due_at, 'completed_at', o.completed_at, 'patient_id', o.patient_id, 'sex', p.sex,
  'results', coalesce((
    select json_agg(line order by line.test_code, line.version) from (
      select r.id, r.test_code, r.loinc, r.value::text, r.value_text, r.comparator, r.unit, r.flag,
             r.reference_low::text, r.reference_high::text, r.status, r.version, r.reasons, r.is_automatic,
             r.verified_by_id, r.verified_at, r.available_at
        from lims.results r
       where r.organization_id = o.organization_id and r.order_id = o.id
         and r.recorded_at >= o.recorded_at and r.recorded_at < now() + interval '1 day' and r.status <> 'superseded'
         and ((select lims.holds('restricted:read')) or r.test_code <> all (array(
           select d.code from lims.test_definitions d
            where d.organization_id = (select lims.tenant()) and d.is_restricted)))) line), '[]'::json))::text,
  p.id, case when p.status = 'active' then p.name_sealed end
from lims.orders o
join lims.patients p on p.organization_id = o.organization_id and p.id = o.patient_id
where o.organization_id = lims.tenant() and o.id = %(order_id)s
"""
"""One order with its current results as one JSON text; restricted tests only for who may see them."""

WHOSE_ORDER = "patient_id, id from lims.orders where organization_id = lims.tenant() and id = %(order_id)s"


def held() -> Select[Result]:
    """What waits for a person, oldest first."""
    return select(Result).where(Result.status == ResultStatus.HELD).order_by(Result.id)


def waiting_for_a_call() -> Select[Result]:
    """Current critical results of which nobody has been told, oldest first; imported history waits for nobody."""
    told = select(CriticalCall.id).where(
        CriticalCall.organization_id == Result.organization_id,
        CriticalCall.result_id == Result.id,
        CriticalCall.outcome == CallOutcome.INFORMED,
    )
    return (
        select(Result)
        .where(
            Result.flag.in_(sorted(CRITICAL_FLAGS)),
            Result.status.in_([ResultStatus.HELD, ResultStatus.AUTHORISED]),
            Result.entry != Entry.IMPORT,
            ~told.exists(),
        )
        .order_by(Result.id)
    )


def parked() -> Select[ParkedObservation]:
    """Observations that wait for a person, oldest first."""
    return select(ParkedObservation).where(ParkedObservation.resolved_at.is_(None)).order_by(ParkedObservation.id)


def heard() -> Select[InstrumentMessage]:
    """What gateways delivered, in the order of delivery."""
    return select(InstrumentMessage).order_by(InstrumentMessage.id)
