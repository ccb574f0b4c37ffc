-- Record that the backend certainly did not take the job; only for the live runner.
update generations set submitted_at = null
where id = %(id)s and run_token = %(run_token)s;
