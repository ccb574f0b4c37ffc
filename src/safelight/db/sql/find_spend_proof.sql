-- What a workspace spent from one UTC date to another, by three accounts of it that are kept apart: the daily usage, what the
-- generations that ended then were charged, and what the ledger has as revenue of then. The last two with what is archived.
select
    coalesce((
        select sum(cost_nanos) from daily_usage
        where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s), 0)::bigint as used_nanos,
    (coalesce((
        select sum(charged_nanos) from generations
        where workspace_id = %(workspace_id)s
          and finished_at >= %(first)s::date::timestamp at time zone 'UTC'
          and finished_at < (%(last)s::date + 1)::timestamp at time zone 'UTC'), 0)
    + coalesce((
        select sum(cost_nanos) from archived_usage
        where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s), 0))::bigint as charged_nanos,
    (coalesce((
        select sum(revenue_nanos) from transfers
        where workspace_id = %(workspace_id)s and kind = 'settle'
          and created_at >= %(first)s::date::timestamp at time zone 'UTC'
          and created_at < (%(last)s::date + 1)::timestamp at time zone 'UTC'), 0)
    + coalesce((
        select sum(revenue_nanos) from archived_ledger
        where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s), 0))::bigint as revenue_nanos;
