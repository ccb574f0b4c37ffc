-- What was used in a range of UTC dates, newest first.
select u.date, w.name as workspace, u.type::text as type, u.model, u.api_key_id,
    u.completed, u.failed, u.charged_thousandths, u.cost_nanos
from daily_usage u join workspaces w on w.id = u.workspace_id
where (%(workspace_id)s::bigint is null or u.workspace_id = %(workspace_id)s)
  and u.date between %(first)s and %(last)s
order by u.date desc, w.name, u.type, u.model, u.api_key_id;
