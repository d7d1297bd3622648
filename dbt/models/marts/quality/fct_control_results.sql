{{ config(indexes=[{'columns': ['organization_id', 'occurred_at']}]) }}

with control_results as (
    select * from {{ ref('stg_lims__control_results') }}
),

analysers as (
    select * from {{ ref('stg_lims__analysers') }}
),

lots as (
    select * from {{ ref('stg_lims__control_lots') }}
),

materials as (
    select * from {{ ref('stg_lims__control_materials') }}
),

sites as (
    select * from {{ ref('stg_lims__sites') }}
),

definitions as (
    select * from {{ ref('int_test_definitions__newest') }}
),

-- The target is frozen on the result; where it came from is told by the newest version with the same figures.
targets as (
    select
        lot_id,
        level,
        test_code,
        analyser_id,
        mean,
        sd,
        target_source,
        row_number() over (partition by lot_id, level, test_code, analyser_id, mean, sd order by version desc) as age
    from {{ ref('stg_lims__control_targets') }}
)

select
    cast(control_results.organization_id as {{ dbt.type_string() }}) as organization_id,
    cast(control_results.control_result_id as {{ dbt.type_string() }}) as control_result_id,
    cast(control_results.run_id as {{ dbt.type_string() }}) as run_id,
    cast(control_results.analyser_id as {{ dbt.type_string() }}) as analyser_id,
    cast(analysers.code as {{ dbt.type_string() }}) as analyser_code,
    cast(sites.name as {{ dbt.type_string() }}) as site_name,
    cast(materials.name as {{ dbt.type_string() }}) as material,
    cast(lots.lot_number as {{ dbt.type_string() }}) as lot_number,
    cast(control_results.level as {{ dbt.type_int() }}) as level,
    cast(control_results.test_code as {{ dbt.type_string() }}) as test_code,
    cast(definitions.name as {{ dbt.type_string() }}) as test_name,
    cast(control_results.unit as {{ dbt.type_string() }}) as unit,
    cast(targets.target_source as {{ dbt.type_string() }}) as target_source,
    cast(
        coalesce(definitions.is_example, false) or coalesce(targets.target_source like 'EXAMPLE%', false)
        as {{ dbt.type_boolean() }}
    ) as is_example,
    cast(control_results.value as double precision) as value,
    cast(control_results.mean as double precision) as mean,
    cast(control_results.sd as double precision) as sd,
    cast(control_results.z as double precision) as z,
    cast(control_results.violated as {{ dbt.type_string() }}) as violated,
    cast(control_results.status as {{ dbt.type_string() }}) as status,
    cast(control_results.occurred_at as timestamptz) as occurred_at,
    cast(control_results.recorded_at as timestamptz) as recorded_at
from control_results
left join analysers on control_results.analyser_id = analysers.analyser_id
left join lots on control_results.lot_id = lots.lot_id
left join materials on lots.material_id = materials.material_id
left join sites on analysers.site_id = sites.site_id
left join definitions
    on
        control_results.organization_id = definitions.organization_id
        and control_results.test_code = definitions.code
left join targets
    on
        control_results.lot_id = targets.lot_id
        and control_results.level = targets.level
        and control_results.test_code = targets.test_code
        and control_results.analyser_id = targets.analyser_id
        and control_results.mean = targets.mean
        and control_results.sd = targets.sd
        and targets.age = 1
