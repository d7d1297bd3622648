with source as (
    {{ latest('test_definitions', [
        'code',
        'version',
        'name',
        'loinc',
        'unit',
        'decimals',
        'specimen_type',
        'discipline',
        'method',
        'turnaround_minutes',
        'is_restricted',
        'is_example',
    ]) | indent(4) }}
)

select
    organization_id,
    row_id as definition_id,
    code,
    version,
    name,
    loinc,
    unit,
    decimals,
    specimen_type,
    discipline,
    method,
    turnaround_minutes,
    is_restricted,
    is_example,
    recorded_at
from source
