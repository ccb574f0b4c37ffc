-- Use a way in that works once: no row comes back if it was used, or its time is over.
delete from login_links where sha256 = %(sha256)s and expires_at > now()
returning person, role, workspace_id;
