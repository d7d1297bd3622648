-- One laboratory's ledger, made in the database: %(orders)s orders of ten tests, their specimens, results and controls.
-- The same seed gives the same rows. One result in fifty is corrected, one in a hundred is still held.
select setseed(%(seed)s);

create temp table analytes (n int, code text, loinc text, unit text, mean float8, spread float8, low float8, high float8);
insert into analytes values
  (1, 'GLU', '2345-7', 'mg/dL', 95, 15, 70, 110), (2, 'CREA', '2160-0', 'mg/dL', 0.9, 0.2, 0.6, 1.3),
  (3, 'BUN', '3094-0', 'mg/dL', 14, 4, 7, 20), (4, 'NA', '2951-2', 'mmol/L', 140, 3, 135, 145),
  (5, 'K', '2823-3', 'mmol/L', 4.2, 0.4, 3.5, 5.1), (6, 'CL', '2075-0', 'mmol/L', 103, 3, 98, 107),
  (7, 'ALT', '1742-6', 'U/L', 25, 10, 7, 45), (8, 'AST', '1920-8', 'U/L', 24, 9, 8, 40),
  (9, 'ALP', '6768-6', 'U/L', 80, 20, 44, 120), (10, 'TBIL', '1975-2', 'mg/dL', 0.7, 0.3, 0.2, 1.2),
  (11, 'HIV', '56888-1', '{s_co}', 0.3, 0.1, 0, 1);

create function pg_temp.id(text) returns uuid language sql immutable as $$ select md5(%(organization)s || $1)::uuid $$;
create function pg_temp.put(table_name text, row_id uuid, body json) returns void language sql as $$
  insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)
  values (%(organization)s::uuid, $1, $2, 'I', json_build_object('after', $3)::text, pg_temp.id('actor'))
$$;

select pg_temp.put('organizations', %(organization)s::uuid,
  json_build_object('id', %(organization)s, 'code', 'LAB', 'name', 'Example laboratory'));
select pg_temp.put('sites', pg_temp.id('site'), json_build_object('code', 'MAIN', 'name', 'Main', 'kind', 'lab'));
select pg_temp.put('analysers', pg_temp.id('analyser'), json_build_object('code', 'CHEM-1', 'name', 'Chemistry 1',
  'model', 'virtual', 'channel', 'chem1', 'site_id', pg_temp.id('site'), 'is_active', true));
select pg_temp.put('control_materials', pg_temp.id('material'), json_build_object('name', 'Serum control'));
select pg_temp.put('control_lots', pg_temp.id('lot'), json_build_object('material_id', pg_temp.id('material'),
  'lot_number', 'L1', 'expires_on', '2027-12-31'));
select count(pg_temp.put('control_targets', pg_temp.id('target' || code || level), json_build_object('lot_id', pg_temp.id('lot'),
  'level', level, 'test_code', code, 'analyser_id', pg_temp.id('analyser'), 'version', 1, 'mean', mean, 'sd', spread / 5,
  'source', 'EXAMPLE'))) from analytes, generate_series(1, 2) level where n <= 10;
select count(pg_temp.put('test_definitions', pg_temp.id('definition' || code), json_build_object('code', code, 'version', 1,
  'name', code, 'loinc', loinc, 'unit', unit, 'decimals', 1, 'specimen_type', 'serum', 'discipline', 'biochemistry',
  'turnaround_minutes', 240, 'is_restricted', code = 'HIV', 'is_example', true))) from analytes;

create temp table orders as
select g, pg_temp.id('order' || g) as id, pg_temp.id('patient' || (g %% greatest(1, %(orders)s / 4))) as patient_id,
  pg_temp.id('specimen' || g) as specimen_id, '2026-01-01T06:00:00Z'::timestamptz + g * interval '7 minutes' as placed_at,
  random() as chance, 20 + (g %% 60) as age
from generate_series(1, %(orders)s) g;
select count(pg_temp.put('patients', patient_id, json_build_object('sex', case when age %% 2 = 0 then 'male' else 'female' end,
  'status', 'active', 'name_sealed', '\x00ff'))) from (select distinct on (patient_id) * from orders order by patient_id) p;
select count(pg_temp.put('orders', id, json_build_object('order_number', 'O' || g, 'patient_id', patient_id,
  'site_id', pg_temp.id('site'), 'priority', 'routine', 'status', 'completed', 'placed_at', placed_at,
  'due_at', placed_at + interval '4 hours', 'completed_at', placed_at + interval '3 hours'))) from orders;
