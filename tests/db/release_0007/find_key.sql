-- Whose keys these are. Revoked and expired keys, and those of erased workspaces, are not found.
select asked.place, k.id as key_id, k.workspace_id, w.name as workspace, k.spend_cap_nanos is not null as is_capped,
    w.retention_max_seconds, k.role
from unnest(%(sha256)s::bytea[]) with ordinality as asked (sha256, place)
join api_keys k on k.sha256 = asked.sha256
join workspaces w on w.id = k.workspace_id
where k.revoked_at is null
  and w.erased_at is null
  and (k.expires_at is null or k.expires_at > now());
