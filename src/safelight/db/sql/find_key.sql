-- Whose key this is. Revoked and expired keys are not found.
select k.id as key_id, k.workspace_id, k.spend_cap_nanos is not null as is_capped
from api_keys k
where k.sha256 = %(sha256)s
  and k.revoked_at is null
  and (k.expires_at is null or k.expires_at > now());
