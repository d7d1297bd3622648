with definitions as (
    select
        *,
        row_number() over (partition by organization_id, code order by version desc) as age
    from {{ ref('stg_lims__test_definitions') }}
)

select
    organization_id,
    code,
    name,
    unit,
    is_example
from definitions
where age = 1
