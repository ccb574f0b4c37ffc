-- Whose key this is. Revoked and expired keys, and those of erased workspaces, are not found.
select k.id as key_id, k.workspace_id, w.name as workspace, k.spend_cap_nanos is not null as is_capped, w.retention_max_seconds
from api_keys k join workspaces w on w.id = k.workspace_id
where k.sha256 = %(sha256)s
  and k.revoked_at is null
  and w.erased_at is null
  and (k.expires_at is null or k.expires_at > now());
