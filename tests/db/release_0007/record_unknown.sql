-- The backend's answer was lost: it may hold the job. The price stays held, no runner waits, and the reconciler looks
-- again: soon at first, then after half of the time that has gone by, at least once a minute. A mere look is no lost
-- runner, so it does not count as an attempt; only for the live runner.
update generations set
    state = 'unknown', backend_reports = add_report(backend_reports, %(report)s), run_token = null, lease_until = null, attempts = attempts - 1 + %(counts)s,
    wake_at = least(deadline, now() + greatest(
        make_interval(secs => %(first_look_seconds)s),
        least(interval '60 s', (now() - coalesce(submitted_at, created_at)) / 2)))
where id = %(id)s and run_token = %(run_token)s;
