-- Take what is under way from its runners: in a database that was put back from a backup there are none. What a backend was
-- asked for is unknown: it is looked for there, and no other backend is asked should it come to nothing.
update generations set
    state = case when submitted_at is null then state else 'unknown' end,
    run_token = null, lease_until = null, wake_at = null
where state in ('queued', 'running', 'unknown');
