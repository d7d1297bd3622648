-- The gate: a bearer's token becomes an actor, or nothing is set at all.
grant select on lims.access_tokens, lims.users, lims.user_roles, lims.roles to lims_gate;

create function lims.enter(token bytea, permission text, device text, ip text, request text, reason text,
                           out status integer, out organization_id uuid, out actor_id uuid, out session_id uuid)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  select t.organization_id, t.user_id, t.id into organization_id, actor_id, session_id
    from lims.access_tokens t
    join lims.users u on u.organization_id = t.organization_id and u.id = t.user_id and u.is_active
   where t.token_sha256 = token and t.ended_at is null and t.expires_at > now();
  if not found then
    status := 401;
    return;
  end if;
  if not exists (
    select 1 from lims.user_roles m join lims.roles r on r.organization_id = m.organization_id and r.id = m.role_id
     where m.organization_id = enter.organization_id and m.user_id = enter.actor_id and enter.permission = any (r.permissions)
  ) then
    status := 403; organization_id := null; actor_id := null; session_id := null;
    return;
  end if;
  perform set_config('lims.organization_id', enter.organization_id::text, true), set_config('lims.actor_id', enter.actor_id::text, true),
          set_config('lims.session_id', enter.session_id::text, true), set_config('lims.device', enter.device, true),
          set_config('lims.ip', enter.ip, true), set_config('lims.request_id', enter.request, true),
          set_config('lims.reason', enter.reason, true);
  status := 200;
end $$;
alter function lims.enter(bytea, text, text, text, text, text) owner to lims_gate;
revoke all on function lims.enter(bytea, text, text, text, text, text) from public;
grant execute on function lims.enter(bytea, text, text, text, text, text) to lims_app, lims_system;

-- Whether the caller holds one more permission; asked inside a transaction that has entered.
create function lims.holds(permission text) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select 1 from lims.user_roles m join lims.roles r on r.organization_id = m.organization_id and r.id = m.role_id
     where m.organization_id = nullif(current_setting('lims.organization_id', true), '')::uuid
       and m.user_id = nullif(current_setting('lims.actor_id', true), '')::uuid and permission = any (r.permissions));
$$;
alter function lims.holds(text) owner to lims_gate;
revoke all on function lims.holds(text) from public;
grant execute on function lims.holds(text) to lims_app, lims_system;

-- Signing in: the one look at a user that needs no session. Answers nothing that a stranger could use.
create function lims.find_login(organization_code text, username text,
                                out organization_id uuid, out user_id uuid, out password_hash_sealed bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.organization_id, u.id, u.password_hash_sealed from lims.users u join lims.organizations o on o.id = u.organization_id
   where o.code = organization_code and u.username = find_login.username and u.is_active and u.kind = 'person';
$$;
alter function lims.find_login(text, text) owner to lims_gate;
revoke all on function lims.find_login(text, text) from public;
grant execute on function lims.find_login(text, text) to lims_app, lims_system;
grant select on lims.organizations to lims_gate;

-- A new session or API key, and its end; the application's role has no other right on tokens.
create function lims.begin_session(token bytea, id uuid, organization uuid, "user" uuid, kind text, expires timestamptz) returns void
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into lims.access_tokens (token_sha256, id, organization_id, user_id, kind, expires_at)
  values (token, id, organization, "user", kind, expires);
$$;
create function lims.end_session(session uuid) returns boolean language sql security definer set search_path = pg_catalog, pg_temp as $$
  with ended as (update lims.access_tokens set ended_at = now()
    where id = session and organization_id = nullif(current_setting('lims.organization_id', true), '')::uuid and ended_at is null returning 1)
  select exists (select 1 from ended);
$$;
grant insert, update on lims.access_tokens to lims_gate;
alter function lims.begin_session(bytea, uuid, uuid, uuid, text, timestamptz) owner to lims_gate;
alter function lims.end_session(uuid) owner to lims_gate;
revoke all on function lims.begin_session(bytea, uuid, uuid, uuid, text, timestamptz), lims.end_session(uuid) from public;
grant execute on function lims.begin_session(bytea, uuid, uuid, uuid, text, timestamptz), lims.end_session(uuid) to lims_app, lims_system;

alter table lims.organizations owner to lims_owner;
alter table lims.access_tokens owner to lims_owner;
grant select on lims.organizations to lims_app, lims_system, lims_importer;
grant insert, update on lims.organizations to lims_system;
grant select on lims.access_tokens to lims_system;
alter table lims.organizations enable row level security;
alter table lims.organizations force row level security;
create policy own on lims.organizations using (id = (select lims.tenant())) with check (id = (select lims.tenant()));
