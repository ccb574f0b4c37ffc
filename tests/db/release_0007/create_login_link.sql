-- A way in that works once.
insert into login_links (sha256, workspace_id, person, role, expires_at)
values (%(sha256)s, %(workspace_id)s, %(person)s, %(role)s, now() + make_interval(secs => %(seconds)s));
