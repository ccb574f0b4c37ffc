-- Change a key's name, cap and expiry, while its workspace's account is locked, and say whether it had a cap. No row comes back
-- of a key that is revoked.
with before as (select spend_cap_nanos from api_keys where id = %(id)s)
update api_keys set name = %(name)s, spend_cap_nanos = %(spend_cap_nanos)s, expires_at = %(expires_at)s
where id = %(id)s and revoked_at is null
returning (select spend_cap_nanos is not null from before);
