-- A clinician must never see two values that both claim to stand for the same ordered test.
select
    order_test_id,
    count(*) as standing
from {{ ref('int_results__with_standing') }}
where is_current and status = 'authorised' and order_test_id is not null
group by order_test_id
having count(*) > 1
