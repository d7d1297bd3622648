with results as (
    select * from {{ ref('stg_lims__results') }}
),

corrected as (
    select distinct corrects_id as result_id
    from results
    where corrects_id is not null and status in ('authorised', 'superseded')
)

select
    results.*,
    case
        when results.status = 'authorised' then corrected.result_id is null
        when results.status = 'held' then results.corrects_id is null
        else false
    end as is_current
from results
left join corrected on results.result_id = corrected.result_id
