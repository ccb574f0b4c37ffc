-- The ledger in one line: what was funded, what is available, held and earned, and how they add up.
select
    (select count(*) from transfers) as transfers,
    coalesce((select -sum(funding_nanos) from transfers), 0)::numeric as funded_nanos,
    coalesce((select sum(available_nanos) from transfers), 0)::numeric as available_nanos,
    coalesce((select sum(held_nanos) from transfers), 0)::numeric as held_nanos,
    coalesce((select sum(revenue_nanos) from transfers), 0)::numeric as revenue_nanos,
    coalesce((select sum(cost_nanos) from daily_usage), 0)::numeric as daily_costs_nanos,
    coalesce((select sum(charged_nanos) from generations), 0)::numeric as charged_nanos,
    coalesce((select sum(amount_nanos) from postings), 0)::numeric as sum_nanos;
