-- Note that a key was used, at most once a minute.
update api_keys set last_used_at = now()
where id = %(key_id)s and (last_used_at is null or last_used_at < now() - interval '60 s');