select count(pg_temp.put('specimens', specimen_id, json_build_object('order_id', id, 'patient_id', patient_id,
  'site_id', pg_temp.id('site'), 'specimen_type', 'serum', 'status', 'received',
  'collected_at', placed_at + interval '10 minutes', 'received_at', placed_at + interval '40 minutes'))) from orders;

create temp table measured as
select o.*, a.*, o.g || a.code as key, pg_temp.id('test' || o.g || a.code) as order_test_id,
  pg_temp.id('result' || o.g || a.code) as result_id, (o.g * 11 + a.n) %% 50 = 0 as is_corrected, (o.g * 11 + a.n) %% 100 = 7 as is_held,
  greatest(0.05, round((a.mean + a.spread * (random() + random() + random() + random() - 2) * 1.7)::numeric, 2)) as value
from orders o join analytes a on a.n <= 10 or o.g %% 5 = 0;
select count(pg_temp.put('order_tests', order_test_id, json_build_object('order_id', id, 'test_code', code,
  'definition_id', pg_temp.id('definition' || code), 'specimen_id', specimen_id, 'status', 'authorised',
  'due_at', placed_at + interval '4 hours'))) from measured;

create function pg_temp.result(m measured, corrects uuid, factor numeric) returns json language sql as $$
  select json_build_object('patient_id', m.patient_id, 'order_id', m.id, 'order_test_id', m.order_test_id,
    'specimen_id', m.specimen_id, 'site_id', pg_temp.id('site'), 'test_code', m.code, 'loinc', m.loinc,
    'definition_id', pg_temp.id('definition' || m.code), 'analyser_id', pg_temp.id('analyser'), 'run', 1,
    'value_text', (m.value * factor)::text, 'value', m.value * factor, 'unit', m.unit, 'reference_low', m.low, 'reference_high', m.high,
    'critical_low', m.low * 0.5, 'critical_high', m.high * 2, 'age_days', m.age * 365, 'sex', case when m.age %% 2 = 0 then 'male' else 'female' end,
    'flag', case when m.value * factor < m.low then 'L' when m.value * factor > m.high then 'H' else 'N' end,
    'instrument_flags', '[]'::json, 'entry', 'instrument', 'status', case when m.is_held then 'held' else 'authorised' end,
    'version', case when corrects is null then 1 else 2 end, 'corrects_id', corrects,
    'reasons', case when m.is_held then '["delta_check"]'::json else '[]'::json end, 'risk', 0.01, 'model_version', '1',
    'authorised_at', case when not m.is_held then m.placed_at + interval '2 hours' + m.chance * interval '3 hours' end,
    'is_automatic', not m.is_held and m.n <= 6, 'occurred_at', m.placed_at + interval '60 minutes',
    'available_at', m.placed_at + interval '61 minutes', 'recorded_at', '2026-11-01T00:00:00+00:00')
$$;
select count(pg_temp.put('results', result_id, pg_temp.result(m, null, 1))) from measured m;
insert into lims.ledger (organization_id, table_name, row_id, op, body, actor_id)
select %(organization)s::uuid, 'results', result_id, 'U', json_build_object('after',
  pg_temp.result(m, null, 1)::jsonb || '{"status": "superseded"}', 'before', '{"status": "authorised"}'::json)::text, pg_temp.id('actor')
from measured m where is_corrected and not is_held;
select count(pg_temp.put('results', pg_temp.id('correction' || key), pg_temp.result(m, result_id, 1.1)))
from measured m where is_corrected and not is_held;

select count(pg_temp.put('control_results', pg_temp.id('control' || g || code || level), json_build_object(
  'run_id', pg_temp.id('run' || g), 'analyser_id', pg_temp.id('analyser'), 'lot_id', pg_temp.id('lot'), 'level', level,
  'test_code', code, 'value', mean + z * spread / 5, 'unit', unit, 'mean', mean, 'sd', spread / 5, 'z', z,
  'violated', case when abs(z) > 3 then '["1-3s"]'::json when abs(z) > 2 then '["1-2s"]'::json else '[]'::json end,
  'status', case when abs(z) > 3 then 'rejected' when abs(z) > 2 then 'warning' else 'accepted' end,
  'occurred_at', '2026-01-01T05:00:00Z'::timestamptz + g * interval '12 hours',
  'available_at', '2026-01-01T05:01:00Z'::timestamptz + g * interval '12 hours')))
from (select *, (random() + random() + random() + random() - 2) * 1.7 as z
      from generate_series(1, greatest(2, %(orders)s / 100)) g, analytes, generate_series(1, 2) level where n <= 10) c;
