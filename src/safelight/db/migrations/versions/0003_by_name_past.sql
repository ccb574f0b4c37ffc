-- What 0003_by_name.sql left, as it reads every generation: no node waits for this.

alter table generations validate constraint named_whole;

-- What ended before the trigger stood, beside what it has counted since.
with later as materialized (
    select generation_id from transfers
    where kind = 'settle' and id > (select last_transfer_id from daily_usage_began)
)
insert into daily_usage as u
    (workspace_id, date, type, model, api_key_id, completed, charged_thousandths, cost_nanos, failed)
select workspace_id, (finished_at at time zone 'UTC')::date, type, model, api_key_id,
    count(*) filter (where state = 'completed'), coalesce(sum(charged_thousandths), 0), coalesce(sum(charged_nanos), 0),
    count(*) filter (where state <> 'completed')
from generations g
where finished_at is not null and not exists (select from later where later.generation_id = g.id)
group by 1, 2, 3, 4, 5
order by 2 -- the rows of today last: it is those that ends under way may wait for
on conflict on constraint daily_usage_once do update set
    completed = u.completed + excluded.completed,
    charged_thousandths = u.charged_thousandths + excluded.charged_thousandths,
    cost_nanos = u.cost_nanos + excluded.cost_nanos,
    failed = u.failed + excluded.failed;

drop table daily_usage_began;
