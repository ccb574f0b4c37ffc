-- Credit added to a workspace, newest first.
select id, available_nanos as amount_nanos, reason, created_at
from transfers
where workspace_id = %(workspace_id)s and kind = 'fund'
order by id desc;
