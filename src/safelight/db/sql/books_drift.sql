-- What is recorded of a workspace beside what its postings and generations add up to, those in the archive too, where the
-- two differ.
with ledger as (
    select workspace_id,
        sum(available_nanos) as available_nanos, sum(held_nanos) as held_nanos, sum(revenue_nanos) as revenue_nanos
    from (
        select workspace_id, available_nanos, held_nanos, revenue_nanos from transfers
        union all
        select workspace_id, available_nanos, held_nanos, revenue_nanos from archived_ledger
    ) posted group by workspace_id
), made as (
    select workspace_id, sum(held_nanos) as held_nanos, sum(under_way) as under_way, sum(charged_nanos) as charged_nanos
    from (
        select workspace_id,
            coalesce(sum(held_nanos) filter (where finished_at is null), 0) as held_nanos,
            count(*) filter (where finished_at is null) as under_way,
            coalesce(sum(charged_nanos), 0) as charged_nanos
        from generations group by workspace_id
        union all
        select workspace_id, 0, 0, sum(cost_nanos) from archived_usage group by workspace_id
    ) parts group by workspace_id
), costs as (
    select workspace_id, sum(cost_nanos) as cost_nanos from daily_usage group by workspace_id
)
select w.name as workspace, line.what, line.recorded::numeric, line.rebuilt::numeric
from workspaces w
left join accounts a on a.workspace_id = w.id
left join ledger l on l.workspace_id = w.id
left join made m on m.workspace_id = w.id
left join costs c on c.workspace_id = w.id
cross join lateral (values
    ('available', a.available_nanos, coalesce(l.available_nanos, 0)),
    ('held', a.held_nanos, coalesce(l.held_nanos, 0)),
    ('held for generations under way', a.held_nanos, coalesce(m.held_nanos, 0)),
    ('generations under way', a.in_flight, coalesce(m.under_way, 0)),
    ('charged', coalesce(m.charged_nanos, 0), coalesce(l.revenue_nanos, 0)),
    ('daily costs', coalesce(c.cost_nanos, 0), coalesce(l.revenue_nanos, 0))
) as line (what, recorded, rebuilt)
where line.recorded is distinct from line.rebuilt
order by w.name, line.what;
