-- The ledger in one line, as books_statement.sql has it: what was verified up to the last close, and what came since.
with since as (
    select (closed_at at time zone 'UTC')::date - 1 as date from books_close
), posted as (
    select 1 as transfers, t.funding_nanos, t.available_nanos, t.held_nanos, t.revenue_nanos,
        coalesce(g.charged_nanos, 0) as charged_nanos
    from transfers t
    left join lateral (
        select charged_nanos from generations g where g.id = t.generation_id and t.kind = 'settle' limit 1 -- each by its key
    ) g on true
    where t.id > %(since)s
    union all
    select transfers, funding_nanos, available_nanos, held_nanos, revenue_nanos, charged_nanos from books_closed_accounts
), totals as (
    select coalesce(sum(transfers), 0)::bigint as transfers,
        coalesce(-sum(funding_nanos), 0)::numeric as funded_nanos,
        coalesce(sum(available_nanos), 0)::numeric as available_nanos,
        coalesce(sum(held_nanos), 0)::numeric as held_nanos,
        coalesce(sum(revenue_nanos), 0)::numeric as revenue_nanos,
        coalesce(sum(charged_nanos), 0)::numeric as charged_nanos
    from posted
)
select transfers, funded_nanos, available_nanos, held_nanos, revenue_nanos, charged_nanos,
    -- Of the days before, as they were verified.
    coalesce((select sum(revenue_nanos) from books_closed_accounts), 0)
        - coalesce((select sum(cost_nanos) from books_closed_usage where date >= (select date from since)), 0)
        + coalesce((select sum(cost_nanos) from daily_usage where date >= (select date from since)), 0)
        as daily_costs_nanos,
    available_nanos + held_nanos + revenue_nanos - funded_nanos as sum_nanos
from totals;
