-- A new session: of a key's, for its workspace and with its role; or of a person's.
insert into dashboard_sessions (sha256, api_key_id, workspace_id, person, role, user_agent, expires_at)
values (%(sha256)s, %(api_key_id)s, %(workspace_id)s, %(person)s, %(role)s, %(user_agent)s,
    now() + make_interval(secs => %(seconds)s));
