-- Accounts whose balance is not what their postings add up to, and holds that do not match what is under way.
with ledger as (
    select workspace_id,
        coalesce(sum(amount_nanos) filter (where account = 'available'), 0) as available_nanos,
        coalesce(sum(amount_nanos) filter (where account = 'held'), 0) as held_nanos
    from postings group by workspace_id
), under_way as (
    select workspace_id, sum(held_nanos) as held_nanos, count(*) as in_flight
    from generations where state in ('queued', 'running', 'unknown') group by workspace_id
)
select w.name as workspace,
    a.available_nanos, coalesce(l.available_nanos, 0)::bigint as ledger_available_nanos,
    a.held_nanos, coalesce(l.held_nanos, 0)::bigint as ledger_held_nanos,
    coalesce(u.held_nanos, 0)::bigint as under_way_held_nanos,
    a.in_flight, coalesce(u.in_flight, 0)::integer as under_way
from accounts a
join workspaces w on w.id = a.workspace_id
left join ledger l using (workspace_id)
left join under_way u using (workspace_id)
where a.available_nanos <> coalesce(l.available_nanos, 0)
   or a.held_nanos <> coalesce(l.held_nanos, 0)
   or a.held_nanos <> coalesce(u.held_nanos, 0)
   or a.in_flight <> coalesce(u.in_flight, 0)
order by w.name;
