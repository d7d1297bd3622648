with results as (
    select * from {{ ref('stg_lims__results') }}
    where status <> 'rejected'
),

by_arrival as (
    select
        order_test_id,
        available_at,
        analyser_id,
        row_number() over (partition by order_test_id order by available_at, version, result_id) as place
    from results
),

first_seen as (
    select * from by_arrival
    where place = 1
),

by_authorisation as (
    select
        order_test_id,
        authorised_at,
        is_automatic,
        row_number() over (partition by order_test_id order by authorised_at, version, result_id) as place
    from results
    where authorised_at is not null
),

first_authorised as (
    select * from by_authorisation
    where place = 1
)

select
    first_seen.order_test_id,
    first_seen.available_at as first_result_at,
    first_seen.analyser_id,
    first_authorised.authorised_at,
    first_authorised.is_automatic
from first_seen
left join first_authorised on first_seen.order_test_id = first_authorised.order_test_id
