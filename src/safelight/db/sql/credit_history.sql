-- Credit added to a workspace, newest first.
select t.id, t.available_nanos as amount_nanos, t.reason, t.created_at
from transfers t join workspaces w on w.id = t.workspace_id
where w.name = %(workspace)s and t.kind = 'fund'
order by t.id desc;
