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
)

select
    cast(control_results.organization_id as {{ dbt.type_string() }}) as organization_id,
    cast(control_results.control_result_id as {{ dbt.type_string() }}) as control_result_id,
    cast(control_results.run_id as {{ dbt.type_string() }}) as run_id,
    cast(control_results.analyser_id as {{ dbt.type_string() }}) as analyser_id,
    cast(analysers.code as {{ dbt.type_string() }}) as analyser_code,
    cast(materials.name as {{ dbt.type_string() }}) as material,
    cast(lots.lot_number as {{ dbt.type_string() }}) as lot_number,
    cast(control_results.level as {{ dbt.type_int() }}) as level,
    cast(control_results.test_code as {{ dbt.type_string() }}) as test_code,
    cast(control_results.value as double precision) as value,
    cast(control_results.mean as double precision) as mean,
    cast(control_results.sd as double precision) as sd,
    cast(control_results.z as double precision) as z,
    cast(control_results.violated as {{ dbt.type_string() }}) as violated,
    cast(control_results.status as {{ dbt.type_string() }}) as status,
    cast(control_results.occurred_at as timestamptz) as occurred_at
from control_results
left join analysers on control_results.analyser_id = analysers.analyser_id
left join lots on control_results.lot_id = lots.lot_id
left join materials on lots.material_id = materials.material_id
