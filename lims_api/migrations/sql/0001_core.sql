-- The ledger, and what stands beside it. Applied by the first migration; never edited after it has landed.

grant usage on schema lims to lims_app, lims_system, lims_importer, lims_capture, lims_gate, lims_ledger, lims_owner;

-- The tenant of this transaction; fails closed ('' after a transaction that had set it, NULL before).
create function lims.tenant() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('lims.organization_id', true), '')::pg_catalog.uuid $$;

create table lims.ledger (
  seq bigint generated always as identity,
  xid xid8 not null default pg_current_xact_id(),
  organization_id uuid not null,
  table_name text not null,
  row_id uuid not null,
  op text not null check (op in ('I', 'U', 'D')),
  body text not null,
  actor_id uuid not null,
  session_id uuid,
  device text,
  ip text,
  request_id text,
  reason text,
  occurred_at timestamptz,
  recorded_at timestamptz not null default now()
) partition by range (recorded_at);
create index ledger_xid on lims.ledger (xid);
alter table lims.ledger owner to lims_ledger;
alter table lims.ledger enable row level security;
alter table lims.ledger force row level security;
create policy tenant on lims.ledger for select using (organization_id = (select lims.tenant()));
create policy writer on lims.ledger for insert to lims_ledger with check (true);
grant select on lims.ledger to lims_app, lims_system, lims_capture;

-- Three statement-level triggers a table call this. It is the only way into the ledger.
create function lims.ledger_write() returns trigger language plpgsql security definer
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
    select n.organization_id, tg_table_name, n.id, 'I', jsonb_build_object('after', to_jsonb(n))::text,
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
    select o.organization_id, tg_table_name, o.id, 'D', jsonb_build_object('before', to_jsonb(o))::text,
           actor, session, device, ip, request, reason, occurred
    from old_rows o;
  end if;
  return null;
end $$;
alter function lims.ledger_write() owner to lims_ledger;
revoke all on function lims.ledger_write() from public;

-- Domain events, published by services in the transaction of the change.
create table lims.outbox (
  seq bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  id uuid not null unique,
  organization_id uuid not null,
  name text not null,
  version integer not null,
  subject_id uuid not null,
  payload text not null,
  actor_id uuid not null,
  recorded_at timestamptz not null default now()
);
create index outbox_xid on lims.outbox (xid);
grant insert (id, organization_id, name, version, subject_id, payload, actor_id), select on lims.outbox to lims_app, lims_system, lims_importer;
grant select on lims.outbox to lims_capture;

-- Which subscriber has handled which event.
create table lims.event_receipts (
  organization_id uuid not null,
  event_id uuid not null,
  subscriber text not null,
  handled_at timestamptz not null default now(),
  primary key (organization_id, event_id, subscriber)
);
grant insert, select on lims.event_receipts to lims_app, lims_system;

-- How far a reader of the outbox is; moved in the transaction of nothing else, since receipts make a repeat harmless.
create table lims.reader_positions (
  reader text primary key,
  snapshot text not null,
  system_identifier bigint not null
);
alter table lims.reader_positions owner to lims_owner;
grant select, insert, update on lims.reader_positions to lims_system;

-- Who read which patient's data.
create table lims.access_log (
  organization_id uuid not null,
  actor_id uuid not null,
  session_id uuid,
  device text,
  ip text,
  request_id text,
  action text not null,
  patient_id uuid,
  subject_id uuid,
  read_at timestamptz not null default now()
) partition by range (read_at);
create index access_log_patient on lims.access_log (organization_id, patient_id, read_at);
grant insert (organization_id, actor_id, session_id, device, ip, request_id, action, patient_id, subject_id), select on lims.access_log to lims_app, lims_system;

-- A write's stored reply, so that a repeat changes nothing. Replies hold ids, numbers and states only.
create table lims.idempotency_keys (
  organization_id uuid not null,
  actor_id uuid not null,
  key text not null,
  route text not null,
  fingerprint bytea not null,
  status integer,
  reply text,
  created_at timestamptz not null default now(),
  primary key (organization_id, actor_id, key)
);
grant insert (organization_id, actor_id, key, route, fingerprint), select, update (status, reply) on lims.idempotency_keys to lims_app, lims_system;
grant delete on lims.idempotency_keys to lims_system;

do $$ declare t text; begin
  foreach t in array array['outbox', 'event_receipts', 'access_log', 'idempotency_keys'] loop
    execute format('alter table lims.%I owner to lims_owner', t);
    execute format('alter table lims.%I enable row level security', t);
    execute format('alter table lims.%I force row level security', t);
    execute format('create policy tenant on lims.%I using (organization_id = (select lims.tenant())) with check (organization_id = (select lims.tenant()))', t);
  end loop;
