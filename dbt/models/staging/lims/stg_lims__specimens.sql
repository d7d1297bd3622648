{{ config(materialized='table') }}

with source as (
    {{ latest('specimens', [
        'order_id',
        'site_id',
        'specimen_type',
        'status',
        'collected_at',
        'received_at',
        'rejected_at',
        'rejection_reason',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as specimen_id,
    order_id,
    site_id,
    specimen_type,
    status,
    collected_at,
    received_at,
    rejected_at,
    rejection_reason,
    recorded_at
from source
