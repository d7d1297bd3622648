{{ config(materialized='table') }}

with source as (
    {{ latest('control_results', [
        'run_id',
        'analyser_id',
        'lot_id',
        'level',
        'test_code',
        'value',
        'unit',
        'mean',
        'sd',
        'z',
        'violated',
        'status',
        'occurred_at',
        'available_at',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as control_result_id,
    run_id,
    analyser_id,
    lot_id,
    level,
    test_code,
    value,
    unit,
    mean,
    sd,
    z,
    violated,
    status,
    occurred_at,
    available_at,
    recorded_at
from source
