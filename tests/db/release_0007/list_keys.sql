-- Keys, by workspace and age.
select k.id, w.name as workspace, k.name, k.prefix, k.last_four, k.role, k.spend_cap_nanos, k.spent_nanos,
       k.created_at, k.expires_at, k.revoked_at, k.last_used_at
from api_keys k join workspaces w on w.id = k.workspace_id
where k.workspace_id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
order by w.name, k.id;
