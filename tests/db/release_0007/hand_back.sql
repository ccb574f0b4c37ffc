-- Give a generation up for another runner to take at once; only for the live runner. It does not count as an attempt,
-- and a backend's job handle stays.
update generations set
    state = case when state = 'unknown' then state else 'queued' end,
    run_token = null, lease_until = null, attempts = attempts - 1
where id = %(id)s and run_token = %(run_token)s
returning id;
