-- A new key of a workspace. No row comes back if there is no such workspace, or if this idempotency key made one already.
insert into api_keys (workspace_id, name, role, sha256, prefix, last_four, spend_cap_nanos, expires_at, idempotency_key)
select id, %(name)s, %(role)s, %(sha256)s, %(prefix)s, %(last_four)s, %(spend_cap_nanos)s, %(expires_at)s,
    %(idempotency_key)s
from workspaces where id = %(workspace_id)s
on conflict (workspace_id, idempotency_key) where idempotency_key is not null do nothing
returning id;
