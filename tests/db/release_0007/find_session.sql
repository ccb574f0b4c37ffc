-- Whose sessions these are, with the role that their key has now. One whose time is over, or that was idle for long, is not
-- found, nor one whose key is revoked or expired or whose workspace is erased.
select asked.place, s.sha256, s.person, coalesce(k.role, s.role) as role, s.workspace_id, s.api_key_id as key_id,
    coalesce(w.name, '') as workspace,
    coalesce(k.spend_cap_nanos is not null, false) as is_capped, w.retention_max_seconds
from unnest(%(sha256)s::bytea[], %(idle_seconds)s::integer[]) with ordinality as asked (sha256, idle_seconds, place)
cross join lateral (
    select * from dashboard_sessions s where s.sha256 = asked.sha256 limit 1 -- each by its key, however many the planner expects
) s
left join workspaces w on w.id = s.workspace_id
left join api_keys k on k.id = s.api_key_id
where s.expires_at > now()
  and s.last_seen_at > now() - make_interval(secs => asked.idle_seconds)
  and (s.workspace_id is null or w.erased_at is null)
  and (s.api_key_id is null or (k.revoked_at is null and (k.expires_at is null or k.expires_at > now())));
