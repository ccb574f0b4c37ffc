-- Who is in at the dashboard: a workspace's people, and the operators where it is asked for. Newest first.
select s.sha256, s.person, s.role, s.api_key_id as key_id, s.created_at, s.last_seen_at, s.expires_at, s.user_agent
from dashboard_sessions s
where (s.workspace_id = %(workspace_id)s or (%(operators)s and s.workspace_id is null))
  and s.expires_at > now()
  and s.last_seen_at > now() - make_interval(secs => %(idle_seconds)s)
  and (s.api_key_id is null or exists ( -- no join, which would walk through all sessions along their keys
    select from api_keys k
    where k.id = s.api_key_id and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
  ))
order by s.last_seen_at desc, s.sha256;
