-- z = (value - mean) / sd, as ISO 15189:2022 7.3.7.2 charts show it; and a rejected run names the rule it broke.
select
    control_result_id,
    z
from {{ ref('fct_control_results') }}
where
    (sd > 0 and abs(z - (value - mean) / sd) > 0.01)
    or (status = 'rejected' and coalesce(violated, '') = '')
