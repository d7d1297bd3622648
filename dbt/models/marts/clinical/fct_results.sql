{{ config(indexes=[{'columns': ['organization_id', 'available_at']}]) }}

with results as (
    select * from {{ ref('int_results__with_standing') }}
),

definitions as (
    select * from {{ ref('stg_lims__test_definitions') }}
),

orders as (
    select * from {{ ref('stg_lims__orders') }}
),

sites as (
    select * from {{ ref('stg_lims__sites') }}
),

analysers as (
    select * from {{ ref('stg_lims__analysers') }}
)

select
    cast(results.organization_id as {{ dbt.type_string() }}) as organization_id,
    cast(results.result_id as {{ dbt.type_string() }}) as result_id,
    cast({{ dbt.hash('results.patient_id') }} as {{ dbt.type_string() }}) as patient_key,
    cast(results.order_id as {{ dbt.type_string() }}) as order_id,
    cast(results.specimen_id as {{ dbt.type_string() }}) as specimen_id,
    cast(results.site_id as {{ dbt.type_string() }}) as site_id,
    cast(results.test_code as {{ dbt.type_string() }}) as test_code,
    cast(results.loinc as {{ dbt.type_string() }}) as loinc,
    cast(results.value as double precision) as value,
    cast(results.comparator as {{ dbt.type_string() }}) as comparator,
    cast(results.unit as {{ dbt.type_string() }}) as unit,
    cast(results.reference_low as double precision) as reference_low,
    cast(results.reference_high as double precision) as reference_high,
    cast(results.critical_low as double precision) as critical_low,
    cast(results.critical_high as double precision) as critical_high,
    cast(results.flag as {{ dbt.type_string() }}) as flag,
    cast(results.age_days as {{ dbt.type_int() }}) as age_days,
    cast(results.sex as {{ dbt.type_string() }}) as sex,
    cast(results.analyser_id as {{ dbt.type_string() }}) as analyser_id,
    cast(results.entry as {{ dbt.type_string() }}) as entry,
    cast(results.status as {{ dbt.type_string() }}) as status,
    cast(results.version as {{ dbt.type_int() }}) as version,
    cast(results.corrects_id as {{ dbt.type_string() }}) as corrects_id,
    cast(results.is_current as {{ dbt.type_boolean() }}) as is_current,
    cast(results.is_automatic as {{ dbt.type_boolean() }}) as is_automatic,
    cast(results.reasons as {{ dbt.type_string() }}) as reasons,
    cast(results.risk as double precision) as risk,
    cast(results.model_version as {{ dbt.type_string() }}) as model_version,
    cast(results.rules_version as {{ dbt.type_string() }}) as rules_version,
    cast(definitions.name as {{ dbt.type_string() }}) as test_name,
    cast(definitions.discipline as {{ dbt.type_string() }}) as discipline,
    cast(orders.priority as {{ dbt.type_string() }}) as priority,
    cast(sites.name as {{ dbt.type_string() }}) as site_name,
    cast(analysers.code as {{ dbt.type_string() }}) as analyser_code,
    cast(coalesce(definitions.is_example, false) as {{ dbt.type_boolean() }}) as is_example,
    cast(results.is_correction as {{ dbt.type_boolean() }}) as is_correction,
    cast(
        case
            when results.entry <> 'import' and not results.is_automatic
                then {{ minutes_between('results.available_at', 'results.authorised_at') }}
        end as double precision
    ) as minutes_held,
    cast(results.occurred_at as timestamptz) as occurred_at,
    cast(results.available_at as timestamptz) as available_at,
    cast(results.authorised_at as timestamptz) as authorised_at,
    cast(results.first_recorded_at as timestamptz) as recorded_at
from results
left join definitions on results.definition_id = definitions.definition_id
left join orders on results.order_id = orders.order_id
left join sites on results.site_id = sites.site_id
left join analysers on results.analyser_id = analysers.analyser_id
