-- What was done, newest first, from before a given line.
select a.id, a.at, a.person, a.role, w.name as workspace, a.action, a.target, a.detail, a.address
from audit_log a left join workspaces w on w.id = a.workspace_id
where (%(workspace_id)s::bigint is null or a.workspace_id = %(workspace_id)s)
  and a.id < coalesce(%(before)s::bigint, 9223372036854775807)
  and (%(person)s::text is null or a.person = %(person)s)
  and (%(action)s::text is null or a.action = %(action)s)
  and (%(since)s::timestamptz is null or a.at >= %(since)s)
  and (%(until)s::timestamptz is null or a.at < %(until)s)
order by a.id desc limit %(limit)s;
