-- What a stranger who holds a report learns by its QR code: that it is ours, and whether it still stands. No person, no result.
create index ix_reports_verification_code on lims.reports (verification_code);

grant select (organization_id, order_id, version, released_at, sha256, verification_code, is_example) on lims.reports to lims_gate;
grant select (organization_id, id, order_number) on lims.orders to lims_gate;
grant select (organization_id, order_id, status, authorised_at) on lims.results to lims_gate;

create function lims.verify_report(code text, out laboratory text, out order_number text, out version integer,
                                   out released_at timestamptz, out sha256 text, out is_example boolean,
                                   out newest_version integer, out is_in_question boolean)
  returns setof record language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select o.name, w.order_number, r.version, r.released_at, r.sha256, r.is_example,
         (select max(n.version) from lims.reports n where n.organization_id = r.organization_id and n.order_id = r.order_id),
         exists (select 1 from lims.results v where v.organization_id = r.organization_id and v.order_id = r.order_id
                    and (v.status = 'held' or v.authorised_at > r.released_at))  -- the amended report is made by a job, later
    from lims.reports r
    join lims.organizations o on o.id = r.organization_id
    join lims.orders w on w.organization_id = r.organization_id and w.id = r.order_id
   where r.verification_code = verify_report.code;  -- an organization has a code too
$$;
alter function lims.verify_report(text) owner to lims_gate;
revoke all on function lims.verify_report(text) from public;
grant execute on function lims.verify_report(text) to lims_app;
