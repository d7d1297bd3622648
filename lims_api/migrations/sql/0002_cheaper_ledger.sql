-- The ledger's body as text from the start: jsonb sorted its keys and was turned into text again, which was a third of
-- what recording a result cost the database. Only an update needs jsonb, to find the fields that changed.
create or replace function lims.ledger_write() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp set timezone = 'UTC' set bytea_output = 'hex' set extra_float_digits = 1
  set enable_nestloop = off as $$  -- the plan is kept from a first small change: a loop over a thousand rows is a million
#variable_conflict use_variable  -- a table may well have a column called `reason`
declare
  actor uuid := nullif(current_setting('lims.actor_id', true), '')::uuid;
  session uuid := nullif(current_setting('lims.session_id', true), '')::uuid;
  device text := nullif(current_setting('lims.device', true), '');
  ip text := nullif(current_setting('lims.ip', true), '');
  request text := nullif(current_setting('lims.request_id', true), '');
  reason text := nullif(current_setting('lims.reason', true), '');
  occurred timestamptz := nullif(current_setting('lims.occurred_at', true), '')::timestamptz;
  before_rows bigint;
  paired_rows bigint;
begin
  if tg_op = 'INSERT' then
    insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id, session_id, device, ip, request_id, reason, occurred_at)
    select n.organization_id, tg_table_name, n.id, 'I', '{"after": ' || row_to_json(n)::text || '}',
           actor, session, device, ip, request, reason, occurred
    from new_rows n;
  elsif tg_op = 'UPDATE' then
    select count(*) into before_rows from old_rows;
    select count(*) into paired_rows
      from old_rows o join new_rows n on n.organization_id = o.organization_id and n.id = o.id;
    if before_rows <> paired_rows then
      raise exception 'a row''s key cannot change (table %)', tg_table_name using errcode = 'integrity_constraint_violation';
    end if;
    insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id, session_id, device, ip, request_id, reason, occurred_at)
    select c.organization_id, tg_table_name, c.id, 'U', jsonb_build_object('after', c.after, 'before', c.changed)::text,
           actor, session, device, ip, request, reason, occurred
    from (
      select n.organization_id, n.id, a.after,
             (select jsonb_object_agg(f.key, f.value) from jsonb_each(b.before) f
               where f.value is distinct from a.after -> f.key) as changed
      from old_rows o
      join new_rows n on n.organization_id = o.organization_id and n.id = o.id,
      lateral (select to_jsonb(n) as after offset 0) a,  -- offset 0: made once a row, not once a column
      lateral (select to_jsonb(o) as before offset 0) b
    ) c
    where c.changed is not null;
  else
    insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id, session_id, device, ip, request_id, reason, occurred_at)
    select o.organization_id, tg_table_name, o.id, 'D', '{"before": ' || row_to_json(o)::text || '}',
           actor, session, device, ip, request, reason, occurred
    from old_rows o;
  end if;
  return null;
end $$;

-- plpgsql keeps its plan; a `sql` function that is not inlined was planned anew by every read.
create or replace function lims.holds(permission text) returns boolean language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select 1 from lims.user_roles m join lims.roles r on r.organization_id = m.organization_id and r.id = m.role_id
     where m.organization_id = nullif(current_setting('lims.organization_id', true), '')::uuid
       and m.user_id = nullif(current_setting('lims.actor_id', true), '')::uuid and holds.permission = any (r.permissions));
end $$;
