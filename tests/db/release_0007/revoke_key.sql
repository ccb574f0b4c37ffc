-- Revoke a key. Repeating it keeps the first time.
update api_keys set revoked_at = coalesce(revoked_at, now())
where id = %(id)s and (%(workspace_id)s::bigint is null or workspace_id = %(workspace_id)s);
