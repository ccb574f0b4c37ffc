-- What a workspace has, what is held for what, and what the days of a range cost it.
select a.available_nanos, a.held_nanos,
    coalesce(u.queued, 0) as queued, coalesce(u.queued_nanos, 0)::bigint as queued_nanos,
    coalesce(u.running, 0) as running, coalesce(u.running_nanos, 0)::bigint as running_nanos,
    coalesce(u.unknown, 0) as unknown, coalesce(u.unknown_nanos, 0)::bigint as unknown_nanos,
    coalesce(d.cost_nanos, 0)::bigint as pace_nanos, coalesce(d.days, 0) as pace_days
from accounts a
cross join (
    select count(*) filter (where state = 'queued') as queued,
        sum(held_nanos) filter (where state = 'queued') as queued_nanos,
        count(*) filter (where state = 'running') as running,
        sum(held_nanos) filter (where state = 'running') as running_nanos,
        count(*) filter (where state = 'unknown') as unknown,
        sum(held_nanos) filter (where state = 'unknown') as unknown_nanos
    from generations where workspace_id = %(workspace_id)s and state in ('queued', 'running', 'unknown')
) u
cross join (
    select sum(cost_nanos) as cost_nanos, count(distinct date) filter (where cost_nanos > 0) as days
    from daily_usage where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s
) d
where a.workspace_id = %(workspace_id)s;
