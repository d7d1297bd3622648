{{ config(indexes=[{'columns': ['organization_id', 'available_at']}]) }}

with results as (
    select * from {{ ref('int_results__with_standing') }}
)

select
    cast(organization_id as {{ dbt.type_string() }}) as organization_id,
    cast(result_id as {{ dbt.type_string() }}) as result_id,
    cast({{ dbt.hash('patient_id') }} as {{ dbt.type_string() }}) as patient_key,
    cast(order_id as {{ dbt.type_string() }}) as order_id,
    cast(specimen_id as {{ dbt.type_string() }}) as specimen_id,
    cast(site_id as {{ dbt.type_string() }}) as site_id,
    cast(test_code as {{ dbt.type_string() }}) as test_code,
    cast(loinc as {{ dbt.type_string() }}) as loinc,
    cast(value as double precision) as value,
    cast(comparator as {{ dbt.type_string() }}) as comparator,
    cast(unit as {{ dbt.type_string() }}) as unit,
    cast(reference_low as double precision) as reference_low,
    cast(reference_high as double precision) as reference_high,
    cast(critical_low as double precision) as critical_low,
    cast(critical_high as double precision) as critical_high,
    cast(flag as {{ dbt.type_string() }}) as flag,
    cast(age_days as {{ dbt.type_int() }}) as age_days,
    cast(sex as {{ dbt.type_string() }}) as sex,
    cast(analyser_id as {{ dbt.type_string() }}) as analyser_id,
    cast(entry as {{ dbt.type_string() }}) as entry,
    cast(status as {{ dbt.type_string() }}) as status,
    cast(version as {{ dbt.type_int() }}) as version,
    cast(corrects_id as {{ dbt.type_string() }}) as corrects_id,
    cast(is_current as {{ dbt.type_boolean() }}) as is_current,
    cast(is_automatic as {{ dbt.type_boolean() }}) as is_automatic,
    cast(reasons as {{ dbt.type_string() }}) as reasons,
    cast(risk as double precision) as risk,
    cast(model_version as {{ dbt.type_string() }}) as model_version,
    cast(occurred_at as timestamptz) as occurred_at,
    cast(available_at as timestamptz) as available_at,
    cast(authorised_at as timestamptz) as authorised_at,
    cast(first_recorded_at as timestamptz) as recorded_at
from results
