-- Note that a session was used, at most once a minute.
update dashboard_sessions set last_seen_at = now()
where sha256 = %(sha256)s and last_seen_at < now() - interval '60 s';
