-- Generations under way by state and type: how many, since when, what is held for them, and how their runners and
-- deadlines are.
select state::text as state, type::text as type, count(*) as generations, min(created_at) as oldest_at,
    sum(held_nanos)::bigint as held_nanos,
    count(*) filter (where run_token is not null and lease_until >= now()) as held,
    count(*) filter (where lease_until < now()) as lease_over,
    count(*) filter (where wake_at > now()) as waiting,
    count(*) filter (where deadline < now()) as overdue
from generations where state in ('queued', 'running', 'unknown')
group by 1, 2 order by 1, 2;
