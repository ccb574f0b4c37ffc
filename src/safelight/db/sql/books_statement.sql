-- The ledger in one line: what was funded, what is available, held and earned, and how they add up, the archive included.
select
    (select count(*) from transfers) + coalesce(a.transfers, 0)::bigint as transfers,
    coalesce((select -sum(funding_nanos) from transfers), 0)::numeric as funded_nanos,
    coalesce((select sum(available_nanos) from transfers), 0) + coalesce(a.available_nanos, 0) as available_nanos,
    coalesce((select sum(held_nanos) from transfers), 0) + coalesce(a.held_nanos, 0) as held_nanos,
    coalesce((select sum(revenue_nanos) from transfers), 0) + coalesce(a.revenue_nanos, 0) as revenue_nanos,
    coalesce((select sum(cost_nanos) from daily_usage), 0)::numeric as daily_costs_nanos,
    coalesce((select sum(charged_nanos) from generations), 0)
        + coalesce((select sum(cost_nanos) from archived_usage), 0) as charged_nanos,
    coalesce((select sum(amount_nanos) from postings), 0)
        + coalesce(a.available_nanos + a.held_nanos + a.revenue_nanos, 0) as sum_nanos
from (
    select sum(transfers) as transfers, sum(available_nanos) as available_nanos, sum(held_nanos) as held_nanos,
        sum(revenue_nanos) as revenue_nanos
    from archived_ledger
) a;
