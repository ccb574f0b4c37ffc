-- A new key of a workspace; no row comes back if there is no such workspace.
insert into api_keys (workspace_id, name, sha256, prefix, last_four, spend_cap_nanos, expires_at)
select id, %(name)s, %(sha256)s, %(prefix)s, %(last_four)s, %(spend_cap_nanos)s, %(expires_at)s
from workspaces where id = %(workspace_id)s
returning id;
