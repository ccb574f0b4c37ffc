-- Change a key's name, cap and expiry, while its workspace's account is locked.
update api_keys set name = %(name)s, spend_cap_nanos = %(spend_cap_nanos)s, expires_at = %(expires_at)s
where id = %(id)s and revoked_at is null;
