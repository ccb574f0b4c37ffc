-- What is recorded of a day's use, from the day before the last close on, beside what was verified up to there and what
-- generations that were settled since add up to, where the two differ. The rows are those of books_usage.sql.
with made as (
    select g.workspace_id, (g.finished_at at time zone 'UTC')::date as date, g.type, g.model, g.api_key_id,
        count(*) filter (where g.state = 'completed') as completed,
        sum(g.charged_thousandths) as charged_thousandths,
        sum(g.charged_nanos) as cost_nanos,
        count(*) filter (where g.state <> 'completed') as failed
    from transfers t
    cross join lateral (
        select * from generations g where g.id = t.generation_id limit 1 -- each by its key
    ) g
    where t.id > %(since)s and t.kind = 'settle'
    group by 1, 2, 3, 4, 5
), first as (
    -- Whatever is settled after the close ended on its day or later; a clock that was set back may say otherwise.
    select least((closed_at at time zone 'UTC')::date - 1, (select min(date) from made)) as date from books_close
), verified as (
    select workspace_id, date, type, model, api_key_id, sum(completed) as completed,
        sum(charged_thousandths) as charged_thousandths, sum(cost_nanos) as cost_nanos, sum(failed) as failed
    from (
        select workspace_id, date, type, model, api_key_id, completed, charged_thousandths, cost_nanos, failed
        from books_closed_usage where date >= (select date from first)
        union all select * from made
    ) both_parts group by 1, 2, 3, 4, 5
), recorded as (
    select * from daily_usage where date >= (select date from first)
)
select w.name as workspace, coalesce(u.date, m.date) as date, coalesce(u.type, m.type)::text as type,
    coalesce(u.model, m.model) as model, coalesce(u.api_key_id, m.api_key_id) as api_key_id,
    line.what, coalesce(line.recorded, 0)::numeric as recorded, coalesce(line.rebuilt, 0)::numeric as rebuilt
from recorded u
full join verified m on m.workspace_id = u.workspace_id and m.date = u.date and m.type = u.type and m.model = u.model
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
