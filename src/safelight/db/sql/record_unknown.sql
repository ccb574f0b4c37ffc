-- The backend's answer was lost: it may hold the job. The price stays held, no runner waits, and the reconciler looks
-- again when it is time; only for the live runner.
update generations set
    state = 'unknown', run_token = null, lease_until = null,
    wake_at = least(deadline, now() + make_interval(secs => %(wake_seconds)s))
where id = %(id)s and run_token = %(run_token)s;
