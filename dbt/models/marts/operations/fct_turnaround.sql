{{ config(indexes=[{'columns': ['organization_id', 'placed_at']}]) }}

with order_tests as (
    select * from {{ ref('stg_lims__order_tests') }}
    where status <> 'cancelled'
),

orders as (
    select * from {{ ref('stg_lims__orders') }}
),

specimens as (
    select * from {{ ref('stg_lims__specimens') }}
),

first_results as (
    select * from {{ ref('int_order_tests__with_first_results') }}
),

definitions as (
    select * from {{ ref('stg_lims__test_definitions') }}
),

sites as (
    select * from {{ ref('stg_lims__sites') }}
),

analysers as (
    select * from {{ ref('stg_lims__analysers') }}
),

-- How far the warehouse's knowledge reaches: a pending test is late when it was due before that.
known as (
    select max(recorded_at) as until_at from order_tests
),

timed as (
    select
        order_tests.organization_id,
        order_tests.order_test_id,
        order_tests.order_id,
        orders.site_id,
        sites.name as site_name,
        order_tests.test_code,
        definitions.name as test_name,
        definitions.discipline,
        coalesce(definitions.is_example, false) as is_example,
        orders.priority,
        analysers.code as analyser_code,
        orders.placed_at,
        specimens.collected_at,
        specimens.received_at,
        first_results.first_result_at,
        first_results.authorised_at,
        coalesce(order_tests.due_at, orders.due_at) as due_at,
        coalesce(first_results.authorised_at, known.until_at) as done_or_known_at,
        coalesce(first_results.is_automatic, false) as is_automatic,
        order_tests.recorded_at
    from order_tests
    inner join orders on order_tests.order_id = orders.order_id
    cross join known
    left join specimens on order_tests.specimen_id = specimens.specimen_id
    left join first_results on order_tests.order_test_id = first_results.order_test_id
    left join definitions on order_tests.definition_id = definitions.definition_id
    left join sites on orders.site_id = sites.site_id
    left join analysers on first_results.analyser_id = analysers.analyser_id
)

select
    cast(organization_id as {{ dbt.type_string() }}) as organization_id,
    cast(order_test_id as {{ dbt.type_string() }}) as order_test_id,
    cast(order_id as {{ dbt.type_string() }}) as order_id,
    cast(site_id as {{ dbt.type_string() }}) as site_id,
    cast(site_name as {{ dbt.type_string() }}) as site_name,
    cast(test_code as {{ dbt.type_string() }}) as test_code,
    cast(test_name as {{ dbt.type_string() }}) as test_name,
    cast(discipline as {{ dbt.type_string() }}) as discipline,
    cast(is_example as {{ dbt.type_boolean() }}) as is_example,
    cast(priority as {{ dbt.type_string() }}) as priority,
    cast(analyser_code as {{ dbt.type_string() }}) as analyser_code,
    cast(placed_at as timestamptz) as placed_at,
    cast(collected_at as timestamptz) as collected_at,
    cast(received_at as timestamptz) as received_at,
    cast(first_result_at as timestamptz) as first_result_at,
    cast(authorised_at as timestamptz) as authorised_at,
    cast(due_at as timestamptz) as due_at,
    cast({{ minutes_between('placed_at', 'due_at') }} as double precision) as minutes_target,
    cast({{ minutes_between('placed_at', 'collected_at') }} as double precision) as minutes_order_to_collection,
    cast({{ minutes_between('collected_at', 'received_at') }} as double precision)
        as minutes_collection_to_receipt,
    cast({{ minutes_between('received_at', 'first_result_at') }} as double precision)
        as minutes_receipt_to_result,
    cast({{ minutes_between('first_result_at', 'authorised_at') }} as double precision)
        as minutes_result_to_authorised,
    cast({{ minutes_between('placed_at', 'authorised_at') }} as double precision) as minutes_total,
    cast(coalesce(done_or_known_at > due_at, false) as {{ dbt.type_boolean() }}) as is_late,
    cast(is_automatic as {{ dbt.type_boolean() }}) as is_automatic,
    cast(recorded_at as timestamptz) as recorded_at
from timed
