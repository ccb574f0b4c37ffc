-- What is recorded of a day's use beside what the generations add up to, those in the archive too, grouped the same way,
-- where the two differ.
-- A row that is missing, or that no generation belongs to, differs in the number of rows.
with kept as (
    select workspace_id, (finished_at at time zone 'UTC')::date as date, type, model, api_key_id,
        count(*) filter (where state = 'completed') as completed,
        sum(charged_thousandths) as charged_thousandths,
        sum(charged_nanos) as cost_nanos,
        count(*) filter (where state <> 'completed') as failed
    from generations where finished_at is not null
    group by 1, 2, 3, 4, 5
), made as (
    select workspace_id, date, type, model, api_key_id, sum(completed) as completed,
        sum(charged_thousandths) as charged_thousandths, sum(cost_nanos) as cost_nanos, sum(failed) as failed
    from (
        select * from kept
        union all
        select workspace_id, date, type, model, api_key_id, completed, charged_thousandths, cost_nanos, failed
        from archived_usage
    ) parts group by 1, 2, 3, 4, 5
)
select w.name as workspace, coalesce(u.date, m.date) as date, coalesce(u.type, m.type)::text as type,
    coalesce(u.model, m.model) as model, coalesce(u.api_key_id, m.api_key_id) as api_key_id,
    line.what, coalesce(line.recorded, 0)::numeric as recorded, coalesce(line.rebuilt, 0)::numeric as rebuilt
from daily_usage u
-- Null is a key too: that of generations made without one. Keys' numbers begin with 1.
full join made m on m.workspace_id = u.workspace_id and m.date = u.date and m.type = u.type and m.model = u.model
    and coalesce(m.api_key_id, 0) = coalesce(u.api_key_id, 0)
join workspaces w on w.id = coalesce(u.workspace_id, m.workspace_id)
cross join lateral (values
    ('rows', num_nonnulls(u.workspace_id), num_nonnulls(m.workspace_id)),
    ('completed', u.completed, m.completed),
    ('charge in thousandths', u.charged_thousandths, m.charged_thousandths),
    ('cost in nano-dollars', u.cost_nanos, m.cost_nanos),
    ('failed', u.failed, m.failed)
) as line (what, recorded, rebuilt)
where coalesce(line.recorded, 0) <> coalesce(line.rebuilt, 0)
order by 1, 2, 3, 4, 5, 6;
