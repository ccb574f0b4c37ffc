-- What was completed in a range of UTC dates and charged, and of which nobody said what it cost, by model.
with used as (
    select model, sum(completed) as completed, sum(cost_nanos) as charged_nanos from daily_usage
    where workspace_id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
      and date between %(first)s and %(last)s
    group by model
), costed as (
    select model, sum(completed) as completed, sum(charged_nanos) as charged_nanos from daily_margins
    where workspace_id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
      and date between %(first)s and %(last)s
    group by model
)
select model, (u.completed - coalesce(c.completed, 0))::bigint as completed,
    (u.charged_nanos - coalesce(c.charged_nanos, 0))::bigint as charged_nanos
from used u left join costed c using (model)
where u.completed > coalesce(c.completed, 0)
order by model;
