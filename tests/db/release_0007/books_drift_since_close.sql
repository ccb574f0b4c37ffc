-- What is recorded of a workspace beside what was verified up to the last close and what was posted and made since, where
-- the two differ.
with ledger as (
    select t.workspace_id, sum(t.available_nanos) as available_nanos, sum(t.held_nanos) as held_nanos,
        sum(t.revenue_nanos) as revenue_nanos, coalesce(sum(g.charged_nanos), 0) as charged_nanos
    from transfers t
    left join lateral (
        -- Each is looked up by its key, however many the planner expects.
        select charged_nanos from generations g where g.id = t.generation_id and t.kind = 'settle' limit 1
    ) g on true
    where t.id > %(since)s
    group by t.workspace_id
), under_way as (
    select workspace_id, sum(held_nanos) as held_nanos, count(*) as generations
    from generations where state in ('queued', 'running', 'unknown') group by workspace_id
)
select w.name as workspace, line.what, line.recorded::numeric, line.rebuilt::numeric
from workspaces w
left join accounts a on a.workspace_id = w.id
left join books_closed_accounts c on c.workspace_id = w.id
left join ledger l on l.workspace_id = w.id
left join under_way u on u.workspace_id = w.id
cross join lateral (values
    ('available', a.available_nanos, coalesce(c.available_nanos, 0) + coalesce(l.available_nanos, 0)),
    ('held', a.held_nanos, coalesce(c.held_nanos, 0) + coalesce(l.held_nanos, 0)),
    ('held for generations under way', a.held_nanos, coalesce(u.held_nanos, 0)),
    ('generations under way', a.in_flight, coalesce(u.generations, 0)),
    ('charged', coalesce(c.charged_nanos, 0) + coalesce(l.charged_nanos, 0),
        coalesce(c.revenue_nanos, 0) + coalesce(l.revenue_nanos, 0))
) as line (what, recorded, rebuilt)
where line.recorded is distinct from line.rebuilt
order by w.name, line.what;
