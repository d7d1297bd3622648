-- order → collection → receipt → first result → authorisation: the parts make the whole.
select
    order_test_id,
    minutes_total
from {{ ref('fct_turnaround') }}
where abs(
    minutes_total
    - minutes_order_to_collection
    - minutes_collection_to_receipt
    - minutes_receipt_to_result
    - minutes_result_to_authorised
) > 0.001
