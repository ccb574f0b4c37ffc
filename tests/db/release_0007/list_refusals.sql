-- What was refused in a range of UTC dates, newest first.
select r.date, w.name as workspace, r.type::text as type, r.model, r.api_key_id, r.reason, r.count
from daily_refusals r join workspaces w on w.id = r.workspace_id
where r.workspace_id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
  and r.date between %(first)s and %(last)s
order by r.date desc, w.name, r.type, r.model, r.api_key_id, r.reason;
