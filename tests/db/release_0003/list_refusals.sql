-- What was refused in a range of UTC dates, newest first.
select r.date, w.name as workspace, r.type::text as type, r.model, r.api_key_id, r.reason, r.count
from daily_refusals r join workspaces w on w.id = r.workspace_id
where (%(workspace_id)s::bigint is null or r.workspace_id = %(workspace_id)s)
  and r.date between %(first)s and %(last)s
order by r.date desc, w.name, r.type, r.model, r.api_key_id, r.reason;
