-- What was used in a range of UTC dates, newest first.
select u.date, w.name as workspace, u.type::text as type, u.model, u.api_key_id,
    u.completed, u.failed, u.charged_thousandths, u.cost_nanos
from daily_usage u join workspaces w on w.id = u.workspace_id
where u.workspace_id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
  and u.date between %(first)s and %(last)s
order by u.date desc, w.name, u.type, u.model, u.api_key_id;
