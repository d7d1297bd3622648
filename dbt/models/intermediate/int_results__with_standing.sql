with results as (
    select * from {{ ref('stg_lims__results') }}
),

corrected as (
    select distinct corrects_id as result_id
    from results
    where corrects_id is not null and status in ('authorised', 'superseded')
),

first_released as (
    select
        specimen_id,
        test_code,
        min(version) as version
    from results
    where authorised_at is not null
    group by specimen_id, test_code
)

select
    results.*,
    case
        when results.status = 'authorised' then corrected.result_id is null
        when results.status = 'held' then results.corrects_id is null
        else false
    end as is_current,
    results.authorised_at is not null and coalesce(results.version > first_released.version, false) as is_correction
from results
left join corrected on results.result_id = corrected.result_id
left join first_released
    on results.specimen_id = first_released.specimen_id and results.test_code = first_released.test_code
