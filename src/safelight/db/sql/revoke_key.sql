-- Revoke a key. Repeating it keeps the first time.
update api_keys set revoked_at = coalesce(revoked_at, now()) where id = %(id)s;
