-- What was charged, what it cost and what was lost, by UTC date, model and connection, in a range of dates, newest first.
with made as (
    select date, model, connection, sum(completed)::bigint as completed,
        sum(charged_nanos)::bigint as charged_nanos, sum(cost_nanos)::bigint as cost_nanos
    from daily_margins
    where workspace_id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
      and date between %(first)s and %(last)s
    group by date, model, connection
), lost as (
    select (at at time zone 'UTC')::date as date, model, connection, count(*) as losses,
        count(*) filter (where cost_nanos is null) as losses_of_unknown_cost, coalesce(sum(cost_nanos), 0)::bigint as lost_nanos
    from losses
    where at >= %(first)s::date::timestamp at time zone 'UTC' and at < (%(last)s::date + 1)::timestamp at time zone 'UTC'
      and workspace_id = coalesce(%(workspace_id)s::bigint, workspace_id)
    group by 1, model, connection
)
select date, model, connection, coalesce(completed, 0) as completed, coalesce(charged_nanos, 0) as charged_nanos,
    coalesce(cost_nanos, 0) as cost_nanos, coalesce(losses, 0) as losses,
    coalesce(losses_of_unknown_cost, 0) as losses_of_unknown_cost, coalesce(lost_nanos, 0) as lost_nanos
from made full join lost using (date, model, connection)
order by date desc, model, connection;
