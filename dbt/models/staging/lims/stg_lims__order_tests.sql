{{ config(materialized='table') }}

with source as (
    {{ latest('order_tests', [
        'order_id',
        'test_code',
        'definition_id',
        'specimen_id',
        'status',
        'due_at',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as order_test_id,
    order_id,
    test_code,
    definition_id,
    specimen_id,
    status,
    due_at,
    recorded_at
from source