end $$;

-- Month partitions, made ahead; what falls outside lands in the default partition and is moved when its month is made.
create function lims.make_partitions(months_ahead integer default 6) returns integer language plpgsql security definer
  set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  parent record;
  month date;
  part text;
  made integer := 0;
  moved boolean;
begin
  for parent in
    select c.oid, c.relname, a.attname as key, pg_get_userbyid(c.relowner) as owner
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_partitioned_table p on p.partrelid = c.oid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
    where n.nspname = 'lims'
  loop
    if not exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                   where n.nspname = 'lims' and c.relname = parent.relname || '_default') then
      execute format('create table lims.%I partition of lims.%I default', parent.relname || '_default', parent.relname);
      execute format('alter table lims.%I owner to %I', parent.relname || '_default', parent.owner);
    end if;
    -- Whoever writes into the default partition meanwhile waits: a row that came after the move would stop the attaching.
    execute format('lock table lims.%I in access exclusive mode', parent.relname || '_default');
    for month in
      execute format('select distinct date_trunc(''month'', %I)::date from lims.%I
                      union select generate_series(date_trunc(''month'', now()), date_trunc(''month'', now()) + make_interval(months => %s), ''1 month'')::date
                      order by 1', parent.key, parent.relname || '_default', months_ahead)
    loop
      part := parent.relname || to_char(month, '"_p"YYYYMM');
      continue when exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'lims' and c.relname = part);
      execute format('create table lims.%I (like lims.%I including defaults including constraints)', part, parent.relname);
      execute format('with gone as (delete from lims.%I where %I >= %L and %I < %L returning *) insert into lims.%I select * from gone',
                     parent.relname || '_default', parent.key, month, parent.key, month + interval '1 month', part);
      execute format('alter table lims.%I owner to %I', part, parent.owner);
      execute format('alter table lims.%I attach partition lims.%I for values from (%L) to (%L)', parent.relname, part, month, month + interval '1 month');
      made := made + 1;
    end loop;
  end loop;
  return made;
end $$;
revoke all on function lims.make_partitions(integer) from public;
grant execute on function lims.make_partitions(integer) to lims_system;

-- Puts a tenant table under row-level security, into the ledger, and gives the least grants. Safe to call again
-- after a column was added. The application may set neither `recorded_at` nor `available_at`, and may not change a key.
create function lims.protect(name text, in_ledger boolean default true, deletable boolean default false) returns void language plpgsql as $$
declare
  insertable text;
  updatable text;
begin
  select string_agg(quote_ident(attname), ', ') filter (where attname not in ('recorded_at', 'available_at')),
         string_agg(quote_ident(attname), ', ') filter (where attname not in ('recorded_at', 'available_at', 'organization_id', 'id', 'occurred_at'))
    into insertable, updatable
    from pg_attribute where attrelid = ('lims.' || quote_ident(name))::regclass and attnum > 0 and not attisdropped;
  execute format('alter table lims.%I owner to lims_owner', name);
  execute format('alter table lims.%I enable row level security', name);
  execute format('alter table lims.%I force row level security', name);
  execute format('drop policy if exists tenant on lims.%I', name);
  execute format('create policy tenant on lims.%I using (organization_id = (select lims.tenant())) with check (organization_id = (select lims.tenant()))', name);
  execute format('grant select, insert (%s) on lims.%I to lims_app, lims_system', insertable, name);
  execute format('grant select, insert on lims.%I to lims_importer', name);
  if updatable is not null then
    execute format('grant update (%s) on lims.%I to lims_app, lims_system, lims_importer', updatable, name);
  end if;
  if deletable then
    execute format('grant delete on lims.%I to lims_app, lims_system', name);
  end if;
  if in_ledger then
    execute format('create or replace trigger ledger_i after insert on lims.%I referencing new table as new_rows for each statement execute function lims.ledger_write()', name);
    execute format('create or replace trigger ledger_u after update on lims.%I referencing old table as old_rows new table as new_rows for each statement execute function lims.ledger_write()', name);
    execute format('create or replace trigger ledger_d after delete on lims.%I referencing old table as old_rows for each statement execute function lims.ledger_write()', name);
  end if;
end $$;
revoke all on function lims.protect(text, boolean, boolean) from public;

-- Binds a transaction to an organization and an actor; for jobs and commands that no bearer token stands behind.
create function lims.act(organization uuid, actor uuid, device text, request text, reason text) returns void language sql as $$
  select set_config('lims.organization_id', organization::text, true), set_config('lims.actor_id', actor::text, true),
         set_config('lims.session_id', '', true), set_config('lims.device', device, true), set_config('lims.ip', '', true),
         set_config('lims.request_id', request, true), set_config('lims.reason', reason, true);
$$;
