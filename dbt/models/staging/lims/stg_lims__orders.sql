{{ config(materialized='table') }}

with source as (
    {{ latest('orders', [
        'patient_id',
        'site_id',
        'priority',
        'status',
        'placed_at',
        'due_at',
        'completed_at',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as order_id,
    patient_id,
    site_id,
    priority,
    status,
    placed_at,
    due_at,
    completed_at,
    recorded_at
from source
