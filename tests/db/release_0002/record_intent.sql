-- Record that a backend is about to be called; only for the live runner.
update generations set submitted_at = now(), binding = %(binding)s, handle = null
where id = %(id)s and run_token = %(run_token)s;
