{{ config(meta={'dagster': {'ref': {'name': 'fct_results'}}}) }}

-- Restricted tests (HIV and others) stay out of analytics: not a result, not even that one was ordered.
with restricted as (
    select organization_id, code from {{ ref('stg_lims__test_definitions') }}
    where is_restricted
),

shown as (
    select organization_id, test_code from {{ ref('fct_results') }}
    union all
    select organization_id, test_code from {{ ref('fct_turnaround') }}
)

select shown.*
from shown
inner join restricted
    on shown.organization_id = restricted.organization_id and shown.test_code = restricted.code
